"""An annotation file as columns, read so that nothing in it can stop the reading.

Only what the typed entries of `coco_format` cannot hold is left out, and named: entries without a
field or with one of a wrong type. Everything else stands in the columns, however wrong it is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...skeleton import Skeleton
from ..coco_format import (
    BadSamples,
    CategoryEntry,
    CocoFile,
    PersonEntry,
    canonical_names,
    decode_annotations,
    gather,
    gather_lists,
    pause_collector,
)
from ..dataset import Dataset

_UNKNOWN = -1
_SEEN = 2


@dataclass(frozen=True)
class SplitColumns:
    """The pictures and annotations of one file, one row each, in the order of the file.

    Attributes:
        split: its name.
        path: of the annotation file.
        folder: of the pictures.
        skeleton: the keypoint set of the data set that the file has.
        names: canonical keypoint names in the order of the file.
        image_ids: (images,) int64.
        file_names: one per picture.
        sizes_hw: (images, 2) int64 pixels, 0 where the file does not say.
        ids: (people,) int64, of the annotations.
        row_image_ids: (people,) int64.
        image_index: (people,) row of the picture, -1 where the file lists none of that id.
        boxes_xywh: (people, 4) float64 pixels.
        areas: (people,) float64, NaN where the file has NaN or nothing.
        has_area: (people,) bool.
        iscrowd: (people,) bool.
        category_ids: (people,) int64, -1 where the file has none.
        num_keypoints: (people,) int64, -1 where the file has none.
        keypoint_lengths: (people,) int64, how many numbers the file has for each.
        keypoints: (people, joints, 3) float64; zeros where that number is another one.
        categories: of the file.
    """

    split: str
    path: Path
    folder: Path
    skeleton: Skeleton
    names: tuple[str, ...]
    image_ids: np.ndarray
    file_names: tuple[str, ...]
    sizes_hw: np.ndarray
    ids: np.ndarray
    row_image_ids: np.ndarray
    image_index: np.ndarray
    boxes_xywh: np.ndarray
    areas: np.ndarray
    has_area: np.ndarray
    iscrowd: np.ndarray
    category_ids: np.ndarray
    num_keypoints: np.ndarray
    keypoint_lengths: np.ndarray
    keypoints: np.ndarray
    categories: tuple[CategoryEntry, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def complete(self) -> np.ndarray:
        """(people,) bool: True where there are as many keypoints as names."""
        return self.keypoint_lengths == 3 * len(self.names)

    @property
    def labelled(self) -> np.ndarray:
        """(people, joints) bool: the keypoints with a visibility, whatever it is, and a place."""
        return (self.keypoints[..., 2] > 0) & np.isfinite(self.keypoints).all(axis=-1)

    @property
    def boxed(self) -> np.ndarray:
        """(people, joints) bool: the labelled keypoints that a box must hold.

        Hidden ones may lie outside of a box that was drawn around what is seen; where a file tells
        seen from hidden, they are left out.
        """
        seen = self.keypoints[..., 2] == _SEEN
        return self.labelled & seen if seen.any() else self.labelled

    @property
    def row_sizes_wh(self) -> np.ndarray:
        """(people, 2) width and height of each person's picture, NaN where unknown."""
        if not len(self.image_ids):
            return np.full((len(self), 2), np.nan)
        sizes = self.sizes_hw[np.maximum(self.image_index, 0), ::-1].astype(np.float64)
        known = (self.image_index >= 0)[:, None] & (sizes > 0).all(axis=1, keepdims=True)
        return np.where(known, sizes, np.nan)

    @property
    def paths(self) -> list[Path]:
        """Where each picture should lie."""
        return [self.folder / name for name in self.file_names]


def read_columns(
    dataset: Dataset, split: str, path: Path, folder: Path
) -> tuple[SplitColumns, list[str]]:
    """Read a file.

    Args:
        dataset: to which it belongs.
        split: its name.
        path: of the file, which is there.
        folder: of the pictures.

    Returns:
        The columns, and one line for each entry that they cannot hold.

    Raises:
        ValueError: it is not JSON, or not in COCO format.
    """
    bad = BadSamples(path, "skip")
    with pause_collector():  # until the entries are gone, because it would visit each of them
        file = decode_annotations(path.read_bytes(), bad)
        columns = _tabulate(file, dataset, split, path, folder)
    return columns, bad.lines


