"""Whole pictures to learn from in sizes of their own: scaled, mirrored, never cut.

A joint is where its coordinates times the scale are, without a correction for half pixels, as
pose-tensorflow has it. Batches of several pictures are filled up to the right and below to the
smallest multiple of `BUCKET_PX` that holds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..picture_augmentation import PictureAugmentation
from ..structures import View
from .order import Order
from .pillow_resize import resize_like_pillow

BUCKET_PX = 64
#: So many batches are looked at together when pictures of alike sizes are put side by side.
_BATCHES_SORTED = 32


def resized_size(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of a picture times a scale, rounded down, at least one pixel."""
    return max(int(size_hw[0] * scale), 1), max(int(size_hw[1] * scale), 1)


def limit_scale(scale: float, size_hw: tuple[int, int], laws: PictureAugmentation) -> float:
    """A scale, lowered where the picture would have more than `laws.max_area_px`."""
    if not laws.max_area_px:
        return scale
    return min(scale, float(np.sqrt(laws.max_area_px / (size_hw[0] * size_hw[1]))))


def resize_matrix(
    scale: float, mirrored: bool, width: int, laws: PictureAugmentation
) -> np.ndarray:
    """(2, 3) float64, from a picture of some width to its resized view."""
    matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    if mirrored:
        matrix[0] = -scale, 0.0, scale * (width + laws.mirror_offset_px)
    return matrix


def resize_and_mirror(pixels: np.ndarray, scale: float, mirrored: bool) -> np.ndarray:
    """The view of a picture, or of a map of it.

    Args:
        pixels: (height, width) or (height, width, 3) uint8.
        scale: view pixels per picture pixel.
        mirrored: left to right.
    """
    if scale != 1:
        pixels = resize_like_pillow(pixels, resized_size(pixels.shape[:2], scale))
    return pixels[:, ::-1] if mirrored else pixels


def bucket_size(sizes_hw: np.ndarray) -> tuple[int, int]:
    """The size of a batch: of one picture its own, of more the bucket that holds all.

    Args:
        sizes_hw: (pictures, 2).
    """
    height, width = (int(side) for side in sizes_hw.max(axis=0))
    if len(sizes_hw) == 1:
        return height, width
    return -(-height // BUCKET_PX) * BUCKET_PX, -(-width // BUCKET_PX) * BUCKET_PX


def fill_up(pixels: np.ndarray, size_hw: tuple[int, int], value: object) -> np.ndarray:
    """A picture, or a map of it, in the left top corner of a larger one of one value."""
    if pixels.shape[:2] == size_hw:
        return pixels
    filled = np.empty((*size_hw, *pixels.shape[2:]), pixels.dtype)
    filled[:] = value
    filled[: pixels.shape[0], : pixels.shape[1]] = pixels
    return filled


def stack_resized(samples: Sequence[dict[str, np.ndarray]], view: View) -> dict[str, np.ndarray]:
    """The samples of a batch one upon the other, filled up to one size.

    Args:
        samples: without a batch axis.
        view: gives the colour of the padding.
    """
    sizes = np.array([sample["image"].shape[:2] for sample in samples], np.int32)
    size = bucket_size(sizes)
    padding = {"image": view.border_rgb, "ignore_mask": True}
    batch = {
        key: np.stack(
            [fill_up(s[key], size, padding[key]) if key in padding else s[key] for s in samples]
        )
        for key in samples[0]
    }
    return {**batch, "shown_hw": sizes}


@dataclass(frozen=True)
class BucketOrder(Order):
    """An order in which the pictures of a batch have alike sizes, so that little is padded.

    Of every so many batches of a pass' permutation the pictures are sorted by their buckets, and
    the batches are shuffled again.

    Attributes:
        sizes_hw: (samples, 2).
        batch: samples of a step of all devices.
    """

    sizes_hw: np.ndarray
    batch: int
    _passes: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Order.rows`."""
        passes, places = np.divmod(np.asarray(positions, np.int64), self.samples)
        rows = np.empty_like(places)
        for number in np.unique(passes):
            here = passes == number
            rows[here] = self._sorted_pass(int(number))[places[here]]
        return passes, rows

    def _sorted_pass(self, number: int) -> np.ndarray:
        """(samples,) int64; that of the newest pass is kept."""
        found = self._passes.get(number)
        if found is None:
            places = number * self.samples + np.arange(self.samples)
            found = self._sort(super().rows(places)[1], number)
            self._passes.clear()
            self._passes[number] = found
        return found

    def _sort(self, rows: np.ndarray, number: int) -> np.ndarray:
        buckets = -(-self.sizes_hw // BUCKET_PX)
        random = np.random.Generator(np.random.Philox(key=[self.seed & (2**64 - 1), number]))
        # The first pictures of a pass may still belong to the last batch of the pass before it.
        first = -number * self.samples % self.batch
        parts = [rows[:first]]
        for start in range(first, len(rows), self.batch * _BATCHES_SORTED):
            chunk = rows[start : start + self.batch * _BATCHES_SORTED]
            chunk = chunk[np.lexsort((buckets[chunk, 1], buckets[chunk, 0]))]
            whole = len(chunk) // self.batch * self.batch
            batches = chunk[:whole].reshape(-1, self.batch)
            parts += [random.permutation(batches).ravel(), chunk[whole:]]
        return np.concatenate(parts)
