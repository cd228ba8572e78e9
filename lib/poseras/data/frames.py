"""What `--input` names: pictures, a video or a camera, as frames one after the other.

A frame is an upright RGB picture that knows its place: its number, its name, its time.
"""

from __future__ import annotations

import glob
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from .images import read_image
from .pictures import ENDINGS, list_pictures, name_pictures
from .video import open_video

log = logging.getLogger("poseras")

Kind = Literal["pictures", "video", "camera"]

_PATTERN = re.compile(r"%0?(\d*)d")
#: Where a camera does not say.
_CAMERA_RATE = 30.0


@dataclass(frozen=True)
class Frame:
    """One picture to look at.

    Attributes:
        image_rgb: (height, width, 3) uint8, upright.
        number: place in its source, the first one is 0.
        image_id: in result files: the number that is the picture's name where all have such
            names (000000000785.jpg is 785), else `number`.
        name: of the picture, see `name_pictures`; of a video or camera its own name.
        time_s: seconds after the first frame; None of pictures.
    """

    image_rgb: np.ndarray
    number: int
    image_id: int
    name: str
    time_s: float | None = None


@dataclass(frozen=True)
class FrameSource:
    """Where frames come from; iterate over it, as often as needed but for cameras.

    Attributes:
        kind: `pictures`, `video` or `camera`.
        name: for the names of files that are written.
        read: begins to read.
        count: of frames, None where it is not known.
        frame_rate: frames per second; None of pictures.
        paths: the files of pictures, in order.
        files: all files that are read.
    """

    kind: Kind
    name: str
    read: Callable[[], Iterator[Frame]]
    count: int | None = None
    frame_rate: float | None = None
    paths: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def __iter__(self) -> Iterator[Frame]:
        return self.read()


def open_frames(source: str | Path | int) -> FrameSource:
    """Find out what a source is and open it.

    Args:
        source: a picture, a folder of pictures, a glob (`shots/*.jpg`; `**`: all folders),
            a numbered pattern (`shots/%06d.png`), a video file, or the number of a camera.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: what is there is neither picture nor video.
    """
    text = str(source)
    path = Path(text).expanduser()
    if path.is_dir():
        return _pictures(list_pictures(path), path.resolve().name)
    if path.is_file():
        return _pictures([path], path.stem) if _is_picture(path) else _video(path)
    if text.isascii() and text.isdigit():
        return open_camera(int(text))
    if field := _PATTERN.search(path.name):
        return _pictures(_by_number(path, field), path.parent.resolve().name)
    if glob.has_magic(text):
        return _pictures(_by_glob(str(path)), "pictures")
    raise FileNotFoundError(
        "--input must be a picture, a folder, a glob, a numbered pattern, a video or the number of "
        f"a camera. There is nothing at {source}."
    )


def open_camera(number: int, clock: Callable[[], float] = time.monotonic) -> FrameSource:
    """A camera of this machine; its frames come as fast as they are asked for, the newest first.

    Args:
        number: as the system counts cameras, from 0.
        clock: gives the times of the frames in seconds.

    Raises:
        FileNotFoundError: no such camera answers.
    """
    # It would list every driver that it tried.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise FileNotFoundError(
            f"--input {number} asks for camera {number} of this machine, and none answers. Connect "
            "it, allow this user to open it, or choose another number."
        )
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # old frames are of no use
    rate = camera.get(cv2.CAP_PROP_FPS)
    name = f"camera_{number}"

    def read() -> Iterator[Frame]:
        start: float | None = None
        try:
            for place in count():
                taken, image_bgr = camera.read()
                if not taken:
                    return
                now = clock()
                start = now if start is None else start
                image = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
                yield Frame(image, place, place, name, now - start)
        finally:  # also where whoever looks at the frames ends first
            camera.release()

    return FrameSource("camera", name, read, frame_rate=rate if rate > 0 else _CAMERA_RATE)


def _pictures(paths: Sequence[Path], name: str) -> FrameSource:
    ids, names = number_pictures(paths), name_pictures(paths)

    def read() -> Iterator[Frame]:
        for number, path in enumerate(paths):
            try:
                image = read_image(path, honour_orientation=True)
            except (OSError, ValueError) as error:
                log.warning("%s", error)
                continue
            yield Frame(image, number, ids[number], names[number])

    given = tuple(paths)
    return FrameSource("pictures", name, read, count=len(given), paths=given, files=given)


def number_pictures(paths: Sequence[Path]) -> list[int]:
    """The ids of pictures: the numbers that are their names, or else 0, 1, 2, ..."""
    stems = [path.stem for path in paths]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(len(paths)))


def _video(path: Path) -> FrameSource:
    video = open_video(path)

    def read() -> Iterator[Frame]:
        for number, frame in enumerate(video):
            yield Frame(frame.image_rgb, number, number, path.name, frame.time_s)

    return FrameSource("video", path.stem, read, video.frame_count, video.frame_rate, files=(path,))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS


def _by_glob(pattern: str) -> list[Path]:
    matched = [
        path for path in map(Path, sorted(glob.glob(pattern, recursive=True))) if path.is_file()
    ]
    found = [path for path in matched if _is_picture(path)]
    if not found:
        raise FileNotFoundError(
            f"--input {pattern} must match pictures ({', '.join(ENDINGS)}). It matches "
            f"{len(matched)} files, none of them a picture."
        )
    return found


def _by_number(path: Path, field: re.Match[str]) -> list[Path]:
    """The pictures of a numbered pattern in the order of their numbers."""
    before, after = path.name[: field.start()], path.name[field.end() :]
    numbered = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    width = int(field[1] or 1)
    names = [inside.name for inside in path.parent.iterdir()] if path.parent.is_dir() else []
    found = {
        int(match[1]): path.parent / name
        for name in names
        if (match := numbered.fullmatch(name)) and len(match[1]) >= width
    }
    if not found:
        raise FileNotFoundError(
            f"--input {path} must match numbered pictures, such as "
            f"{before}{'1'.zfill(width)}{after}. There is none."
        )
    return [found[number] for number in sorted(found)]
