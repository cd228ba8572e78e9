"""MPII's release in COCO format, as TF-SimpleHumanPose's mpii2coco converts it.

The release counts pixels from 1, as MATLAB does. The published converter kept that, so it is the
default here; networks trained on its files answer in the same coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .conversion import Conversion
from .mpii_release import JOINTS, Release, Split

#: The one category of the published files, whose spelling of the joints (and its slip) is kept.
CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "skeleton": [
        *([0, 1], [1, 2], [2, 6], [7, 12], [12, 11], [11, 10], [5, 4], [4, 3]),
        *([3, 6], [7, 13], [13, 14], [14, 15], [6, 7], [7, 8], [8, 9]),
    ],
    "keypoints": [
        *("r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle", "pelvis", "throax"),
        *("upper_neck", "head_top", "r_wrist", "r_elbow", "r_shoulder", "l_shoulder"),
        *("l_elbow", "l_wrist"),
    ],
}
#: The box is the extent of the points times this.
_BOX_FACTOR = 1.2


@dataclass(frozen=True)
class Settings:
    """What the conversion does beyond the published one.

    Attributes:
        zero_based: count pixels from 0; the file says so under `info.first_pixel`.
        visibility: keep `is_visible` as 1 (hidden) and 2 (seen, or unknown) instead of 1 for all.
        details: keep `scale`, `objpos` [x, y] and the head box `bbox_head` [x, y, w, h].
    """

    zero_based: bool = False
    visibility: bool = False
    details: bool = False


def convert_release(
    release: Release,
    sizes_hw: Mapping[str, tuple[int, int]],
    split: Split,
    settings: Settings | None = None,
) -> Conversion:
    """One split in COCO format.

    A picture is listed if its `annorect` is not empty; its id is its position in the release. A
    person is listed if it has points whose extent is above one pixel both ways; ids count from 0.

    Args:
        release: as `read_release` gives it.
        sizes_hw: height and width of the pictures of `release.list_pictures(split)`, by name.
        split: `train`, or `test`, for which the release has no people.
        settings: by default the conversion is the published one.
    """
    settings = settings or Settings()
    rows = np.flatnonzero(release.is_train == (split == "train"))
    listed = np.intersect1d(rows, release.picture_of_person)
    people = np.flatnonzero(np.isin(release.picture_of_person, listed))
    kept, flat = _select_people(release, people if split == "train" else people[:0])
    images = [
        {
            "id": row,
            "file_name": f"images/{release.names[row]}",
            "width": sizes_hw[release.names[row]][1],
            "height": sizes_hw[release.names[row]][0],
        }
        for row in listed.tolist()
    ]
    content = {
        "images": images,
        "categories": [CATEGORY],
        "annotations": _list_annotations(release, kept, settings),
        **({"info": {"first_pixel": 0}} if settings.zero_based else {}),
    }
    dropped = {
        "pictures without annorect": len(rows) - len(listed),
        "people without points": len(people) - len(kept) - flat if split == "train" else 0,
        "people whose points have no extent": flat,
    }
    return Conversion(content, dropped)


def _select_people(release: Release, people: np.ndarray) -> tuple[np.ndarray, int]:
    """The people whose box is not empty, and how many have points but an empty box."""
    pointed = np.intersect1d(people, release.person_of_point)
    low, high = _find_extents(release.points[:, 1:3], release.person_of_point, pointed)
    wide = ((high - low - 1) > 0).all(axis=1)
    return pointed[wide], int((~wide).sum())


def _find_extents(
    points: np.ndarray, person_of_point: np.ndarray, people: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(people, 2) least and greatest x, y of people who all have points."""
    if not len(people):
        return np.zeros((0, 2)), np.zeros((0, 2))
    owned = np.isin(person_of_point, people)
    starts = np.searchsorted(person_of_point[owned], people)
    return (
        np.minimum.reduceat(points[owned], starts, axis=0),
        np.maximum.reduceat(points[owned], starts, axis=0),
    )


def _list_annotations(
    release: Release, people: np.ndarray, settings: Settings
) -> list[dict[str, Any]]:
    """The rows of some people with points."""
    first = 1.0 if settings.zero_based else 0.0
    points = release.points - (0.0, first, first, 0.0)
    owned = np.isin(release.person_of_point, people)
    keypoints = np.zeros((len(people), JOINTS, 3))
    person, joint = np.searchsorted(people, release.person_of_point[owned]), points[owned, 0]
    keypoints[person, joint.astype(np.int64), :2] = points[owned, 1:3]
    hidden = settings.visibility & (points[owned, 3] == 0)
    flags = np.where(hidden, 1.0, 2.0 if settings.visibility else 1.0)
    keypoints[person, joint.astype(np.int64), 2] = flags
    low, high = _find_extents(points[:, 1:3], release.person_of_point, people)
    extent = high - low - 1
    corner = (low + high) / 2 - _BOX_FACTOR / 2 * extent
    boxes = np.concatenate([corner, _BOX_FACTOR * extent], axis=1)
    rows = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": 1,
            "area": box[2] * box[3],
            "bbox": box,
            "iscrowd": 0,
            "keypoints": values,
            "num_keypoints": count,
        }
        for number, (image_id, box, values, count) in enumerate(
            zip(
                release.picture_of_person[people].tolist(),
                boxes.tolist(),
                keypoints.reshape(len(people), JOINTS * 3).tolist(),
                np.count_nonzero(keypoints[..., 2], axis=1).tolist(),
                strict=True,
            )
        )
    ]
    if settings.details:
        for row, values in zip(rows, release.details[people], strict=True):
            row.update(_describe_person(values, first))
    return rows


def _describe_person(details: np.ndarray, first: float) -> dict[str, Any]:
    """Scale, rough centre and head box, where the release has them."""
    described: dict[str, Any] = {}
    x1, y1, x2, y2, scale, x, y = details.tolist()
    if not np.isnan(scale):
        described["scale"] = scale
    if not np.isnan(x + y):
        described["objpos"] = [x - first, y - first]
    if not np.isnan(x1 + y1 + x2 + y2):
        described["bbox_head"] = [x1 - first, y1 - first, x2 - x1, y2 - y1]
    return described
