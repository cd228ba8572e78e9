"""Coordinate classification: for each joint one distribution over columns and one over rows.

Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV
2022; the labels without normalisation are RTMPose's, Jiang et al., 2023.

The one convention a reader must know: bin = view px * bins per pixel, without a half-bin term, in
both directions. Vectors are (batch, joints, bins).
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Literal

import numpy as np
from keras import ops

from .cells import Tensor, check_keypoints, gaussian_kernel, smooth_axis, visibility_weights

Label = Literal["gaussian", "density", "one_bin"]
Decoder = Literal["none", "dark"]


def bin_counts(input_hw: tuple[int, int], bins_per_pixel: float) -> tuple[int, int]:
    """The lengths of the x and of the y vectors for a view of this height and width."""
    return int(input_hw[1] * bins_per_pixel), int(input_hw[0] * bins_per_pixel)


def encode_simcc(
    keypoints: Tensor,
    *,
    input_hw: tuple[int, int],
    bins_per_pixel: float = 2.0,
    label: Label = "gaussian",
    sigma: tuple[float, float] = (4.9, 5.66),
    smoothing: float = 0.1,
) -> tuple[Tensor, Tensor, Tensor]:
    """The target distributions of every joint.

    Args:
        keypoints: (batch, joints, 2 or 3), x px, y px in the view and, where there is a third
            value, visibility: 0 gives weight 0. Coordinates are finite.
        input_hw: height and width of the view in pixels.
        bins_per_pixel: bins of both axes in a pixel.
        label: `gaussian` has the value 1 in the joint's bin, `density` the sum 1; both go over the
            whole axis. `one_bin` has 1 - `smoothing` there, the rest spread over all others.
        sigma: of the Gaussian along x and along y, in bins. 3 sigma of both must touch the view,
            or the joint loses its weight.
        smoothing: of `one_bin`, whose joints must be inside the view.

    Returns:
        x (batch, joints, width bins), y (batch, joints, height bins), zeros for joints of weight 0,
        and weights (batch, joints), 0 or 1. All float32.

    Raises:
        ValueError: an unknown label, a sigma that is not positive, or keypoints of another rank.
    """
    if label not in ("gaussian", "density", "one_bin"):
        raise ValueError(f"label must be gaussian, density or one_bin. Received {label!r}.")
    if not all(value > 0 for value in sigma):
        raise ValueError(f"sigma must be positive along x and y, in bins. Received {sigma}.")
    check_keypoints(keypoints)
    keypoints = ops.cast(keypoints, "float32")
    targets, weights = [], visibility_weights(keypoints)
    for axis, count in enumerate(bin_counts(input_hw, bins_per_pixel)):
        place = ops.round(keypoints[..., axis] * bins_per_pixel)  # half to even, as published
        distance = ops.arange(count, dtype="float32") - place[..., None]  # (batch, joints, bins)
        if label == "one_bin":
            here = ops.cast(ops.equal(distance, 0.0), "float32")
            targets.append(here * (1 - smoothing) + (1 - here) * (smoothing / (count - 1)))
            inside = (place >= 0) & (place < count)
        else:
            height = 1 / (sigma[axis] * sqrt(2 * pi)) if label == "density" else 1.0
            targets.append(height * ops.exp(-0.5 * ops.square(distance / sigma[axis])))
            reach = 3 * sigma[axis]
            inside = (place - reach < count) & (place + reach + 1 >= 0)
        weights = weights * ops.cast(inside, "float32")
    drawn = weights[..., None]
    return targets[0] * drawn, targets[1] * drawn, weights


def merge_flipped_simcc(
    x: Tensor, y: Tensor, flipped_x: Tensor, flipped_y: Tensor, flip_permutation: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Average the vectors of a view and of its mirror image, the flip test.

    Args:
        x: (batch, joints, bins), of the view.
        y: the same along y.
        flipped_x: (batch, joints, bins), of the mirrored view, as the network gave them.
        flipped_y: the same along y.
        flip_permutation: (joints,), `Skeleton.flip_permutation`.

    Returns:
        x and y.
    """
    order = np.asarray(flip_permutation)
    back_x = ops.flip(ops.take(flipped_x, order, axis=1), axis=2)
    return (x + back_x) * 0.5, (y + ops.take(flipped_y, order, axis=1)) * 0.5


