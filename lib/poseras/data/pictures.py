"""A user's own pictures, and the person boxes that a detector found on them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Boxes:
    """The person boxes of one picture.

    Attributes:
        boxes_xywh: (people, 4) float32, left, top, width, height in pixels.
        scores: (people,) float64, of the detector.
    """

    boxes_xywh: np.ndarray
    scores: np.ndarray


class _Entry(msgspec.Struct):
    bbox: tuple[float, float, float, float]
    image_id: int | str | None = None
    file_name: str | None = None
    category_id: int = 1
    score: float = 1.0


def list_pictures(path: str | Path) -> list[Path]:
    """A picture, or the pictures of a folder, sorted by name.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: the folder holds no picture.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(
            f"--input must be a picture or a folder. There is nothing at {path}."
        )
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
    if not found:
        raise ValueError(
            f"The folder {path} must hold pictures ({', '.join(ENDINGS)}). Received none; "
            "folders inside it are not searched."
        )
    return found


def name_pictures(paths: Sequence[Path]) -> list[str]:
    """What pictures are called: their file names, with what tells their folders apart before it."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    folders = {path.parent for path in absolute}
    if len(folders) < 2:
        return [path.name for path in absolute]
    common = os.path.commonpath(folders)
    return [path.relative_to(common).as_posix() for path in absolute]


def read_boxes(path: str | Path, pictures: Sequence[Path]) -> list[Boxes]:
    """The boxes of a detector, picture by picture.

    A box belongs to the picture whose name is its `file_name`, or whose name is the number
    `image_id`, as COCO's are (000000000785.jpg is 785). Pictures of one name in several folders are
    told apart by `name_pictures`. Boxes without a size, of other categories than 1, and on other
    pictures are passed over.

    Args:
        path: a list of boxes in COCO result format.
        pictures: the pictures to look at.

    Returns:
        One `Boxes` per picture, perhaps without a row.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not in that format, or not one box is on one of the pictures.
    """
    entries = _read_entries(Path(path))
    doubled = {name for name, count in Counter(p.name for p in pictures).items() if count > 1}
    place = {
        name: number
        for number, picture in enumerate(pictures)
        if picture.name not in doubled
        for name in _names(picture)
    }
    place |= {name: number for number, name in enumerate(name_pictures(pictures))}
    members: list[list[_Entry]] = [[] for _ in pictures]
    for entry in entries:
        name = entry.file_name if entry.file_name is not None else _number(str(entry.image_id))
        number = place.get(name)
        if number is not None and entry.category_id == 1 and min(entry.bbox[2:]) > 0:
            members[number].append(entry)
    if not any(members):
        raise ValueError(
            f"0 of {len(entries)} boxes of {path} are on the {len(pictures)} pictures. A box names "
            "its picture by file_name, or by image_id where the file name is that number."
        )
    return [_as_boxes(rows) for rows in members]


def read_frame_boxes(path: str | Path, frame_count: int | None = None) -> dict[int, Boxes]:
    """The boxes of a detector, frame by frame of a video.

    Boxes without a size and of other categories than 1 are passed over.

    Args:
        path: a list of boxes in COCO result format; `image_id` is the number of the frame, that of
            the first one is 0.
        frame_count: of the video, where it is known.

    Returns:
        Number of the frame -> its boxes; no entry for a frame without any.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not in that format, or not one box is on one of the frames.
    """
    entries = _read_entries(Path(path))
    members: dict[int, list[_Entry]] = {}
    for entry in entries:
        number = _number(str(entry.image_id))
        if number.isdigit() and entry.category_id == 1 and min(entry.bbox[2:]) > 0:
            members.setdefault(int(number), []).append(entry)
    if not any(frame_count is None or number < frame_count for number in members):
        raise ValueError(
            f"0 of {len(entries)} boxes of {path} are on frames of the video. The image_id of a "
            f"box is the number of its frame, from 0 on{_up_to(frame_count)}."
        )
    return {number: _as_boxes(rows) for number, rows in members.items()}


def _read_entries(path: Path) -> list[_Entry]:
    if not path.is_file():
        raise FileNotFoundError(
            f"No person boxes at {path}. They are read in COCO result format; without "
            "--detections each whole picture is one box."
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"{path} must be a list of boxes in COCO result format ({{image_id or file_name, bbox, "
            f"score, category_id}}). Received: {error}."
        ) from None


def _as_boxes(entries: Sequence[_Entry]) -> Boxes:
    return Boxes(
        boxes_xywh=np.array([entry.bbox for entry in entries], np.float32).reshape(-1, 4),
        scores=np.array([entry.score for entry in entries], np.float64),
    )


def _up_to(frame_count: int | None) -> str:
    return f" to {frame_count - 1}" if frame_count else ""


def _names(picture: Path) -> tuple[str, str]:
    return picture.name, _number(picture.stem)


def _number(text: str) -> str:
    """A number without leading zeros; other text as it is."""
    return str(int(text)) if text.isascii() and text.isdigit() else text
