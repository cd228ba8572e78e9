"""Pictures of one person each out of MPII's release, everybody 400 px high, as in DeeperCut.

A head box gives the height of its person: the head is an eighth of it. The picture is resized so
that the person has 400 px, and cut around the joints; who stands beside the person is cut off where
there is room. Joints keep the release's counting of pixels from 1, which the loader takes for 0.

The joints of MPII's own test pictures are not published, so people to test on are held out of its
training pictures: those of a list of single people such as `valid.json`, or of every tenth picture.

Source: the MATLAB preparation of pose-tensorflow, Insafutdinov et al., ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .mpii_release import Release

#: px; the reference height, the head's share of it, and so the head size of every crop.
REFERENCE_HEIGHT = 400.0
HEAD_SIZE = REFERENCE_HEIGHT / 8
#: Ids of MPII in the order of pose-tensorflow's fourteen joints.
JOINT_ORDER = (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
#: The head size is so much of the diagonal of the head box.
_HEAD_SHARE = 0.6
#: px around the joints of people who are alone, and of the others.
_MARGINS = (130, 65)
#: px that stay between a person's crop and a neighbour's joint.
_GAP = 20
#: Of the pictures with somebody who stands apart, one in so many is held out without a list.
_HELD_OUT_EVERY = 10
#: px of the release; lists round the joints that are the same person's.
_SAME_PX = 1.0


@dataclass(frozen=True)
class Crop:
    """One person's picture.

    Attributes:
        row: of the picture in the release, counted from 0.
        name: of the file, `im00001_1.png`.
        resized_hw: height and width of the whole picture at the person's scale.
        corners: x1, y1, x2, y2 of the crop in it, counted from 1, the last included.
        joints: (joints, 3) int32, joint of `JOINT_ORDER`, x, y in the crop, counted from 1.
        crop_to_image: (3, 3), the affine to the release's pixels.
    """

    row: int
    name: str
    resized_hw: tuple[int, int]
    corners: tuple[int, int, int, int]
    joints: np.ndarray
    crop_to_image: np.ndarray

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the crop."""
        x1, y1, x2, y2 = self.corners
        return y2 - y1 + 1, x2 - x1 + 1


def list_crops(release: Release, sizes_hw: dict[int, tuple[int, int]]) -> Iterator[Crop]:
    """The crops of the training pictures: all people who are alone, then all others.

    Args:
        release: read with details and the lists of single people.
        sizes_hw: row of the picture -> height and width.

    Raises:
        ValueError: the release was read without details.
    """
    if not np.isfinite(release.details[:, :4]).any():
        raise ValueError("Crops need head boxes. Received a release read without details.")
    for alone, margin in zip((True, False), _MARGINS, strict=True):
        for row in np.flatnonzero(release.is_train).tolist():
            people = np.flatnonzero(release.picture_of_person == row)
            single = set(release.single_person[row])
            chosen = [n for n in range(1, len(people) + 1) if (n in single) == alone]
            for number in chosen:
                crop = _cut(
                    release, people, number, sizes_hw[row], row=row, margin=margin, isolate=alone
                )
                if crop is not None:
                    yield crop


def _cut(
    release: Release,
    people: np.ndarray,
    number: int,
    size_hw: tuple[int, int],
    *,
    row: int,
    margin: int,
    isolate: bool,
) -> Crop | None:
    """The crop of one person, None without joints, a head box or a place in the picture."""
    person = people[number - 1]
    points = release.points[release.person_of_point == person]
    head = release.details[person, :4]
    scale = _HEAD_SHARE * float(np.hypot(*(head[2:] - head[:2]))) / HEAD_SIZE
    if not len(points) or not scale > 0:  # NaN without a head box
        return None
    resized = int(np.ceil(size_hw[0] / scale)), int(np.ceil(size_hw[1] / scale))
    scaled = points[:, 1:3] / scale
    low, high = _round(scaled.min(axis=0)), _round(scaled.max(axis=0))
    x1, y1 = (max(1.0, value - margin) for value in low)
    x2, y2 = (min(side, value + margin) for side, value in zip(resized[::-1], high, strict=True))
    if isolate and len(people) > 1:
        others = np.isin(release.person_of_point, people) & (release.person_of_point != person)
        beside = release.points[others, 1] / scale
        left, right = beside[beside < low[0]], beside[beside > high[0]]
        if len(left):
            x1 = float(_round(max(x1, left.max() + _GAP)))
        if len(right):
            x2 = float(_round(min(x2, right.min() - _GAP)))
    if x2 < x1 or y2 < y1:  # all joints lie far beside the picture
        return None
    places = [(JOINT_ORDER.index(int(p[0])), p) for p in points if int(p[0]) in JOINT_ORDER]
    joints = [
        (joint, *_round(point[1:3] / scale - (x1, y1) + 1.0))
        for joint, point in sorted(places, key=lambda place: place[0])
    ]
    return Crop(
        row=row,
        name=_name_crop(row, number),
        resized_hw=resized,
        corners=(int(x1), int(y1), int(x2), int(y2)),
        joints=np.array(joints, np.int32).reshape(-1, 3),
        crop_to_image=scale * np.array([[1.0, 0, x1], [0, 1, y1], [0, 0, 1]]),
    )


