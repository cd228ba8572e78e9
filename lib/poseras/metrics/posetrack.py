"""PoseTrack's two measures: average precision of joints, and tracking accuracy (MOTA).

The numbers are those of poseval, the official tool, with three differences: MOTP is taken over
matched pairs alone (see `posetrack_tracking`); a joint group is the mean of its joints that count,
where poseval prints NaN if one of them does not; equal scores rank by file order, last first, where
poseval's order is left to chance.

Source: PoseTrack: A Benchmark for Human Pose Estimation and Tracking, Andriluka et al., CVPR 2018,
and leonid-pishchulin/poseval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from .matching import count_up
from .posetrack_columns import HEAD_FACTOR, JOINTS, FramePeople, compare_files
from .posetrack_tracking import TrackingCounts, count_tracking_events

#: A joint is right within this many head sizes.
DISTANCE_LIMIT = 0.5

#: Column of the table: joints that it is the plain mean of. Total is that of all fifteen joints.
GROUPS = {
    "Head": ("neck", "nose", "head_top"),
    "Shoulder": ("right_shoulder", "left_shoulder"),
    "Elbow": ("right_elbow", "left_elbow"),
    "Wrist": ("right_wrist", "left_wrist"),
    "Hip": ("right_hip", "left_hip"),
    "Knee": ("right_knee", "left_knee"),
    "Ankle": ("right_ankle", "left_ankle"),
}


@dataclass(frozen=True)
class TrackingScores:
    """MOTA and its kin per joint and "total" (the mean over joints), percent; NaN: nothing counts.

    Attributes:
        mota: 100 (1 - (misses + switches + false alarms) / annotated joints); may be negative.
        motp_matched_only: 100 (1 - mean distance of matched pairs in head sizes), 0 without any.
        precision: matched over predicted joints.
        recall: matched over annotated joints.
        counts: summed over sequences before any division.
    """

    mota: dict[str, float]
    motp_matched_only: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]
    counts: TrackingCounts

    @property
    def table(self) -> dict[str, float]:
        """The row that poseval prints: MOTA of joint groups, then the totals."""
        return {
            **{f"MOTA {group}": value for group, value in group_joints(self.mota).items()},
            "MOTP matched only": self.motp_matched_only["total"],
            "Precision Total": self.precision["total"],
            "Recall Total": self.recall["total"],
        }


@dataclass(frozen=True)
class PoseTrackEvaluation:
    """The result: percent per joint and "total", NaN where nothing counts.

    Attributes:
        ap: area under the interpolated precision-recall curve.
        precision: of all predicted joints.
        recall: of all annotated joints.
        frames: how many frames were evaluated.
        sequences: how many sequences were read.
        tracking: None if it was not asked for, or no sequence has two evaluated frames.
    """

    ap: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]
    frames: int
    sequences: int
    tracking: TrackingScores | None

    @property
    def table(self) -> dict[str, float]:
        """AP of joint groups: Head, Shoulder, ..., Ankle, Total."""
        return group_joints(self.ap)

    @property
    def stats(self) -> dict[str, float]:
        """The table of AP and, if there is one, that of tracking."""
        stats = {f"AP {group}": value for group, value in self.table.items()}
        return {**stats, **(self.tracking.table if self.tracking else {})}

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            "metric": "PoseTrack 2018, rules of poseval",
            "versions": {"poseras": version("poseras"), "numpy": np.__version__},
            "distance_limit_head_sizes": DISTANCE_LIMIT,
            "head_size": f"{HEAD_FACTOR} x diagonal of bbox_head",
            "frames_evaluated": self.frames,
            "sequences": self.sequences,
            "tracking": "last evaluated frame of each sequence left out, as poseval does"
            if self.tracking
            else "not evaluated",
        }


def evaluate_posetrack(
    truth: Mapping[str, Mapping[str, Any]],
    results: Mapping[str, Mapping[str, Any]],
    *,
    tracking: bool = True,
) -> PoseTrackEvaluation:
    """Score predictions by poseval's rules.

    Args:
        truth: name of a sequence -> its parsed annotation file, as `read_sequences` gives them.
        results: result files by the same names: the images and categories of the annotation file,
            and people with `image_id`, `track_id`, `keypoints` (x, y, anything per joint; 0, 0, 0
            for a joint that is not predicted) and `scores` (one per joint).
        tracking: compute MOTA too. It needs track ids that differ within each frame; poseval stops
            without them even where only AP is wanted, which is not asked here.

    Raises:
        ValueError: a result file is missing or unknown, stands on other pictures or lacks what is
            read; no frame has annotated people; track ids are missing or doubled.
    """
    compared = compare_files(truth, results)
    if not len(compared.sequence_of_frame):
        raise ValueError(
            "PoseTrack evaluation needs frames with annotated people. Received none; test splits "
            "are scored by the server."
        )
    pairs = _measure_pairs(compared.truth, compared.predictions)
    right = _label_joints(compared.truth, compared.predictions, pairs)
    ap, precision, recall = _trace_joints(compared.truth, compared.predictions, right)
    counts = None
    if tracking:
        counts = count_tracking_events(compared, distance_limit=DISTANCE_LIMIT)
    return PoseTrackEvaluation(
        ap=_name_joints(ap),
        precision=_name_joints(precision),
        recall=_name_joints(recall),
        frames=len(compared.sequence_of_frame),
        sequences=len(compared.sequences),
        tracking=_score_tracking(counts) if counts and counts.frames else None,
    )


def group_joints(per_joint: Mapping[str, float]) -> dict[str, float]:
    """Joint groups and Total from the values of joints and their total."""
    groups = {
        group: _mean_of_valid([per_joint[name] for name in names])
        for group, names in GROUPS.items()
    }
    return {**groups, "Total": per_joint["total"]}


@dataclass(frozen=True)
class _Pairs:
    """Pairs of a predicted and an annotated person of one frame.

    Attributes:
        predictions: (pairs,) rows, rising.
        truth: (pairs,) rows, rising within one prediction.
        right: (pairs, joints) bool, both joints present and near enough.
    """

    predictions: np.ndarray
    truth: np.ndarray
    right: np.ndarray


def _measure_pairs(truth: FramePeople, predictions: FramePeople) -> _Pairs:
    first = np.searchsorted(truth.frames, predictions.frames, side="left")
    partners = np.searchsorted(truth.frames, predictions.frames, side="right") - first
    predicted = np.repeat(np.arange(len(predictions)), partners)
    annotated = first[predicted] + count_up(predicted)
    offsets = truth.keypoints_px[annotated] - predictions.keypoints_px[predicted]
    # A head without a size makes no joint right, at whatever distance.
    sizes = np.where(truth.head_sizes_px > 0, truth.head_sizes_px, np.nan)[annotated]
    near = np.linalg.norm(offsets, axis=2) / sizes[:, None] <= DISTANCE_LIMIT
    both = truth.present[annotated] & predictions.present[predicted]
    return _Pairs(predicted, annotated, near & both)


def _label_joints(truth: FramePeople, predictions: FramePeople, pairs: _Pairs) -> np.ndarray:
    """Which predicted joints are right, (predictions, joints) bool.

    A predicted person goes to the annotated person with the largest share of right joints, the
    first one at ties; of several that come to one, the best stays, the first one at ties. Joints
    of the others are wrong.
    """
    labelled = np.count_nonzero(truth.present, axis=1)[pairs.truth]
    share = np.count_nonzero(pairs.right, axis=1) / np.maximum(labelled, 1)
    order = np.lexsort((pairs.truth, -share, pairs.predictions))
    order = order[count_up(pairs.predictions[order]) == 0]
    order = order[np.lexsort((pairs.predictions[order], -share[order], pairs.truth[order]))]
    chosen = order[count_up(pairs.truth[order]) == 0]
    right = np.zeros(predictions.present.shape, bool)
    right[pairs.predictions[chosen]] = pairs.right[chosen]
    return right


def _trace_joints(truth: FramePeople, predictions: FramePeople, right: np.ndarray) -> np.ndarray:
    """AP, precision and recall: (3, joints) percent."""
    totals = np.count_nonzero(truth.present, axis=0)
    values = np.zeros((3, len(totals)))
    for joint, total in enumerate(totals):
        rows = np.flatnonzero(predictions.present[:, joint])
        # kept: a joint that nobody predicts scores 0, even where nobody is annotated.
        if not len(rows):
            continue
        order = np.argsort(predictions.scores[rows, joint], kind="stable")[::-1]
        hits = np.cumsum(right[rows[order], joint])
        area = _area_under_curve(hits, total) if total else np.nan
        values[:, joint] = area, hits[-1] / len(rows), hits[-1] / total if total else np.nan
    return 100 * values


def _area_under_curve(hits: np.ndarray, total: int) -> float:
    """Area under the precision-recall curve, precision being the best at any higher recall.

    Args:
        hits: (predictions,) right ones so far, best prediction first.
        total: joints to be found, above 0.
    """
    precision = hits / np.arange(1, len(hits) + 1)
    best_behind = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0) / total * best_behind))


def _score_tracking(counts: TrackingCounts) -> TrackingScores:
    matched = counts.matches + counts.switches
    errors = counts.misses + counts.switches + counts.false_alarms
    # kept: 0 for a joint without matches, and it counts in the mean.
    motp = np.where(matched > 0, _percent(matched - counts.distances, matched), 0.0)
    return TrackingScores(
        mota=_name_joints(_percent(counts.objects - errors, counts.objects)),
        motp_matched_only=_name_joints(motp),
        precision=_name_joints(_percent(matched, matched + counts.false_alarms)),
        recall=_name_joints(_percent(matched, counts.objects)),
        counts=counts,
    )


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """100 part / whole, NaN where the whole is 0."""
    return 100 * np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _name_joints(values: np.ndarray) -> dict[str, float]:
    """Joint -> value, and the mean of those that count as "total"."""
    return {**dict(zip(JOINTS, map(float, values), strict=True)), "total": _mean_of_valid(values)}


def _mean_of_valid(values: Sequence[float] | np.ndarray) -> float:
    """The mean of those that are not NaN, NaN without any."""
    valid = np.asarray(values)[~np.isnan(values)]
    return float(valid.mean()) if valid.size else float("nan")
