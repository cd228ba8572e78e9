"""Whole pictures as network input: resized by a rule and padded.

The one convention a reader must know: pictures are resized with half-pixel alignment, coordinates
by (new size - 1) / (old size - 1). Kept: SimplePose V2's published AP depends on it. Under
`pillow_linear` coordinates are multiplied by the factor, as in pose-tensorflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..structures import View
from .pillow_resize import resize_like_pillow

IMAGE_RULES = ("long_edge", "fixed_height", "scale", "whole")
_INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
#: The antialiased interpolation, whose coordinates are those of the picture times the factor.
_PILLOW = "pillow_linear"
#: Pixels of a view; one feature map of a usual network then fills some GiB.
MAX_PIXELS = 2**24


@dataclass(frozen=True)
class PicturePlacement:
    """Where a picture stands in its view.

    Attributes:
        resized_hw: height and width of the picture in the view.
        view_hw: height and width of the view.
        left_top: of the picture in the view, px.
        matrix: (2, 3) float64, picture to view.
    """

    resized_hw: tuple[int, int]
    view_hw: tuple[int, int]
    left_top: tuple[int, int]
    matrix: np.ndarray


def check_image_view(view: View) -> None:
    """Refuse a view that image samples cannot make.

    Raises:
        ValueError: another rule or interpolation, a length that is no multiple of the stride where
            the view is as long, or a person's augmentation.
    """
    if view.rule not in IMAGE_RULES:
        raise ValueError(
            f"view.rule of image samples must be one of {', '.join(IMAGE_RULES)}. Received "
            f"{view.rule}; the system's SAMPLE says which samples it takes."
        )
    if view.interpolation == _PILLOW and view.rule not in ("scale", "whole"):
        raise ValueError(
            f"view.interpolation={_PILLOW} is for the rules scale and whole. Received {view.rule}; "
            f"take {' or '.join(_INTERPOLATIONS)}."
        )
    if view.rule == "long_edge" and view.length % view.stride:
        raise ValueError(
            f"view.length of the rule long_edge must be a multiple of the stride {view.stride}. "
            f"Received {view.length}."
        )
    if view.augmentation != type(view.augmentation)():
        raise ValueError(
            "view.augmentation is of people's views. Image samples are changed by "
            "view.picture_augmentation; set the former back."
        )


def has_one_size(view: View) -> bool:
    """Whether the views of all pictures have the same size, so that they fit into one batch."""
    return view.rule == "long_edge"


def place_picture(size_hw: tuple[int, int], view: View) -> PicturePlacement:
    """Where a picture stands in its view.

    `long_edge` centres it in a square, the others pad right and below.

    Args:
        size_hw: height and width of the picture.
        view: gives rule, length, factor and stride.

    Raises:
        ValueError: the view would be too large.
    """
    height, width = size_hw
    # A side is at least one pixel, however thin the picture is.
    if view.rule == "long_edge":
        scale = view.length / max(height, width)
        if height > width:
            resized = view.length, max(int(width * scale), 1)
        else:
            resized = max(int(height * scale), 1), view.length
        padded = view.length, view.length
        left, top = int((view.length - resized[1]) / 2), int((view.length - resized[0]) / 2)
    else:
        resized, (left, top) = _resize(size_hw, view), (0, 0)
        padded = (
            -(-resized[0] // view.stride) * view.stride,
            -(-resized[1] // view.stride) * view.stride,
        )
    if padded[0] * padded[1] > MAX_PIXELS:
        raise ValueError(
            f"The view of a picture must have at most {MAX_PIXELS} pixels. Received a picture of "
            f"{width}x{height}, whose view by the rule {view.rule} has {padded[1]}x{padded[0]}; "
            "--set view.rule=long_edge bounds it."
        )
    matrix = np.zeros((2, 3))
    if view.interpolation == _PILLOW:
        matrix[0, 0] = matrix[1, 1] = view.factor if view.rule == "scale" else 1.0
    else:
        matrix[0, 0], matrix[1, 1] = _stretch(resized[1], width), _stretch(resized[0], height)
    matrix[:, 2] = left, top
    return PicturePlacement(resized, padded, (left, top), matrix)


def _resize(size_hw: tuple[int, int], view: View) -> tuple[int, int]:
    height, width = size_hw
    if view.rule == "fixed_height":
        return view.length, max(int(width * view.length / height), 1)
    if view.rule == "scale":
        return max(int(height * view.factor), 1), max(int(width * view.factor), 1)
    return height, width


def _stretch(new: int, old: int) -> float:
    """The factor on coordinates; of a single pixel that on sizes."""
    return (new - 1) / (old - 1) if old > 1 and new > 1 else new / old


def view_picture(pixels: np.ndarray, placement: PicturePlacement, view: View) -> np.ndarray:
    """Resize and pad a picture.

    Args:
        pixels: (height, width, 3) uint8 RGB.
        placement: of this picture.
        view: gives interpolation and border colour.

    Returns:
        (view height, view width, 3) uint8.
    """
    height, width = placement.resized_hw
    if pixels.shape[:2] != placement.resized_hw and view.interpolation == _PILLOW:
        pixels = resize_like_pillow(pixels, placement.resized_hw)
    elif pixels.shape[:2] != placement.resized_hw:
        flags = _INTERPOLATIONS[view.interpolation]
        pixels = cv2.resize(pixels, (width, height), interpolation=flags)
    if placement.resized_hw == placement.view_hw:
        return pixels
    framed = np.full((*placement.view_hw, 3), view.border_rgb, np.uint8)
    left, top = placement.left_top
    framed[top : top + height, left : left + width] = pixels
    return framed
