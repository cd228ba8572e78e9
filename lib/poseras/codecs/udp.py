"""Heatmaps by unbiased data processing: sizes count intervals between cells, nothing is rounded.

Huang et al., "The Devil is in the Details: Delving into Unbiased Data Processing for Human Pose
Estimation", CVPR 2020.

The one convention a reader must know: view px = cells * (input size - 1) / (map size - 1), in both
directions, so that the outermost cell centres are the outermost pixel centres; views must be cut
by the `udp` convention. (MMPose's codec encodes so, but decodes with input size / (map size - 1)
and puts that right in the crop.) Maps are (batch, height, width, joints).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from keras import ops

from .cells import (
    Border,
    Tensor,
    check_keypoints,
    check_sigma,
    default_kernel,
    find_peaks,
    smooth_maps,
    take_cells,
    visibility_weights,
)

Decoder = Literal["none", "dark"]

#: Radius of the combined form's discs as a share of the longer side of the map.
DISC_RADIUS = 0.0546875
#: Cells of the smoothing of discs in front of their argmax.
DISC_KERNEL = 23
# Added to the Hessian's diagonal, the smallest step of float32, so that a plain can be inverted.
_EPSILON = 1.1920929e-07


def encode_udp(
    keypoints: Tensor,
    *,
    input_hw: tuple[int, int],
    heatmap_hw: tuple[int, int],
    sigma: float,
    peak: float = 255.0,
) -> tuple[Tensor, Tensor]:
    """Render the target map of every joint, the bump at the joint itself.

    The window of 3 sigma on each side is that of the nearest cell; a joint whose whole window lies
    outside the map loses its weight, and joints of weight 0 are not drawn.

    Args:
        keypoints: (batch, joints, 2 or 3), x px, y px in the view and, where there is a third
            value, visibility: 0 gives weight 0. Coordinates are finite.
        input_hw: height and width of the view in pixels.
        heatmap_hw: height and width of a map in cells.
        sigma: of the Gaussian, in cells.
        peak: value at the joint.

    Returns:
        heatmaps (batch, height, width, joints) float32 and weights (batch, joints) float32, 0 or 1.

    Raises:
        ValueError: a sigma that is not positive, or keypoints of another rank.
    """
    check_sigma(sigma)
    check_keypoints(keypoints)
    keypoints = ops.cast(keypoints, "float32")
    bumps, weights = [], visibility_weights(keypoints)
    for axis, (pixels, cells) in enumerate(zip(input_hw[::-1], heatmap_hw[::-1], strict=True)):
        place = keypoints[..., axis] * ((cells - 1) / (pixels - 1))
        nearest = _truncate(place + 0.5)
        order = ops.arange(cells, dtype="float32")[None, :, None]
        bump = ops.exp(-0.5 * ops.square((order - place[:, None]) / sigma))
        bumps.append(bump * ops.cast(ops.abs(order - nearest[:, None]) <= 3 * sigma, "float32"))
        touches = (nearest - 3 * sigma < cells) & (nearest + 3 * sigma + 1 >= 0)
        weights = weights * ops.cast(touches, "float32")
    columns, rows = bumps  # (batch, cells, joints)
    heatmaps = (peak * rows * weights[:, None])[:, :, None] * columns[:, None]
    return heatmaps, weights


def decode_udp(
    heatmaps: Tensor,
    *,
    input_hw: tuple[int, int],
    peak: float = 255.0,
    decoder: Decoder = "dark",
    sigma: float = 2.0,
    kernel: int = 0,
    border: Border = "zero",
    keep_inside: bool = False,
    zero_nonpositive: bool = False,
) -> tuple[Tensor, Tensor]:
    """Find the joint of every map.

    Args:
        heatmaps: (batch, height, width, joints).
        input_hw: height and width of the view in pixels.
        peak: the value that means score 1.
        decoder: `none`: the first cell, row by row, that holds the maximum. `dark`: plus one Newton
            step on the logarithm of the smoothed map, as published: near the border too, and of
            any length, so that a point can leave its map.
        sigma: of the Gaussian that the network was trained on, in cells.
        kernel: cells of the smoothing, an odd number; 0 follows sigma (11 for 2, 17 for 3).
        border: what it sees outside, `zero` as MMPose 1.x, `reflect` as ViTPose's own code. They
            differ by a pixel or two near the border alone.
        keep_inside: move points that left the map to its border.
        zero_nonpositive: put a joint whose maximum is not positive at (0, 0).

    Returns:
        keypoints_px (batch, joints, 2) float32, x before y, pixels of the view, and scores
        (batch, joints) float32 = maximum / peak; NaN for a map that holds a NaN.

    Raises:
        ValueError: an unknown decoder.
    """
    if decoder not in ("none", "dark"):
        raise ValueError(f"decoder of the udp codec must be none or dark. Received {decoder!r}.")
    heatmaps = ops.cast(heatmaps, "float32") / peak
    x, y, maximum = find_peaks(heatmaps)
    if zero_nonpositive:
        positive = ops.cast(maximum > 0, "int32")
        x, y = x * positive, y * positive
    cells = ops.cast(ops.stack([x, y], axis=-1), "float32")  # (batch, joints, 2)
    if decoder == "dark":
        smooth = smooth_maps(heatmaps, kernel or default_kernel(sigma), border)
        cells = cells + _newton_step(smooth, x, y)
    return _to_view(cells, maximum, heatmaps.shape[1:3], input_hw, keep_inside), maximum


def encode_discs(
    keypoints: Tensor, *, input_hw: tuple[int, int], heatmap_hw: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Render the combined form: a disc around every joint, and from each cell the way to it.

    Args:
        keypoints: as in `encode_udp`.
        input_hw: height and width of the view in pixels.
        heatmap_hw: height and width of a map in cells.

    Returns:
        discs (batch, height, width, joints), 1 within the radius of DISC_RADIUS times the longer
        side of the map; offsets (batch, height, width, joints, 2), x before y, in radii, filled
        everywhere (MMPose 0.x: inside the discs only); weights (batch, joints), 0 for invisible
        joints, which have no disc; one outside the map keeps its weight. All float32.

    Raises:
        ValueError: keypoints of another rank.
    """
    check_keypoints(keypoints)
    keypoints = ops.cast(keypoints, "float32")
    radius = DISC_RADIUS * max(heatmap_hw)
    ways, weights = [], visibility_weights(keypoints)
    for axis, (pixels, cells) in enumerate(zip(input_hw[::-1], heatmap_hw[::-1], strict=True)):
        place = keypoints[..., axis] * ((cells - 1) / (pixels - 1))
        ways.append(place[:, None] - ops.arange(cells, dtype="float32")[None, :, None])
    shape = ops.shape(ways[1])[:2] + ops.shape(ways[0])[1:]
    across = ops.broadcast_to(ways[0][:, None], shape)  # (batch, height, width, joints)
    down = ops.broadcast_to(ways[1][:, :, None], shape)
    near = ops.cast(across * across + down * down <= radius * radius, "float32")
    return near * weights[:, None, None], ops.stack([across, down], axis=-1) / radius, weights


