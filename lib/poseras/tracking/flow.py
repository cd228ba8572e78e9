"""Optical flow between successive pictures, and points that it moves.

Pictures are shrunk and grey: people move as a whole, and joints need the flow to a few pixels. The
flow is measured forward and backward, and a point is moved only where both agree; where somebody
disappears behind something the backward flow belongs to what stands in front.

Source: Fast Optical Flow using Dense Inverse Search, Kroeger et al., ECCV 2016 (OpenCV's DIS);
forward-backward consistency: Sundaram, Brox and Keutzer, ECCV 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Disagreement of the two flows, in shrunk pixels and as a share of both lengths squared.
#: Sundaram et al. give 0.5 and 0.01.
_TOLERANCE_PX2, _TOLERANCE_SHARE = 0.5, 0.01


@dataclass(frozen=True)
class FlowField:
    """Where the pixels of one picture are in the next.

    Attributes:
        forward: (height, width, 2) float32, x before y, in shrunk pixels.
        backward: the same from the next picture to the one before.
        scale: shrunk pixels per pixel of the picture, (2,) x before y.
    """

    forward: np.ndarray
    backward: np.ndarray
    scale: np.ndarray

    def move(self, points_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Displacement of points of the first picture.

        Args:
            points_px: (..., 2) finite, x before y, in pixels of the original picture.

        Returns:
            (..., 2) displacement in the same pixels, and (...) bool: both flows agree there.
            Outside the pictures nothing agrees.
        """
        # Pixel centres: the middle of the first shrunk pixel is (0, 0) in both grids.
        start = (points_px + 0.5) * self.scale - 0.5
        step, inside = _sample(self.forward, start)
        finite = np.isfinite(step).all(axis=-1)  # DIS gives NaN in pictures a few pixels high
        step = np.where(finite[..., None], step, 0.0)
        back, inside_after = _sample(self.backward, start + step)
        gap = ((step + back) ** 2).sum(axis=-1)
        lengths = (step**2).sum(axis=-1) + (back**2).sum(axis=-1)
        agree = gap <= _TOLERANCE_SHARE * lengths + _TOLERANCE_PX2
        return step / self.scale, agree & inside & inside_after & finite


class FlowMeter:
    """Measures the flow from each picture to the next one.

    Attributes:
        length_px: longer side of the shrunk pictures; smaller pictures stay as they are.
    """

    def __init__(self, length_px: int):
        self.length_px = length_px
        self._size_hw: tuple[int, int] | None = None
        self._grey: np.ndarray | None = None
        self._dis: Any = None

    def advance(self, image_rgb: np.ndarray) -> FlowField | None:
        """The flow from the last picture to this one.

        Returns:
            None at the first picture, and where the size of the pictures changes.

        Raises:
            ValueError: not a (height, width, 3) uint8 picture.
        """
        import cv2  # settings and motion without pictures do without it

        if image_rgb.ndim != 3 or image_rgb.shape[-1] != 3 or image_rgb.dtype != np.uint8:
            raise ValueError(
                "image_rgb must be a (height, width, 3) uint8 picture. "
                f"Received {image_rgb.shape} {image_rgb.dtype}."
            )
        before, size_before = self._grey, self._size_hw
        self._grey, self._size_hw = self._shrink(image_rgb), image_rgb.shape[:2]
        if before is None or size_before != self._size_hw:
            return None
        if self._dis is None:
            self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        shrunk_hw = self._grey.shape
        return FlowField(
            forward=self._dis.calc(before, self._grey, None),
            backward=self._dis.calc(self._grey, before, None),
            scale=np.array(shrunk_hw[::-1]) / np.array(self._size_hw[::-1]),
        )

    def reset(self) -> None:
        """Forget the last picture."""
        self._grey, self._size_hw = None, None

    def _shrink(self, image_rgb: np.ndarray) -> np.ndarray:
        """(height, width) uint8 grey."""
        import cv2

        grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
        height, width = grey.shape
        scale = min(1.0, self.length_px / max(height, width))
        # DIS works on patches of 8 pixels at several scales and refuses less.
        size_wh = (max(round(width * scale), 16), max(round(height * scale), 16))
        return cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA)


def _sample(field: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values (..., 2) of a field (height, width, 2), and which points lie inside it."""
    height, width = field.shape[:2]
    limit = np.array([width - 1, height - 1])
    inside = np.all((points >= -0.5) & (points <= limit + 0.5), axis=-1)
    clipped = np.clip(points, 0, limit)
    low = np.minimum(np.floor(clipped).astype(np.int64), limit - 1)
    x, y = low[..., 0], low[..., 1]
    right, down = np.moveaxis(clipped - low, -1, 0)[..., None]  # (..., 1) each
    top = field[y, x] * (1 - right) + field[y, x + 1] * right
    bottom = field[y + 1, x] * (1 - right) + field[y + 1, x + 1] * right
    return top * (1 - down) + bottom * down, inside
