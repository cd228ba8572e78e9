"""Steady joints of tracked people: as frames come, or of a whole file without delay.

Only joints in the picture are steadied; joints in space stay as they were found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .data.frames import Frame
from .poses import Poses
from .tracking import OneEuroSmoother, smooth_tracks


def smooth_live(
    found: Iterator[tuple[Frame, Poses]], frame_rate: float
) -> Iterator[tuple[Frame, Poses]]:
    """Steady the joints of each frame by those before it.

    Args:
        found: frames with tracked people, in order.
        frame_rate: frames per second, where frames have no times.
    """
    smoother = OneEuroSmoother()
    for number, (frame, poses) in enumerate(found):
        time_s = number / frame_rate if frame.time_s is None else frame.time_s
        yield frame, smoother.smooth(_ids(poses), poses, time_s)


def smooth_file(poses: Sequence[Poses], frame_rate: float) -> list[Poses]:
    """Steady the joints of each frame by those before and after it.

    Args:
        poses: of all frames with tracked people, in order.
        frame_rate: frames per second, where frames have no times.
    """
    times_s = [
        number / frame_rate if of_frame.time_s is None else of_frame.time_s
        for number, of_frame in enumerate(poses)
    ]
    return smooth_tracks(poses, [_ids(of_frame) for of_frame in poses], times_s)


def _ids(poses: Poses) -> np.ndarray:
    if poses.track_ids is None:
        raise ValueError("Joints are steadied person by person. Received people without track ids.")
    return poses.track_ids