def _name_crop(row: int, number: int) -> str:
    """The file of a person, numbered from 1, of a picture, numbered from 0."""
    return f"im{row + 1:05d}_{number}.png"


def _round(values: np.ndarray | float) -> np.ndarray:
    """To whole numbers, halves away from zero, as MATLAB rounds."""
    values = np.asarray(values, np.float64)
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def find_listed_people(
    release: Release, people: Iterable[Mapping[str, Any]]
) -> list[tuple[int, int]]:
    """Row of the picture, from 0, and number there, from 1, of the people of a list.

    A person is told by the joints; people whom the release lacks, or whose picture is not of its
    training split, are left out.

    Args:
        release: of the pictures.
        people: as `mpii_lists.read_people` gives them.
    """
    rows = {name: row for row, name in enumerate(release.names) if release.is_train[row]}
    found = []
    for listed in people:
        row = rows.get(listed["image"], -1)
        shown = np.flatnonzero(release.picture_of_person == row).tolist()
        distances = [_distance_px(release, person, listed) for person in shown]
        if distances and min(distances) <= _SAME_PX:
            found.append((row, int(np.argmin(distances)) + 1))
    return found


def _distance_px(release: Release, person: int, listed: Mapping[str, Any]) -> float:
    """Mean distance of the joints that the release and a list both have of somebody; inf: none."""
    first, last = np.searchsorted(release.person_of_point, (person, person + 1))
    points = release.points[first:last]
    joint = points[:, 0].astype(np.int64)
    known = np.asarray(listed.get("joints_vis", ()), bool)
    if not known.any() or not known[joint].any():
        return np.inf
    offsets = points[:, 1:3] - np.asarray(listed["joints"], np.float64)[joint]
    return float(np.linalg.norm(offsets, axis=1)[known[joint]].mean())


def choose_single_people(release: Release) -> list[tuple[int, int]]:
    """Those who stand apart on every tenth training picture that has such, as above.

    Args:
        release: read with the lists of single people.
    """
    rows = [row for row in np.flatnonzero(release.is_train) if release.single_person[row]]
    chosen = rows[::_HELD_OUT_EVERY]
    return [(int(row), number) for row in chosen for number in release.single_person[row]]


def hold_out(
    crops: Sequence[Crop], people: Iterable[tuple[int, int]]
) -> tuple[list[Crop], list[Crop]]:
    """Crops to train on, of pictures without any of the people, and the crops of these people.

    Args:
        crops: of a release.
        people: row of the picture and number there, as above.
    """
    held_out = list(people)
    rows, names = {row for row, _ in held_out}, {_name_crop(*person) for person in held_out}
    train = [crop for crop in crops if crop.row not in rows]
    return train, [crop for crop in crops if crop.name in names]


def pack_dataset(crops: Sequence[Crop]) -> np.ndarray:
    """The struct array `dataset` of pose-tensorflow's file."""
    fields = [("image", object), ("size", object), ("joints", object)]
    dataset = np.zeros((1, len(crops)), fields)
    for place, crop in enumerate(crops):
        joints = np.zeros((1, 1), object)
        joints[0, 0] = crop.joints
        height, width = crop.size_hw
        dataset[0, place] = (crop.name, np.array([[3, height, width]], np.int32), joints)
    return dataset
