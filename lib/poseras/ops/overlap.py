"""How much two boxes, or two poses, cover the same place.

The one convention a reader must know: `plus_one` counts pixels, so that a box from 3 to 3 is one
pixel wide (width = x2 - x1 + 1); without it a box is a continuous rectangle (width = x2 - x1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .arguments import check_areas, check_boxes, check_keypoints, check_sigmas

CountedJoints = Literal["all", "second_visible", "both_visible"]
Exponential = Callable[[np.ndarray], np.ndarray]

# Taylor coefficients of exp, 1/13! down to 1/0!.
_TAYLOR = [1 / math.factorial(power) for power in range(13, -1, -1)]

# Where np.exp is not asked whether an OKS exceeds a threshold: its last places (1e-15, with the
# sum over the joints) and numbers that may be subnormal.
_NEAR_THRESHOLD = 1e-12
_NEAR_ZERO = 1e-300

# Numbers that go through the steps of exp at once, without leaving the cache in between.
_IN_CACHE = 8192


def box_iou(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike, *, plus_one: bool = True) -> np.ndarray:
    """Intersection over union of every box with every other.

    Args:
        boxes_xyxy: (boxes, 4), left, top, right, bottom.
        others_xyxy: (others, 4).
        plus_one: see the module.

    Returns:
        (boxes, others) float64, 0..1; 0 between two boxes without area.

    Raises:
        ValueError: wrong shapes, numbers that are not finite, or negative widths.

    Source: Faster R-CNN's box overlaps (Girshick), as used by the published pose codes.
    """
    boxes, others = check_boxes(boxes_xyxy), check_boxes(others_xyxy, "others_xyxy")
    return iou_of_checked(boxes, others, plus_one=plus_one)


def box_overlap_over_query(
    boxes_xyxy: ArrayLike, queries_xyxy: ArrayLike, *, plus_one: bool = True
) -> np.ndarray:
    """Share of every query box that each box covers: intersection / area of the query.

    Args:
        boxes_xyxy: (boxes, 4), left, top, right, bottom.
        queries_xyxy: (queries, 4).
        plus_one: see the module.

    Returns:
        (boxes, queries) float64, 0..1; 0 for a query without area.

    Raises:
        ValueError: as `box_iou`.

    Source: TF-SimpleHumanPose's box helpers.
    """
    boxes, queries = check_boxes(boxes_xyxy), check_boxes(queries_xyxy, "queries_xyxy")
    inside = _intersection(boxes, queries, plus_one)
    return _share(inside, np.broadcast_to(_area(queries, plus_one), inside.shape))


def oks_matrix(
    keypoints: ArrayLike,
    areas: ArrayLike,
    *,
    sigmas: ArrayLike,
    counted: CountedJoints = "all",
    visibility_threshold: float = 0.0,
) -> np.ndarray:
    """Object keypoint similarity of every pose with every other.

    The mean over the counted joints of exp(-d^2 / (2 (2 sigma)^2 area)), with the mean area of the
    two poses.

    Args:
        keypoints: (people, joints, 2 or 3), x px, y px and, where `counted` looks at it, a
            visibility or score.
        areas: (people,) px^2.
        sigmas: (joints,) COCO's k_i / 2, `Skeleton.oks_sigmas`.
        counted: `all` joints whatever their third value; `second_visible` those whose third value
            exceeds `visibility_threshold` in the second pose, which is what the published code
            does; `both_visible` those where it does so in both, which is what it means to do.
        visibility_threshold: for the last two.

    Returns:
        (people, people) float64; row i is pose i (the first) against all (the second). A pair
        without a counted joint has 0.

    Raises:
        ValueError: wrong shapes or lengths, numbers that are not finite, or no third value where
            `counted` needs one.

    Source: the published OKS NMS of Simple Baselines (both codes).
    """
    poses = Poses(keypoints, areas, sigmas, counted, visibility_threshold)
    everyone = np.arange(len(poses))
    return poses.oks(everyone, everyone)


class Poses:
    """Poses that were checked once, for OKS between any of them.

    The arguments are those of `oks_matrix`.
    """

    def __init__(
        self,
        keypoints: ArrayLike,
        areas: ArrayLike,
        sigmas: ArrayLike,
        counted: CountedJoints = "all",
        visibility_threshold: float = 0.0,
    ):
        points = check_keypoints(keypoints)
        if counted not in ("all", "second_visible", "both_visible"):
            raise ValueError(
                f"counted must be all, second_visible or both_visible. Received {counted!r}."
            )
        if counted != "all" and points.shape[2] != 3:
            raise ValueError(
                f"keypoints must have shape (people, joints, 3) to count {counted} joints. "
                f"Received {points.shape}."
            )
        self._x, self._y = points[..., 0], points[..., 1]
        self._areas = check_areas(areas, len(points))
        self._variances = (2 * check_sigmas(sigmas, points.shape[1])) ** 2
        self._counted = counted
        self._visible = points[..., -1] > visibility_threshold

    def __len__(self) -> int:
        return len(self._x)

    def oks(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(first, second) float64: OKS between the poses of these rows."""
        return self._oks(first[:, None], second[None], exp_of_negative)

    def resemble(self, first: np.ndarray, second: np.ndarray, threshold: float) -> np.ndarray:
        """(first, second) bool: `oks` > threshold, several times faster."""
        oks = self._oks(first[:, None], second[None], np.exp)
        exceeds = oks > threshold
        unsure = np.abs(oks - threshold) <= _NEAR_THRESHOLD * threshold + _NEAR_ZERO
        if unsure.any():
            rows, columns = np.nonzero(unsure)
            exact = self._oks(first[rows], second[columns], exp_of_negative)
            exceeds[rows, columns] = exact > threshold
        return exceeds

    def _oks(self, first: np.ndarray, second: np.ndarray, exp: Exponential) -> np.ndarray:
        """OKS of the pairs (first, second), two arrays of rows that broadcast."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            distance = (self._x[first] - self._x[second]) ** 2
            distance += (self._y[first] - self._y[second]) ** 2
            area = (self._areas[first] + self._areas[second]) / 2 + np.spacing(1)
            near = exp(-distance / self._variances / area[..., None] / 2)  # (..., joints)
        counts = np.ones(near.shape, bool)
        if self._counted != "all":
            counts &= self._visible[second]
        if self._counted == "both_visible":
            counts &= self._visible[first]
        near[~counts] = 0
        total = np.zeros(near.shape[:-1])
        for joint in range(near.shape[-1]):  # in this order, as the kernels
            total += near[..., joint]
        return _share(total, counts.sum(axis=-1))


def exp_of_negative(values: np.ndarray) -> np.ndarray:
    """exp(values) of values <= 0, to the last bit the same on every machine and in the kernels.

    NumPy's own differs in the last place between processors, and so would the answer to whether an
    OKS exceeds a threshold that it meets. The arithmetic is that of `PortableExp` in
    kernels/overlap.h, where it is explained; within two units of the last place.
    """
    result = np.empty(values.shape)
    source, target = np.ravel(values), result.reshape(-1)
    for start in range(0, len(source), _IN_CACHE):
        part = slice(start, start + _IN_CACHE)
        _exp_into(source[part], target[part])
    return result


def _exp_into(values: np.ndarray, result: np.ndarray) -> None:
    """`exp_of_negative` of a vector that fits the cache."""
    bounded = np.maximum(values, -746.0)
    shift = 6755399441055744.0
    shifted = bounded * 1.4426950408889634 + shift
    k = shifted - shift
    remainder = bounded - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10
    result[:] = _TAYLOR[0]
    for coefficient in _TAYLOR[1:]:
        result *= remainder
        result += coefficient
    exponent = shifted.view(np.int64) - np.float64(shift).view(np.int64) + (1023 + 54)
    result *= (exponent << 52).view(np.float64)
    result *= 2.0**-54


def iou_of_checked(boxes: np.ndarray, others: np.ndarray, *, plus_one: bool) -> np.ndarray:
    """`box_iou` of float64 boxes that `check_boxes` has seen."""
    with np.errstate(over="ignore", invalid="ignore"):  # what has overflowed counts as no overlap
        inside = _intersection(boxes, others, plus_one)
        union = _area(boxes, plus_one)[:, None] + _area(others, plus_one) - inside
    return _share(inside, union)


def _intersection(boxes: np.ndarray, others: np.ndarray, plus_one: bool) -> np.ndarray:
    """(boxes, others): area that both cover."""
    sides = []
    for low, high in ((0, 2), (1, 3)):
        side = np.minimum(boxes[:, high, None], others[:, high])
        side -= np.maximum(boxes[:, low, None], others[:, low])
        side += plus_one
        sides.append(np.maximum(side, 0, out=side))
    return sides[0] * sides[1]


def _area(boxes: np.ndarray, plus_one: bool) -> np.ndarray:
    """(boxes,)."""
    size = boxes[:, 2:] - boxes[:, :2] + plus_one
    return size[:, 0] * size[:, 1]


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part / whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
