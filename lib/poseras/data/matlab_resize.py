"""MATLAB's `imresize` of 8-bit pictures by a factor, bicubic, of a part of the result alone.

Two passes, rows first, each rounded to 8 bits. A shrunken picture is weighed with a kernel that is
as much wider: antialiased, which OpenCV's cubic interpolation is not. The picture is mirrored at
its border.

Source: MATLAB's documentation of `imresize`; Keys, "Cubic convolution interpolation", 1981, with
a = -0.5.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import coo_array, csr_array

#: Cells on each side of a new pixel that it reads where nothing is shrunk.
_REACH = 2.0


def resize_like_matlab(
    pixels: np.ndarray, factor: float, corners: tuple[int, int, int, int]
) -> np.ndarray:
    """Resize a picture, and cut a part out of the result.

    Args:
        pixels: (height, width, channels) uint8.
        factor: above 0; new pixels per old pixel.
        corners: x1, y1, x2, y2 in the resized picture, counted from 1, the last included.

    Returns:
        (y2 - y1 + 1, x2 - x1 + 1, channels) uint8.
    """
    x1, y1, x2, y2 = corners
    across = _weigh(pixels.shape[1], factor, x1, x2)
    down = _weigh(pixels.shape[0], factor, y1, y2)
    rows = _apply(down, pixels)
    return _apply(across, rows.swapaxes(0, 1)).swapaxes(0, 1)


def _apply(weights: csr_array, pixels: np.ndarray) -> np.ndarray:
    """Weighted sums of the rows of (rows, columns, channels), rounded half up."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float32)
    sums = np.clip(np.floor(weights @ flat + 0.5), 0, 255)
    return sums.astype(np.uint8).reshape(-1, *pixels.shape[1:])


def _weigh(size: int, factor: float, first: int, last: int) -> csr_array:
    """(new, old) float32: the shares of old pixels in the new ones, counted from 1."""
    squeeze = min(factor, 1.0)
    places = (np.arange(first, last + 1)[:, None] - 0.5) / factor - 0.5
    taps = np.floor(places - _REACH / squeeze) + np.arange(math.ceil(2 * _REACH / squeeze) + 2)
    shares = _cubic(squeeze * np.abs(places - taps))
    shares /= shares.sum(axis=1, keepdims=True)
    old = taps.astype(np.int64) % (2 * size)
    old = np.where(old < size, old, 2 * size - 1 - old)
    new = np.broadcast_to(np.arange(len(taps))[:, None], taps.shape)
    entries = shares.ravel().astype(np.float32), (new.ravel(), old.ravel())
    return csr_array(coo_array(entries, shape=(len(taps), size)))


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance <= 2, far, 0.0))
