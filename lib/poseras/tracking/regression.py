"""Steadier joints of a finished video: local quadratic regression, which has no lag.

Around each frame a parabola is fitted to the joint's positions before and after it, near frames and
sure joints weighing more, and its value at the frame is taken. On evenly spaced frames without gaps
and weights this is the Savitzky-Golay filter. Why not another: a low pass run forward and backward
has no lag either, but it flattens the turning points of arms and legs, needs even spacing, and does
not know how sure a joint is; a parabola keeps position, velocity and acceleration, and a gap is
merely a window with fewer points. Outliers, such as exchanged wrists, are found by a first fit and
weigh little in the next one.

Source: Robust Locally Weighted Regression and Smoothing Scatterplots, Cleveland, JASA 1979 (its
weights and its robust passes); Savitzky and Golay, Analytical Chemistry 1964.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..structures import People
from .options import RegressionSettings
from .tracks import split_tracks

Found = TypeVar("Found", bound=People)

#: A residual of so many medians weighs nothing. Cleveland's six medians of one coordinate are four
#: standard deviations, which are 3.4 medians of a distance in two.
_MEDIANS = 3.4
#: Residuals below are rounding, not outliers, px.
_ROUNDING_PX = 1e-6
#: Sightings that are fitted at once, so that memory stays flat however long the video.
_BLOCK = 1024


def smooth_tracks(
    frames: Sequence[Found],
    track_ids: Sequence[np.ndarray],
    times_s: np.ndarray | Sequence[float],
    settings: RegressionSettings | None = None,
) -> list[Found]:
    """Smooth all joints of all people of a video.

    Args:
        frames: people of each frame.
        track_ids: (people,) of each frame, `Tracker.update`.
        times_s: (frames,) rising; any spacing.
        settings: window, and what counts; the defaults if None.

    Returns:
        The same people, joints moved. A joint that does not count stays where it is, and moves no
        other; one with too few neighbours for a parabola moves less, a lonely one not at all.

    Raises:
        ValueError: times do not rise or are of another number than frames; ids that do not fit.
    """
    settings = settings or RegressionSettings()
    times = np.asarray(times_s, np.float64)
    if times.shape != (len(frames),) or not (np.diff(times) > 0).all():
        raise ValueError(
            f"times_s must hold {len(frames)} rising numbers, one per frame. "
            f"Received shape {times.shape}."
        )
    moved = [np.asarray(people.keypoints_px, np.float64).copy() for people in frames]
    for track in split_tracks(frames, track_ids):
        scores = track.keypoint_scores
        weights = np.where(scores > settings.min_keypoint_score, scores, 0.0)
        smooth = _smooth(times[track.frames], track.keypoints_px, weights, settings)
        for frame, row, points in zip(track.frames, track.rows, smooth, strict=True):
            moved[frame][row] = points
    return [
        replace(people, keypoints_px=points) for people, points in zip(frames, moved, strict=True)
    ]


def _smooth(
    times_s: np.ndarray, points_px: np.ndarray, weights: np.ndarray, settings: RegressionSettings
) -> np.ndarray:
    """One track, (sightings, joints, 2)."""
    window, offsets = _find_windows(times_s, settings.half_window_s)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(times_s), _BLOCK)]
    fitted = [
        _fit_robustly(
            offsets[block],
            weights[window[block]],
            points_px[window[block]],
            settings.outlier_passes,
        )
        for block in blocks
    ]
    return np.where(weights[..., None] > 0, np.concatenate(fitted), points_px)


def _fit_robustly(
    offsets: np.ndarray, weights: np.ndarray, points: np.ndarray, passes: int
) -> np.ndarray:
    """Values of local parabolas at offset 0, (sightings, joints, 2).

    Args:
        offsets: (sightings, window) in half windows.
        weights: (sightings, window, joints), 0 of joints that do not count.
        points: (sightings, window, joints, 2).
        passes: fits after the first one.
    """
    near = np.maximum(1 - np.abs(offsets) ** 3, 0)[..., None] ** 3 * weights
    parabolas = _fit(offsets, near, points)
    for _ in range(passes):
        trusted = near * _trust(offsets, near, points, parabolas)
        enough = (trusted > 0).sum(axis=1) >= 3  # (sightings, joints): a parabola is determined
        again = _fit(offsets, trusted, points)
        parabolas = np.where(enough[..., None, None], again, parabolas)
    return parabolas[:, :, 0]


def _find_windows(times_s: np.ndarray, half_window_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each sighting, and how far they are.

    Returns:
        (sightings, window) int64 rows, and their distance in half windows, signed; those of at
        least 1 are outside.
    """
    first = np.searchsorted(times_s, times_s - half_window_s, side="right")
    after = np.searchsorted(times_s, times_s + half_window_s, side="left")
    window = first[:, None] + np.arange((after - first).max())
    outside = window >= after[:, None]
    window = np.minimum(window, len(times_s) - 1)
    offsets = (times_s[window] - times_s[:, None]) / half_window_s
    return window, np.where(outside, 1.0, offsets)


def _fit(offsets: np.ndarray, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weighted parabolas, (sightings, joints, 3, 2): coefficients of 1, offset and its square.

    Where fewer than three points weigh anything, of all parabolas through them the one with the
    least coefficients.
    """
    basis = offsets[..., None] ** np.arange(3)  # (sightings, window, 3)
    weighted = weights[..., None] * basis[:, :, None]  # (sightings, window, joints, 3)
    normal = np.einsum("swjp,swq->sjpq", weighted, basis)
    right = np.einsum("swjp,swjx->sjpx", weighted, points)
    return np.linalg.pinv(normal, rcond=1e-12, hermitian=True) @ right


def _trust(
    offsets: np.ndarray, weights: np.ndarray, points: np.ndarray, parabolas: np.ndarray
) -> np.ndarray:
    """(sightings, window, joints) 0..1, small for points that lie far off the parabola."""
    basis = offsets[..., None] ** np.arange(3)
    expected = np.einsum("swp,sjpx->swjx", basis, parabolas)
    residuals = np.linalg.norm(points - expected, axis=-1)
    counted = weights > 0
    known = np.where(counted | ~counted.any(axis=1, keepdims=True), residuals, np.nan)
    limit = np.maximum(_MEDIANS * np.nanmedian(known, axis=1, keepdims=True), _ROUNDING_PX)
    return np.maximum(1 - (residuals / limit) ** 2, 0) ** 2