def decode_simcc(
    x: Tensor,
    y: Tensor,
    *,
    bins_per_pixel: float = 2.0,
    decoder: Decoder = "none",
    sigma: tuple[float, float] = (4.9, 5.66),
    zero_nonpositive: bool = False,
) -> tuple[Tensor, Tensor]:
    """Find every joint.

    Args:
        x: (batch, joints, bins), at least 5 of them.
        y: the same along y.
        bins_per_pixel: bins of both axes in a pixel.
        decoder: `none`: the first bin that holds the maximum. `dark`: plus one Newton step on the
            logarithm of the smoothed vector.
        sigma: of the Gaussian that the network was trained on along x and y, in bins; `dark`
            smooths with kernels that follow from it.
        zero_nonpositive: put a joint whose score is not positive at (0, 0). As published it stands
            one bin left of and above the view.

    Returns:
        keypoints_px (batch, joints, 2) float32, x before y, pixels of the view, and scores
        (batch, joints) float32, the lower of the two maxima; NaN where a vector holds a NaN.

    Raises:
        ValueError: an unknown decoder.
    """
    if decoder not in ("none", "dark"):
        raise ValueError(f"decoder of the simcc codec must be none or dark. Received {decoder!r}.")
    vectors = [ops.cast(vector, "float32") for vector in (x, y)]
    places, maxima = zip(*(_find_maxima(vector) for vector in vectors), strict=True)
    scores = ops.minimum(*maxima)
    missing = scores <= 0
    found = [ops.where(missing, 0 if zero_nonpositive else -1, place) for place in places]
    bins = [ops.cast(place, "float32") for place in found]
    if decoder == "dark":
        for axis, vector in enumerate(vectors):
            step = _newton_step(vector, places[axis], sigma[axis])
            bins[axis] = ops.where(missing, bins[axis], bins[axis] + step)
    broken = ops.isnan(maxima[0]) | ops.isnan(maxima[1])
    points = ops.stack(bins, axis=-1) / bins_per_pixel
    return ops.where(broken[..., None], np.nan, points), ops.where(broken, np.nan, scores)


def _find_maxima(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The first maximum of every vector: its bin and its value, NaN where the vector holds one.

    Not `ops.argmax`: it ranks -0.0 below 0.0, and which of several maxima it takes is up to the
    backend.
    """
    count = vectors.shape[-1]
    maximum = ops.max(vectors, axis=-1)
    order = ops.arange(count, dtype="int32")
    first = ops.min(ops.where(vectors >= maximum[..., None], order, count - 1), axis=-1)
    broken = ops.any(ops.isnan(vectors), axis=-1)
    return first, ops.where(broken, np.nan, maximum)


def _newton_step(vectors: Tensor, place: Tensor, sigma: float) -> Tensor:
    """(batch, joints): minus the slope over the curvature of the logarithm, in bins.

    The vector is smoothed and scaled back to its old maximum; the bounds 1e-3 and 50 and the
    kernel's length are published.
    """
    size = int((20 * sigma - 7) // 3)
    kernel = gaussian_kernel(max(size - 1 + size % 2, 1))
    smooth = smooth_axis(vectors, kernel, 2)
    old, new = (ops.max(v, axis=-1, keepdims=True) for v in (vectors, smooth))
    log = ops.log(ops.clip(smooth * old / ops.where(new > 0, new, 1.0), 1e-3, 50.0))

    def at(step: int) -> Tensor:
        beside = ops.clip(place + step, 0, vectors.shape[-1] - 1)
        return ops.take_along_axis(log, beside[..., None], axis=-1)[..., 0]

    slope = (at(1) - at(-1)) / 2
    curvature = (at(2) - 2 * at(0) + at(-2)) / 4
    return -slope / (curvature + 1e-9)
