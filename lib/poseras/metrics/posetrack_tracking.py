"""CLEAR-MOT events of single joints: misses, false alarms, switches and matches.

Every joint is tracked on its own, in every sequence anew: an annotated joint and a predicted one
may match within the distance limit. A match of the past is kept as long as it is possible; what
remains is matched as often as possible, and among equally many matches at the smallest sum of
distances.

Source: Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics, Bernardin and
Stiefelhagen, EURASIP Journal on Image and Video Processing 2008, as in poseval with motmetrics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from .posetrack_columns import JOINTS, FramePeople, PoseTrackSet


@dataclass(frozen=True)
class TrackingCounts:
    """Events, summed over frames and sequences.

    MOTP as poseval prints it adds the distances of all candidate pairs; that sum is not kept here,
    only that of the matched ones.

    Attributes:
        misses: (joints,) int64, annotated joints that nothing matched.
        false_alarms: (joints,) int64, predicted joints that matched nothing.
        switches: (joints,) int64, matches of a joint whose last match had another track id.
        matches: (joints,) int64, all other matches.
        distances: (joints,) float64, sum over matches and switches, in head sizes.
        frames: how many frames were looked at.
    """

    misses: np.ndarray
    false_alarms: np.ndarray
    switches: np.ndarray
    matches: np.ndarray
    distances: np.ndarray
    frames: int

    @classmethod
    def start(cls) -> TrackingCounts:
        """No events yet."""
        misses, false_alarms, switches, matches = np.zeros((4, len(JOINTS)), np.int64)
        return cls(misses, false_alarms, switches, matches, np.zeros(len(JOINTS)), 0)

    @property
    def objects(self) -> np.ndarray:
        """(joints,) int64, annotated joints."""
        return self.misses + self.switches + self.matches

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Event -> joint -> count, for JSON."""
        return {
            event: dict(zip(JOINTS, map(int, values), strict=True))
            for event, values in (
                ("misses", self.misses),
                ("false_alarms", self.false_alarms),
                ("switches", self.switches),
                ("matches", self.matches),
            )
        }


def count_tracking_events(compared: PoseTrackSet, *, distance_limit: float) -> TrackingCounts:
    """Follow all joints through all sequences.

    Two slips of poseval are kept, because published numbers depend on them: the last evaluated
    frame of each sequence is left out, and a frame in which one side has no people at all counts
    as one miss and one false alarm per joint, whatever the other side holds.

    Args:
        compared: the people of all evaluated frames.
        distance_limit: in head sizes, itself included.

    Raises:
        ValueError: a person has no track id, or two predicted ones of a frame have the same.
    """
    _check_track_ids(compared)
    sums = TrackingCounts.start()
    starts = np.flatnonzero(np.diff(compared.sequence_of_frame, prepend=-1)).tolist()
    frames = 0
    for first, after in zip(starts, [*starts[1:], len(compared.sequence_of_frame)], strict=True):
        last = after - 1  # kept: it is not looked at
        follower = _Follower(
            _take_frames(compared.truth, first, last),
            _take_frames(compared.predictions, first, last),
            sums,
            distance_limit,
        )
        for frame in range(first, last):
            follower.advance(frame)
        frames += last - first
    return replace(sums, frames=frames)


