"""How much joints tremble."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..structures import People
from .tracks import split_tracks


def jitter_px(
    frames: Sequence[People],
    track_ids: Sequence[np.ndarray],
    *,
    min_keypoint_score: float = 0.2,
) -> float:
    """Mean length of the second difference of joints, in pixels.

    The second difference of three successive frames, x[k-1] - 2 x[k] + x[k+1], is 0 for a joint
    that rests or moves at constant velocity. Independent errors of s pixels in each coordinate add
    about 3.07 s (sqrt(6) s sqrt(pi / 2)). Real movement adds its acceleration, which is why the
    figure of true poses of the same video belongs beside it.

    Args:
        frames: people of each frame, evenly spaced in time.
        track_ids: (people,) of each frame.
        min_keypoint_score: a joint must score more to count.

    Returns:
        The mean over all joints that count in three successive frames of a track, NaN if none do.

    Raises:
        ValueError: ids that do not fit.
    """
    lengths = []
    for track in split_tracks(frames, track_ids):
        points, counted = track.keypoints_px, track.keypoint_scores > min_keypoint_score
        successive = (track.frames[2:] - track.frames[:-2] == 2)[:, None]
        valid = counted[:-2] & counted[1:-1] & counted[2:] & successive
        bend = points[:-2] - 2 * points[1:-1] + points[2:]
        lengths.append(np.linalg.norm(bend, axis=2)[valid])
    values = np.concatenate(lengths) if lengths else np.zeros(0)
    return float(values.mean()) if len(values) else float("nan")
