"""MPII's people as the lists `annot/{train,valid,test}.json`, and their conversion to COCO format.

These lists came with the stacked hourglass networks, and Microsoft's code trains and tests on them:
`valid.json` holds the 2,958 people of the published validation tables, in the order of
`gt_valid.mat`. A person is a centre and a scale, both in pixels that count from 1. The converted
files count from 0, as Microsoft's loader does.

Source: human-pose-estimation.pytorch (Microsoft); Stacked Hourglass Networks for Human Pose
Estimation, Newell et al., ECCV 2016.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..matlab_files import read_matlab
from .conversion import Conversion, require_fields
from .mpii_conversion import CATEGORY
from .mpii_release import JOINTS

#: Pixels of a person's height for a scale of 1.
_PIXELS_OF_SCALE = 200
#: The centre is moved down by this times the scale, because the lists' centres lie high.
_CENTRE_SHIFT = 15


def read_people(path: str | Path) -> list[dict[str, Any]]:
    """Read a list of people.

    Args:
        path: of `train.json`, `valid.json` or `test.json`; people of the last have no joints.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a list; the first wrong entry is named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No list of people at {path}. It comes with Microsoft's code and the stacked "
            "hourglass networks; --annot DIR names its folder."
        )
    try:
        people = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} must be a list of people. It is not JSON: {error}; was it copied whole?"
        ) from None
    if not isinstance(people, list) or not people:
        raise ValueError(f"{path} must be a list of people. Received {people!r:.60}.")
    for position, person in enumerate(people):
        _check_person(person, f"Person {position} of {path}")
    return people


def read_head_boxes(path: str | Path, count: int) -> np.ndarray:
    """The head boxes of `gt_valid.mat`, one for each person of `valid.json`.

    Args:
        path: of the file.
        count: how many people the list has.

    Returns:
        (people, 4) float64, left, top, width, height, pixels counted from 0.

    Raises:
        ValueError: it is not such a file, or is that of another list.
    """
    try:
        corners = read_matlab(path).get("headboxes_src")
    except ValueError as error:
        raise ValueError(f"{path} must be a MATLAB 5 file: {error}. Fetch it again.") from error
    shape = None if corners is None else corners.shape
    if shape != (2, 2, count):
        raise ValueError(
            f"{path} must hold headboxes_src of shape (2, 2, {count}), one box for each person of "
            f"valid.json. Received {shape}; take both from the same source."
        )
    low, high = np.asarray(corners, np.float64).transpose(0, 2, 1)  # (people, 2) each
    return np.concatenate([low - 1, high - low], axis=1)


def convert_people(
    people: Sequence[Mapping[str, Any]],
    sizes_hw: Mapping[str, tuple[int, int]],
    head_boxes_xywh: np.ndarray | None = None,
) -> Conversion:
    """A list of people in COCO format, row by row, so that results stay aligned with it.

    A person's box is the square that Microsoft's crop shows, less its margin of 1.25, which a view
    adds. A person without a centre has the box 0, 0, 0, 0, and is not looked at in a test.

    Args:
        people: as `read_people` gives them.
        sizes_hw: height and width of the pictures by name.
        head_boxes_xywh: (people, 4) as `read_head_boxes` gives them.
    """
    image_ids = {name: row for row, name in enumerate(dict.fromkeys(p["image"] for p in people))}
    images = [
        {
            "id": row,
            "file_name": f"images/{name}",
            "width": sizes_hw[name][1],
            "height": sizes_hw[name][0],
        }
        for name, row in image_ids.items()
    ]
    annotations = [
        _convert_person(person, row, image_ids[person["image"]])
        for row, person in enumerate(people)
    ]
    if head_boxes_xywh is not None:
        for annotation, box in zip(annotations, head_boxes_xywh.tolist(), strict=True):
            annotation["bbox_head"] = box
    content = {
        "images": images,
        "categories": [CATEGORY],
        "annotations": annotations,
        "info": {"first_pixel": 0},
    }
    return Conversion(content)


def place_box(centre: Sequence[float], scale: float) -> list[float]:
    """Left, top, width and height, pixels counted from 0, of a centre and scale counted from 1."""
    if centre[0] == -1:
        return [0.0, 0.0, 0.0, 0.0]
    side = _PIXELS_OF_SCALE * scale
    x, y = centre[0] - 1, centre[1] + _CENTRE_SHIFT * scale - 1
    return [x - side / 2, y - side / 2, side, side]


def _convert_person(person: Mapping[str, Any], row: int, image_id: int) -> dict[str, Any]:
    box = place_box(person["center"], person["scale"])
    visible = np.array(person.get("joints_vis", [0] * JOINTS))[:, None] > 0  # (joints, 1)
    points = np.array(person.get("joints", np.zeros((JOINTS, 2))), np.float64) - 1
    keypoints = np.where(visible, np.concatenate([points, np.ones((JOINTS, 1))], axis=1), 0.0)
    return {
        "id": row,
        "image_id": image_id,
        "category_id": 1,
        "area": box[2] * box[3],
        "bbox": box,
        "iscrowd": 0,
        "keypoints": keypoints.ravel().tolist(),
        "num_keypoints": int(visible.sum()),
        "scale": person["scale"],
    }


def _check_person(person: Any, where: str) -> None:
    require_fields(person, ("image", "center", "scale"), where)
    joints, flags = person.get("joints", [[0, 0]] * JOINTS), person.get("joints_vis", [0] * JOINTS)
    pairs = [person["center"], *(joints if isinstance(joints, list) else [])]
    fits = isinstance(flags, list) and len(pairs) == len(flags) + 1 == JOINTS + 1
    fits = fits and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    numbers = [person["scale"], *flags, *chain.from_iterable(pairs)] if fits else []
    if not fits or not all(isinstance(v, int | float) and math.isfinite(v) for v in numbers):
        raise ValueError(
            f"{where} must have image, center [x, y], scale and {JOINTS} joints [x, y] with as "
            f"many joints_vis. Received {person!r:.120}."
        )
