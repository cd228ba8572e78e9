"""A user's own pictures, and the person boxes that a detector found on them."""

from __future__ import annotations

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


def read_boxes(path: str | Path, pictures: Sequence[Path]) -> list[Boxes]:
    """The boxes of a detector, picture by picture.

    A box belongs to the picture whose name is its `file_name`, or whose name is the number
    `image_id`, as COCO's are (000000000785.jpg is 785). Boxes without a size, of other categories
    than 1, and on other pictures are passed over.

    Args:
        path: a list of boxes in COCO result format.
        pictures: the pictures to look at.

    Returns:
        One `Boxes` per picture, perhaps without a row.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not in that format, or not one box is on one of the pictures.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No person boxes at {path}. They are read in COCO result format; without "
            "--detections each whole picture is one box."
        )
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"{path} must be a list of boxes in COCO result format ({{image_id or file_name, bbox, "
            f"score, category_id}}). Received: {error}."
        ) from None
    place = {name: number for number, picture in enumerate(pictures) for name in _names(picture)}
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
    return [
        Boxes(
            boxes_xywh=np.array([e.bbox for e in rows], np.float32).reshape(-1, 4),
            scores=np.array([e.score for e in rows], np.float64),
        )
        for rows in members
    ]


def _names(picture: Path) -> tuple[str, str]:
    return picture.name, _number(picture.stem)


def _number(text: str) -> str:
    """A number without leading zeros; other text as it is."""
    return str(int(text)) if text.isascii() and text.isdigit() else text
