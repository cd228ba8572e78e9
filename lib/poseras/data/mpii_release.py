"""MPII's release file `mpii_human_pose_v1_u12_1.mat` as columns; it counts pixels from 1.

Source: 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, Andriluka et al.,
CVPR 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..matlab_files import read_matlab
from .coco_format import pause_collector

Split = Literal["train", "test"]
JOINTS = 16
#: `is_visible` as the release has it, in numbers and texts of one letter; it may also be empty.
_VISIBILITY = {0: 0.0, 1: 1.0, "0": 0.0, "1": 1.0}
_NOTHING = np.zeros(0)
_POINT = frozenset(("id", "x", "y"))
#: Columns of `Release.details`.
_DETAILS = ("x1", "y1", "x2", "y2", "scale", "x", "y")


@dataclass(frozen=True)
class Release:
    """The release as columns, in its own pixels, which count from 1.

    Attributes:
        names: one file name per picture, in the order of `annolist`.
        is_train: (pictures,) bool.
        picture_of_person: (people,) int64, the row of the picture, in the order of the file.
        person_of_point: (points,) int64, ascending; people without points have none.
        points: (points, 4) float64, joint id, x px, y px, visibility (1 seen, 0 hidden, -1
            unknown), in the order of the file.
        details: (people, 7) float64, the corners x1, y1, x2, y2 of the head box, the scale (the
            person's height / 200 px) and x, y of the rough centre; NaN where the file has none,
            or nobody asked for them.
        single_person: for each picture the numbers, counted from 1, of its people who stand apart
            from the others; empty where the file has no such list, or nobody asked for it.
    """

    names: tuple[str, ...]
    is_train: np.ndarray
    picture_of_person: np.ndarray
    person_of_point: np.ndarray
    points: np.ndarray
    details: np.ndarray
    single_person: tuple[tuple[int, ...], ...] = ()

    def list_pictures(self, split: Split) -> list[str]:
        """The names of the pictures of a split that have people; those without are not converted.

        Args:
            split: `train` or `test`.
        """
        rows = np.unique(self.picture_of_person)
        return [self.names[row] for row in rows[self.is_train[rows] == (split == "train")]]


def read_release(path: str | Path, *, details: bool = False) -> Release:
    """Read the release file.

    Args:
        path: of the .mat file.
        details: also read head boxes, scales, centres and who stands apart.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no .mat file that scipy reads, or not MPII's: what it lacks is named.
    """
    path = Path(path)
    with pause_collector():  # it would visit the file's millions of small arrays, again and again
        release = _load_release(path)
        annolist, is_train = _find_lists(release, path)
        names = tuple([_read_name(image, row, path) for row, image in enumerate(annolist["image"])])
        rects = annolist["annorect"]
        people = [_list_people(rect, row, path) for row, rect in enumerate(rects)]
        person_of_point, points = _read_points(people, path)
        counts = [len(members) for members in people]
        described = map(_read_details, rects) if details else [_no_details(sum(counts))]
        return Release(
            names=names,
            is_train=is_train,
            picture_of_person=np.repeat(np.arange(len(names)), counts),
            person_of_point=person_of_point,
            points=points,
            details=np.concatenate([_no_details(0), *described]),
            single_person=_read_single_people(release) if details else (),
        )


def _load_release(path: Path) -> np.ndarray:
    """The variable RELEASE, a struct array."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No MPII release at {path}. It is in mpii_human_pose_v1_u12_2.zip of "
            "http://human-pose.mpi-inf.mpg.de; --mat FILE names it elsewhere."
        )
    try:
        variables = read_matlab(path)
    except ValueError as error:
        raise ValueError(
            f"{path} must be a MATLAB 5 file. scipy cannot read it: {error}. Fetch MPII's release "
            "again."
        ) from error
    release = variables.pop("RELEASE", None)
    names = _fields(release)
    missing = [name for name in ("annolist", "img_train") if name not in names]
    if missing:
        received = sorted(names) or [k for k in variables if not k.startswith("__")] or ["none"]
        raise ValueError(
            f"{path} must be MPII's release: a variable RELEASE with annolist and img_train. "
            f"Received {', '.join(received)}; the file is mpii_human_pose_v1_u12_1.mat."
        )
    return release


