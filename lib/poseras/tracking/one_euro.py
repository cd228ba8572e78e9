"""Steadier joints while a video runs: the One-Euro filter, a low pass that opens with speed.

Source: 1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems,
Casiez, Roussel and Vogel, CHI 2012, algorithm 1. Here both coordinates of a joint share one cutoff,
that of the length of its velocity, and velocity counts in person sizes, so that one setting fits
near and far people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from ..structures import People
from .boxes import box_areas, person_boxes
from .options import OneEuroSettings

Found = TypeVar("Found", bound=People)


@dataclass
class _JointFilters:
    """The filters of one person.

    Attributes:
        points_px: (joints, 2) filtered.
        velocities: (joints, 2) filtered, px per second.
        times_s: (joints,) when the joint was last counted, -inf before that.
    """

    points_px: np.ndarray
    velocities: np.ndarray
    times_s: np.ndarray


class OneEuroSmoother:
    """Filters every joint of every track as frames arrive.

    Attributes:
        settings: strength, and what counts.
    """

    def __init__(self, settings: OneEuroSettings | None = None):
        self.settings = settings or OneEuroSettings()
        self._filters: dict[int, _JointFilters] = {}
        self._time_s = -math.inf

    def reset(self) -> None:
        """Forget everything, before another video."""
        self._filters.clear()
        self._time_s = -math.inf

    def smooth(self, track_ids: np.ndarray, people: Found, time_s: float) -> Found:
        """The people of the next frame with filtered joints.

        Args:
            track_ids: (people,) all different, of `Tracker.update`.
            people: found in the frame.
            time_s: of the frame, later than that of the last one.

        Returns:
            The same people, joints moved. A joint that does not count stays where it is; one that
            counts again within `max_gap_s` goes on where its filter was, later ones start afresh.

        Raises:
            ValueError: time does not rise, or ids are doubled or of another number than people.
        """
        if not time_s > self._time_s:
            raise ValueError(
                f"time_s must rise from frame to frame. Received {time_s} after {self._time_s}; "
                "reset() goes before another video."
            )
        if len(track_ids) != len(people) or len(np.unique(track_ids)) != len(people):
            raise ValueError(
                f"track_ids must hold one id of its own for each of the {len(people)} people. "
                f"Received {np.asarray(track_ids).tolist()}."
            )
        self._time_s = time_s
        points = np.asarray(people.keypoints_px, np.float64).copy()
        counted = people.keypoint_scores > self.settings.min_keypoint_score
        sizes_px = np.sqrt(box_areas(person_boxes(people, counted)))
        for row, track in enumerate(np.asarray(track_ids).tolist()):
            joints = np.flatnonzero(counted[row])
            points[row, joints] = self._advance(track, points[row], joints, float(sizes_px[row]))
        self._forget()
        return replace(people, keypoints_px=points)

    def _advance(
        self, track: int, points_px: np.ndarray, joints: np.ndarray, size_px: float
    ) -> np.ndarray:
        """(counted joints, 2) filtered points of one person, whose filters move on."""
        if track not in self._filters:
            self._filters[track] = _JointFilters(
                points_px.copy(), np.zeros_like(points_px), np.full(len(points_px), -math.inf)
            )
        state = self._filters[track]
        elapsed = (self._time_s - state.times_s[joints])[:, None]
        fresh = elapsed > self.settings.max_gap_s
        step_s = np.where(fresh, 1.0, elapsed)  # of a fresh joint it has no effect
        now, before = points_px[joints], state.points_px[joints]
        share = _share(step_s, self.settings.velocity_cutoff_hz)
        velocity = state.velocities[joints]
        velocity = velocity + share * ((now - before) / step_s - velocity)
        speed = np.linalg.norm(velocity, axis=1, keepdims=True) / size_px
        share = _share(step_s, self.settings.min_cutoff_hz + self.settings.beta * speed)
        state.points_px[joints] = np.where(fresh, now, before + share * (now - before))
        state.velocities[joints] = np.where(fresh, 0.0, velocity)
        state.times_s[joints] = self._time_s
        return state.points_px[joints]

    def _forget(self) -> None:
        """Drop the filters of people who have been away too long, so that memory stays flat."""
        oldest = self._time_s - self.settings.max_gap_s
        gone = [track for track, state in self._filters.items() if state.times_s.max() < oldest]
        for track in gone:
            del self._filters[track]


def _share(step_s: np.ndarray, cutoff_hz: np.ndarray | float) -> np.ndarray:
    """How much of the new value a first-order low pass takes."""
    time_constant_s = 1 / (2 * math.pi * cutoff_hz)
    return 1 / (1 + time_constant_s / step_s)