def decode_discs(
    discs: Tensor, offsets: Tensor, *, input_hw: tuple[int, int], keep_inside: bool = False
) -> tuple[Tensor, Tensor]:
    """The highest cell of every smoothed disc, and from there the way that its offsets tell.

    Args:
        discs: (batch, height, width, joints).
        offsets: (batch, height, width, joints, 2), x before y, in radii.
        input_hw: height and width of the view in pixels.
        keep_inside: move points that left the map to its border.

    Returns:
        keypoints_px (batch, joints, 2) and scores (batch, joints), the smoothed maximum; float32.
    """
    discs, offsets = ops.cast(discs, "float32"), ops.cast(offsets, "float32")
    height, width = discs.shape[1:3]
    x, y, maximum = find_peaks(smooth_maps(discs, DISC_KERNEL, "reflect"))
    way = ops.stack([take_cells(offsets[..., axis], x, y) for axis in (0, 1)], axis=-1)
    cells = ops.cast(ops.stack([x, y], axis=-1), "float32") + way * (
        DISC_RADIUS * max(height, width)
    )
    return _to_view(cells, maximum, (height, width), input_hw, keep_inside), maximum


def merge_flipped_offsets(offsets: Tensor, flipped: Tensor, flip_permutation: np.ndarray) -> Tensor:
    """Average the offsets of a view and of its mirror image, where x points the other way.

    Args:
        offsets: (batch, height, width, joints, 2), of the view.
        flipped: the same shape, of the mirrored view, as the network gave them.
        flip_permutation: (joints,), `Skeleton.flip_permutation`.

    Returns:
        The same shape.
    """
    back = ops.take(ops.flip(flipped, axis=2), np.asarray(flip_permutation), axis=3)
    back = back * ops.cast(np.array([-1.0, 1.0]), back.dtype)
    return (offsets + back) * 0.5


def _truncate(values: Tensor) -> Tensor:
    """Whole numbers, toward zero."""
    return ops.sign(values) * ops.floor(ops.abs(values))


def _newton_step(smooth: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(batch, joints, 2): minus the inverse Hessian times the gradient of the logarithm.

    Beyond the border the logarithm goes on as it was on it. The bounds 1e-3 and 50 are published;
    the maps' peak is 1.
    """
    height, width = smooth.shape[1:3]
    log = ops.log(ops.clip(smooth, 1e-3, 50.0))

    def at(right: int, down: int) -> Tensor:
        columns, rows = ops.clip(x + right, 0, width - 1), ops.clip(y + down, 0, height - 1)
        return take_cells(log, columns, rows)

    here, left, right, above, below = at(0, 0), at(-1, 0), at(1, 0), at(0, -1), at(0, 1)
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * here + left + _EPSILON, below - 2 * here + above + _EPSILON
    dxy = (at(1, 1) - right - below + 2 * here - left - above + at(-1, -1)) / 2
    determinant = dxx * dyy - dxy * dxy
    determinant = ops.where(ops.equal(determinant, 0.0), 1.0, determinant)
    return ops.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1) / determinant[..., None]


def _to_view(
    cells: Tensor,
    maximum: Tensor,
    heatmap_hw: tuple[int, int],
    input_hw: tuple[int, int],
    keep_inside: bool,
) -> Tensor:
    """(batch, joints, 2) cells to view px; NaN where the maximum is one."""
    last = np.array([heatmap_hw[1] - 1, heatmap_hw[0] - 1], np.float32)
    if keep_inside:
        cells = ops.minimum(ops.maximum(cells, 0.0), last)
    pixels = cells * ((np.array(input_hw[::-1], np.float32) - 1) / last)
    return ops.where(ops.isnan(maximum)[..., None], np.nan, pixels)
