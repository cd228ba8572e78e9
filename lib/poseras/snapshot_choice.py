"""Which snapshot a test or a training means: the run's own, one placed by hand, a foreign file.

Published checkpoints lie where the originals' READMEs put them, or are named by `--model-file`;
from here on they are snapshots as ours are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .checkpoints.files import PYTORCH_ENDINGS, checkpoint_files, checkpoint_name
from .data.dataset import choose_skeleton
from .engine.snapshot import Snapshot, list_snapshots, read_metadata, read_snapshot
from .engine.snapshot_lookup import find_snapshot
from .foreign import Network, explain_misfit, import_checkpoint, is_foreign, recognise
from .settings import flatten
from .skeleton import Skeleton
from .systems import options_module

log = logging.getLogger("poseras")

_NUMBER = re.compile(r"snapshot_(\d+)\.")
_PLACED = (".ckpt.index", *PYTORCH_ENDINGS)


def find_tested(
    root: Path, config: Any, number: int | None, model_file: str = "", *, newest: bool = False
) -> Path:
    """The snapshot or foreign checkpoint that a test means; the log says where it lies.

    Args:
        root: of the project.
        config: of the run, a record with `system`, `run` and `data.trainset`.
        number: N of `snapshot_N`; None where a file is named.
        model_file: a path that is taken instead; relative ones start at the root.
        newest: without number and file, take the run's highest number.

    Raises:
        FileNotFoundError: there is none.
        ValueError: neither number nor file is given.
    """
    if model_file:
        path = checkpoint_name(root / Path(model_file).expanduser())
        if not checkpoint_files(path):
            raise FileNotFoundError(f"There is no snapshot or checkpoint {path}.")
        return path
    if number is None and not newest:
        raise ValueError(
            "A test needs --test_epoch N, a snapshot of the run, or --model-file FILE. "
            "Received neither."
        )
    found = find_snapshot(
        root / "output" / "model_dump",
        config.data.trainset[0],
        config.run,
        number,
        system=config.system,
        explain_misfit=partial(explain_misfit, system=config.system),
    )
    for note in found.notes:
        log.info("%s", note)
    return found.path


def find_run(root: Path, run: str) -> Path:
    """The highest snapshot of a run, whatever data set it was trained on.

    Args:
        root: of the project.
        run: name of its folder in `output/model_dump/<dataset>/`, or the path of a snapshot.

    Raises:
        FileNotFoundError: there is none.
        ValueError: runs of that name exist for several data sets.
    """
    if Path(run).is_file():
        return Path(run)
    found = [
        numbered[max(numbered)]
        for folder in sorted((root / "output" / "model_dump").glob("*/"))
        if (numbered := list_snapshots(folder / run))
    ]
    if not found:
        raise FileNotFoundError(
            f"There is no snapshot of a run {run} in {root / 'output' / 'model_dump'}/<dataset>/, "
            "and no file of that name."
        )
    if len(found) > 1:
        named = ", ".join(str(path.relative_to(root)) for path in found)
        raise ValueError(f"The run {run} exists for several data sets. Name one of {named}.")
    return found[0]


def stored_config(path: str | Path, config: Any) -> dict[str, Any]:
    """The flat config that a snapshot carries, or that a foreign checkpoint stands for.

    Of a foreign one the view follows from its options, but for what was set by itself.

    Args:
        path: of either.
        config: of the run, a record with `system`, `options` and `view`; for a foreign checkpoint
            it gives what the file does not show, such as the input size.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is damaged, or no network of the system.
    """
    if not is_foreign(path):
        return read_metadata(path).get("config", {})
    recognised = recognise(path, config.system)
    own = {f"options.{key}": value for key, value in recognised.options.items()}
    view = {f"view.{key}": value for key, value in recognised.view.items()}
    usual = flatten(options_module(config.system).default_view(config.options))
    follows = {f"view.{key}" for key, value in flatten(config.view).items() if value == usual[key]}
    rest = {key: value for key, value in flatten(config).items() if key not in follows}
    return {**rest, **own, **view}


def open_snapshot(path: str | Path, config: Any, root: Path) -> Snapshot:
    """A snapshot of ours, or a foreign checkpoint in the form of one.

    Args:
        path: of either.
        config: as `import_checkpoint`, with `data.trainset` and `data.skeleton`; not looked at
            for a snapshot of ours.
        root: of the project, where the datasets are and relative paths start.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is damaged, or does not fit.
    """
    if not is_foreign(path):
        return read_snapshot(path)
    skeleton = choose_skeleton(root, config.data.trainset, config.data.skeleton)
    imported = import_checkpoint(path, config, skeleton, root)
    log.info("%s is a %s: %s.", path, imported.kind, imported.preprocessing)
    for name in imported.conversion.unused:
        log.warning("%s of the checkpoint is not used.", name)
    return imported.snapshot


def find_placed(
    folder: str | Path,
    network: Network,
    config: Mapping[str, Any],
    skeleton: Skeleton,
    root: Path = Path(),
) -> Snapshot | None:
    """The foreign checkpoint of the highest number that was placed in a folder, to train on from.

    Args:
        folder: `output/model_dump/<dataset>/`.
        network: of the run.
        config: of the run, flat; the snapshot's own has what the file fixes in its place, so that
            a run with other settings is refused as with every snapshot.
        skeleton: of the run.
        root: as in `import_checkpoint`.

    Returns:
        The snapshot, with the moments of Adam where the file has them; None without such a file.

    Raises:
        ValueError: the file is damaged or does not fit.
    """
    numbered = {
        int(match[1]): checkpoint_name(path)
        for path in Path(folder).glob("snapshot_*")
        if (match := _NUMBER.match(path.name)) and path.name.endswith(_PLACED)
    }
    if not numbered:
        return None
    path = numbered[max(numbered)]
    snapshot = import_checkpoint(path, network, skeleton, root).snapshot
    fixed = recognise(path, network.system).options
    options = {f"options.{key}": value for key, value in fixed.items()}
    snapshot.metadata["config"] = {**config, **options}
    return snapshot
