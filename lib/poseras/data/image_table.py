"""The pictures that a file in COCO format lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ..structures import ImageTable
from .coco_format import BadSamples, ImageEntry, gather

# A part "..", a leading slash or backslash, or a drive letter leaves the folder of the pictures.
_LEAVES_FOLDER = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]|^[A-Za-z]:|\0|^$")
# Names without these, each name between two line ends, cannot match.
_SUSPICIOUS = ("..", "\n/", "\\", ":", "\0", "\n\n")


def tabulate_images(entries: Sequence[ImageEntry], folder: Path, bad: BadSamples) -> ImageTable:
    """The pictures as columns.

    Args:
        entries: of the file.
        folder: to which file names are relative.
        bad: receives pictures outside the folder and ids that stand twice.

    Raises:
        ValueError: a bad entry, under the policy `stop`.
    """
    ids = gather(entries, "id", np.int64)
    leaves = _find_leaving(entries)
    bad.add_where(
        leaves,
        lambda row: (
            f"image {ids[row]} must lie inside its folder {folder}. Received file_name "
            f"{entries[row].file_name!r}."
        ),
    )
    doubled = mark_doubled(ids)
    bad.add_where(doubled, lambda row: f"image id {ids[row]} stands twice.")
    if leaves.any() or doubled.any():
        keep = ~(leaves | doubled)
        entries, ids = [e for e, kept in zip(entries, keep, strict=True) if kept], ids[keep]
    prefix = f"{folder.absolute()}/"
    return ImageTable(
        ids=ids,
        paths=tuple([prefix + entry.file_name + _missing_ending(entry) for entry in entries]),
        sizes_hw=np.stack(
            [gather(entries, side, np.int32) for side in ("height", "width")], axis=1
        ),
    )


def _missing_ending(entry: ImageEntry) -> str:
    """AI Challenger's converter of pose-tensorflow's fork leaves it out; the fork adds this one."""
    return "" if "." in entry.file_name.rpartition("/")[2] else ".jpg"


def _find_leaving(entries: Sequence[ImageEntry]) -> np.ndarray:
    """(images,) bool: True where a file name is empty or leads out of its folder."""
    names = [entry.file_name for entry in entries]
    # Looking through all names at once is a hundred times as fast as matching each.
    together = "\n".join(["", *names, ""])
    if any(mark in together for mark in _SUSPICIOUS):
        return np.array([bool(_LEAVES_FOLDER.search(name)) for name in names], bool)
    return np.zeros(len(entries), bool)


def mark_doubled(ids: np.ndarray) -> np.ndarray:
    """(rows,) bool: True for every id that stood before."""
    doubled = np.ones(len(ids), bool)
    doubled[np.unique(ids, return_index=True)[1]] = False
    return doubled


def find_images(images: ImageTable, image_ids: np.ndarray) -> np.ndarray:
    """(rows,) int32: where each image id stands in the table, -1 where it does not."""
    if not len(images):
        return np.full(len(image_ids), -1, np.int32)
    order = np.argsort(images.ids, kind="stable")
    place = np.minimum(np.searchsorted(images.ids, image_ids, sorter=order), len(images) - 1)
    index = order[place]
    return np.where(images.ids[index] == image_ids, index, -1).astype(np.int32)


def join_images(tables: Sequence[ImageTable]) -> ImageTable:
    """The pictures of several tables, one after the other."""
    return ImageTable(
        ids=np.concatenate([table.ids for table in tables]),
        paths=tuple(chain.from_iterable(table.paths for table in tables)),
        sizes_hw=np.concatenate([table.sizes_hw for table in tables]),
    )
