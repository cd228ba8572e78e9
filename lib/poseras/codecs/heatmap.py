"""Heatmaps: one Gaussian bump per joint, and the way back from a map to a point.

"Simple Baselines for Human Pose Estimation and Tracking", Xiao, Wu, Wei, ECCV 2018.

The one convention a reader must know: view px = cells * input size / heatmap size, without a
half-cell term, in both directions. Maps are (batch, height, width, joints). Everything here is
`keras.ops`: it runs eagerly, in a compiled graph and inside tf.data with the same results.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from keras import ops

from .cells import (
    Tensor,
    check_keypoints,
    check_sigma,
    default_kernel,
    find_peaks,
    gaussian_kernel,
    take_cells,
    visibility_weights,
)

Window = Literal["full", "three_sigma", "exact"]
Decoder = Literal["none", "quarter", "dark"]

# Further away than any joint is from any view.
_FAR_PX = 1e6


def encode_heatmaps(
    keypoints: Tensor,
    *,
    input_hw: tuple[int, int],
    heatmap_hw: tuple[int, int],
    sigma: float,
    peak: float = 255.0,
    window: Window = "full",
) -> tuple[Tensor, Tensor]:
    """Render the target map of every joint.

    The bump stands on an integer cell, with `exact` on the joint itself. `full` draws it over the
    whole map, for joints without a label too: the loss leaves them out by their weight.
    `three_sigma` cuts it 3 sigma from its cell along each axis and draws only joints of weight 1;
    a joint whose whole window lies outside the map loses its weight. `exact` draws over the whole
    map, joints of weight 1 by the same rule. Kept as published: a window that ends exactly one cell
    left of the map or above it keeps its weight, and draws nothing where it is cut.

    Args:
        keypoints: (batch, joints, 2 or 3), x px, y px in the view and, where there is a third
            value, visibility: 0 gives weight 0. Coordinates are finite.
        input_hw: height and width of the view in pixels.
        heatmap_hw: height and width of a map in cells.
        sigma: of the Gaussian, in cells.
        peak: value at the joint's cell.
        window: `full` (TF-SimpleHumanPose) or `three_sigma` (Microsoft's code), which also differ
            in how they round: floor(x + 0.5), or truncation of x + 0.5 toward zero; `exact`
            (DARK), which does not round.

    Returns:
        heatmaps (batch, height, width, joints) float32 and weights (batch, joints) float32, 0 or 1.

    Raises:
        ValueError: an unknown window, a sigma that is not positive, or keypoints of another rank.

    Source: TF-SimpleHumanPose (Moon), human-pose-estimation.pytorch (Microsoft); Zhang et al.,
        "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020.
    """
    _check_encoding(keypoints, sigma, window)
    keypoints = ops.cast(keypoints, "float32")
    weights = visibility_weights(keypoints)
    bump_x, inside_x = _axis_bump(
        keypoints[..., 0], input_hw[1], heatmap_hw[1], sigma=sigma, window=window
    )
    bump_y, inside_y = _axis_bump(
        keypoints[..., 1], input_hw[0], heatmap_hw[0], sigma=sigma, window=window
    )
    if window != "full":
        weights = weights * inside_x * inside_y
        bump_y = bump_y * weights[:, None, :]
    # A Gaussian is the product of its axes: height + width exponentials instead of their product.
    heatmaps = (peak * bump_y)[:, :, None, :] * bump_x[:, None, :, :]
    return heatmaps, weights  # (batch, height, width, joints), (batch, joints)


def merge_flipped(
    heatmaps: Tensor, flipped: Tensor, flip_permutation: np.ndarray, *, shift: bool = True
) -> Tensor:
    """Average the maps of a view and of its mirror image, the flip test.

    Args:
        heatmaps: (batch, height, width, joints), of the view.
        flipped: (batch, height, width, joints), of the mirrored view, as the network gave them.
        flip_permutation: (joints,), `Skeleton.flip_permutation`.
        shift: move the mirrored-back maps one cell to the right, column 0 kept as it is. A view
            of `corner` convention is mirrored half a pixel off, which costs about one cell; the
            published APs are with the shift. Views of `udp` convention need none.

    Returns:
        (batch, height, width, joints), in the dtype of `heatmaps`.

    Source: both published Simple Baselines codes.
    """
    back = ops.take(ops.flip(flipped, axis=2), np.asarray(flip_permutation), axis=3)
    if shift:
        back = ops.concatenate([back[:, :, :1], back[:, :, :-1]], axis=2)
    return (heatmaps + back) * 0.5


def decode_heatmaps(
    heatmaps: Tensor,
    *,
    input_hw: tuple[int, int],
    peak: float = 255.0,
    decoder: Decoder = "quarter",
    sigma: float = 2.0,
    kernel: int = 0,
    zero_nonpositive: bool = False,
) -> tuple[Tensor, Tensor]:
    """Find the joint of every map.

    Args:
        heatmaps: (batch, height, width, joints), at least 5 cells on each side for `dark`.
        input_hw: height and width of the view in pixels.
        peak: the value that means score 1.
        decoder: `none`: the first cell, row by row, that holds the maximum. `quarter`: plus a
            quarter of a cell along each axis toward the higher neighbour (equal ones: no offset),
            on the cells 2 to size - 2 of both axes. `dark`: plus one Newton step on the logarithm
            of the smoothed map, on the cells 2 to size - 3 of both axes.
        sigma: of the Gaussian that the network was trained on, in cells; `dark` smooths with the
            kernel that follows from it.
        kernel: cells of that smoothing, an odd number; 0 follows sigma (11 for 2, 17 for 3).
        zero_nonpositive: put a joint whose maximum is not positive at (0, 0), as Microsoft's code.

    Returns:
        keypoints_px (batch, joints, 2) float32, x before y, pixels of the view, and scores
        (batch, joints) float32 = maximum / peak. A map that holds a NaN gives NaN for all three,
        so that a caller can name the sample; a map with +inf gives the score inf.

    Raises:
        ValueError: an unknown decoder.

    Source: Xiao et al., ECCV 2018 (quarter); Zhang et al., "Distribution-Aware Coordinate
        Representation for Human Pose Estimation", CVPR 2020 (dark).
    """
    if decoder not in ("none", "quarter", "dark"):
        raise ValueError(f"decoder must be none, quarter or dark. Received {decoder!r}.")
    heatmaps = ops.cast(heatmaps, "float32")
    height, width = ops.shape(heatmaps)[1:3]
    x, y, maximum = find_peaks(heatmaps)
    if zero_nonpositive:
        positive = ops.cast(maximum > 0, "int32")
        x, y = x * positive, y * positive
    cells = ops.cast(ops.stack([x, y], axis=-1), "float32")  # (batch, joints, 2)
    if decoder == "quarter":
        cells = cells + _quarter_offset(heatmaps, x, y)
    elif decoder == "dark":
        cells = cells + _dark_offset(heatmaps, x, y, kernel or default_kernel(sigma))
    cell_px = ops.stack(
        [ops.cast(input_hw[1] / width, "float32"), ops.cast(input_hw[0] / height, "float32")]
    )
    valid = ops.logical_not(ops.isnan(maximum))
    return ops.where(valid[..., None], cells * cell_px, np.nan), maximum / peak


def _check_encoding(keypoints: Tensor, sigma: float, window: str) -> None:
    """Raise ValueError for what `encode_heatmaps` cannot render."""
    if window not in ("full", "three_sigma", "exact"):
        raise ValueError(f"window must be exact, full or three_sigma. Received {window!r}.")
    check_sigma(sigma)
    check_keypoints(keypoints)


def _axis_bump(
    position_px: Tensor, input_size: int, heatmap_size: int, *, sigma: float, window: Window
) -> tuple[Tensor, Tensor]:
    """One axis of the bump, and whether its window touches the map.

    Args:
        position_px: (batch, joints) along this axis.
        input_size: pixels of the view along it.
        heatmap_size: cells of the map along it.
        sigma: in cells.
        window: as in `encode_heatmaps`.

    Returns:
        (batch, heatmap_size, joints) with peak 1, and (batch, joints) float32, 0 or 1.
    """
    if window == "exact":
        centre = position_px * (heatmap_size / input_size)
    else:
        centre = _nearest_cells(position_px, input_size, heatmap_size, window)
    cells = ops.arange(heatmap_size, dtype="float32")[None, :, None]
    distance = cells - centre[:, None, :]  # (batch, cells, joints)
    bump = ops.exp(-0.5 * ops.square(distance / sigma))
    reach = 3 * sigma
    if window == "three_sigma":
        bump = bump * ops.cast(ops.abs(distance) <= reach, "float32")
    # The window's far end is exclusive: centre + reach + 1 == 0 still counts as touching.
    touches = ops.logical_and(centre - reach < heatmap_size, centre + reach + 1 >= 0)
    return bump, ops.cast(touches, "float32")


def _nearest_cells(
    position_px: Tensor, input_size: int, heatmap_size: int, window: Window
) -> Tensor:
    """(batch, joints) float32: whole numbers, the cell on which each bump stands.

    Divide, multiply, add: in this order and each rounded to float32, as published, or points near
    a cell border land one cell off. Compiled graphs (Grappler, XLA) turn a division by a constant
    into a product, merge it with the next one and contract a * b + c; a divisor that depends on
    the data and a clip between product and sum forbid all three.
    """
    near = ops.abs(position_px) < _FAR_PX
    if window == "three_sigma":
        raised = position_px / ops.where(near, input_size / heatmap_size, 1.0) + 0.5
        return ops.sign(raised) * ops.floor(ops.abs(raised))  # toward zero
    in_maps = position_px / ops.where(near, float(input_size), 1.0)
    in_cells = ops.clip(in_maps * heatmap_size, -_FAR_PX, _FAR_PX)
    return ops.floor(in_cells + 0.5)


def _quarter_offset(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(batch, joints, 2): a quarter of a cell toward the higher neighbour, along each axis."""
    height, width = ops.shape(heatmaps)[1:3]
    right, left = ops.minimum(x + 1, width - 1), ops.maximum(x - 1, 0)
    below, above = ops.minimum(y + 1, height - 1), ops.maximum(y - 1, 0)
    ahead = take_cells(heatmaps, ops.stack([right, x], 1), ops.stack([y, below], 1))
    behind = take_cells(heatmaps, ops.stack([left, x], 1), ops.stack([y, above], 1))
    step = ops.transpose(ops.sign(ahead - behind), (0, 2, 1))  # (batch, joints, 2)
    # Strict on both sides, in both axes at once: kept, the published AP depends on it.
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    return ops.where(inside[..., None], 0.25 * step, 0.0)


def _dark_offset(heatmaps: Tensor, x: Tensor, y: Tensor, kernel: int) -> Tensor:
    """(batch, joints, 2): one Newton step on the logarithm of the smoothed map.

    The published code smooths the whole map and scales it back to its old maximum. A factor is a
    constant under the logarithm, so the 5 x 5 cells around the peak are all that is needed.
    Where the smoothed map has no maximum there (a saddle, a plain, nothing positive), or the step
    would leave these cells, the peak stays where it is; the published code divides by any Hessian
    that is not exactly singular.
    """
    height, width = ops.shape(heatmaps)[1:3]
    log = ops.log(_smooth_around(heatmaps, x, y, gaussian_kernel(kernel)))  # (batch, 5, 5, joints)
    dx, dy = (log[:, 2, 3] - log[:, 2, 1]) / 2, (log[:, 3, 2] - log[:, 1, 2]) / 2
    dxx = (log[:, 2, 4] - 2 * log[:, 2, 2] + log[:, 2, 0]) / 4
    dyy = (log[:, 4, 2] - 2 * log[:, 2, 2] + log[:, 0, 2]) / 4
    dxy = (log[:, 3, 3] - log[:, 1, 3] - log[:, 3, 1] + log[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    is_maximum = (determinant > 0) & (dxx < 0)
    divisor = ops.where(is_maximum, determinant, 1.0)
    step = ops.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1) / divisor[..., None]
    stays = ops.all(ops.abs(step) <= 2, axis=-1)
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return ops.where((is_maximum & stays & inside)[..., None], step, 0.0)


def _smooth_around(heatmaps: Tensor, x: Tensor, y: Tensor, kernel: list[float]) -> Tensor:
    """The 5 x 5 cells around each peak of the smoothed map, as shares of their maximum.

    Args:
        heatmaps: (batch, height, width, joints).
        x: (batch, joints) int32. Within 2 cells of a border the window is moved inside the map.
        y: the same shape.
        kernel: of odd length. Beyond the border it sees zeros.

    Returns:
        (batch, 5, 5, joints), at least 1e-10.
    """
    height, width = ops.shape(heatmaps)[1:3]
    radius = len(kernel) // 2
    padded = ops.pad(heatmaps, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    reach = ops.arange(5 + 2 * radius, dtype="int32")[None, :, None]
    # A padded cell stands `radius` further, so the patch starts 2 cells before the peak.
    columns = ops.clip(x, 2, width - 3)[:, None, :] - 2 + reach
    rows = ops.clip(y, 2, height - 3)[:, None, :] - 2 + reach
    patch = take_cells(padded, columns[:, None, :, :], rows[:, :, None, :])
    # Slices and sums, not a matrix product, which GPUs may do in 10-bit mantissas.
    smooth = sum(weight * patch[:, k : k + 5] for k, weight in enumerate(kernel))
    smooth = sum(weight * smooth[:, :, k : k + 5] for k, weight in enumerate(kernel))
    highest = ops.max(smooth, axis=(1, 2), keepdims=True)
    share = smooth / ops.where(highest > 0, highest, 1.0)
    return ops.maximum(share, 1e-10)  # (batch, 5, 5, joints)