def list_keys(path: Path) -> list[str]:
    """The names that stand at the top of an annotation file which could be read."""
    return list(json.loads(path.read_bytes()))


def _tabulate(
    file: CocoFile, dataset: Dataset, split: str, path: Path, folder: Path
) -> SplitColumns:
    rows: Sequence[PersonEntry] = file.annotations
    lengths = np.fromiter((len(row.keypoints) for row in rows), np.int64, len(rows))
    names = name_keypoints(file.categories, dataset, int(lengths[0]) if len(rows) else 0)
    image_ids = gather(file.images, "id", np.int64)
    row_image_ids = gather(rows, "image_id", np.int64)
    has_area = np.fromiter((row.area is not None for row in rows), bool, len(rows))
    sizes = [gather(file.images, side, np.int64) for side in ("height", "width")]
    return SplitColumns(
        split=split,
        path=path,
        folder=folder,
        skeleton=closest_skeleton(names, dataset),
        names=names,
        image_ids=image_ids,
        file_names=tuple([image.file_name for image in file.images]),
        sizes_hw=np.stack(sizes, axis=1),
        ids=gather(rows, "id", np.int64),
        row_image_ids=row_image_ids,
        image_index=find_rows(image_ids, row_image_ids),
        boxes_xywh=gather_lists(rows, "bbox", 4, np.float64),
        areas=_fill(rows, "area", np.nan),
        has_area=has_area,
        iscrowd=gather(rows, "iscrowd", np.int64) > 0,
        category_ids=_fill(rows, "category_id", _UNKNOWN).astype(np.int64),
        num_keypoints=_fill(rows, "num_keypoints", _UNKNOWN).astype(np.int64),
        keypoint_lengths=lengths,
        keypoints=_gather_keypoints(rows, lengths, len(names)),
        categories=tuple(file.categories),
    )


def _fill(rows: Sequence[PersonEntry], field: str, absent: float) -> np.ndarray:
    """(people,) float64: a field, or a number where the file has none."""
    values = (absent if (v := getattr(row, field)) is None else v for row in rows)
    return np.fromiter(values, np.float64, len(rows))


def _gather_keypoints(rows: Sequence[PersonEntry], lengths: np.ndarray, joints: int) -> np.ndarray:
    fitting = lengths == 3 * joints
    chosen = rows if fitting.all() else [rows[row] for row in np.flatnonzero(fitting).tolist()]
    keypoints = np.zeros((len(rows), joints, 3))
    try:
        flat = gather_lists(chosen, "keypoints", 3 * joints, np.float64)
    except OverflowError:  # an integer of hundreds of digits
        flat = np.array([[_to_float(value) for value in row.keypoints] for row in chosen])
    keypoints[fitting] = flat.reshape(len(chosen), joints, 3)
    return keypoints


def _to_float(value: float) -> float:
    return float(value) if abs(value) <= sys.float_info.max else np.inf


def name_keypoints(
    categories: Sequence[CategoryEntry], dataset: Dataset, values: int
) -> tuple[str, ...]:
    """Canonical keypoint names in the order of a file.

    Args:
        categories: of the file; the first one that names keypoints counts.
        dataset: whose aliases hold, and whose keypoint sets stand in for names that are missing.
        values: how many numbers the first annotation has, by which the set is then chosen.
    """
    named = next((category for category in categories if category.keypoints), None)
    if named is not None:
        return canonical_names(named, dataset.aliases)
    sets = list(dataset.skeletons.values())
    return next((s for s in sets if 3 * s.joint_count == values), sets[0]).keypoints


def closest_skeleton(names: Sequence[str], dataset: Dataset) -> Skeleton:
    """The keypoint set that has most of some names, the first one where several have."""
    return max(dataset.skeletons.values(), key=lambda s: len(set(s.keypoints) & set(names)))


def find_rows(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(wanted,) int64: the first row that has each id, -1 where none has."""
    if not len(ids):
        return np.full(len(wanted), _UNKNOWN, np.int64)
    known, first = np.unique(ids, return_index=True)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, first[place], _UNKNOWN)
