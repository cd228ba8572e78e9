"""Heatmaps with one bump per person, on cells whose centres lie between the pixels, and back.

Li, Xiang, Chen, Wang, "Greedy Offset-Guided Keypoint Grouping for Human Pose Estimation", 2021.

The one convention a reader must know: cell i stands at pixel stride * i + (stride - 1) / 2, where
pixel centres are whole numbers. The way back looks for peaks among the pixels of the picture, to
whose resolution the maps are brought (`resampling`); there is no further step. Maps are (batch,
height, width, joints). Everything here is `keras.ops`.
"""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from keras import ops

from .resampling import TAPS, ResizeMode, pad_edges, tap_weights, upsample

Tensor = Any  # a tensor of whichever backend Keras runs on
Search = Literal["sparse", "dense"]

# Cells on each side of its own that a pixel of a cell, or the pixel beside it, reads.
_REACH = 2
# As a share of the highest cell: above the rounding of a product of 11-bit numbers.
_MARGIN = 2e-3


class Peaks(NamedTuple):
    """The highest peaks of each map, the highest first.

    Attributes:
        x: (batch, joints, candidates) int32, a pixel of the picture; 0 beyond the last peak.
        y: the same shape.
        scores: the same shape, float32, height of the peak; 0 beyond the last one.
        count: (batch, joints) int32, of all peaks that reach the threshold, also those that found
            no place.
    """

    x: Tensor
    y: Tensor
    scores: Tensor
    count: Tensor


def cell_centres(cells: int | Tensor, stride: int) -> Tensor:
    """(cells,) float32: the pixel at which each cell stands."""
    return ops.arange(cells, dtype="float32") * stride + (stride - 1) / 2


def window(position_px: Tensor, size: int, stride: int) -> tuple[Tensor, Tensor]:
    """The cells lo, ..., hi - 1 that a joint writes into along one axis.

    Args:
        position_px: (...) in pixels.
        size: of the window in cells. Kept: halves are rounded to even, so that an odd window is up
            to one cell narrower or wider.
        stride: pixels per cell.

    Returns:
        lo and hi (...), whole numbers in float32, not cut at the border.
    """
    place = position_px / stride
    return ops.round(place - size / 2), ops.round(place + size / 2)


def inside_window(position_px: Tensor, size: int, cells: int | Tensor, stride: int) -> Tensor:
    """(..., cells) bool: the cells of `window`."""
    low, high = window(position_px, size, stride)
    cell = ops.arange(cells, dtype="float32")
    return ops.logical_and(cell >= low[..., None], cell < high[..., None])


def encode_centred_heatmaps(
    keypoints: Tensor, *, input_hw: tuple[Any, Any], stride: int, sigma_px: float, clip: float
) -> Tensor:
    """Render the bumps of all people; where they overlap, the higher one stays.

    Args:
        keypoints: (batch, people, joints, 3), x px, y px, visibility; 0 is not drawn. A joint just
            outside the picture draws inside it.
        input_hw: height and width of the picture in pixels, multiples of the stride.
        stride: pixels per cell.
        sigma_px: of the Gaussian, in pixels, for all joints.
        clip: lower values become 0, and the window ends where the bump falls to it.

    Returns:
        (batch, height / stride, width / stride, joints) float32, 0..1.
    """
    size = 2 * ceil(sqrt(-2 * sigma_px**2 * log(clip)) / stride)
    rows, columns = input_hw[0] // stride, input_hw[1] // stride
    batch, people, joints = ops.shape(keypoints)[:3]

    def axis_bumps(position_px: Tensor, cells: Tensor) -> Tensor:
        """(batch, joints, cells) of one person."""
        distance = cell_centres(cells, stride) - position_px[..., None]
        bump = ops.exp(ops.square(distance) / (-2 * sigma_px**2))
        return ops.where(inside_window(position_px, size, cells, stride), bump, 0.0)

    def add_person(person: Tensor, maps: Tensor) -> Tensor:
        points = ops.take(keypoints, person, axis=1)  # (batch, joints, 3)
        across = axis_bumps(points[..., 0], columns)
        down = axis_bumps(points[..., 1], rows)
        down = ops.where((points[..., 2] > 0)[..., None], down, 0.0)
        bump = (
            ops.transpose(down, (0, 2, 1))[:, :, None] * ops.transpose(across, (0, 2, 1))[:, None]
        )
        return ops.maximum(maps, ops.where(bump < clip, 0.0, bump))

    empty = ops.zeros((batch, rows, columns, joints), "float32")
    return ops.fori_loop(0, count_present(keypoints, people), add_person, empty)


def count_present(keypoints: Tensor, people: Tensor) -> Tensor:
    """() int32: rows up to the last one in which any picture of the batch has a labelled joint."""
    present = ops.any(keypoints[..., 2] > 0, axis=(0, 2))  # (people,)
    return ops.max(ops.where(present, ops.arange(people, dtype="int32") + 1, 0), initial=0)


