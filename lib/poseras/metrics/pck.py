"""PCK by the extent of the person: the measure of pose-tensorflow's own evaluation.

A joint is right when its distance to the truth is at most `threshold` times the larger side of the
rectangle around the person's labelled joints. This is not PCKh, whose unit is the head, and the
numbers of both do not compare; `metrics.pckh` is MPII's measure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class PckEvaluation:
    """The result.

    Attributes:
        percent: (joints,) of the labelled joints that are right, NaN where none is labelled.
        counts: (joints,) int64, how many are labelled.
        threshold: a share of the person's larger side.
    """

    percent: np.ndarray
    counts: np.ndarray
    threshold: float

    @property
    def stats(self) -> dict[str, float]:
        """The plain mean over the joints; NaN where one is never labelled, as published."""
        return {f"PCK@{self.threshold:g}": float(self.percent.mean())}

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            "unit": "larger side of the labelled joints",
            "threshold": self.threshold,
            "labelled": self.counts.tolist(),
        }

    def table(self, groups: Mapping[str, Sequence[int]]) -> str:
        """Two lines of LaTeX: names, and percent with one decimal.

        Args:
            groups: name -> joints, whose plain mean is shown.
        """
        values = [self.percent[list(joints)].mean() for joints in groups.values()]
        names = [*groups, "total"]
        numbers = [f"{value:.1f}" for value in [*values, self.percent.mean()]]
        return "".join(" & " + " & ".join(row) + "\n" for row in (names, numbers))


@dataclass(frozen=True)
class PckScores:
    """PCK at several thresholds, and beside it PCKh where heads are known.

    Attributes:
        evaluations: one for each threshold.
        pckh: percent of the labelled joints within half a head of the truth, or None.
    """

    evaluations: tuple[PckEvaluation, ...]
    pckh: float | None = None

    @property
    def stats(self) -> dict[str, float]:
        """PCK@0.05 and so on, and PCKh@0.5."""
        found: dict[str, float] = {}
        for evaluation in self.evaluations:
            found |= evaluation.stats
        return found if self.pckh is None else {**found, "PCKh@0.5": self.pckh}

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        thresholds = [evaluation.threshold for evaluation in self.evaluations]
        joints = {
            f"PCK@{e.threshold:g} by joint": [
                None if np.isnan(value) else float(value) for value in e.percent
            ]
            for e in self.evaluations
        }
        shared = self.evaluations[0].protocol()
        return {**shared, "threshold": thresholds, **joints}


def evaluate_pck(truth: ArrayLike, predicted: ArrayLike, threshold: float) -> PckEvaluation:
    """Compare people with their predictions, row by row.

    Args:
        truth: (people, joints, 3), x px, y px, and above 0 where the joint is labelled. People
            without a labelled joint do not count.
        predicted: (people, joints, 2 or more), x px, y px; what follows is not looked at.
        threshold: above 0.

    Raises:
        ValueError: shapes do not fit, or the threshold is not positive.
    """
    right, found = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if right.ndim != 3 or right.shape[2] != 3:
        raise ValueError(f"truth must have shape (people, joints, 3). Received {right.shape}.")
    if found.ndim != 3 or found.shape[:2] != right.shape[:2] or found.shape[2] < 2:
        raise ValueError(
            f"predicted must have shape {(*right.shape[:2], 2)}, a row for each person of the "
            f"truth. Received {found.shape}."
        )
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0. Received {threshold}.")
    labelled = right[..., 2] > 0  # (people, joints)
    here = labelled[..., None]
    lowest = np.where(here, right[..., :2], np.inf).min(axis=1, initial=np.inf)
    highest = np.where(here, right[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    side = (highest - lowest).max(axis=1)  # (people,), -inf without a labelled joint
    distance = np.linalg.norm(found[..., :2] - right[..., :2], axis=2)
    hits = labelled & (distance <= threshold * side[:, None])
    counts = labelled.sum(axis=0)
    share = hits.sum(axis=0) / np.maximum(counts, 1)
    return PckEvaluation(np.where(counts, 100 * share, np.nan), counts, float(threshold))
