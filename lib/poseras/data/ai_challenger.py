"""AI Challenger's human keypoints in COCO format: fourteen joints, or the seventeen of a fork.

The release numbers its flags otherwise than COCO: 1 is seen, 2 hidden, 3 not labelled. Pictures
are named without their extension, and boxes are corners.

Source: AI Challenger, Wu et al., arXiv 1711.06475; the layout `coco17_neckhead` is that of the
AI-challenger-pose-estimation fork of pose-tensorflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from .conversion import Conversion, require_fields

Layout = Literal["aic14", "coco17_neckhead"]

#: The release's order.
JOINTS = (
    *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("head_top", "neck"),
)
#: Flag of the release -> COCO's.
FLAGS = {1: 2, 2: 1, 3: 0}
#: The fork's mapping: the joint of the release at each of COCO's places, None where it has none.
#: The neck stands for the nose and the head's top for the left eye.
NECKHEAD = (13, 12, None, None, None, 3, 0, 4, 1, 5, 2, 9, 6, 10, 7, 11, 8)
CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": list(JOINTS),
    "skeleton": [  # counted from 1, as COCO does
        *([13, 14], [14, 1], [14, 4], [1, 2], [2, 3], [4, 5], [5, 6]),
        *([14, 7], [14, 10], [7, 8], [8, 9], [10, 11], [11, 12]),
    ],
}
_EXTENSION = ".jpg"
_FIELDS = ("image_id", "human_annotations", "keypoint_annotations")


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """The pictures of one file of the release, in its order.

    Returns:
        Per picture `image_id`, `human_annotations` (name -> [x1, y1, x2, y2] px) and
        `keypoint_annotations` (name of the same people -> 42 numbers: x px, y px, flag 1..3).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no list of such pictures; a file of the test phase, which has no people,
            is named as such.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"No keypoint file at {path}. It is the .json file of AI Challenger's release."
        )
    try:
        records = msgspec.json.decode(Path(path).read_bytes())
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} must be a JSON file. {error}.") from error
    if not isinstance(records, list):
        raise ValueError(
            f"{path} must be a list of pictures, as AI Challenger published it. Received "
            f"{type(records).__name__}; a file in COCO format needs no conversion."
        )
    for row, record in enumerate(records):
        where = f"picture {row} of {path}"
        if isinstance(record, dict) and "image_id" in record and len(record.keys() & _FIELDS) < 3:
            raise ValueError(
                f"{where} must have human_annotations and keypoint_annotations. Received "
                f"{', '.join(record)}; take the file of the training or validation phase, the "
                "test phase has no people."
            )
        require_fields(record, _FIELDS, where)
        _check_people(record, where)
    return records


def _check_people(record: Mapping[str, Any], where: str) -> None:
    """Refuse a picture whose boxes and keypoints are not those of the same people.

    Raises:
        ValueError: names, lengths or flags are wrong.
    """
    boxes, poses = record["human_annotations"], record["keypoint_annotations"]
    if boxes.keys() != poses.keys():
        raise ValueError(
            f"{where} must have a box and keypoints for the same people. "
            f"Received boxes of {sorted(boxes)} and keypoints of {sorted(poses)}."
        )
    for name, values in poses.items():
        if len(boxes[name]) != 4 or len(values) != 3 * len(JOINTS):
            raise ValueError(
                f"{name} of {where} must have 4 numbers for the box and {3 * len(JOINTS)} for the "
                f"keypoints. Received {len(boxes[name])} and {len(values)}."
            )
        strange = set(values[2::3]) - FLAGS.keys()
        if strange:
            raise ValueError(
                f"Flags of {name} of {where} must be 1, 2 or 3. Received {sorted(strange)}."
            )


def list_pictures(records: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Path]:
    """The file of each picture, by `image_id`."""
    return {r["image_id"]: folder / f"{r['image_id']}{_EXTENSION}" for r in records}


def convert_records(
    records: Sequence[Mapping[str, Any]],
    sizes_hw: Mapping[str, tuple[int, int]],
    layout: Layout = "aic14",
) -> Conversion:
    """Pictures and people in COCO format.

    Args:
        records: as `read_records` gives them.
        sizes_hw: height and width of each picture in pixels, by `image_id`.
        layout: `aic14` is a COCO file of the release's fourteen joints, ids from 1, unlabelled
            joints (0, 0, 0). `coco17_neckhead` is the fork's: COCO's seventeen places, ids from 0,
            names without extension, no category.

    Raises:
        ValueError: another layout.
    """
    if layout not in ("aic14", "coco17_neckhead"):
        raise ValueError(f"layout must be aic14 or coco17_neckhead. Received {layout!r}.")
    published = layout == "coco17_neckhead"
    describe = _describe_neckhead if published else _describe_person
    first = 0 if published else 1
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    for image_id, record in enumerate(records, start=first):
        height, width = sizes_hw[record["image_id"]]
        images.append(_describe_picture(record, image_id, (width, height), published))
        for name, values in record["keypoint_annotations"].items():
            box = record["human_annotations"][name]
            people.append(describe(box, values, image_id, len(people) + first))
    if published:
        info = {"description": "AI challenger keypoint in mscoco format"}
        # kept: the list of necks, always empty
        return Conversion({"info": info, "images": images, "annotations": people, "neck": []})
    return Conversion({"images": images, "annotations": people, "categories": [CATEGORY]})


def _describe_picture(
    record: Mapping[str, Any], image_id: int, size_wh: tuple[int, int], published: bool
) -> dict[str, Any]:
    """The row of one picture; the fork's has a licence, a date and the address twice."""
    width, height = size_wh
    name = record["image_id"]
    if not published:
        return {"id": image_id, "file_name": name + _EXTENSION, "width": width, "height": height}
    address = record.get("url", "")
    return {
        "license": 0,
        "file_name": name,
        "width": width,
        "height": height,
        "data_captured": 0,  # kept: the spelling
        "coco_url": address,
        "flickr_url": address,
        "id": image_id,
    }


def _describe_person(
    box_xyxy: Sequence[float], values: Sequence[float], image_id: int, number: int
) -> dict[str, Any]:
    """The row of one person with the release's fourteen joints."""
    x1, y1, x2, y2 = box_xyxy
    keypoints: list[float] = []
    for joint in range(len(JOINTS)):
        x, y, flag = values[3 * joint : 3 * joint + 3]
        keypoints += [x, y, FLAGS[int(flag)]] if flag != 3 else [0, 0, 0]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "num_keypoints": sum(flag > 0 for flag in keypoints[2::3]),
        "keypoints": keypoints,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
    }


def _describe_neckhead(
    box_xyxy: Sequence[float], values: Sequence[float], image_id: int, number: int
) -> dict[str, Any]:
    """The row of one person as the fork writes it, in its order of keys."""
    x1, y1, x2, y2 = box_xyxy
    keypoints: list[float] = []
    for joint in NECKHEAD:
        if joint is None:
            keypoints += [0, 0, 0]
            continue
        x, y, flag = values[3 * joint : 3 * joint + 3]
        keypoints += [x, y, FLAGS[int(flag)]]
    return {
        # kept: the neck, the last joint, is not counted
        "num_keypoints": sum(FLAGS[int(flag)] > 0 for flag in values[2:-1:3]),
        "image_id": image_id,
        "id": number,
        "keypoints": keypoints,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
    }
