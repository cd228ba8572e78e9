"""Boxes around poses, and the union of detected and expected ones."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..structures import People

#: A pose of one joint has no extent, and OKS of less than COCO's smallest size is too strict.
_MIN_AREA_PX2 = 32.0**2


def pose_boxes(keypoints_px: np.ndarray, counted: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """The boxes around the counted joints.

    Args:
        keypoints_px: (people, joints, 2).
        counted: (people, joints) bool.
        margin: factor on both sides, about the centre.

    Returns:
        (people, 4) float64 left, top, width, height; of no size where no joint counts.
    """
    mask = counted[..., None]
    low = np.where(mask, keypoints_px, np.inf).min(axis=1, initial=np.inf)
    high = np.where(mask, keypoints_px, -np.inf).max(axis=1, initial=-np.inf)
    nobody = ~counted.any(axis=1)
    low[nobody], high[nobody] = 0.0, 0.0
    size = (high - low) * margin
    return np.concatenate([(low + high - size) / 2, size], axis=1)


def person_boxes(people: People, counted: np.ndarray) -> np.ndarray:
    """The boxes that people were looked for in, or those around their joints, (people, 4) float64.

    Args:
        people: found.
        counted: (people, joints) bool, the joints that count.
    """
    if people.boxes_xywh is None:
        return pose_boxes(np.asarray(people.keypoints_px, np.float64), counted)
    return np.asarray(people.boxes_xywh, np.float64)


def box_areas(boxes_xywh: np.ndarray) -> np.ndarray:
    """How large people are, (people,) px^2, at least 32 x 32."""
    return np.maximum(np.prod(boxes_xywh[:, 2:], axis=1), _MIN_AREA_PX2)


def join_boxes(detected_xywh: np.ndarray, expected_xywh: np.ndarray, max_iou: float) -> np.ndarray:
    """Detected boxes, and those expected ones that lie where nothing was detected.

    Args:
        detected_xywh: (detected, 4) left, top, width, height; all are kept, in their order.
        expected_xywh: (expected, 4), `Tracker.propagate`; earlier rows win among themselves.
        max_iou: an expected box that overlaps a kept one by more is given up.

    Returns:
        (expected kept,) int64 rows of `expected_xywh` to look at as well, ascending.

    Source: box propagation of Simple Baselines, Xiao et al., ECCV 2018, section 3.2, where NMS
        unifies both kinds of boxes.
    """
    expected = _corners(expected_xywh)
    overlap = box_overlaps(expected_xywh, detected_xywh)
    free = np.flatnonzero((overlap <= max_iou).all(axis=1))
    ranks = -np.arange(len(free), dtype=np.float64)
    kept = ops.nms(expected[free], ranks, max_iou, plus_one=False)
    return np.sort(free[kept])


def box_overlaps(boxes_xywh: np.ndarray, others_xywh: np.ndarray) -> np.ndarray:
    """(boxes, others) IoU."""
    return ops.box_iou(_corners(boxes_xywh), _corners(others_xywh), plus_one=False)


def _corners(boxes_xywh: np.ndarray) -> np.ndarray:
    """(boxes, 4) float64 left, top, right, bottom."""
    boxes = np.asarray(boxes_xywh, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
