"""Which file `snapshot_N` means: the run's own, or one that was placed beside the runs.

Whoever comes with a published checkpoint puts it where the original's README says, as
`snapshot_140.ckpt.*` or `snapshot_140.pth.tar` in `output/model_dump/` or in
`output/model_dump/<dataset>/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.files import BUNDLE_ENDINGS, PYTORCH_ENDINGS, checkpoint_name
from .snapshot import SUFFIX, list_snapshots, read_metadata

#: From the path of a foreign checkpoint to why it cannot be used, or "".
ExplainMisfit = Callable[[Path], str]


@dataclass(frozen=True)
class FoundSnapshot:
    """Where a snapshot was found.

    Attributes:
        path: the file; of a TensorFlow 1 bundle its name without the endings.
        notes: lines for the log: that it lies outside the run, or what was passed over.
    """

    path: Path
    notes: tuple[str, ...] = ()


def find_snapshot(
    model_dump: str | Path,
    dataset: str,
    run: str,
    number: int | None = None,
    *,
    system: str,
    explain_misfit: ExplainMisfit | None = None,
) -> FoundSnapshot:
    """Look up a snapshot of a run by its number.

    The run's own, in `model_dump/dataset/run/`, comes first. A `snapshot_N.*` that was placed
    by hand in `model_dump/dataset/` or `model_dump/` is used when the run has none of that number
    and it was written for this system, or is a foreign checkpoint whose names fit it.

    Args:
        model_dump: the folder `output/model_dump`.
        dataset: of the training set.
        run: name of the run.
        number: N; None takes the run's highest.
        system: name of the system that is to run it.
        explain_misfit: judges foreign checkpoints; without it none is used.

    Raises:
        FileNotFoundError: none is there that can be used; the line says why and what is.
    """
    folders = [Path(model_dump, dataset, run), Path(model_dump, dataset), Path(model_dump)]
    own = list_snapshots(folders[0])
    if number is None and own:
        number = max(own)
    found = [] if number is None else _with_number(folders, number)
    if number in own:
        passed_over = [path for path in found if path != own[number]]
        return FoundSnapshot(
            own[number], tuple(f"{p} is not used: the run has its own." for p in passed_over)
        )
    reasons: list[str] = []
    for path in found:
        reason = _why_not(path, system, explain_misfit)
        if not reason:
            note = f"{path} is used: the run {run} has no snapshot_{number} of its own."
            return FoundSnapshot(path, (*reasons, note))
        reasons.append(f"{path} is not used: {reason}.")
    wanted = "snapshot" if number is None else f"snapshot_{number}"
    present = f"It has {_list_numbers(own)}; choose one by --test_epoch." if own else ""
    hint = present or "main/train.py writes them; a file from elsewhere may be placed there."
    raise FileNotFoundError(" ".join([f"There is no {wanted} in {folders[0]}.", hint, *reasons]))


def _with_number(folders: list[Path], number: int) -> list[Path]:
    """One `snapshot_N.*` of each folder that has any, ours before one of another format."""
    found = []
    for folder in folders:
        names = {checkpoint_name(path) for path in folder.glob(f"snapshot_{number}.*")}
        found += sorted(names, key=lambda path: (path.suffix != SUFFIX, path.name))[:1]
    return found


def _why_not(path: Path, system: str, explain_misfit: ExplainMisfit | None) -> str:
    """Why a snapshot that lies outside the run cannot be used, or ""."""
    if path.suffix == SUFFIX:
        try:
            written_for = read_metadata(path).get("system")
        except ValueError as error:
            return str(error).rstrip(".")
        return (
            "" if written_for == system else f"it was written for {written_for}, not for {system}"
        )
    if explain_misfit is None:
        return f"it is no {SUFFIX} file, and other formats are not read here"
    if not path.name.endswith((".ckpt", *PYTORCH_ENDINGS)):
        known = f"{SUFFIX}, .ckpt{BUNDLE_ENDINGS[0]}, {', '.join(PYTORCH_ENDINGS)}"
        return f"its name must end in one of {known}"
    return explain_misfit(path)


def _list_numbers(numbers: Mapping[int, Path], most: int = 8) -> str:
    """`1, 2, 5`, or the first and last few of many."""
    texts = [str(number) for number in numbers]
    if len(texts) > most:
        texts = [*texts[: most // 2], "...", *texts[-most // 2 :]]
    return "snapshot_" + ", ".join(texts)
