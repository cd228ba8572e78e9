"""From decoded people to ranked people and result records. Pure functions of arrays.

Source: Simple Baselines, both published codes, which agree but for what is named below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops


def rescore_coco(
    box_scores: np.ndarray, keypoint_scores: np.ndarray, threshold: float = 0.2
) -> np.ndarray:
    """Person score = detector score * mean of the keypoint scores above the threshold.

    Args:
        box_scores: (people,) of the detector, 1 for annotated boxes.
        keypoint_scores: (people, joints).
        threshold: a keypoint score must exceed it to count.

    Returns:
        (people,) float64; 0 for a person without a counted keypoint.
    """
    scores = np.asarray(keypoint_scores, np.float64)
    counts = scores > threshold
    total = np.where(counts, scores, 0.0).sum(axis=-1)
    return np.asarray(box_scores, np.float64) * total / np.maximum(counts.sum(axis=-1), 1)


def rescore_posetrack(keypoint_scores: np.ndarray) -> np.ndarray:
    """Person score = plain mean of all keypoint scores; the detector's score is not used.

    Args:
        keypoint_scores: (people, joints).

    Returns:
        (people,) float64.
    """
    return np.asarray(keypoint_scores, np.float64).mean(axis=-1)


def keep_after_nms(
    image_ids: np.ndarray,
    keypoints_px: np.ndarray,
    person_scores: np.ndarray,
    areas: np.ndarray,
    *,
    sigmas: np.ndarray,
    threshold: float = 0.9,
) -> np.ndarray:
    """OKS NMS within each image.

    Args:
        image_ids: (people,) int64, in any order.
        keypoints_px: (people, joints, 2), in image pixels.
        person_scores: (people,).
        areas: (people,) px^2 of the enlarged box that the view showed.
        sigmas: (joints,), `Skeleton.oks_sigmas`.
        threshold: OKS above which the lower person is dropped.

    Returns:
        (kept,) int64, rows of the input: image by image in the order of their first row, the best
        person first.

    Raises:
        ValueError: as `ops.oks_nms`.
    """
    order, row_splits = _group_by_image(image_ids)
    kept, _ = ops.oks_nms_batched(
        np.asarray(keypoints_px)[order],
        np.asarray(person_scores)[order],
        np.asarray(areas)[order],
        row_splits,
        threshold,
        sigmas=sigmas,
    )
    return order[kept[kept >= 0]]


def keep_boxes_after_nms(
    image_ids: np.ndarray, boxes_xywh: np.ndarray, scores: np.ndarray, threshold: float
) -> np.ndarray:
    """Box NMS within each image, with the plain IoU of boxes without a pixel added.

    Args:
        image_ids: (people,) int64, in any order.
        boxes_xywh: (people, 4) in image pixels.
        scores: (people,).
        threshold: IoU above which the lower box is dropped.

    Returns:
        (kept,) int64, ascending rows of the input.
    """
    order, row_splits = _group_by_image(image_ids)
    boxes = np.asarray(boxes_xywh, np.float64)[order]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    kept, _ = ops.nms_batched(
        corners, np.asarray(scores)[order], row_splits, threshold, plus_one=False
    )
    return np.sort(order[kept[kept >= 0]])


def _group_by_image(image_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows image by image in the order of their first row, and where each image begins and ends."""
    _, first_rows, image_of_row = np.unique(image_ids, return_index=True, return_inverse=True)
    order = np.argsort(first_rows[image_of_row], kind="stable")
    people_of_image = np.bincount(image_of_row)[np.argsort(first_rows)]
    return order, np.concatenate([[0], np.cumsum(people_of_image)])


def coco_record(
    image_id: int,
    keypoints_px: np.ndarray,
    person_score: float,
    keypoint_scores: np.ndarray | None = None,
) -> dict[str, Any]:
    """One entry of a COCO keypoint result file.

    Args:
        image_id: of the annotation file.
        keypoints_px: (joints, 2), in image pixels.
        person_score: rounded to 4 decimals.
        keypoint_scores: (joints,), the third value of each keypoint as in Microsoft's files; None
            writes the published 1, which is all that COCO's evaluation needs.
    """
    return {
        "image_id": int(image_id),
        "category_id": 1,
        "score": round(float(person_score), 4),
        "keypoints": _flat_keypoints(keypoints_px, keypoint_scores),
    }


def posetrack_record(
    image_id: int, keypoints_px: np.ndarray, keypoint_scores: np.ndarray
) -> dict[str, Any]:
    """One entry of a PoseTrack 2018 result file, without tracking (track_id 0).

    Args:
        image_id: of the annotation file.
        keypoints_px: (joints, 2), in image pixels.
        keypoint_scores: (joints,), rounded to 4 decimals.
    """
    return {
        "image_id": int(image_id),
        "category_id": 1,
        "track_id": 0,
        "scores": _rounded(keypoint_scores, 4),
        "keypoints": _flat_keypoints(keypoints_px, None),
    }


def mpii_record(
    image_id: int, keypoints_px: np.ndarray, keypoint_scores: np.ndarray
) -> dict[str, Any]:
    """One person of MPII as the Simple Baselines code means to write it.

    Args:
        image_id: of the annotation file.
        keypoints_px: (joints, 2), in image pixels.
        keypoint_scores: (joints,), rounded to 4 decimals.
    """
    return {
        "image_id": int(image_id),
        "scores": _rounded(keypoint_scores, 4),
        "keypoints": _flat_keypoints(keypoints_px, None),
    }


def _flat_keypoints(keypoints_px: np.ndarray, keypoint_scores: np.ndarray | None) -> list[float]:
    """x, y (3 decimals) and third value (4 decimals) of each joint, one after the other."""
    points = np.round(np.asarray(keypoints_px, np.float64), 3)
    scores = np.ones(len(points)) if keypoint_scores is None else keypoint_scores
    third = np.round(np.asarray(scores, np.float64), 4)
    return np.column_stack([points, third]).ravel().tolist()


def _rounded(values: np.ndarray, decimals: int) -> list[float]:
    """Plain floats for JSON."""
    return np.round(np.asarray(values, np.float64), decimals).tolist()