class _Follower:
    """One sequence, frame by frame, all joints at once.

    Attributes:
        sums: where events are added.
        last: (joints, annotated tracks) index of the predicted track that a joint matched last, -1
            before its first match. It is never forgotten, however long a joint is lost.
    """

    def __init__(
        self, truth: FramePeople, predictions: FramePeople, sums: TrackingCounts, limit: float
    ):
        self.truth = truth
        self.predictions = predictions
        self.sums = sums
        self.limit = limit
        tracks, self.truth_tracks = np.unique(truth.track_ids, return_inverse=True)
        _, self.predicted_tracks = np.unique(predictions.track_ids, return_inverse=True)
        self.last = np.full((len(JOINTS), len(tracks)), -1)

    def advance(self, frame: int) -> None:
        """Count the events of the next frame."""
        rows = slice(*np.searchsorted(self.truth.frames, [frame, frame + 1]))
        columns = slice(*np.searchsorted(self.predictions.frames, [frame, frame + 1]))
        if rows.start == rows.stop or columns.start == columns.stop:
            self.sums.misses[:] += 1
            self.sums.false_alarms[:] += 1
            return
        distances = self._measure(rows, columns)  # (joints, annotated, predicted)
        last = self.last[:, self.truth_tracks[rows]]  # (joints, annotated)
        kept = _keep_matches(distances, last, self.predicted_tracks[columns])
        matched = kept | _match_rest(distances, kept)
        joint, row, column = np.nonzero(matched)
        before, now = last[joint, row], self.predicted_tracks[columns][column]
        switched = (before >= 0) & (before != now)
        self.last[joint, self.truth_tracks[rows][row]] = now
        found = np.count_nonzero(matched, axis=(1, 2))
        switches = np.bincount(joint[switched], minlength=len(JOINTS))
        self.sums.misses[:] += np.count_nonzero(self.truth.present[rows], axis=0) - found
        predicted = np.count_nonzero(self.predictions.present[columns], axis=0)
        self.sums.false_alarms[:] += predicted - found
        self.sums.switches[:] += switches
        self.sums.matches[:] += found - switches
        self.sums.distances[:] += np.where(matched, distances, 0).sum(axis=(1, 2))

    def _measure(self, rows: slice, columns: slice) -> np.ndarray:
        """(joints, annotated, predicted) in head sizes, infinite where they may not match."""
        offsets = self.truth.keypoints_px[rows, None] - self.predictions.keypoints_px[columns]
        sizes = self.truth.head_sizes_px[rows, None, None]
        pixels = np.linalg.norm(offsets, axis=-1)  # (annotated, predicted, joints)
        distances = np.divide(pixels, sizes, out=np.full(pixels.shape, np.inf), where=sizes > 0)
        both = self.truth.present[rows, None] & self.predictions.present[columns]
        return np.moveaxis(np.where(both & (distances <= self.limit), distances, np.inf), -1, 0)


def _keep_matches(distances: np.ndarray, last: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Matches of the past that are possible now.

    Args:
        distances: (joints, annotated, predicted), infinite where impossible.
        last: (joints, annotated) predicted track of the last match, -1 without.
        tracks: (predicted,) their tracks, all different.

    Returns:
        The shape of `distances`, bool. Where two annotated joints had the same track, the first
        one gets it.
    """
    possible = (last[:, :, None] == tracks) & np.isfinite(distances)
    return possible & (np.cumsum(possible, axis=1) == 1)


def _match_rest(distances: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The best matches of what `kept` leaves free, as many as possible; the same shape, bool."""
    free = np.isfinite(distances) & ~kept.any(axis=2, keepdims=True)
    free &= ~kept.any(axis=1, keepdims=True)
    contested = (free.sum(axis=1) > 1).any(axis=1) | (free.sum(axis=2) > 1).any(axis=1)
    for joint in np.flatnonzero(contested):
        possible = free[joint]
        # One impossible pair costs more than any number of possible ones.
        impossible = 2 * (min(possible.shape) * (distances[joint][possible].max() + 1)) + 1
        chosen = linear_sum_assignment(np.where(possible, distances[joint], impossible))
        assigned = np.zeros_like(possible)
        assigned[chosen] = True
        free[joint] &= assigned
    return free


def _take_frames(people: FramePeople, first: int, after: int) -> FramePeople:
    return people.take((people.frames >= first) & (people.frames < after))


def _check_track_ids(compared: PoseTrackSet) -> None:
    for people, what in ((compared.truth, "annotated"), (compared.predictions, "predicted")):
        missing = np.flatnonzero(people.track_ids < 0)
        if len(missing):
            raise ValueError(
                f"Tracking needs a track_id of 0 or more for each {what} person. Sequence "
                f"{_name_sequence(compared, people, missing[0])} has one without; evaluate with "
                "tracking=False for AP alone."
            )
    people = compared.predictions
    order = np.lexsort((people.track_ids, people.frames))
    same = np.diff(people.frames[order], prepend=-1) == 0
    same &= np.diff(people.track_ids[order], prepend=-1) == 0
    if same.any():
        row = order[np.flatnonzero(same)[0]]
        raise ValueError(
            "The predicted people of one frame must have different track ids. A frame of sequence "
            f"{_name_sequence(compared, people, row)} has two of id {people.track_ids[row]}; give "
            "each person its own, or evaluate with tracking=False for AP alone."
        )


def _name_sequence(compared: PoseTrackSet, people: FramePeople, row: int) -> str:
    return compared.sequences[compared.sequence_of_frame[people.frames[row]]]
