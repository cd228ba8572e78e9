"""PCKh, the measure of MPII: which share of the joints lies within a part of the head's size.

A joint is right when its distance to the truth is at most `threshold` head sizes; the head size is
0.6 times the diagonal of the head box. Predictions and truth stand in the same row: PCKh is a
measure of single people whose rough place is known.

Source: 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, Andriluka et al.,
CVPR 2014; the table is that of human-pose-estimation.pytorch (Microsoft).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pckh_truth import HEAD_FACTOR, PckhTruth

#: 0, 0.01, ..., 0.5. `arange`, as published: a linspace's values lie a rounding error beside it.
THRESHOLDS = np.arange(0, 0.51, 0.01)

#: What published tables call "@0.1" reads the curve one place too far, at 0.11.
PUBLISHED_TENTH = 0.11

#: Column of the table: joints that it is the mean of.
GROUPS: dict[str, tuple[str, ...]] = {
    "Head": ("head_top",),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}

#: Joints that the mean leaves out; the upper neck is in it, though in no column.
OUTSIDE_MEAN = ("pelvis", "thorax")


@dataclass(frozen=True)
class PckhEvaluation:
    """The result. All scores are percent, and NaN where nobody is annotated.

    Attributes:
        names: one per joint.
        counts: (joints,) int64, people with this joint annotated.
        thresholds: (thresholds,) in head sizes.
        curve: (thresholds, joints) percent of the annotated joints that are right.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    thresholds: np.ndarray
    curve: np.ndarray

    def per_joint(self, threshold: float = 0.5) -> dict[str, float]:
        """PCKh of each joint.

        Raises:
            ValueError: the curve has no such threshold.
        """
        values = self.curve[self._index_of(threshold)]
        return dict(zip(self.names, map(float, values), strict=True))

    def table(self, threshold: float = 0.5) -> dict[str, float]:
        """Head, Shoulder, ..., Ankle and Mean at one threshold.

        Groups are the plain mean of left and right; the mean is that of the joints, weighted by
        their number of annotated people, without pelvis and thorax. Joints that nobody has are
        left out of both, where the original gives NaN.

        Raises:
            ValueError: the curve has no such threshold.
        """
        values = self.curve[self._index_of(threshold)]
        members = {
            group: [self.names.index(name) for name in names if name in self.names]
            for group, names in GROUPS.items()
        }
        table = {
            group: _mean(values[joints], self.counts[joints] > 0)
            for group, joints in members.items()
            if joints
        }
        in_mean = np.array([name not in OUTSIDE_MEAN for name in self.names])
        return {**table, "Mean": _mean(values, self.counts * in_mean)}

    @property
    def stats(self) -> dict[str, float]:
        """The published row, then the mean at a true 0.1.

        "Mean@0.1" is what published tables print under this name, read at 0.11.
        """
        return {
            **self.table(),
            "Mean@0.1": self.table(PUBLISHED_TENTH)["Mean"],
            "Mean@0.1 (true)": self.table(0.1)["Mean"],
        }

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            "metric": "PCKh",
            "thresholds_head_sizes": {
                "Head..Mean": 0.5,
                "Mean@0.1": PUBLISHED_TENTH,
                "Mean@0.1 (true)": 0.1,
            },
            "head_size": f"{HEAD_FACTOR} x diagonal of the head box",
            "outside_mean": list(OUTSIDE_MEAN),
            "annotated_people": dict(zip(self.names, map(int, self.counts), strict=True)),
        }

    def _index_of(self, threshold: float) -> int:
        index = int(np.argmin(np.abs(self.thresholds - threshold)))
        if not np.isclose(self.thresholds[index], threshold, rtol=0, atol=1e-9):
            raise ValueError(
                f"threshold must be one of the {len(self.thresholds)} thresholds of the curve, "
                f"{self.thresholds[0]:g} to {self.thresholds[-1]:g}. Received {threshold:g}; "
                "evaluate_pckh(thresholds=...) takes others."
            )
        return index


