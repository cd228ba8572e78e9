"""Writing video files: frames with their own times, whole or not there at all.

H.264 in MP4, which every browser and player opens. Frames keep the times they are given, so a
video of varying rate stays one. PyAV, which brings FFmpeg along, is an optional extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..files import unfinished_file

#: Ticks per second of the stored times; the usual rates divide it, 29.97 and 59.94 as well.
_TICKS = 90_000
#: The encoders to try: the second one is part of every FFmpeg.
_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    # A third of the processor time of `veryfast`, for files half as large again.
    ("libx264", {"preset": "ultrafast", "crf": "20"}),
    ("mpeg4", {"q": "4"}),
)


class VideoWriter:
    """Encodes one frame after the other; made by `open_video_writer`.

    Attributes:
        count: frames written.
        size_hw: height and width of the video, those of the first frame; None before it.
    """

    def __init__(self, container: Any, frame_rate: float):
        self.count = 0
        self.size_hw: tuple[int, int] | None = None
        self._container = container
        self._rate = Fraction(frame_rate).limit_denominator(1001)
        self._stream: Any = None
        self._last_tick = -1
        self._to_yuv: Any = None

    def write(self, image_rgb: np.ndarray, time_s: float | None = None) -> None:
        """Add a frame.

        Args:
            image_rgb: (height, width, 3) uint8. Frames of another size than the first are resized.
                Where a side is odd, its last row or column is written twice: players of H.264
                want even ones.
            time_s: when it is shown; by default one step of the frame rate after the last.

        Raises:
            ValueError: not such an array.
        """
        import av
        import cv2  # not needed by programs that only look for files

        if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
            raise ValueError(
                "image_rgb must be uint8 of shape (height, width, 3). "
                f"Received {image_rgb.dtype} of {image_rgb.shape}."
            )
        if self.size_hw is None:
            self.size_hw = (image_rgb.shape[0], image_rgb.shape[1])
            self._stream = self._begin(*self.size_hw)
        if image_rgb.shape[:2] != self.size_hw:
            image_rgb = cv2.resize(image_rgb, self.size_hw[::-1], interpolation=cv2.INTER_AREA)
        odd = [(0, side % 2) for side in self.size_hw]
        even = np.pad(image_rgb, (*odd, (0, 0)), mode="edge") if any(map(any, odd)) else image_rgb
        pixels = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame = self._to_yuv.reformat(pixels, format="yuv420p")
        frame.pts, frame.time_base = self._tick(time_s), Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))
        self.count += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _tick(self, time_s: float | None) -> int:
        """The stored time of the next frame, later than that of the last."""
        step = max(round(_TICKS / self._rate), 1)
        first = 0 if self._last_tick < 0 else self._last_tick + step
        tick = first if time_s is None else max(round(time_s * _TICKS), self._last_tick + 1)
        self._last_tick = tick
        return tick

    def _begin(self, height: int, width: int) -> Any:
        import av

        self._to_yuv = av.video.reformatter.VideoReformatter()
        name, options = _find_encoder()
        stream = self._container.add_stream(name, rate=self._rate, options=options)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        return stream


@contextmanager
def open_video_writer(path: str | Path, frame_rate: float) -> Iterator[VideoWriter]:
    """Lend a writer; when the block ends without an error the video appears at `path`.

    Args:
        path: ends with `.mp4`, or another ending that FFmpeg knows for H.264.
        frame_rate: frames per second, for frames without a time.

    Raises:
        ValueError: PyAV is missing.
        OSError: see `files.unfinished_file`.
    """
    try:
        import av
    except ImportError:
        raise ValueError(
            'Videos need PyAV, which is not installed: pip install -e ".[video]"'
        ) from None
    with unfinished_file(path) as unfinished, av.open(str(unfinished), "w") as container:
        writer = VideoWriter(container, frame_rate)
        yield writer
        writer.finish()


def _find_encoder() -> tuple[str, dict[str, str]]:
    """The first encoder that this FFmpeg has."""
    import av

    for name, options in _ENCODERS:
        if name in av.codecs_available:
            return name, options
    raise ValueError(
        f"Videos need one of the encoders {', '.join(name for name, _ in _ENCODERS)}. This FFmpeg "
        "has none of them; pip install av brings one that has."
    )
