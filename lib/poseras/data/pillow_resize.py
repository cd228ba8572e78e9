"""Pillow's bilinear resizing of 8-bit pictures, bit for bit, in NumPy.

Two passes, columns first, each rounded to 8 bits and left out where its size stays. A shrunken
picture is the mean over a triangle as wide as the shrinkage: antialiased, which OpenCV's linear
interpolation is not. A pixel's centre lies at its index plus one half.

Source: Pillow's `Resample.c` (equal results for versions 9 and later).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Weights are whole numbers of this many binary digits behind the point.
_DIGITS = 22


def resize_like_pillow(pixels: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize a picture.

    Args:
        pixels: (height, width) or (height, width, channels) uint8.
        size_hw: the new height and width, at least 1.

    Returns:
        The same kind of array in the new size.
    """
    height, width = size_hw
    if pixels.shape[1] != width:
        pixels = _resize_axis(pixels, 1, width)
    if pixels.shape[0] != height:
        pixels = _resize_axis(pixels, 0, height)
    return pixels


def _resize_axis(pixels: np.ndarray, axis: int, size: int) -> np.ndarray:
    taps, weights = _make_taps(pixels.shape[axis], size)
    shape = [1] * pixels.ndim
    shape[axis] = size
    total = np.full(shape, 1 << (_DIGITS - 1), np.int32)  # rounds half up
    for tap, weight in zip(taps, weights, strict=True):
        total = total + pixels.take(tap, axis).astype(np.int32) * weight.reshape(shape)
    return np.clip(total >> _DIGITS, 0, 255).astype(np.uint8)


@lru_cache(maxsize=256)
def _make_taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Which old pixels make a new one, and with which weights; (taps, new) each."""
    ratio = old / new
    reach = max(ratio, 1.0)
    centres = (np.arange(new) + 0.5) * ratio
    first = np.maximum((centres - reach + 0.5).astype(np.int64), 0)
    behind = np.minimum((centres + reach + 0.5).astype(np.int64), old)
    taps = first + np.arange((behind - first).max())[:, None]
    weights = np.maximum(1 - np.abs((taps - centres + 0.5) / reach), 0.0) * (taps < behind)
    weights /= weights.sum(axis=0)
    whole = (weights * (1 << _DIGITS) + 0.5).astype(np.int32)
    return np.minimum(taps, old - 1), whole
