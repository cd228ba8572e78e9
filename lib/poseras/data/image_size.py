"""The size of a picture file from its head, without decoding it: for converters of whole releases.

Sizes are those of the stored pixels, as annotations count them; EXIF orientation plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .conversion import Report
from .images import decode_image, find_jpeg_frame, read_file

#: A JPEG file's first scan begins within these bytes unless it holds EXIF or a preview.
_HEAD_BYTES = 1 << 12
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def read_size_hw(path: str | Path) -> tuple[int, int]:
    """Height and width of a picture file in pixels.

    Only a picture that is neither JPEG nor PNG, or whose head is unusual, is read whole.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty or no picture.
    """
    try:
        with open(path, "rb") as file:
            size = _parse_size(file.read(_HEAD_BYTES))
    except FileNotFoundError:
        size = None
    if size is None:
        data = read_file(path)
        size = _parse_size(data) or decode_image(data, str(path)).shape[:2]
    return size


def measure_pictures(
    paths: Mapping[str, Path], source: Path, report: Report | None = None
) -> dict[str, tuple[int, int]]:
    """The size of every picture that a release lists, read from the heads of the files.

    Args:
        paths: of the files, by the name in the release.
        source: the file or folder that lists them, for the message.
        report: called with the name of each picture when it was looked at.

    Returns:
        name -> (height, width) in pixels.

    Raises:
        FileNotFoundError: pictures are missing; the line counts them and names the first.
        ValueError: one is damaged.
    """
    sizes, missing = {}, []
    for name, path in paths.items():
        try:
            sizes[name] = read_size_hw(path)
        except FileNotFoundError:
            missing.append(path)
        if report:
            report(name)
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(paths)} pictures that {source} lists are not there, the "
            f"first is {missing[0]}. Unpack all pictures of the release, or name their folder "
            "with --images."
        )
    return sizes


def _parse_size(head: bytes) -> tuple[int, int] | None:
    """Height and width as the first bytes of a file tell; None where they do not."""
    if head.startswith(_PNG_START) and len(head) >= 24:
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    frame = find_jpeg_frame(head)
    # A height of 0 stands there when it comes behind the first scan (ITU-T T.81, B.2.5).
    return frame.size_hw if frame and min(frame.size_hw) > 0 else None
