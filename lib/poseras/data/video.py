"""Reading video files: upright RGB frames with the times at which they are shown.

Frames are taken as they are stored: none is doubled or dropped to make a constant rate, and each
has its own time. The rotation that phones store beside a video is applied, so coordinates count the
pixels that a viewer sees. PyAV, which brings FFmpeg along, is an optional extra.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger("poseras")

_QUARTER_TURN_DEG = 90
#: Of a video that does not say its rate.
_USUAL_RATE = 25.0


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video.

    Attributes:
        image_rgb: (height, width, 3) uint8, upright.
        time_s: seconds after the first frame; larger than that of the frame before.
    """

    image_rgb: np.ndarray
    time_s: float


@dataclass(frozen=True)
class VideoFile:
    """A video file of which the head was read.

    Attributes:
        path: of the file.
        frame_rate: frames per second on average, for progress bars and for writing.
        frame_count: as the file says or as duration and rate give it; None where neither is known.
    """

    path: Path
    frame_rate: float
    frame_count: int | None

    def __iter__(self) -> Iterator[VideoFrame]:
        return read_video(self.path)


def import_av() -> Any:
    """PyAV.

    Raises:
        ValueError: it is not installed; the line says how to get it.
    """
    try:
        import av
    except ImportError:
        raise ValueError(
            'Videos need PyAV, which is not installed: pip install -e ".[video]"'
        ) from None
    av.logging.set_level(av.logging.PANIC)  # errors are raised; FFmpeg would print them as well
    return av


def open_video(path: str | Path) -> VideoFile:
    """Look at the head of a video file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video, or PyAV is missing.
    """
    path = Path(path)
    with _open_container(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
        count = stream.frames
        if not count and stream.duration:
            count = round(float(stream.duration * stream.time_base) * rate)
    return VideoFile(path, rate, count or None)


def read_video(path: str | Path) -> Iterator[VideoFrame]:
    """The frames of a video file, one at a time.

    Where the file is damaged, frames are left out up to the next one that can be decoded by itself;
    one line of the log then says how many and when. Damage that happens to be valid data is noticed
    a few frames later than it begins.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video, or not one frame can be decoded.
    """
    path = Path(path)
    damage = _Damage()
    start: float | None = None
    last: float | None = None
    with _open_container(path) as container:
        reformatter = import_av().video.reformatter.VideoReformatter()
        stream = container.streams.video[0]
        # Rather no frame than one that was made up; only decoders of one thread tell them apart.
        stream.codec_context.options = {"err_detect": "explode"}
        stream.codec_context.thread_count = 1
        step = 1.0 / float(stream.average_rate or stream.guessed_rate or _USUAL_RATE)
        frame_count = int(stream.frames)  # 0 where the file does not say
        for frame in _decode(container, stream, damage):
            start = frame.time if start is None else start
            if last is None:
                last = 0.0
            elif frame.time is None or start is None or frame.time - start <= last:
                last += step  # no time, or a clock that jumps back
            else:
                last = float(frame.time - start)
            pixels = reformatter.reformat(frame, format="rgb24").to_ndarray()
            yield VideoFrame(turn_upright(pixels, frame.rotation), last)
    if last is None:
        raise ValueError(
            f"{path} must be a video. Received one without a frame that can be decoded; "
            "copy it again, or convert it with ffmpeg."
        )
    if damage.begun:
        left_out = damage.describe(frame_count)
        log.warning("%s is damaged: %s cannot be decoded and are left out.", path, left_out)


def turn_upright(image_rgb: np.ndarray, rotation_deg: float) -> np.ndarray:
    """Turn a frame by what a player would turn it, to the nearest quarter.

    Args:
        image_rgb: (height, width, 3).
        rotation_deg: counter-clockwise, as stored beside the video; 0 is upright.
    """
    quarters = round(rotation_deg / _QUARTER_TURN_DEG) % 4
    return np.ascontiguousarray(np.rot90(image_rgb, quarters)) if quarters else image_rgb


@dataclass
class _Damage:
    """What could not be decoded.

    Attributes:
        begun: whether there is any.
        start_s: when the last sound frame before it is shown; None where there is none.
        end_s: when the first sound frame after it is shown; None where there is none.
        sound: frames that could be decoded.
    """

    begun: bool = False
    start_s: float | None = None
    end_s: float | None = None
    sound: int = 0

    def begin(self, sound_s: float | None) -> None:
        """Take note of damage behind a frame; what was damaged before stays part of it."""
        if not self.begun:
            self.begun, self.start_s = True, sound_s
        self.end_s = None

    def describe(self, frame_count: int) -> str:
        """How much is missing, and where, for the log."""
        left_out = f"{frame_count - self.sound} of its {frame_count} frames" if frame_count else ""
        start = "the start" if self.start_s is None else f"{self.start_s:.2f} s"
        end = "the end" if self.end_s is None else f"{self.end_s:.2f} s"
        return f"{left_out or 'frames'} between {start} and {end}"


def _decode(container: Any, stream: Any, damage: _Damage) -> Iterator[Any]:
    """The sound frames of a stream; the others are counted and passed over.

    Frames leave a decoder later than their packets enter it. A broken packet therefore spoils all
    frames that leave after it but for key frames, up to the first key frame that is shown later
    than the packet.
    """
    errors = import_av().error
    packets = container.demux(stream)
    broken: int | None = None  # when the last broken packet would be shown
    sound_s: float | None = None
    while True:
        packet: Any = None
        frames: list[Any] = []
        try:
            packet = next(packets, None)
            frames = [] if packet is None else packet.decode()
        except errors.EOFError:
            return
        except errors.FFmpegError:
            damage.begin(sound_s)
            shown = packet.pts if packet is not None and packet.pts is not None else -1
            broken = max(shown, -1 if broken is None else broken)
            if packet is None:  # the file cannot be read on
                return
        for frame in frames:
            later = broken is None or frame.pts is None or frame.pts > broken
            if frame.is_corrupt:
                damage.begin(sound_s)
                broken = max(frame.pts or 0, -1 if broken is None else broken)
            elif broken is None or (frame.key_frame and frame.pts != broken):
                if broken is not None and later:
                    damage.end_s, broken = frame.time, None
                sound_s = frame.time
                damage.sound += 1
                yield frame
        if packet is None:
            return


@contextmanager
def _open_container(path: Path) -> Iterator[Any]:
    """An open file with a video stream."""
    av = import_av()
    if not path.is_file():
        raise FileNotFoundError(f"There is no video {path}.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, UnicodeError) as error:
        raise ValueError(
            f"{path} must be a picture or a video. Received {path.stat().st_size} bytes that "
            f"FFmpeg cannot open ({_reason(error)}); copy it again, or convert it."
        ) from None
    with container:
        if not container.streams.video:
            raise ValueError(f"{path} must be a video. Received a file without pictures in it.")
        yield container


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()
