"""The snapshots of one run: which one to continue from, when to write, which to keep.

One per epoch, numbered from 1; a rolling one between them; and `snapshot_best`, a second name of
the epoch that validated best, which thereby outlives the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import remove_leftovers, unfinished_file
from .snapshot import (
    ROLLING,
    Snapshot,
    list_snapshots,
    newest_valid,
    snapshot_path,
    write_snapshot,
)

BEST = "best"


def find_start(
    folder: str | Path,
    resume: bool,
    read_placed: Callable[[Path], Snapshot | None] | None = None,
) -> tuple[Snapshot | None, list[str]]:
    """The snapshot that a run begins with.

    Args:
        folder: `output/model_dump/<dataset>/<run>/`. Where it has no snapshot at all, one that was
            placed in its parent, `output/model_dump/<dataset>/`, is continued.
        resume: whether `--continue` was given.
        read_placed: reads a published checkpoint that lies in that parent, where there is no
            snapshot of ours at all.

    Returns:
        The snapshot, None for a start at zero, and lines for the log.

    Raises:
        ValueError: snapshots are there without `--continue`, or all are damaged.
    """
    folder = Path(folder)
    own = [*list_snapshots(folder).values(), snapshot_path(folder, ROLLING)]
    own = [path for path in own if path.exists()]
    if not resume:
        if own:
            raise ValueError(
                f"{folder} holds snapshots of an earlier start, the first {own[0].name}. "
                "--continue goes on from the newest; --set run=NAME starts another run beside it."
            )
        return None, []
    snapshot, damaged = newest_valid(folder)
    notes = [f"DAMAGED: {line} The snapshot before it is used." for line in damaged]
    if snapshot is None:
        snapshot, damaged = newest_valid(folder.parent)
        notes += damaged
        if snapshot is None and read_placed:
            snapshot = read_placed(folder.parent)
        if snapshot:
            notes.append(f"{snapshot.path} is continued: {folder} has no snapshot of its own.")
    if snapshot is None:
        notes.append(f"NO SNAPSHOT in {folder}: --continue starts at step 0.")
    return snapshot, notes


def compare_settings(
    stored: Mapping[str, Any], present: Mapping[str, Any], free: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The settings that changed since a snapshot was written.

    Args:
        stored: the snapshot's flat config.
        present: that of this run.
        free: options of the system that do not change its network.

    Returns:
        `name (then -> now)` of those that change the network (`system`, `options.*`) and of all
        others.
    """
    network: list[str] = []
    others: list[str] = []
    for name in sorted({*stored, *present}):
        then, now = stored.get(name), present.get(name)
        if then == now:
            continue
        shapes_network = name == "system" or (name.startswith("options.") and name not in free)
        (network if shapes_network else others).append(f"{name} ({then} -> {now})")
    return network, others


def check_continuation(
    snapshot: Snapshot, metadata: Mapping[str, Any], free: Collection[str] = ()
) -> list[str]:
    """Refuse a snapshot of another network, and tell what else changed.

    A snapshot of another data set with as many joints is fine-tuned, as the published PoseTrack
    network was from COCO's: its channels keep their places and get new names.

    Args:
        snapshot: to continue from.
        metadata: of this run, with `config` and `skeleton`.
        free: as in `compare_settings`.

    Returns:
        Lines for the log.

    Raises:
        ValueError: settings that change the network differ, or the joints.
    """
    stored = snapshot.metadata
    network, others = compare_settings(stored.get("config", {}), metadata.get("config", {}), free)
    then, now = [list(m.get("skeleton", {}).get("keypoints", ())) for m in (stored, metadata)]
    renamed = [f"{old} -> {new}" for old, new in zip(then, now, strict=False) if old != new]
    if len(then) != len(now) or (renamed and not _trains_elsewhere(stored, metadata)):
        network.append(f"the joints ({then} -> {now})")
    if network:
        raise ValueError(
            f"{snapshot.path} was written by another network. Settings that differ: "
            f"{'; '.join(network)}. Set them back, or start another run with --set run=NAME "
            f"train.initial_weights={snapshot.path}."
        )
    notes = [f"FINE-TUNED for other joints: {', '.join(renamed)}."] if renamed else []
    return notes + ([f"CHANGED since the snapshot: {'; '.join(others)}."] if others else [])


def _trains_elsewhere(stored: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Whether the data set that gives the skeleton is another one than the snapshot's."""
    then, now = [list(m.get("config", {}).get("data.trainset", ())) for m in (stored, present)]
    return then[:1] != now[:1]


def make_writable(folder: Path) -> None:
    """Make a folder, and be sure before hours of training that files can be written there.

    Raises:
        OSError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        allowed = os.access(folder, os.W_OK)
    except OSError as error:
        raise OSError(
            f"Cannot make {folder}: {error.strerror}. Make its parent writable."
        ) from error
    if not allowed:
        raise OSError(f"Cannot write into {folder}. Make the folder writable.")


class RunSnapshots:
    """Writes the snapshots of a run, if this process is the one that writes.

    Args:
        folder: `output/model_dump/<dataset>/<run>/`.
        metadata: of every snapshot; the counters are added.
        keep: how many of the newest epochs stay, 0 for all.
        writes: False for all workers but the chief.

    Attributes:
        last: the newest snapshot known to be whole, or None.
    """

    def __init__(
        self,
        folder: str | Path,
        metadata: Mapping[str, Any],
        *,
        keep: int = 0,
        writes: bool = True,
    ):
        self.folder = Path(folder)
        self.metadata = dict(metadata)
        self.keep = keep
        self.writes = writes
        self.last: Path | None = None
        if writes:
            make_writable(self.folder)
            remove_leftovers(self.folder)

    def write(
        self, number: int | str, arrays: Mapping[str, np.ndarray], counters: Mapping[str, int]
    ) -> None:
        """Write snapshot N, or the rolling one, and let go of epochs beyond `keep`."""
        if not self.writes:
            return
        path = snapshot_path(self.folder, number)
        write_snapshot(path, arrays, {**self.metadata, "counters": dict(counters)})
        self.last = path
        if self.keep and isinstance(number, int):
            for old in list(list_snapshots(self.folder).values())[: -self.keep]:
                old.unlink()

    def mark_best(self, number: int) -> None:
        """Make `snapshot_best` a second name of snapshot N; a copy where links are unknown."""
        source = snapshot_path(self.folder, number)
        if not self.writes or not source.exists():
            return
        with unfinished_file(snapshot_path(self.folder, BEST)) as unfinished:
            try:
                os.link(source, unfinished)
            except OSError:
                shutil.copyfile(source, unfinished)
