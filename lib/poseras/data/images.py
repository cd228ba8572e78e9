"""Reading pictures: a file to an RGB array, and one clear error for each way a file can be bad.

The one convention a reader must know: pictures of a data set are read without their EXIF
orientation, because annotations count the stored pixels; a user's own pictures are read with it
(`honour_orientation=True`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB\x60\x82"

# Marker codes of ITU-T T.81, table B.1.
_START_OF_SCAN = 0xDA
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding, which every libjpeg decodes in part.
_HUFFMAN_FRAMES = frozenset((0xC0, 0xC1, 0xC2))


@dataclass(frozen=True)
class JpegFrame:
    """What the head of a JPEG file says.

    Attributes:
        size_hw: height and width of the stored pixels.
        decodes_windows: 8 bit, Huffman-coded, grey or YCbCr: a window of it can be decoded alone.
        scan_start: offset of the first compressed scan in the file.
    """

    size_hw: tuple[int, int]
    decodes_windows: bool
    scan_start: int


def read_image(path: str | Path, *, honour_orientation: bool = False) -> np.ndarray:
    """Read a picture file.

    Grey pictures get three equal channels, alpha is dropped, 16 bit become 8, CMYK becomes RGB.

    Args:
        path: of a file that OpenCV reads: JPEG, PNG, WebP, BMP, TIFF and others.
        honour_orientation: turn the picture as its EXIF orientation says.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, cut off, or no picture. The message names the path.
    """
    return decode_image(read_file(path), str(path), honour_orientation=honour_orientation)


def read_file(path: str | Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"No picture at {path}. Check that the folder of images is linked and complete."
        ) from None
    if not data:
        raise ValueError(f"{path} must be a picture. Received an empty file; fetch it again.")
    return data


def decode_image(
    data: bytes, name: str = "The picture", *, honour_orientation: bool = False
) -> np.ndarray:
    """Decode the bytes of a picture file.

    Args:
        data: contents of the file.
        name: path for the messages.
        honour_orientation: turn the picture as its EXIF orientation says.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        ValueError: the data are cut off, or no picture.
    """
    check_complete(data, name)
    flags = cv2.IMREAD_COLOR_RGB
    if not honour_orientation:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # sizes beyond OpenCV's limits, empty buffers
        image = None
    if image is None:
        raise ValueError(
            f"{name} must be a picture that OpenCV reads (JPEG, PNG, ...). Received {len(data)} "
            f"bytes that start with {data[:8].hex(' ')}; fetch the file again or convert it."
        )
    return image


def check_complete(data: bytes, name: str) -> None:
    """Refuse a JPEG or PNG file that was cut off, which decoders fill up with grey.

    A complete JPEG ends with its end marker; bytes that a camera appended behind it are allowed.
    Compressed data never hold that marker, but a preview picture in the head of the file does,
    so where it is not at the very end it is looked for behind the start of the first scan.

    Raises:
        ValueError: the end is missing.
    """
    if data.startswith(_JPEG_START):
        complete = data.endswith(_JPEG_END) or _ends_behind_scan(data)
    elif data.startswith(_PNG_START):
        complete = data.rfind(_PNG_END) >= 0
    else:
        return
    if not complete:
        raise ValueError(
            f"{name} must be a complete picture. Received {len(data)} bytes without an end "
            "marker: the file was cut off; fetch it again."
        )


def _ends_behind_scan(data: bytes) -> bool:
    frame = find_jpeg_frame(data)
    return data.find(_JPEG_END, frame.scan_start if frame else 2) >= 0


def find_jpeg_frame(data: bytes) -> JpegFrame | None:
    """Walk over the marker segments of a JPEG file up to its first scan.

    Args:
        data: contents of the file.

    Returns:
        None where the data are no JPEG, or one whose head this short walk does not understand.

    Source: ITU-T T.81, annex B.
    """
    if not data.startswith(_JPEG_START):
        return None
    frame: tuple[tuple[int, int], bool] | None = None
    position, length = 2, len(data)
    while position + 4 <= length and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        elif marker == _START_OF_SCAN:
            return JpegFrame(*frame, scan_start=position) if frame else None
        else:
            if marker in _FRAMES and position + 10 <= length:
                frame = _parse_frame(data, position)
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _parse_frame(data: bytes, position: int) -> tuple[tuple[int, int], bool]:
    """Size and windowing of the frame header at a marker: precision, height, width, components."""
    bits, components = data[position + 4], data[position + 9]
    height = int.from_bytes(data[position + 5 : position + 7], "big")
    width = int.from_bytes(data[position + 7 : position + 9], "big")
    plain = data[position + 1] in _HUFFMAN_FRAMES and bits == 8 and components in (1, 3)
    return (height, width), plain and height > 0 and width > 0  # a height of 0 comes at the end
