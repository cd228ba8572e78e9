"""pose-tensorflow's annotation files: a MATLAB variable `dataset`, one entry a picture.

Fields count by their place, not by their name: the picture's path, its size [channels, height,
width], and a cell of rows (joint, x, y) for each person, joints and pixels counted from 0. A file
without the third field has no people; what follows (a crop, Penn Action's sequence and frame) is
not needed. Joint ids are those of the network's skeleton, in its order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..geometry import enclose_points
from ..skeleton import Skeleton
from ..structures import ImageTable
from .annotation import AnnotationTable

_JOINTS_FIELD = 2


def read_mat_people(path: Path, images: Path, skeleton: Skeleton) -> AnnotationTable:
    """Everybody in a file, all people of a picture, not only the first.

    Args:
        path: of the file.
        images: folder to which relative paths of pictures are relative, and where those are looked
            for that are not where the file says.
        skeleton: of the network, whose joints the file numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or numbers joints that the skeleton lacks.
    """
    entries = _load_entries(path)
    sizes = [np.asarray(entry[1], np.float64).ravel() for entry in entries]
    wrong = next((row for row, size in enumerate(sizes) if len(size) != 3), None)
    if wrong is not None:
        raise ValueError(
            f"{path} must give the size of each picture as [channels, height, width]. Received "
            f"{sizes[wrong].tolist()} for entry {wrong + 1}."
        )
    people = [_read_people(entry, row, path) for row, entry in enumerate(entries)]
    owners = np.repeat(np.arange(len(entries)), [len(members) for members in people])
    keypoints = np.zeros((len(owners), skeleton.joint_count, 3), np.float32)
    for place, rows in enumerate(member for members in people for member in members):
        _check_ids(rows[:, 0], skeleton, path)
        keypoints[place, rows[:, 0].astype(np.int64), :2] = rows[:, 1:3]
        keypoints[place, rows[:, 0].astype(np.int64), 2] = 2
    boxes = enclose_points(keypoints[..., :2], keypoints[..., 2] > 0)
    table = ImageTable(
        ids=np.arange(len(entries), dtype=np.int64),
        paths=tuple(_find_picture(str(np.ravel(entry[0])[0]), images) for entry in entries),
        sizes_hw=np.array(sizes, np.int32).reshape(-1, 3)[:, 1:],
    )
    return AnnotationTable(
        source=path,
        skeleton=skeleton,
        images=table,
        annotation_ids=np.arange(1, len(owners) + 1, dtype=np.int64),
        image_index=owners.astype(np.int32),
        boxes_xywh=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        keypoints=keypoints,
        num_keypoints=(keypoints[..., 2] > 0).sum(axis=1).astype(np.int32),
        iscrowd=np.zeros(len(owners), bool),
        segmentations=(b"[]",) * len(owners),
    )


def read_head_size(path: Path) -> float | None:
    """The head size in px that a file of tool/mpii_crops.py says all its people have, or None."""
    value = _load(path).get("head_size_px")
    return None if value is None else float(np.ravel(value)[0])


def _load(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise FileNotFoundError(
            f"No annotations at {path}. tool/mpii_crops.py makes MPII's; data/README.md shows the "
            "others."
        )
    try:
        return loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, TypeError) as error:
        raise ValueError(f"{path} must be a MATLAB file of version 5. {error}.") from error


def _load_entries(path: Path) -> list[Any]:
    """One tuple of fields for each picture."""
    variables = _load(path)
    dataset = variables.get("dataset")
    names = getattr(getattr(dataset, "dtype", None), "names", None) or ()
    if dataset is None or len(names) < 2:
        known = [name for name in variables if not name.startswith("__")]
        raise ValueError(
            f"{path} must hold a struct array dataset with image, size and joints. Received "
            f"{', '.join(known) or 'nothing'}."
        )
    return [tuple(entry) for entry in np.ravel(dataset)]


def _read_people(entry: tuple[Any, ...], row: int, path: Path) -> list[np.ndarray]:
    """(joints, 3) float64 of each person of a picture who has any."""
    cells = np.ravel(entry[_JOINTS_FIELD]) if len(entry) > _JOINTS_FIELD else ()
    people = [np.asarray(cell, np.float64) for cell in cells]
    for rows in people:
        if rows.size and (rows.ndim != 2 or rows.shape[1] < 3 or not np.isfinite(rows).all()):
            raise ValueError(
                f"Each person of {path} must have rows of joint, x and y. Received an array of "
                f"shape {rows.shape} in entry {row + 1}."
            )
    return [rows for rows in people if rows.size]


def _check_ids(ids: np.ndarray, skeleton: Skeleton, path: Path) -> None:
    known = np.isin(ids, np.arange(skeleton.joint_count)).all()
    if not known or len(np.unique(ids)) != len(ids):
        raise ValueError(
            f"{path} must number the {skeleton.joint_count} joints of {skeleton.name}, each once. "
            f"Received {ids.astype(int).tolist()}; data.skeleton chooses another joint set."
        )


def _find_picture(name: str, images: Path) -> str:
    """Where a picture is: as the file says, else under its bare name in the folder."""
    path = images / name  # an absolute name stays as it is
    moved = images / Path(name.replace("\\", "/")).name
    return str(moved if not path.exists() and moved.exists() else path)