def _find_lists(release: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`annolist`, a struct array, and `img_train` as (pictures,) bool."""
    annolist, is_train = release["annolist"][0, 0], release["img_train"][0, 0]
    missing = [name for name in ("image", "annorect") if name not in _fields(annolist)]
    if missing:
        raise ValueError(
            f"annolist of {path} must have the fields image and annorect. Received no "
            f"{' and no '.join(missing)}; the file is not MPII's release."
        )
    if is_train.size != annolist.size or is_train.dtype.kind not in "uifb":
        raise ValueError(
            f"{path} must have one number of img_train for each of the {annolist.size} entries of "
            f"annolist. Received {is_train.size}; fetch MPII's release again."
        )
    return annolist.ravel(), is_train.ravel() == 1


def _read_single_people(release: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The list of each picture, none at all where the file has none."""
    if "single_person" not in _fields(release):
        return ()
    lists = release["single_person"][0, 0].ravel()
    return tuple(tuple(int(number) for number in np.ravel(numbers)) for numbers in lists)


def _read_name(image: Any, row: int, path: Path) -> str:
    name = image["name"].ravel()[0] if "name" in _fields(image) and image.size else np.array([])
    if not (name.size == 1 and name.dtype.kind == "U"):
        raise ValueError(
            f"annolist({row + 1}) of {path} must have image.name, a file name. Received {name!r}."
        )
    return str(name.item())


def _list_people(rect: np.ndarray, row: int, path: Path) -> list[Any]:
    """For each person of an annorect its `point`, a struct array; None without points."""
    if not rect.size:
        return []
    names = _fields(rect)
    if not names:
        raise ValueError(
            f"annorect of annolist({row + 1}) of {path} must be a struct. Received {rect!r:.60}."
        )
    if "annopoints" not in names:
        return [None] * rect.size
    owners = rect["annopoints"].ravel().tolist()
    points = [
        owner["point"][0, 0] if owner.size and "point" in _fields(owner) else None
        for owner in owners
    ]
    points = [point if point is not None and point.size else None for point in points]
    for point in points:
        if point is not None and not _POINT.issubset(_fields(point)):
            missing = " and no ".join(sorted(_POINT.difference(_fields(point))))
            raise ValueError(
                f"The points of annolist({row + 1}) of {path} must have id, x and y. Received no "
                f"{missing}; the file is not MPII's release."
            )
    return points


def _read_points(people: Sequence[Sequence[Any]], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`person_of_point` and `points` of a `Release`, all people at once.

    Args:
        people: for each picture what `_list_people` gives.
        path: of the file, for messages.
    """
    listed = list(chain.from_iterable(people))
    counts = [0 if point is None else point.size for point in listed]
    person_of_point = np.repeat(np.arange(len(listed)), counts)
    pointed = [point for point in listed if point is not None]
    table = np.full((len(person_of_point), 4), -1.0)
    for column, name in enumerate(("id", "x", "y")):
        table[:, column] = _numbers(chain.from_iterable(p[name].flat for p in pointed))
    seen = chain.from_iterable(_list_visibility(point) for point in pointed)
    table[:, 3] = [_VISIBILITY.get(value.item(), -1.0) if value.size == 1 else -1 for value in seen]
    wrong = ~(np.isfinite(table).all(axis=1) & np.isin(table[:, 0], np.arange(JOINTS)))
    if wrong.any():
        owner = int(person_of_point[np.argmax(wrong)])
        row = np.repeat(np.arange(len(people)), [len(members) for members in people])[owner]
        raise ValueError(
            f"The points of annolist({row + 1}) of {path} must have ids 0 to {JOINTS - 1} and "
            f"finite coordinates. Received {table[person_of_point == owner, :3].tolist()}; fetch "
            "MPII's release again."
        )
    return person_of_point, table


def _list_visibility(point: np.ndarray) -> Iterable[np.ndarray]:
    if "is_visible" in _fields(point):
        return point["is_visible"].flat
    return [_NOTHING] * point.size


def _read_details(rect: np.ndarray) -> np.ndarray:
    """(people, 7) of one annorect, see `Release.details`."""
    names = _fields(rect)
    if not names:
        return _no_details(0)
    details = _no_details(rect.size)
    for column, name in enumerate(_DETAILS[:5]):
        if name in names:
            details[:, column] = _numbers(rect[name].flat)
    for row, centre in enumerate(rect["objpos"].ravel() if "objpos" in names else ()):
        if centre.size and {"x", "y"} <= set(_fields(centre)):
            details[row, 5:] = _numbers((centre["x"][0, 0], centre["y"][0, 0]))
    return details


def _no_details(people: int) -> np.ndarray:
    return np.full((people, len(_DETAILS)), np.nan)


def _fields(value: Any) -> tuple[str, ...]:
    """The names of a MATLAB struct's fields; none for anything else."""
    return getattr(getattr(value, "dtype", None), "names", None) or ()


def _numbers(values: Iterable[np.ndarray]) -> list[float]:
    """One number of each; scipy gives whole doubles as small unsigned integers. NaN if empty."""
    return [v.item() if v.size == 1 and v.dtype.kind in "uifb" else np.nan for v in values]
