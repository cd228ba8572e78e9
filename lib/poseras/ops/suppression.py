"""Greedy non-maximum suppression of boxes and poses.

Take the best that is left, drop what covers the same place, repeat. Of equal scores the higher
index comes first, at every length (a stable ascending sort, reversed). Indices are rows of the
input, best first.

Arrays in, arrays out; TensorFlow tensors in, eager or symbolic, tensors out. The compiled operation
does it where it is built and the NumPy reference otherwise, with the same result to the last index.
Bad input is a ValueError; of tensors it is an InvalidArgumentError with the same words, except what
is seen when a function is traced.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .compiled import (
    BoxRule,
    PoseRule,
    any_tensor,
    suppress_arrays,
    suppress_one_image,
    suppress_tensors,
)
from .overlap import CountedJoints


def nms(
    boxes_xyxy: ArrayLike | Any,
    scores: ArrayLike | Any,
    threshold: float,
    *,
    plus_one: bool = True,
    inclusive: bool = False,
) -> np.ndarray | Any:
    """Keep the best of the boxes that overlap.

    Args:
        boxes_xyxy: (boxes, 4), left, top, right, bottom. A box without area overlaps nothing
            unless `plus_one` gives it one.
        scores: (boxes,).
        threshold: 0..1, a box is removed by a better one when their IoU exceeds it.
        plus_one: widths are x2 - x1 + 1, as in the published codes, instead of x2 - x1.
        inclusive: remove at IoU == threshold too. With threshold 0 that leaves one box.

    Returns:
        (kept,) int64, best first.

    Raises:
        ValueError: wrong shapes or lengths, coordinates that are not finite, negative widths,
            NaN scores, or a threshold outside 0..1.

    Source: Faster R-CNN (Girshick), whose NumPy and CUDA versions remove at IoU > threshold and
        whose Cython version at IoU >= threshold.
    """
    rule = BoxRule(plus_one, inclusive)
    return _suppress_one_image(rule, (boxes_xyxy, scores), threshold)


def nms_batched(
    boxes_xyxy: ArrayLike | Any,
    scores: ArrayLike | Any,
    row_splits: ArrayLike | Any,
    threshold: float,
    *,
    plus_one: bool = True,
    inclusive: bool = False,
    max_kept: int | None = None,
) -> tuple[np.ndarray | Any, np.ndarray | Any]:
    """`nms` of several images in one call.

    Args:
        boxes_xyxy: (boxes, 4), the boxes of the images one after the other.
        scores: (boxes,).
        row_splits: (images + 1,), image i owns the rows row_splits[i] to row_splits[i + 1].
        threshold: as `nms`.
        plus_one: as `nms`.
        inclusive: as `nms`.
        max_kept: how many an image keeps at most; as many as the fullest image holds if None.

    Returns:
        kept (images, max_kept) int64, rows of the whole input, best first, padded with -1, and
        counts (images,) int64.

    Raises:
        ValueError: as `nms`; row splits that do not rise from 0 to the number of boxes.
    """
    rule = BoxRule(plus_one, inclusive)
    return _suppress(rule, (boxes_xyxy, scores), row_splits, threshold, max_kept)


def oks_nms(
    keypoints: ArrayLike | Any,
    scores: ArrayLike | Any,
    areas: ArrayLike | Any,
    threshold: float,
    *,
    sigmas: ArrayLike,
    counted: CountedJoints = "all",
    visibility_threshold: float = 0.0,
) -> np.ndarray | Any:
    """Keep the best of the poses that resemble each other.

    Args:
        keypoints: (people, joints, 2 or 3), as `oks_matrix`.
        scores: (people,).
        areas: (people,) px^2.
        threshold: 0..1, a pose is removed by a better one when their OKS exceeds it.
        sigmas: (joints,), `Skeleton.oks_sigmas`; numbers, never a symbolic tensor.
        counted: as `oks_matrix`; the better pose is the first of the two.
        visibility_threshold: as `oks_matrix`.

    Returns:
        (kept,) int64, best first.

    Raises:
        ValueError: as `oks_matrix`; NaN scores, or a threshold outside 0..1.

    Source: the OKS NMS of Simple Baselines (both codes); PoseNMS of Papandreou et al., CVPR 2017.
    """
    rule = PoseRule(sigmas, counted, visibility_threshold)
    return _suppress_one_image(rule, (keypoints, scores, areas), threshold)


def oks_nms_batched(
    keypoints: ArrayLike | Any,
    scores: ArrayLike | Any,
    areas: ArrayLike | Any,
    row_splits: ArrayLike | Any,
    threshold: float,
    *,
    sigmas: ArrayLike,
    counted: CountedJoints = "all",
    visibility_threshold: float = 0.0,
    max_kept: int | None = None,
) -> tuple[np.ndarray | Any, np.ndarray | Any]:
    """`oks_nms` of several images in one call.

    Args:
        keypoints: (people, joints, 2 or 3), the people of the images one after the other.
        scores: (people,).
        areas: (people,) px^2.
        row_splits: (images + 1,), image i owns the rows row_splits[i] to row_splits[i + 1].
        threshold: as `oks_nms`.
        sigmas: as `oks_nms`.
        counted: as `oks_matrix`.
        visibility_threshold: as `oks_matrix`.
        max_kept: how many an image keeps at most; as many as the fullest image holds if None.

    Returns:
        kept (images, max_kept) int64, rows of the whole input, best first, padded with -1, and
        counts (images,) int64.

    Raises:
        ValueError: as `oks_nms`; row splits that do not rise from 0 to the number of people.
    """
    rule = PoseRule(sigmas, counted, visibility_threshold)
    return _suppress(rule, (keypoints, scores, areas), row_splits, threshold, max_kept)


def _suppress_one_image(
    rule: BoxRule | PoseRule, arrays: tuple[Any, ...], threshold: Any
) -> np.ndarray | Any:
    """(kept,) by the fastest way there is."""
    if any_tensor(*arrays):
        kept, counts = suppress_tensors(rule, arrays, None, threshold, None)
        return kept[0, : counts[0]]
    found = suppress_one_image(rule, arrays, threshold)
    if found is not None:
        return found
    kept, counts = rule.refer(*arrays, None, threshold, max_kept=None)
    return kept[0, : counts[0]]


def _suppress(
    rule: BoxRule | PoseRule,
    arrays: tuple[Any, ...],
    row_splits: Any,
    threshold: Any,
    max_kept: int | None,
) -> tuple[Any, Any]:
    """(kept, counts) of several images by the fastest way there is."""
    if any_tensor(*arrays, row_splits):
        return suppress_tensors(rule, arrays, row_splits, threshold, max_kept)
    found = suppress_arrays(rule, arrays, row_splits, threshold, max_kept)
    return found or rule.refer(*arrays, row_splits, threshold, max_kept=max_kept)
