"""Reading maps cell by cell: first maxima, values at integer cells, smoothing.

Maps are (batch, height, width, joints). Everything here is `keras.ops` and graph-safe; the codecs
of this package share it.
"""

from __future__ import annotations

from math import exp
from typing import Any, Literal

import numpy as np
from keras import ops

Tensor = Any  # a tensor of whichever backend Keras runs on

Border = Literal["zero", "reflect"]


def check_sigma(sigma: float) -> None:
    """Raise ValueError for a Gaussian without width."""
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, in heatmap cells. Received {sigma}.")


def check_keypoints(keypoints: Tensor) -> None:
    """Raise ValueError for keypoints of another shape than (batch, joints, 2 or 3)."""
    shape = tuple(keypoints.shape)
    if len(shape) != 3 or shape[-1] not in (2, 3):
        raise ValueError(f"keypoints must have shape (batch, joints, 2 or 3). Received {shape}.")


def visibility_weights(keypoints: Tensor) -> Tensor:
    """(batch, joints) float32: 1 where the third value is positive or absent, else 0."""
    if keypoints.shape[-1] == 2:
        return ops.ones_like(keypoints[..., 0])
    return ops.cast(keypoints[..., 2] > 0, "float32")


def find_peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first maximum of every map, row by row.

    Not `ops.argmax`: it ranks -0.0 below 0.0, and which of several maxima it takes is up to the
    backend.

    Returns:
        x and y (batch, joints) int32, cells inside the map; maximum (batch, joints), NaN where the
        map holds a NaN.
    """
    batch, height, width, joints = ops.shape(heatmaps)
    flat = ops.reshape(heatmaps, (batch, height * width, joints))
    maximum = ops.max(flat, axis=1)
    order = ops.arange(height * width, dtype="int32")[None, :, None]
    at_maximum = ops.where(flat >= maximum[:, None, :], order, height * width)
    first = ops.minimum(ops.min(at_maximum, axis=1), height * width - 1)
    # Backends differ in whether a maximum keeps a NaN; a sum does.
    broken = ops.any(ops.isnan(flat), axis=1)
    return first % width, first // width, ops.where(broken, np.nan, maximum)


def take_cells(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values at integer cells of each joint's own map.

    Args:
        heatmaps: (batch, height, width, joints).
        x: (batch, ..., joints) int32, inside the map.
        y: the same shape.

    Returns:
        (batch, ..., joints).
    """
    batch, height, width, joints = ops.shape(heatmaps)
    inner = (1,) * (len(x.shape) - 2)
    sample = ops.reshape(ops.arange(batch, dtype="int32"), (-1, *inner, 1))
    joint = ops.arange(joints, dtype="int32")
    place = ((sample * height + y) * width + x) * joints + joint
    return ops.take(ops.reshape(heatmaps, (-1,)), place)


def gaussian_kernel(size: int) -> list[float]:
    """The weights of a 1D Gaussian of `size` cells, an odd number.

    Its sigma follows from its size by OpenCV's rule, 0.3 ((size - 1) / 2 - 1) + 0.8.
    """
    radius = size // 2
    spread = 0.3 * (radius - 1) + 0.8
    weights = [exp(-0.5 * (cell / spread) ** 2) for cell in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def default_kernel(sigma: float) -> int:
    """The cells of the smoothing in front of a Newton step: 11 for sigma 2, 17 for sigma 3."""
    return 2 * max(1, round(3 * sigma) - 1) + 1


def smooth_axis(maps: Tensor, kernel: list[float], axis: int, border: Border = "zero") -> Tensor:
    """Smooth along one axis.

    Slices and sums, not a convolution, which GPUs may do in 10-bit mantissas.

    Args:
        maps: of any shape.
        kernel: of odd length, see `gaussian_kernel`.
        axis: not negative.
        border: what the kernel sees beyond the border: `zero`, or the map mirrored at its
            outermost cells (OpenCV's default).

    Returns:
        The same shape.
    """
    size, radius = maps.shape[axis], len(kernel) // 2
    if border == "zero":
        widths = [(radius, radius) if i == axis else (0, 0) for i in range(len(maps.shape))]
        padded = ops.pad(maps, widths)
    else:
        # Not ops.pad: backends refuse to mirror more cells than there are.
        padded = ops.take(maps, np.pad(np.arange(size), radius, mode="reflect"), axis=axis)
    index: list[slice] = [slice(None)] * len(maps.shape)
    total = None
    for step, weight in enumerate(kernel):
        index[axis] = slice(step, step + size)
        part = weight * padded[tuple(index)]
        total = part if total is None else total + part
    return total


def smooth_maps(maps: Tensor, size: int, border: Border = "zero") -> Tensor:
    """Smooth every map and, with a `zero` border, scale it back to its old maximum.

    Args:
        maps: (batch, height, width, joints).
        size: cells of the Gaussian, an odd number.
        border: as in `smooth_axis`; `reflect` is ViTPose's own code, which does not scale.

    Returns:
        The same shape.

    Source: MMPose 1.x (zero) and 0.x (reflect).
    """
    kernel = gaussian_kernel(size)
    smooth = smooth_axis(smooth_axis(maps, kernel, 1, border), kernel, 2, border)
    if border == "reflect":
        return smooth
    old = ops.max(maps, axis=(1, 2), keepdims=True)
    new = ops.max(smooth, axis=(1, 2), keepdims=True)
    return smooth * old / ops.where(new > 0, new, 1.0)