def evaluate_pckh(
    truth: PckhTruth,
    predictions_px: np.ndarray,
    *,
    thresholds: Sequence[float] | np.ndarray = THRESHOLDS,
) -> PckhEvaluation:
    """PCKh of one prediction for each annotated person.

    Args:
        truth: annotated people.
        predictions_px: (people, joints, 2 or 3), x px, y px counted from 0, row by row and joint
            by joint as in `truth`; NaN where a joint was not found, which counts as wrong. A third
            number is not used. `arrange_predictions` brings predictions into this order.
        thresholds: in head sizes, rising. 0.1, 0.11 and 0.5 are needed by `stats`.

    Raises:
        ValueError: the predictions do not fit the truth, or nobody is annotated.
    """
    predictions = np.asarray(predictions_px)
    people, joints = truth.labelled.shape
    if predictions.ndim != 3 or predictions.shape not in ((people, joints, 2), (people, joints, 3)):
        raise ValueError(
            f"Predictions must have shape ({people}, {joints}, 2 or 3), a row for each annotated "
            f"person. Received {predictions.shape}."
        )
    if not people:
        raise ValueError("PCKh needs annotated people. Received none.")
    # kept: the offset is added in the predictions' own precision, as published.
    moved = predictions[..., :2] + predictions.dtype.type(truth.first_pixel)
    distances = np.linalg.norm(moved - truth.keypoints_px, axis=-1)  # (people, joints)
    distances = distances / truth.head_sizes_px[:, None]
    counts = np.count_nonzero(truth.labelled, axis=0)
    limits = np.asarray(thresholds, np.float64)
    right = np.stack(
        [np.count_nonzero((distances <= limit) & truth.labelled, axis=0) for limit in limits]
    )
    curve = np.where(counts > 0, 100.0 * right / np.maximum(counts, 1), np.nan)
    return PckhEvaluation(truth.names, counts, limits, curve)


def arrange_predictions(
    truth: PckhTruth, ids: Sequence[int] | np.ndarray, predictions_px: np.ndarray
) -> np.ndarray:
    """Predictions in the order of the annotated people.

    Args:
        truth: annotated people.
        ids: (rows,) for which annotated person each prediction is made.
        predictions_px: (rows, joints, 2 or 3).

    Returns:
        (people, joints, 2 or 3) float64, NaN for people without a prediction. Predictions for
        people that the truth leaves out are left out, too. Without any prediction all is NaN.

    Raises:
        ValueError: two predictions are for the same person, none of some is for any, or lengths
            differ.
    """
    ids, predictions = np.asarray(ids, np.int64), np.asarray(predictions_px, np.float64)
    if predictions.ndim != 3 or len(ids) != len(predictions):
        raise ValueError(
            "Predictions must have shape (rows, joints, 2 or 3), a row for each id. Received "
            f"{predictions.shape} and {len(ids)} ids."
        )
    row_of_id = {int(person): row for row, person in enumerate(ids)}
    if len(row_of_id) != len(ids):
        raise ValueError(
            "PCKh compares one prediction with each annotated person. Received several for one; "
            "test on annotated boxes (--set test.use_gt_box=true)."
        )
    if len(ids) and not np.isin(truth.ids, ids).any():
        raise ValueError(
            "PCKh compares each prediction with the annotated person whose box it was made for. "
            "Received none with an id of the truth; test on annotated boxes "
            "(--set test.use_gt_box=true)."
        )
    arranged = np.full((len(truth), *predictions.shape[1:]), np.nan)
    for row, person in enumerate(truth.ids):
        if int(person) in row_of_id:
            arranged[row] = predictions[row_of_id[int(person)]]
    return arranged


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """The mean over weights above 0, NaN without any."""
    counted = weights > 0
    return float(np.average(values[counted], weights=weights[counted])) if counted.any() else np.nan
