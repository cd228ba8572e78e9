"""The poses of the last frames, moved to where they should be in the next one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

#: How much of a newly measured velocity is believed. Less than 1, because joints are found a little
#: off and limbs swing; more than 0.3, because people turn.
_VELOCITY_GAIN = 0.5


@dataclass(frozen=True)
class Memory:
    """Remembered poses, one row each, older ones first; a track has one for each frame it was in.

    Attributes:
        track_ids: (poses,) int64.
        keypoints_px: (poses, joints, 2) float64, x before y, where they are expected.
        found_px: (poses, joints, 2) float64, where they were found.
        counted: (poses, joints) bool, joints that were found.
        boxes_xywh: (poses, 4) float64 left, top, width, height, where they are expected.
        ages: (poses,) int64, frames since the pose was found.
        velocities_px: (poses, 2) float64 a frame, of the person as a whole when it was found; NaN
            as long as nobody can tell.
    """

    track_ids: np.ndarray
    keypoints_px: np.ndarray
    found_px: np.ndarray
    counted: np.ndarray
    boxes_xywh: np.ndarray
    ages: np.ndarray
    velocities_px: np.ndarray

    @classmethod
    def of_frame(
        cls, keypoints_px: np.ndarray, counted: np.ndarray, boxes_xywh: np.ndarray
    ) -> Memory:
        """The people of the newest frame; their tracks are not known yet (0)."""
        people = len(keypoints_px)
        return cls(
            track_ids=np.zeros(people, np.int64),
            keypoints_px=keypoints_px,
            found_px=keypoints_px,
            counted=counted,
            boxes_xywh=boxes_xywh,
            ages=np.zeros(people, np.int64),
            velocities_px=np.full((people, 2), np.nan),
        )

    @classmethod
    def empty(cls, joints: int) -> Memory:
        """Nobody is remembered."""
        return cls.of_frame(np.zeros((0, joints, 2)), np.zeros((0, joints), bool), np.zeros((0, 4)))

    def __len__(self) -> int:
        return len(self.track_ids)

    def take(self, rows: np.ndarray) -> Memory:
        """Some rows, as indices or as a bool mask."""
        return Memory(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def age(self, limit: int) -> Memory:
        """One frame later, without the poses that are older than `limit` frames then."""
        older = replace(self, ages=self.ages + 1)
        return older.take(older.ages <= limit)

    def move(self, steps_px: np.ndarray) -> Memory:
        """Moved by (poses, joints, 2); boxes go with the mean of the counted joints, or of all."""
        weights = np.where(self.counted.any(axis=1, keepdims=True), self.counted, 1.0)[..., None]
        shift = (weights * steps_px).sum(axis=1) / weights.sum(axis=1)
        boxes = np.concatenate([self.boxes_xywh[:, :2] + shift, self.boxes_xywh[:, 2:]], axis=1)
        return replace(self, keypoints_px=self.keypoints_px + steps_px, boxes_xywh=boxes)

    def newest(self) -> Memory:
        """The last pose of each track, by rising track id."""
        _, last = np.unique(self.track_ids[::-1], return_index=True)
        return self.take(len(self) - 1 - last)

    def add(self, found: Memory) -> Memory:
        """With the poses of this frame, whose velocities become known.

        Args:
            found: of age 0, a track at most once.
        """
        before = self.newest()
        _, old, new = np.intersect1d(before.track_ids, found.track_ids, return_indices=True)
        velocities = found.velocities_px.copy()
        velocities[new] = _measure_velocities(before.take(old), found.take(new))
        parts = self, replace(found, velocities_px=velocities)
        names = [field.name for field in fields(self)]
        return Memory(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def _measure_velocities(before: Memory, found: Memory) -> np.ndarray:
    """(tracks, 2) from the mean step of the joints that both have, row by row."""
    both = (before.counted & found.counted)[..., None]
    steps = np.where(both, found.found_px - before.found_px, 0.0).sum(axis=1)
    measured = steps / np.maximum(both.sum(axis=1), 1) / before.ages[:, None]
    mixed = before.velocities_px + _VELOCITY_GAIN * (measured - before.velocities_px)
    velocities = np.where(np.isnan(before.velocities_px), measured, mixed)
    return np.where(both.any(axis=1), velocities, before.velocities_px)