def find_centred_peaks(
    heatmaps: Tensor,
    *,
    stride: int,
    mode: ResizeMode,
    threshold: float,
    candidates: int,
    search: Search = "sparse",
) -> Peaks:
    """The peaks of maps that are brought to the resolution of the picture.

    A pixel is a peak where none of its eight neighbours is higher, zeros outside the picture
    included; every pixel of a plateau is one.

    Args:
        heatmaps: (batch, height, width, joints).
        stride: pixels per cell.
        mode: how maps are brought to the resolution of the picture.
        threshold: the lowest height of a peak, positive.
        candidates: peaks per map that are returned.
        search: `dense` looks at every pixel; `sparse` only at those of cells around which the map
            is high enough for a peak, with the same result. Its shapes depend on the data, which
            XLA does not allow.

    Raises:
        ValueError: another search, or a threshold that is not positive.
    """
    if search not in ("sparse", "dense"):
        raise ValueError(f"search must be sparse or dense. Received {search!r}.")
    if threshold <= 0:
        raise ValueError(f"threshold must be positive. Received {threshold}.")
    heatmaps = ops.cast(heatmaps, "float32")
    look = _search_cells if search == "sparse" else _search_pixels
    index, scores, count = look(heatmaps, stride, mode, threshold, candidates)
    width = ops.shape(heatmaps)[2] * stride
    # Backends differ in how they order NaN: the caller is told by the scores.
    broken = ops.any(ops.isnan(heatmaps), axis=(1, 2))[..., None]  # (batch, joints, 1)
    return Peaks(index % width, index // width, ops.where(broken, np.nan, scores), count)


def keep_peaks(pixels: Tensor) -> Tensor:
    """Pixels (batch, height, width, joints) that are not peaks become 0."""
    padded = ops.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)))
    highest = ops.max_pool(padded, 3, 1, "valid", data_format="channels_last")
    return ops.where(pixels == highest, pixels, 0.0)


def _search_pixels(
    heatmaps: Tensor, stride: int, mode: ResizeMode, threshold: float, candidates: int
) -> tuple[Tensor, Tensor, Tensor]:
    peaks = keep_peaks(upsample(heatmaps, stride, mode))
    batch, height, width, joints = ops.shape(peaks)
    flat = ops.reshape(ops.transpose(peaks, (0, 3, 1, 2)), (batch, joints, height * width))
    scores, index = ops.top_k(flat, candidates)
    high = scores >= threshold
    count = ops.sum(ops.cast(flat >= threshold, "int32"), axis=-1)
    return (
        ops.where(high, ops.cast(index, "int32"), 0),
        ops.where(high, scores, 0.0),
        count,
    )


def _search_cells(
    heatmaps: Tensor, stride: int, mode: ResizeMode, threshold: float, candidates: int
) -> tuple[Tensor, Tensor, Tensor]:
    batch, height, width, joints = ops.shape(heatmaps)
    place = ops.nonzero(_may_reach(heatmaps, stride, mode, threshold))
    patch = _patches_around(pad_edges(pad_edges(heatmaps, 1), 2), place)
    _, rows, columns, _ = place
    at_border = (rows == 0) | (rows == height - 1) | (columns == 0) | (columns == width - 1)
    likely = ops.nonzero(_may_peak(patch, at_border, stride, mode, threshold))[0]
    image, row, column, joint = (ops.take(part, likely) for part in place)
    tall = _interpolate(ops.take(patch, likely, axis=2), stride, mode)
    wide = _interpolate(ops.transpose(tall, (1, 0, 2)), stride, mode)
    pixels = ops.transpose(wide, (1, 0, 2))
    # (stride + 2, stride + 2, cells): those of each cell with one more on all sides
    side = ops.arange(-1, stride + 1, dtype="int32")[:, None]
    y, x = row * stride + side, column * stride + side
    inside_y = ops.logical_and(y >= 0, y < height * stride)
    inside_x = ops.logical_and(x >= 0, x < width * stride)
    pixels = ops.where(ops.logical_and(inside_y[:, None], inside_x[None]), pixels, 0.0)
    own = pixels[1:-1, 1:-1]
    peak = ops.logical_and(own == _highest_of_nine(pixels), own >= threshold)
    down, across, cell = ops.nonzero(peak)
    flat = (down * stride + across) * ops.shape(likely)[0] + cell
    scores = ops.take(ops.reshape(own, (-1,)), flat)
    index = (ops.take(row, cell) * stride + down) * (width * stride)
    index = index + ops.take(column, cell) * stride + across
    group = ops.take(image * joints + joint, cell)
    return _rank(scores, index, group, (batch, joints, candidates))


def _may_reach(heatmaps: Tensor, stride: int, mode: ResizeMode, threshold: float) -> Tensor:
    """(batch, height, width, joints) bool: cells of which a pixel can be as high as the threshold.

    A pixel is a sum of cells near its own with weights of both signs; it is largest where all
    weights above 0 meet the highest cell and all below 0 the lowest.
    """
    _, weights = tap_weights(stride, mode)
    above = float(np.maximum(weights, 0).sum(axis=1).max())
    below = float(np.maximum(-weights, 0).sum(axis=1).max())
    size = 2 * _REACH + 1

    def highest(maps: Tensor) -> Tensor:
        return ops.max_pool(maps, size, 1, "same", data_format="channels_last")

    bound = (above**2 + below**2) * ops.maximum(highest(heatmaps), 0.0)
    bound = bound + 2 * above * below * ops.maximum(highest(-heatmaps), 0.0)
    return bound * (1 + 1e-5) >= threshold  # rounding must not lose a pixel


