"""Human3.6M's folders of frames as a file in COCO format, one subject at a time.

Beside COCO's own fields an image has `camera` {R, T, f, c, k, p}, world to camera in mm, and an
annotation `joints_camera_mm` (18 of [x, y, z]), `subject`, `action`, `subaction`, `camera_id` and
`frame`, from 1. The box is the picture of 2 m x 2 m around the pelvis or, on request, that around
all joints, as a detector would give it; both are cut at the border.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..geometry import enclose_points, root_boxes
from .conversion import Conversion, Report
from .human36m_sequences import (
    CAMERA_IDS,
    JOINTS_18,
    Sequence3D,
    SequenceName,
    list_sequences,
    read_sequence,
)
from .image_size import read_size_hw

#: What the boxes of people hold.
BoxKind = Literal["root", "joints"]
#: Height and width of the published box in mm.
BOX_MM = (2000.0, 2000.0)
#: Digits behind the point: a tenth of a micrometre, a thousandth of a pixel.
_MM_DIGITS, _PX_DIGITS = 4, 3

CATEGORY: dict[str, Any] = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(JOINTS_18),
    "skeleton": [],
}


@dataclass
class _Content:
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)


def annotation_file(subject: int, stride: int) -> str:
    """The name of a subject's file, `s_01_every_5.json`."""
    return f"s_{subject:02d}_every_{stride}.json"


def convert_subject(
    root: Path,
    subject: int,
    stride: int,
    *,
    actions: Sequence[int] = (),
    allow_missing: bool = False,
    boxes: BoxKind = "root",
    report: Report | None = None,
) -> Conversion:
    """The frames of one subject in COCO format.

    Args:
        root: folder of all sequences.
        subject: number of the release.
        stride: every so many frames of each sequence, the first included.
        actions: numbers of actions; none means all.
        allow_missing: leave out sequences and frames that are not there, and count them.
        boxes: `root`, 2 m x 2 m around the pelvis, or `joints`, all joints closely.
        report: called with the folder of each sequence when it is done.

    Returns:
        Images, annotations and categories, and what was left out.

    Raises:
        FileNotFoundError: a sequence or a frame is missing.
        ValueError: a sequence is damaged, or two cameras of the same frame disagree.
    """
    content, missing = _Content(), {"missing sequences": 0, "missing frames": 0}
    for name in list_sequences([subject]):
        if actions and name.action not in actions:
            continue
        if allow_missing and not (root / name.folder / "h36m_meta.mat").is_file():
            missing["missing sequences"] += 1
        else:
            sequence = read_sequence(root, name, stride)
            missing["missing frames"] += _add_sequence(
                content, root, sequence, allow_missing, boxes
            )
        if report:
            report(name.folder)
    return Conversion(
        {
            "images": content.images,
            "annotations": content.annotations,
            "categories": [CATEGORY],
        },
        missing,
    )


def _add_sequence(
    content: _Content, root: Path, sequence: Sequence3D, allow_missing: bool, kind: BoxKind
) -> int:
    """Add the frames of a sequence; how many are missing."""
    name, missing = sequence.name, 0
    record, size_hw = camera_record(sequence), sequence.size_hw
    keypoints, boxes = sequence.keypoints_px, sequence_boxes(sequence, kind)
    for row, frame in enumerate(sequence.frames.tolist()):
        path = root / name.frame_file(frame)
        if not path.is_file():
            if not allow_missing:
                raise FileNotFoundError(
                    f"No frame at {path}, although the sequence has a pose for it. Let "
                    "tool/human36m2coco.py write it from the video, or leave out what is not "
                    "there with --allow-missing."
                )
            missing += 1
            continue
        if not all(size_hw):
            size_hw = read_size_hw(path)
        content.images.append(_image_entry(name, frame, size_hw, record))
        content.annotations.append(
            _annotation_entry(
                name,
                frame,
                sequence.joints_camera_mm[row],
                keypoints[row],
                _cut(boxes[row], size_hw),
            )
        )
    return missing


def sequence_boxes(sequence: Sequence3D, kind: BoxKind = "root") -> np.ndarray:
    """(frames, 4) left, top, width, height of the box around each pelvis or person, uncut."""
    if kind == "joints":
        points = sequence.keypoints_px
        return enclose_points(points, np.ones(points.shape[:-1], bool))
    return root_boxes(sequence.joints_camera_mm[:, 0], sequence.camera, BOX_MM)


def camera_record(sequence: Sequence3D) -> dict[str, list[Any]]:
    """{R, T, f, c, k, p} of a sequence's camera."""
    numbers = sequence.camera.tolist()
    return {
        "R": sequence.rotation.tolist(),
        "T": sequence.position_mm.tolist(),
        "f": numbers[:2],
        "c": numbers[2:4],
        "k": numbers[4:7],
        "p": numbers[7:],
    }


def _image_entry(
    name: SequenceName, frame: int, size_hw: tuple[int, int], camera: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": name.frame_id(frame),
        "file_name": name.frame_file(frame),
        "height": size_hw[0],
        "width": size_hw[1],
        "camera": camera,
    }


def _annotation_entry(
    name: SequenceName,
    frame: int,
    joints_mm: np.ndarray,
    points_px: np.ndarray,
    box: np.ndarray,
) -> dict[str, Any]:
    labelled = np.concatenate(
        [points_px.round(_PX_DIGITS), np.full((len(points_px), 1), 2)], axis=1
    )
    box_px = box.round(_PX_DIGITS)
    return {
        "id": name.frame_id(frame),
        "image_id": name.frame_id(frame),
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box_px.tolist(),
        "area": float(box_px[2] * box_px[3]),
        "num_keypoints": len(points_px),
        "keypoints": labelled.ravel().tolist(),
        "joints_camera_mm": joints_mm.round(_MM_DIGITS).tolist(),
        "subject": name.subject,
        "action": name.action,
        "subaction": name.subaction,
        "camera_id": CAMERA_IDS[name.camera - 1],
        "frame": frame + 1,
    }


def _cut(box: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """A box inside the picture, one pixel large at least."""
    limit = np.array(size_hw[::-1], np.float64)
    first = np.clip(box[:2], 0, limit - 1)
    return np.concatenate([first, np.clip(box[:2] + box[2:], first + 1, limit) - first])
