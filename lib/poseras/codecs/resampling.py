"""Maps brought to the resolution of the picture: whole, or read at some pixels alone.

The one convention a reader must know: the centre of cell i lies at pixel factor * i +
(factor - 1) / 2, and cells beyond the border repeat the outermost one, as in
`torch.nn.functional.interpolate(align_corners=False)`. Its cubic has A = -0.75, as OpenCV's;
TensorFlow's and Keras' resize with A = -0.5 and differ by up to 0.3 of a peak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from keras import ops

Tensor = Any  # a tensor of whichever backend Keras runs on
ResizeMode = Literal["bicubic", "bilinear"]

TAPS = 4
_A = -0.75


@lru_cache(maxsize=8)
def tap_weights(factor: int, mode: ResizeMode) -> tuple[np.ndarray, np.ndarray]:
    """The cells that each pixel of a cell reads, and their shares.

    Args:
        factor: pixels per cell.
        mode: `bicubic` or `bilinear`.

    Returns:
        first (factor,) int: the first of four neighbouring cells, relative to the pixel's own;
        weights (factor, 4) float32, whose outer two are 0 for `bilinear`.

    Raises:
        ValueError: another mode.
    """
    if mode not in ("bicubic", "bilinear"):
        raise ValueError(f"mode must be bicubic or bilinear. Received {mode!r}.")
    position = (np.arange(factor) + 0.5) / factor - 0.5
    base = np.floor(position).astype(int)
    distance = np.abs((position - base)[:, None] - np.arange(-1, 3))  # (factor, 4)
    if mode == "bilinear":
        weights = np.maximum(1 - distance, 0)
    else:
        near = (_A + 2) * distance**3 - (_A + 3) * distance**2 + 1
        far = _A * (distance**3 - 5 * distance**2 + 8 * distance - 4)
        weights = np.where(distance <= 1, near, np.where(distance < 2, far, 0))
    return base - 1, weights.astype(np.float32)


def upsample(maps: Tensor, factor: int, mode: ResizeMode) -> Tensor:
    """Maps at the resolution of the picture.

    Args:
        maps: (batch, height, width, channels).
        factor: pixels per cell.
        mode: how pixels between cell centres come about.

    Returns:
        (batch, factor * height, factor * width, channels).
    """
    return _upsample_axis(_upsample_axis(maps, 1, factor, mode), 2, factor, mode)


def _upsample_axis(maps: Tensor, axis: int, factor: int, mode: ResizeMode) -> Tensor:
    first, weights = tap_weights(factor, mode)
    shape = ops.shape(maps)
    padded = pad_edges(maps, axis)
    phases = []
    for phase in range(factor):
        # Sums in this order, here and where single pixels are read: equal to the last bit.
        taps = [
            float(weight) * _slice(padded, axis, 2 + int(first[phase]) + tap, shape[axis])
            for tap, weight in enumerate(weights[phase])
            if weight
        ]
        phases.append(sum(taps[1:], start=taps[0]))
    stacked = ops.stack(phases, axis=axis + 1)
    return ops.reshape(stacked, (*shape[:axis], shape[axis] * factor, *shape[axis + 1 :]))


def _slice(maps: Tensor, axis: int, start: int, length: Tensor) -> Tensor:
    return maps[:, start : start + length] if axis == 1 else maps[:, :, start : start + length]


def pad_edges(maps: Tensor, axis: int) -> Tensor:
    """Two more cells on both sides of an axis, which repeat the outermost one."""
    if axis == 1:
        first, last = maps[:, :1], maps[:, -1:]
    else:
        first, last = maps[:, :, :1], maps[:, :, -1:]
    return ops.concatenate([first, first, maps, last, last], axis=axis)


def sample_pixels(maps: Tensor, x: Tensor, y: Tensor, factor: int, mode: ResizeMode) -> Tensor:
    """The values that `upsample` would give at some pixels, without upsampling anything else.

    Args:
        maps: (batch, height, width, channels, values).
        x: (batch, channels, points) int32, pixels inside the picture.
        y: the same shape.
        factor: pixels per cell.
        mode: as in `upsample`.

    Returns:
        (batch, channels, points, values).
    """
    columns, column_weights = _taps_of(x, factor, ops.shape(maps)[2], mode)
    rows, row_weights = _taps_of(y, factor, ops.shape(maps)[1], mode)
    lines = [
        _weighted_sum(column_weights, [_take(maps, column, row) for column in columns])
        for row in rows
    ]
    return _weighted_sum(row_weights, lines)


def _taps_of(
    pixel: Tensor, factor: int, length: Tensor, mode: ResizeMode
) -> tuple[list[Tensor], list[Tensor]]:
    """Cells (batch, channels, points), and their weights with one more axis, tap by tap."""
    first, weights = tap_weights(factor, mode)
    phase = pixel % factor
    start = pixel // factor + ops.take(ops.convert_to_tensor(first.astype(np.int32)), phase)
    used = [tap for tap in range(TAPS) if weights[:, tap].any()]
    cells = [ops.clip(start + tap, 0, length - 1) for tap in used]
    shares = [ops.take(ops.convert_to_tensor(weights[:, tap]), phase)[..., None] for tap in used]
    return cells, shares


def _weighted_sum(weights: list[Tensor], values: list[Tensor]) -> Tensor:
    products = [weight * value for weight, value in zip(weights, values, strict=True)]
    return sum(products[1:], start=products[0])


def _take(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(batch, channels, points, values) at cells (batch, channels, points)."""
    batch, height, width, channels, values = ops.shape(maps)
    flat = ops.reshape(maps, (batch * height * width * channels, values))
    image = ops.arange(batch, dtype="int32")[:, None, None]
    channel = ops.arange(channels, dtype="int32")[None, :, None]
    return ops.take(flat, ((image * height + y) * width + x) * channels + channel, axis=0)


