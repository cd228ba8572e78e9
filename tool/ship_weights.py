"""Make a small file of a trained network: its weights alone, kernels in float16.

The averaged weights are taken where the snapshot has them. Optimizer states and the settings of the
training go; what a prediction depends on stays. Such a file is tested, shown and trained from like
any other snapshot.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from poseras.error_lines import one_line_errors

EXAMPLES = """examples:
  python tool/ship_weights.py output/model_dump/COCO/a/snapshot_9.safetensors --output a.safetensors
"""
#: Of the metadata: what describes the network, and how it was trained.
KEPT = ("system", "options", "skeleton", "view", "config", "versions", "counters")
#: Settings that name files of the machine that trained.
LOCAL = (
    *("data.annotations", "data.images", "train.initial_weights", "test.model_file"),
    *("test.annotations", "test.images", "test.detections", "test.ensemble"),
    "view.augmentation.occluder_folder",
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("snapshot", type=Path, help="snapshot_N.safetensors of a run")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=".safetensors")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the program."""
    given = parse_arguments(arguments)
    with one_line_errors("ship_weights.py"):
        ship(given.snapshot, given.output)


def ship(source: Path, target: Path) -> None:
    """Write the small file and say what became of the weights.

    Raises:
        FileNotFoundError, ValueError: the snapshot is missing or damaged, or a weight is beyond
            float16.
    """
    import numpy as np

    from poseras.engine.snapshot import read_snapshot, write_snapshot
    from poseras.systems import options_module

    snapshot = read_snapshot(source)
    weights = {f"weights/{k}": v for k, v in snapshot.part("weights").items()}
    weights |= {f"weights/{k}": v for k, v in snapshot.part("ema").items()}
    small = {name: _halve(name, array) for name, array in weights.items()}
    small |= {f"resources/{k}": v for k, v in snapshot.part("resources").items()}
    metadata = {key: snapshot.metadata[key] for key in KEPT if key in snapshot.metadata}
    tables = getattr(options_module(metadata["system"]), "FILES", ())
    local = {*LOCAL, *(f"options.{name}" for name in tables)}
    metadata["config"] = {k: v for k, v in metadata["config"].items() if k not in local}
    metadata["options"] = {k: v for k, v in metadata["options"].items() if k not in tables}
    if "view" in metadata:
        view = metadata["view"].items()
        metadata["view"] = {k: v for k, v in view if f"view.{k}" not in local}
    write_snapshot(target, small, metadata)
    count = sum(array.size for array in weights.values())
    lost = max(
        float(np.abs(array - small[name].astype(np.float32)).max(initial=0))
        for name, array in weights.items()
    )
    size = target.stat().st_size / 2**20
    print(f"{target}: {count:,} weights, {size:.1f} MiB; rounding moved none by over {lost:.1e}.")


def _halve(name: str, array):  # type: ignore[no-untyped-def]
    """A kernel in float16; biases and statistics, which are few and may be large, as they are.

    Raises:
        ValueError: a number is too large for it.
    """
    import numpy as np

    if array.dtype.kind != "f" or array.ndim < 2:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            f"Weights of a small file must be below 65,504, float16's largest number. Received "
            f"{np.abs(array).max():.3g} in {name}; ship this network as the snapshot it is."
        )
    return half


if __name__ == "__main__":
    main()
