"""Random changes of the colours and the sharpness of views; (height, width, 3) uint8 RGB."""

from __future__ import annotations

import cv2
import numpy as np

from ..structures import Augmentation
from .augment import Draws

_HUES = 180  # of OpenCV: two degrees each
_BLUR_SIZES_PX = (3, 5, 7)  # those of Albumentations' Blur


def turn_grey(image: np.ndarray) -> np.ndarray:
    """Three equal channels of luma, by Pillow's whole-number weights of ITU-R 601."""
    red, green, blue = (image[..., channel].astype(np.uint32) for channel in range(3))
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return np.repeat(luma.astype(np.uint8)[..., None], 3, axis=-1)


def tint(
    image: np.ndarray, hue: int, saturation: int, value: int, *, hue_wraps: bool = False
) -> np.ndarray:
    """Move the colours of a picture.

    Args:
        image: (height, width, 3) uint8 RGB.
        hue: added to hues of 0..179.
        saturation: added, 0..255.
        value: added, 0..255.
        hue_wraps: whether red follows violet. Kept: SimplePose V2 cut at both ends.
    """
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16)
    planes += np.array([hue, saturation, value], np.int16)
    if hue_wraps:
        planes[..., 0] %= _HUES
    planes = np.clip(planes, 0, [_HUES - 1, 255, 255]).astype(np.uint8)
    return cv2.cvtColor(planes, cv2.COLOR_HSV2RGB)


def change_colours(images: np.ndarray, draws: Draws, laws: Augmentation) -> None:
    """Tint, grey and blur people's views as the laws and the draws say, in place.

    Args:
        images: (samples, height, width, 3) uint8 RGB.
        draws: of these samples.
        laws: of the view.

    Source: hue, saturation and value as YOLOX, Ge et al., 2021, moves them, each half of the time;
    so RTMPose, Jiang et al., 2023, is trained.
    """
    if any(laws.hsv_delta):
        moves = np.where(draws.u_tint[:, :3] < 0.5, 2 * draws.u_tint[:, 3:] - 1, 0.0)
        moves = np.rint(moves * np.array(laws.hsv_delta)).astype(int)  # (samples, 3)
        for slot in np.flatnonzero(moves.any(axis=1)):
            images[slot] = tint(images[slot], *moves[slot].tolist(), hue_wraps=True)
    for slot in np.flatnonzero(draws.u_grey < laws.grey_probability):
        images[slot] = turn_grey(images[slot])
    for slot in np.flatnonzero(draws.u_blur[:, 0] < laws.blur_probability):
        side = _BLUR_SIZES_PX[int(draws.u_blur[slot, 1] * len(_BLUR_SIZES_PX))]
        images[slot] = cv2.blur(images[slot], (side, side))
