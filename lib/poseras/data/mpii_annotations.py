"""What MPII's annotation files say beside COCO's fields: heads, and where pixels begin to count.

The size of a person's head is the unit of PCKh.

Source: 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, Andriluka et al.,
CVPR 2014.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Head size over the diagonal of the head box.
_BOX_FACTOR = 0.6
#: Head size over the distance from head top to upper neck. In MPII's release both points lie on the
#: line through the thorax and the centre of the head box, 0.4 diagonals from it, so that 0.6 of
#: the diagonal is 0.75 of their distance (median error below 0.001 px on its validation people).
_JOINTS_FACTOR = 0.75
_HEAD_JOINTS = ("head_top", "upper_neck")


@dataclass(frozen=True)
class HeadSizes:
    """Head sizes of the people of an annotation file.

    Attributes:
        ids: (people,) int64, annotation ids.
        sizes_px: (people,) float64, NaN where neither box nor joints tell.
        origin: how they came about, for a protocol.
    """

    ids: np.ndarray
    sizes_px: np.ndarray
    origin: dict[str, Any]


def read_head_sizes(path: Path, aliases: Mapping[str, str]) -> HeadSizes:
    """The head sizes of the people of a file in COCO format.

    A row's `bbox_head` (left, top, width, height in pixels) tells, and where there is none, as in
    files of the published converter, the head's two joints.

    Args:
        path: of the file, which was read as annotations before.
        aliases: spelling of the file -> canonical keypoint name.
    """
    content = json.loads(path.read_bytes())
    categories = content.get("categories", ())
    spelled = next((c["keypoints"] for c in categories if c.get("keypoints")), ())
    names = [aliases.get(name, name) for name in spelled]
    joints = [names.index(name) for name in _HEAD_JOINTS if name in names]
    rows = content.get("annotations", ())
    by_box = np.array([_size_by_box(row.get("bbox_head")) for row in rows])
    by_joints = np.array([_size_by_joints(row.get("keypoints", ()), joints) for row in rows])
    sizes = np.where(np.isnan(by_box), by_joints, by_box)
    return HeadSizes(
        ids=np.array([row["id"] for row in rows], np.int64),
        sizes_px=sizes,
        origin={
            f"{_BOX_FACTOR} x diagonal of bbox_head": int((~np.isnan(by_box)).sum()),
            f"{_JOINTS_FACTOR} x distance from head_top to upper_neck": int(
                (np.isnan(by_box) & ~np.isnan(by_joints)).sum()
            ),
            "unknown, left out": int(np.isnan(sizes).sum()),
        },
    )


def read_first_pixel(path: Path) -> int:
    """What an annotation file calls the first pixel: 1, as MPII and the published converter do.

    A file that `tool/mpii2coco.py --zero-based` made says otherwise, under `info.first_pixel`.

    Args:
        path: of the file, which was read as annotations before.
    """
    info = json.loads(path.read_bytes()).get("info")
    return 0 if isinstance(info, dict) and info.get("first_pixel") == 0 else 1


def _size_by_box(box_xywh: Any) -> float:
    if not isinstance(box_xywh, list) or len(box_xywh) != 4:
        return np.nan
    return _positive(_BOX_FACTOR * float(np.hypot(box_xywh[2], box_xywh[3])))


def _size_by_joints(keypoints: Sequence[float], joints: Sequence[int]) -> float:
    points = [keypoints[3 * joint : 3 * joint + 3] for joint in joints]
    if len(points) != len(_HEAD_JOINTS) or any(len(p) != 3 or p[2] <= 0 for p in points):
        return np.nan
    (x1, y1, _), (x2, y2, _) = points
    return _positive(_JOINTS_FACTOR * float(np.hypot(x1 - x2, y1 - y2)))


def _positive(size: float) -> float:
    return size if size > 0 else np.nan