def resize_maps(
    maps: Tensor,
    size_hw: tuple[Tensor, Tensor],
    mode: ResizeMode,
    *,
    extent_hw: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Maps at another resolution, without smoothing where that is lower.

    Args:
        maps: (batch, height, width, ...).
        size_hw: height and width of the result in cells.
        mode: how values between cell centres come about.
        extent_hw: height and width of what the result shows, from the upper left corner, in cells
            of `maps`, which need not be whole numbers; all of it by default.

    Returns:
        (batch, *size_hw, ...).
    """
    for axis, length in enumerate(size_hw, start=1):
        old = ops.shape(maps)[axis]
        extent = old if extent_hw is None else extent_hw[axis - 1]
        cells = ops.arange(length, dtype="float32") + 0.5
        position = cells * (ops.cast(extent, "float32") / ops.cast(length, "float32")) - 0.5
        base = ops.floor(position)
        shape = [-1 if place == axis else 1 for place in range(len(maps.shape))]
        taps = []
        for tap in range(-1, TAPS - 1):
            index = ops.clip(ops.cast(base, "int32") + tap, 0, old - 1)
            weight = _tap_weight(ops.abs(position - base - tap), mode)
            taps.append(ops.reshape(weight, shape) * ops.take(maps, index, axis=axis))
        maps = sum(taps[1:], start=taps[0])
    return maps


def average_scales(
    outputs: Sequence[Mapping[str, Tensor]], bring_to: Callable[[str, Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """The mean of what a network says of the same pictures in several sizes, by output.

    Args:
        outputs: for each size, the first of which decides grid and pixels.
        bring_to: the maps of an output, called by name, maps and target, in the grid and the pixels
            of the target.
    """
    first, *others = outputs
    merged = {}
    for name, maps in first.items():
        total = maps
        for other in others:
            total = total + bring_to(name, other[name], maps)
        merged[name] = total / len(outputs)
    return merged


def _tap_weight(distance: Tensor, mode: ResizeMode) -> Tensor:
    """Share of a cell at some distance, in cells."""
    if mode == "bilinear":
        return ops.maximum(1 - distance, 0.0)
    near = (_A + 2) * distance**3 - (_A + 3) * distance**2 + 1
    far = _A * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return ops.where(distance <= 1, near, ops.where(distance < 2, far, 0.0))
