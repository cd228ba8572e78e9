"""From frames of people to people over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..structures import People


@dataclass(frozen=True)
class Track:
    """One person over time.

    Attributes:
        track_id: of the tracker.
        frames: (sightings,) int64, rising, index of the frame.
        rows: (sightings,) int64, row of the person in that frame.
        keypoints_px: (sightings, joints, 2) float64.
        keypoint_scores: (sightings, joints) float64.
    """

    track_id: int
    frames: np.ndarray
    rows: np.ndarray
    keypoints_px: np.ndarray
    keypoint_scores: np.ndarray


def split_tracks(frames: Sequence[People], track_ids: Sequence[np.ndarray]) -> Iterator[Track]:
    """The people of a video, one after the other, by rising id.

    Args:
        frames: people of each frame.
        track_ids: (people,) of each frame, all different within it.

    Raises:
        ValueError: ids and people differ in number, or an id is doubled in a frame.
    """
    if len(frames) != len(track_ids):
        raise ValueError(
            f"track_ids must hold one array per frame ({len(frames)}). Received {len(track_ids)}."
        )
    for number, (people, ids) in enumerate(zip(frames, track_ids, strict=True)):
        if len(people) != len(ids) or len(np.unique(ids)) != len(ids):
            raise ValueError(
                f"track_ids of frame {number} must hold one id of its own for each of the "
                f"{len(people)} people. Received {np.asarray(ids).tolist()}."
            )
    places: dict[int, list[tuple[int, int]]] = {}
    for number, ids in enumerate(track_ids):
        for row, track in enumerate(np.asarray(ids).tolist()):
            places.setdefault(track, []).append((number, row))
    for track in sorted(places):
        place = np.array(places[track], np.int64)
        yield Track(
            track_id=track,
            frames=place[:, 0],
            rows=place[:, 1],
            keypoints_px=np.array([frames[n].keypoints_px[r] for n, r in place], np.float64),
            keypoint_scores=np.array([frames[n].keypoint_scores[r] for n, r in place], np.float64),
        )