def _patches_around(padded: Tensor, place: tuple[Tensor, ...]) -> Tensor:
    """(5, 5, cells): some cells of padded maps and those around them.

    Cells come last, here and below, so that what is done to all of them runs through memory.
    """
    image, row, column, joint = place
    _, height, width, joints = ops.shape(padded)
    flat = ops.reshape(padded, (-1,))
    first = ((image * height + row) * width + column) * joints + joint
    near = range(2 * _REACH + 1)
    lines = [[ops.take(flat, first + (y * width + x) * joints) for x in near] for y in near]
    return ops.stack([ops.stack(line) for line in lines])


def _may_peak(
    patch: Tensor, at_border: Tensor, stride: int, mode: ResizeMode, threshold: float
) -> Tensor:
    """(cells,) bool: around which cells a pixel is as high as the threshold and its neighbours.

    One matrix product makes all pixels at once. It rounds otherwise than sums in order do (on a
    GPU to 11 bits), so that a margin is left, and the cells that remain are looked at again.
    """
    side = stride + 2
    identity = np.eye(2 * _REACH + 1, dtype=np.float32)
    axis = np.asarray(_interpolate_numpy(identity, stride, mode))  # (stride + 2, 5)
    kernel = np.einsum("yr,xc->yxrc", axis, axis).reshape(side * side, identity.size)
    flat = ops.reshape(patch, (identity.size, -1))
    margin = _MARGIN * ops.max(ops.abs(flat), axis=0, initial=0.0)
    pixels = ops.reshape(ops.matmul(kernel, flat), (side, side, -1))
    own = pixels[1:-1, 1:-1]
    # Beyond the border there are zeros, not what the product makes there.
    higher = ops.logical_or(own + 2 * margin >= _highest_of_nine(pixels), at_border)
    return ops.any(ops.logical_and(own + margin >= threshold, higher), axis=(0, 1))


def _highest_of_nine(pixels: Tensor) -> Tensor:
    """(height - 2, width - 2, cells): the highest of each inner pixel and its eight neighbours."""
    tallest = ops.maximum(ops.maximum(pixels[:-2], pixels[1:-1]), pixels[2:])
    return ops.maximum(ops.maximum(tallest[:, :-2], tallest[:, 1:-1]), tallest[:, 2:])


def _interpolate_numpy(values: np.ndarray, stride: int, mode: ResizeMode) -> np.ndarray:
    """(stride + 2, n): what `_interpolate` makes of axis 0 of (5, n)."""
    first, weights = tap_weights(stride, mode)
    pixels = np.zeros((stride + 2, values.shape[1]), np.float32)
    for number, pixel in enumerate(range(-1, stride + 1)):
        cell, phase = divmod(pixel, stride)
        start = _REACH + cell + int(first[phase])
        for tap in range(TAPS):
            if weights[phase, tap]:
                pixels[number] += weights[phase, tap] * values[start + tap]
    return pixels


def _interpolate(patch: Tensor, stride: int, mode: ResizeMode) -> Tensor:
    """Axis 0 from the five cells around one to its pixels and one more on both sides."""
    first, weights = tap_weights(stride, mode)
    pixels = []
    for pixel in range(-1, stride + 1):
        cell, phase = divmod(pixel, stride)
        start = _REACH + cell + int(first[phase])
        taps = [float(weights[phase, t]) * patch[start + t] for t in range(TAPS)
                if weights[phase, t]]  # fmt: skip
        pixels.append(sum(taps[1:], start=taps[0]))
    return ops.stack(pixels)


def _rank(
    scores: Tensor, index: Tensor, group: Tensor, shape: tuple[Tensor, Tensor, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Peaks in any order to the highest of each map, equal ones by their place."""
    batch, joints, candidates = shape
    order = ops.argsort(index)
    order = ops.take(order, ops.argsort(-ops.take(scores, order)))
    order = ops.take(order, ops.argsort(ops.take(group, order)))
    scores, index, group = (ops.take(values, order) for values in (scores, index, group))
    count = ops.scatter(group[:, None], ops.ones_like(group), (batch * joints,))
    start = ops.cumsum(count) - count
    rank = ops.arange(ops.shape(group)[0], dtype="int32") - ops.take(start, group)
    slots = batch * joints * candidates
    # Those without a place go to one slot more, which is cut off.
    slot = ops.where(rank < candidates, group * candidates + rank, slots)[:, None]

    def place(values: Tensor) -> Tensor:
        return ops.reshape(ops.scatter(slot, values, (slots + 1,))[:-1], shape)

    return place(index), place(scores), ops.reshape(count, (batch, joints))
