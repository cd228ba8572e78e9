"""From a picture file to a network's view: decode the window that the view needs, warp it once.

Most of the time of a pipeline goes into JPEG decoding. Persons cover a part of their picture, so
only the rectangle that the crop reads is decoded; TensorFlow's `DecodeAndCropJpeg` gives the very
pixels of a full decode there. The warp is OpenCV's, 10 times as fast as TensorFlow's on a CPU.
The table that decided this is printed by `bench/pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from ..geometry import invert_affine, transform_points
from ..structures import View
from .images import check_complete, decode_image, find_jpeg_frame, read_file

_INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
# Pixels beside the outermost sampling point that an interpolation reads.
_TAPS = {"linear": 1, "cubic": 2}
# A window above this share of the picture is decoded whole: cv2's call is then the cheaper one.
_WHOLE_FROM = 0.9


@dataclass(frozen=True)
class Picture:
    """One picture file, read and not yet decoded where it can be decoded in windows.

    Attributes:
        name: its path, for messages.
        size_hw: height and width of the stored pixels.
        data: the JPEG file; empty where `pixels` hold the whole picture.
        pixels: (height, width, 3) uint8 RGB, or None.
    """

    name: str
    size_hw: tuple[int, int]
    data: bytes = b""
    pixels: np.ndarray | None = None


def open_picture(path: str) -> Picture:
    """Read a picture file and, unless it is a common JPEG, decode it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is cut off, or no picture.
    """
    data = read_file(path)
    frame = find_jpeg_frame(data)
    if frame is None or not frame.decodes_windows:
        pixels = decode_image(data, path)
        return Picture(path, pixels.shape[:2], pixels=pixels)
    check_complete(data, path)
    return Picture(path, frame.size_hw, data)


def decode_window(picture: Picture, window_xyxy: Sequence[int]) -> np.ndarray:
    """The pixels of one rectangle of a picture, equal to those of a full decode.

    Args:
        picture: as `open_picture` gives it.
        window_xyxy: left, top, right, bottom in pixels, right and bottom exclusive, inside the
            picture and not empty.

    Returns:
        (bottom - top, right - left, 3) uint8, RGB.

    Raises:
        ValueError: the compressed data are damaged.
    """
    left, top, right, bottom = (int(side) for side in window_xyxy)
    height, width = picture.size_hw
    pixels = picture.pixels
    if pixels is None and (right - left) * (bottom - top) >= _WHOLE_FROM * height * width:
        pixels = decode_image(picture.data, picture.name)
    if pixels is not None:
        return pixels[top:bottom, left:right]
    # One column more on both sides: the outermost ones of a window lack the neighbour from which
    # libjpeg interpolates halved chroma. Rows are exact.
    first, last = max(0, left - 1), min(width, right + 1)
    try:
        # Arguments are given as tensors, which spares the op's slow way of converting them.
        decoded = tf.raw_ops.DecodeAndCropJpeg(
            contents=tf.constant(picture.data),
            crop_window=tf.constant([top, first, bottom - top, last - first], tf.int32),
            channels=3,
            dct_method="INTEGER_ACCURATE",  # as in OpenCV
        ).numpy()
    except tf.errors.InvalidArgumentError:
        raise ValueError(
            f"{picture.name} must hold JPEG data that can be decoded. Received damaged data; "
            "fetch the file again."
        ) from None
    return decoded[:, left - first : right - first]


def find_windows(
    image_to_network: np.ndarray, view: View, image_sizes_hw: np.ndarray
) -> np.ndarray:
    """The rectangles of the pictures that views read.

    Args:
        image_to_network: (views, 2, 3).
        view: gives size and interpolation.
        image_sizes_hw: (views, 2) height and width of the pictures.

    Returns:
        (views, 4) int64 left, top, right, bottom, the last two exclusive, inside the picture.
        A view that lies beside its picture has left = right or top = bottom.
    """
    height, width = view.size_hw
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    points = transform_points(corners, invert_affine(image_to_network))  # (views, 4, 2)
    taps = _TAPS[view.interpolation]
    limit = np.asarray(image_sizes_hw)[:, ::-1]  # (views, 2) x before y
    # One pixel more: the sampling points are rounded differently here and in the warp.
    start = np.clip(np.floor(points.min(axis=1)) - taps, 0, limit)
    end = np.clip(np.ceil(points.max(axis=1)) + taps + 1, 0, limit)
    return np.concatenate([start, np.maximum(start, end)], axis=1).astype(np.int64)


def warp_view(
    pixels: np.ndarray, origin_xy: Sequence[int], image_to_network: np.ndarray, view: View
) -> np.ndarray:
    """Sample a view from a window of its picture.

    Args:
        pixels: (height, width, 3) uint8, the window.
        origin_xy: where its first pixel lies in the picture.
        image_to_network: (2, 3), from pixels of the whole picture.
        view: gives size, interpolation and border colour.

    Returns:
        (view height, view width, 3) uint8. Outside the picture it has the border colour.
    """
    height, width = view.size_hw
    if pixels.size == 0:
        return np.full((height, width, 3), view.border_rgb, np.uint8)
    matrix = np.array(image_to_network, np.float64)
    matrix[:, 2] += matrix[:, :2] @ np.asarray(origin_xy, np.float64)
    return cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=_INTERPOLATIONS[view.interpolation],
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=view.border_rgb,
    )


def check_person_view(view: View) -> None:
    """Refuse a view that person samples cannot make.

    Raises:
        ValueError: a rule of image samples, or an interpolation that needs a whole picture.
    """
    if view.rule not in ("person_box", "root_box_3d"):
        raise ValueError(
            "view.rule of person samples must be person_box or root_box_3d. "
            f"Received {view.rule}; the system's SAMPLE says which samples it takes."
        )
    if view.interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"view.interpolation of person samples must be {' or '.join(_INTERPOLATIONS)}. "
            f"Received {view.interpolation}."
        )
    if min(view.size_hw) < 1 or view.margin <= 0:
        raise ValueError(
            "view.size_hw and view.margin must be positive. "
            f"Received {view.size_hw} and {view.margin}."
        )
