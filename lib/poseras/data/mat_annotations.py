"""pose-tensorflow's annotation files: a MATLAB variable `dataset`, one entry a picture.

Fields count by their place, not by their name: the picture's path, its size [channels, height,
width], and a cell of rows (joint, x, y) for each person, joints and pixels counted from 0. A file
without the third field has no people; what follows (a crop, Penn Action's sequence and frame) is
not needed. Joint ids are those of a keypoint set of the file's data set; they are brought to the
network's skeleton by name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry import enclose_points
from ..matlab_files import read_matlab
from ..skeleton import Skeleton, derive_keypoints
from ..structures import ImageTable
from .annotation import AnnotationTable, reindex_table

logger = logging.getLogger("poseras")

_JOINTS_FIELD = 2


def read_mat_people(
    path: Path,
    images: Path,
    skeleton: Skeleton,
    keypoint_sets: Sequence[Skeleton] = (),
    derived: Mapping[str, Sequence[str]] | None = None,
    *,
    told: bool = True,
) -> AnnotationTable:
    """Everybody in a file, all people of a picture, not only the first.

    Args:
        path: of the file.
        images: folder to which relative paths of pictures are relative, and where those are looked
            for that are not where the file says.
        skeleton: the joints to return, in this order; a joint that the file lacks is (0, 0, 0).
        keypoint_sets: of the file's data set, one of which it numbers, see `_choose_numbered`; the
            skeleton by default.
        derived: joints of the skeleton that the file lacks -> those whose middle they are.
        told: whether the skeleton is that of a network, which then decides how the file's joints
            are numbered; otherwise the file's highest joint does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, or numbers joints of no keypoint set.
    """
    entries = _load_entries(path)
    sizes = [np.asarray(entry[1], np.float64).ravel() for entry in entries]
    wrong = next((row for row, size in enumerate(sizes) if len(size) != 3), None)
    if wrong is not None:
        raise ValueError(
            f"{path} must give the size of each picture as [channels, height, width]. Received "
            f"{sizes[wrong].tolist()} for entry {wrong + 1}."
        )
    by_picture = [_read_people(entry, row, path) for row, entry in enumerate(entries)]
    owners = np.repeat(np.arange(len(entries)), [len(members) for members in by_picture])
    people = [person for members in by_picture for person in members]
    numbered = _choose_numbered(people, skeleton, keypoint_sets or (skeleton,), path, told)
    keypoints = _gather_keypoints(people, numbered, path)
    boxes = enclose_points(keypoints[..., :2], keypoints[..., 2] > 0)
    table = ImageTable(
        ids=np.arange(len(entries), dtype=np.int64),
        paths=tuple(_find_picture(str(np.ravel(entry[0])[0]), images) for entry in entries),
        sizes_hw=np.array(sizes, np.int32).reshape(-1, 3)[:, 1:],
    )
    counts = (keypoints[..., 2] > 0).sum(axis=1).astype(np.int32)
    keypoints, names = derive_keypoints(keypoints, numbered.keypoints, derived or {})
    people_of_file = AnnotationTable(
        source=path,
        skeleton=skeleton,
        images=table,
        annotation_ids=np.arange(1, len(owners) + 1, dtype=np.int64),
        image_index=owners.astype(np.int32),
        boxes_xywh=boxes,
        areas=boxes[:, 2] * boxes[:, 3],
        area_given=np.zeros(len(owners), bool),
        keypoints=keypoints,
        num_keypoints=counts,
        iscrowd=np.zeros(len(owners), bool),
        segmentations=(b"[]",) * len(owners),
    )
    return reindex_table(people_of_file, names)


def _choose_numbered(
    people: Sequence[np.ndarray],
    skeleton: Skeleton,
    keypoint_sets: Sequence[Skeleton],
    path: Path,
    told: bool,
) -> Skeleton:
    """The keypoint set whose joints a file numbers.

    It is that of a network that is told, if it is one of the sets and all ids fit it. Otherwise it
    is the one with as many joints as the highest id of the whole file tells. The log says which one
    it is, and warns where another set would fit as well.

    Raises:
        ValueError: the network's skeleton is none of the data set's, and no set fits.
    """
    own = [known for known in keypoint_sets if known.keypoints == skeleton.keypoints]
    count = int(max((rows[:, 0].max() for rows in people), default=-1)) + 1
    exact = [numbered for numbered in keypoint_sets if numbered.joint_count == count]
    fitting = [numbered for numbered in own if told and count <= numbered.joint_count] or exact
    if not fitting and not own and count:
        names = " or ".join(numbered.name for numbered in keypoint_sets)
        raise ValueError(
            f"{path} must number the joints of {names}, as whose data set it is read. Received "
            f"{count} joints; data.trainset, or data.testset of a test, names the data set of the "
            "file."
        )
    numbered = (fitting or own or keypoint_sets)[0]
    logger.info("%s numbers %d joints, which are those of %s.", path, count, numbered.name)
    other = next((known for known in exact if known.joint_count < numbered.joint_count), None)
    if other is not None:
        logger.warning(
            "Its highest joint is the last one of %s. If it numbers those, the network must be "
            "theirs: --set data.skeleton=%s.",
            *(other.name, other.name),
        )
    return numbered


def read_head_size(path: Path) -> float | None:
    """The head size in px that a file of tool/mpii_crops.py says all its people have, or None."""
    value = _load(path).get("head_size_px")
    return None if value is None else float(np.ravel(value)[0])


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No annotations at {path}. python tool/mpii_crops.py makes MPII's dataset.mat, "
            "dataset-train.mat and dataset-test.mat; data/README.md shows how others are made."
        )
    try:
        return read_matlab(path)
    except ValueError as error:
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


def _gather_keypoints(people: Sequence[np.ndarray], numbered: Skeleton, path: Path) -> np.ndarray:
    """(people, joints, 3) float32: x px, y px, and 2 where a joint has a row, else three zeros."""
    keypoints = np.zeros((len(people), numbered.joint_count, 3), np.float32)
    for place, rows in enumerate(people):
        _check_ids(rows[:, 0], numbered, path)
        keypoints[place, rows[:, 0].astype(np.int64), :2] = rows[:, 1:3]
        keypoints[place, rows[:, 0].astype(np.int64), 2] = 2
    return keypoints


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
