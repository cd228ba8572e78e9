"""Convert published checkpoints to snapshots of poseras, and snapshots back."""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from poseras import foreign
from poseras.checkpoints import write_tf1_checkpoint
from poseras.checkpoints.files import PYTORCH_ENDINGS
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.data.dataset import choose_skeleton
from poseras.engine.snapshot import SUFFIX, read_snapshot, write_snapshot
from poseras.error_lines import one_line_errors
from poseras.files import unfinished_file
from poseras.settings import parse_assignments

ROOT = Path(__file__).resolve().parent.parent

_EXAMPLES = """
examples:
  python tool/convert_weights.py snapshot_140.ckpt output/model_dump/COCO/snapshot_140.safetensors
  python tool/convert_weights.py pose_resnet_50_384x288.pth.tar snapshot_1.safetensors \\
      --set options.input_shape=384,288
  python tool/convert_weights.py pose_resnet_50_256x256.pth.tar snapshot_1.safetensors \\
      --skeleton MPII --set options.input_shape=256,256
  python tool/convert_weights.py snapshot_140.safetensors snapshot_140.ckpt     (or .pth, .pth.tar)
"""


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Convert a TensorFlow 1, PyTorch or Keras checkpoint to a snapshot, or a\n"
        "snapshot to the format of its original, and report every name. The ending of OUTPUT\n"
        "decides. Neither TensorFlow 1 nor PyTorch is needed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="INPUT", help="a bundle is named without .index")
    parser.add_argument("output", metavar="OUTPUT", help=".safetensors, .ckpt, .pth or .pth.tar")
    parser.add_argument("--system", default="simple_baselines", help="whose network it is")
    names = "NAME[/SET] of data/: the joints of the network"
    parser.add_argument("--skeleton", metavar="NAME", default="COCO", help=names)
    told = "what the file does not show: options.input_shape, options.stride_on=1x1 (Caffe style)"
    parser.add_argument(
        "--set", metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=told
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with one_line_errors("convert_weights.py"):
        source, target = Path(chosen.input), Path(chosen.output)
        if target.suffix == SUFFIX:
            skeleton = choose_skeleton(ROOT, [chosen.skeleton], chosen.skeleton)
            network = foreign.describe_network(source, chosen.system, parse_assignments(chosen.set))
            imported = foreign.import_checkpoint(source, network, skeleton, ROOT)
            write_snapshot(target, imported.snapshot.arrays, imported.snapshot.metadata)
            lines = imported.report()
        else:
            lines = export(source, target)
        print("\n".join([*lines, f"Written: {target}"]))


def export(source: Path, target: Path) -> list[str]:
    """Write a snapshot in the format of its original; the report."""
    snapshot = read_snapshot(source)
    entries = foreign.export_entries(snapshot)
    rooms = foreign.weights_module(snapshot.metadata["system"])
    form = snapshot.metadata["options"].get("form") or getattr(rooms, "FORM", "")
    endings = {"tensorflow": (".ckpt",), "pytorch": PYTORCH_ENDINGS}.get(form, ())
    if not target.name.endswith(endings):
        raise ValueError(
            f"A network of form {form} is written as {' or '.join(endings)}. Received {target}."
        )
    if form == "tensorflow":
        write_bundle(target, entries)
    else:
        has_frame = hasattr(rooms, "frame")
        wrapper, numbers = rooms.frame(snapshot.metadata["counters"]) if has_frame else ("", {})
        with unfinished_file(target) as path:
            write_pytorch_file(path, entries, wrapper=wrapper, numbers=numbers)
    return [f"written   {name} {entries[name].shape}" for name in entries]


def write_bundle(target: Path, entries: dict) -> None:
    """Both files of a bundle, moved into place when they are whole; the index comes last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        write_tf1_checkpoint(Path(folder) / target.name, entries)
        for file in sorted(Path(folder).iterdir()):  # .data... before .index
            os.replace(file, target.parent / file.name)


if __name__ == "__main__":
    main()
