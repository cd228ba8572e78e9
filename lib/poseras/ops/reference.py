"""Non-maximum suppression in NumPy: what every faster way of doing it must equal.

The greedy functions are documented where they are called, in suppression.py; the soft ones, which
are computed here alone, are documented here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .arguments import check_boxes, check_row_splits, check_scores, check_threshold
from .overlap import CountedJoints, Poses, iou_of_checked

# suppresses(kept rows, other rows) -> bool (kept, others): does this one remove that one?
Suppresses = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Rows decided at once. A block against 10,000 others is 5 MB per intermediate array, which stays
# in cache; the loop inside a block costs a microsecond a row.
_BLOCK = 64


def nms_batched(
    boxes_xyxy: ArrayLike,
    scores: ArrayLike,
    row_splits: ArrayLike | None,
    threshold: float,
    *,
    plus_one: bool = True,
    inclusive: bool = False,
    max_kept: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`suppression.nms_batched`; without row splits all boxes belong to one image."""
    boxes = check_boxes(boxes_xyxy)
    values = check_scores(scores, len(boxes), "box")
    rule = _box_rule(boxes, check_threshold(threshold), plus_one, inclusive)
    return _keep_by_image(values, check_row_splits(row_splits, len(boxes)), rule, max_kept)


def oks_nms_batched(
    keypoints: ArrayLike,
    scores: ArrayLike,
    areas: ArrayLike,
    row_splits: ArrayLike | None,
    threshold: float,
    *,
    sigmas: ArrayLike,
    counted: CountedJoints = "all",
    visibility_threshold: float = 0.0,
    max_kept: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`suppression.oks_nms_batched`; without row splits all people belong to one image."""
    poses = Poses(keypoints, areas, sigmas, counted, visibility_threshold)
    values = check_scores(scores, len(poses), "person")
    rule = _oks_rule(poses, check_threshold(threshold))
    return _keep_by_image(values, check_row_splits(row_splits, len(poses)), rule, max_kept)


def soft_nms(
    boxes_xyxy: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    plus_one: bool = True,
    lowest_score: float = 0.001,
    max_kept: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower the scores of boxes that overlap a better one, instead of removing them.

    Args:
        boxes_xyxy: (boxes, 4), left, top, right, bottom.
        scores: (boxes,), finite.
        threshold: above 0, at most 1; scores are multiplied by exp(-IoU^2 / threshold).
        plus_one: as `nms`.
        lowest_score: boxes whose score has fallen below it are dropped.
        max_kept: stop after so many; None keeps all.

    Returns:
        kept (kept,) int64, best first, and their lowered scores (kept,) float64.

    Raises:
        ValueError: as `nms`; scores that are not finite, or threshold 0.

    Source: "Soft-NMS", Bodla et al., ICCV 2017, the Gaussian form; 0.001 is that of their code.
    """
    boxes = check_boxes(boxes_xyxy)
    values = check_scores(scores, len(boxes), "box")

    def overlap(best: int, rows: np.ndarray) -> np.ndarray:
        return iou_of_checked(boxes[best : best + 1], boxes[rows], plus_one=plus_one)[0]

    divisor = check_threshold(threshold, above_zero=True)
    return _keep_softly(values, overlap, divisor, lowest_score, max_kept)


def soft_oks_nms(
    keypoints: ArrayLike,
    scores: ArrayLike,
    areas: ArrayLike,
    threshold: float,
    *,
    sigmas: ArrayLike,
    max_kept: int | None = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower the scores of poses that resemble a better one, instead of removing them.

    Args:
        keypoints: (people, joints, 2 or 3), as `oks_matrix`.
        scores: (people,), finite.
        areas: (people,) px^2.
        threshold: above 0, at most 1; scores are multiplied by exp(-OKS^2 / threshold).
        sigmas: (joints,).
        max_kept: stop after so many; None keeps all, in the order of their lowered scores.

    Returns:
        kept (kept,) int64, best first, and their lowered scores (kept,) float64.

    Raises:
        ValueError: as `oks_nms`; scores that are not finite, or threshold 0.

    Source: HRNet's evaluation code (Sun et al., CVPR 2019), which stops after 20.
    """
    poses = Poses(keypoints, areas, sigmas)
    values = check_scores(scores, len(poses), "person")

    def overlap(best: int, rows: np.ndarray) -> np.ndarray:
        return poses.oks(np.array([best]), rows)[0]

    divisor = check_threshold(threshold, above_zero=True)
    return _keep_softly(values, overlap, divisor, -np.inf, max_kept)


def _best_first(scores: np.ndarray) -> np.ndarray:
    """Row indices by falling score, of equal ones the higher index first."""
    return np.argsort(scores, kind="stable")[::-1]


def _box_rule(boxes: np.ndarray, threshold: float, plus_one: bool, inclusive: bool) -> Suppresses:
    """One box removes another when their IoU exceeds (inclusive: reaches) the threshold."""
    exceeds = np.greater_equal if inclusive else np.greater

    def suppresses(kept: np.ndarray, others: np.ndarray) -> np.ndarray:
        return exceeds(iou_of_checked(boxes[kept], boxes[others], plus_one=plus_one), threshold)

    return suppresses


def _oks_rule(poses: Poses, threshold: float) -> Suppresses:
    """One pose removes another when their OKS exceeds the threshold."""

    def suppresses(kept: np.ndarray, others: np.ndarray) -> np.ndarray:
        return poses.resemble(kept, others, threshold)

    return suppresses


def _keep_greedily(
    order: np.ndarray, suppresses: Suppresses, max_kept: int | None = None
) -> np.ndarray:
    """The rows of `order`, best first, that no better kept row removes.

    Decided block by block, so that no matrix of all against all is made and rows that are removed
    early are never compared again.
    """
    kept: list[np.ndarray] = [np.zeros(0, np.int64)]
    found = 0
    rest = order
    while len(rest) and (max_kept is None or found < max_kept):
        block, rest = rest[:_BLOCK], rest[_BLOCK:]
        best = block[_survivors(suppresses(block, block))]
        kept.append(best)
        found += len(best)
        rest = rest[~suppresses(best, rest).any(axis=0)]
    return np.concatenate(kept)[:max_kept]


def _survivors(removes: np.ndarray) -> np.ndarray:
    """(rows,) bool: which rows of a block, best first, are left.

    Args:
        removes: (rows, rows) bool, does row i remove row j?
    """
    alive = np.ones(len(removes), bool)
    for row in range(len(removes)):
        if alive[row]:
            alive[row + 1 :] &= ~removes[row, row + 1 :]
    return alive


def _keep_by_image(
    scores: np.ndarray, row_splits: np.ndarray, suppresses: Suppresses, max_kept: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy suppression of each image's own rows; see `nms_batched` for what is returned."""
    if max_kept is not None and max_kept < 0:
        raise ValueError(f"max_kept must not be negative. Received {max_kept}.")
    images = len(row_splits) - 1
    width = int(np.diff(row_splits).max(initial=0)) if max_kept is None else max_kept
    kept = np.full((images, width), -1, np.int64)
    counts = np.zeros(images, np.int64)
    for image in range(images):
        start, end = row_splits[image : image + 2]
        order = _best_first(scores[start:end]) + start
        rows = _keep_greedily(order, suppresses, width)
        counts[image] = len(rows)
        kept[image, : len(rows)] = rows
    return kept, counts


def _keep_softly(
    scores: np.ndarray,
    overlap: Callable[[int, np.ndarray], np.ndarray],
    divisor: float,
    lowest_score: float,
    max_kept: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Take the best, lower the scores of the others, repeat; (kept rows, their scores).

    Args:
        scores: (rows,).
        overlap: overlap(best row, other rows) -> (others,), 0..1.
        divisor: scores are multiplied by exp(-overlap^2 / divisor).
        lowest_score: stop when the best falls below it.
        max_kept: stop after so many.
    """
    if not np.isfinite(scores).all():
        row = int(np.argmax(~np.isfinite(scores)))
        raise ValueError(f"scores must be finite. Received {scores[row]} in row {row}.")
    rows, left = np.arange(len(scores))[::-1], scores[::-1].copy()  # higher index first
    kept: list[int] = []
    kept_scores: list[float] = []
    while len(rows) and (max_kept is None or len(kept) < max_kept):
        place = int(np.argmax(left))
        if left[place] < lowest_score:
            break
        best = int(rows[place])
        kept.append(best)
        kept_scores.append(float(left[place]))
        rows, left = np.delete(rows, place), np.delete(left, place)
        left *= np.exp(-(overlap(best, rows) ** 2) / divisor)
    return np.array(kept, np.int64), np.array(kept_scores)
