"""COCO's average precision and recall, vectorised: for keypoints by OKS, for boxes by IoU.

The numbers are those of pycocotools, quirks included, at a small part of its time. What differs
between data sets is an argument or a column: sigmas, area ranges, the number of predictions per
picture, areas and ignored rows.

Source: https://cocodataset.org/#keypoints-eval and cocodataset/cocoapi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from .columns import Detections, GroundTruth
from .matching import (
    Matches,
    Ranking,
    list_pairs,
    match_greedily,
    measure_iou,
    measure_oks,
    rank_detections,
)


@dataclass(frozen=True)
class AreaRange:
    """Rows of `low` to `high` px^2, both included."""

    name: str
    low: float
    high: float


ALL = AreaRange("all", 0.0, 1e5**2)
SMALL = AreaRange("small", 0.0, 32.0**2)
MEDIUM = AreaRange("medium", 32.0**2, 96.0**2)
LARGE = AreaRange("large", 96.0**2, 1e5**2)


@dataclass(frozen=True)
class Rules:
    """What is measured.

    Attributes:
        area_ranges: the first one is that of the main numbers.
        max_detections: predictions per picture and category, rising; the last one is that of the
            main numbers.
        thresholds: (thresholds,) similarities, rising, at which a prediction counts as right.
        recalls: (recalls,) points at which the precision is read.
    """

    area_ranges: tuple[AreaRange, ...]
    max_detections: tuple[int, ...]
    # linspace, as pycocotools has it: arange's values lie a rounding error above .55, .60, ...
    thresholds: np.ndarray = field(default_factory=lambda: np.linspace(0.5, 0.95, 10))
    recalls: np.ndarray = field(default_factory=lambda: np.linspace(0.0, 1.0, 101))


KEYPOINT_RULES = Rules(area_ranges=(ALL, MEDIUM, LARGE), max_detections=(20,))
BOX_RULES = Rules(area_ranges=(ALL, SMALL, MEDIUM, LARGE), max_detections=(1, 10, 100))


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation. A number is -1 where no row counts.

    Attributes:
        stats: the usual numbers by their names ("AP", "AP .5", ...), in the usual order.
        precision: (thresholds, recalls, categories, ranges, max_detections), interpolated.
        recall: (thresholds, categories, ranges, max_detections).
        rules: what was measured.
        sigmas: one per joint, empty for boxes.
        evaluator: what computed it: `fast`, `pycocotools` or `both`.
        versions: of the libraries that took part.
    """

    stats: dict[str, float]
    precision: np.ndarray
    recall: np.ndarray
    rules: Rules
    sigmas: tuple[float, ...]
    evaluator: str
    versions: dict[str, str]

    @property
    def ap_per_threshold(self) -> list[float]:
        """AP at each threshold, over the first area range."""
        return [_mean_of_valid(values[..., 0, -1]) for values in self.precision]

    @property
    def ar_per_threshold(self) -> list[float]:
        """AR at each threshold, over the first area range."""
        return [_mean_of_valid(values[..., 0, -1]) for values in self.recall]

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            "evaluator": self.evaluator,
            "versions": dict(self.versions),
            "sigmas": list(self.sigmas),
            "thresholds": [float(threshold) for threshold in self.rules.thresholds],
            "max_detections": list(self.rules.max_detections),
            "area_ranges_px2": {r.name: [r.low, r.high] for r in self.rules.area_ranges},
        }


def evaluate_oks_ap(
    truth: GroundTruth,
    detections: Detections,
    *,
    sigmas: Sequence[float] | np.ndarray,
    rules: Rules = KEYPOINT_RULES,
) -> Evaluation:
    """Average precision and recall of keypoints, by object keypoint similarity.

    Args:
        truth: annotated rows with keypoints.
        detections: predictions with keypoints; without any, every AP and AR is 0.
        sigmas: one per joint, COCO's k_i / 2 (nose: 0.026).
        rules: COCO's by default: 20 predictions a picture, all, medium and large.

    Raises:
        ValueError: the number of joints differs, or a prediction stands on an unknown picture.
    """
    ranking = rank_detections(truth, detections, rules.max_detections[-1])
    pairs = list_pairs(truth, ranking)
    matches = match_greedily(
        ranking,
        pairs,
        measure_oks(truth, detections, ranking, pairs, sigmas),
        thresholds=rules.thresholds,
        ignored=_ignore_outside(truth.ignore, truth.areas, rules),
        crowd=truth.crowd,
    )
    precision, recall = _accumulate(truth, detections, ranking, matches, rules)
    return _conclude(precision, recall, rules, sigmas)


def evaluate_box_ap(
    truth: GroundTruth, detections: Detections, *, rules: Rules = BOX_RULES
) -> Evaluation:
    """Average precision and recall of boxes, by intersection over union.

    Args:
        truth: annotated rows, as `GroundTruth.from_coco(..., kind="boxes")` reads them.
        detections: predictions with boxes; without any, every AP and AR is 0.
        rules: COCO's by default: 1, 10 and 100 predictions a picture, all to large.

    Raises:
        ValueError: boxes are missing, or a prediction stands on an unknown picture.
    """
    ranking = rank_detections(truth, detections, rules.max_detections[-1])
    pairs = list_pairs(truth, ranking)
    matches = match_greedily(
        ranking,
        pairs,
        measure_iou(truth, detections, ranking, pairs),
        thresholds=rules.thresholds,
        ignored=_ignore_outside(truth.ignore, truth.areas, rules),
        crowd=truth.crowd,
    )
    precision, recall = _accumulate(truth, detections, ranking, matches, rules)
    return _conclude(precision, recall, rules, ())


def summarise(precision: np.ndarray, recall: np.ndarray, rules: Rules) -> dict[str, float]:
    """The usual numbers of COCO's tables, by name.

    Args:
        precision: (thresholds, recalls, categories, ranges, max_detections).
        recall: (thresholds, categories, ranges, max_detections).
        rules: which thresholds, ranges and numbers of predictions these are.

    Returns:
        AP, AP .5, AP .75 and AP of each further range, then AR likewise; where there are several
        `max_detections`, AR of each of them in place of AR, AR .5 and AR .75.
    """
    stats = {}
    several = len(rules.max_detections) > 1
    for kind, table in (("AP", precision), ("AR", recall)):
        if kind == "AR" and several:
            for index, limit in enumerate(rules.max_detections):
                stats[f"AR maxDets={limit}"] = _mean_of_valid(table[..., 0, index])
        else:
            stats[kind] = _mean_of_valid(table[..., 0, -1])
            for threshold, name in ((0.5, ".5"), (0.75, ".75")):
                at = np.isclose(rules.thresholds, threshold)
                if at.any():
                    stats[f"{kind} {name}"] = _mean_of_valid(table[at][..., 0, -1])
        for index, area_range in enumerate(rules.area_ranges[1:], start=1):
            label = area_range.name[0].upper()
            stats[f"{kind} ({label})"] = _mean_of_valid(table[..., index, -1])
    return stats


def _mean_of_valid(values: np.ndarray) -> float:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else -1.0


def _ignore_outside(ignore: np.ndarray, areas: np.ndarray, rules: Rules) -> np.ndarray:
    """(ranges, rows) bool: ignored anyway, or outside the area range."""
    return np.stack([ignore | (areas < r.low) | (areas > r.high) for r in rules.area_ranges])


def _accumulate(
    truth: GroundTruth,
    detections: Detections,
    ranking: Ranking,
    matches: Matches,
    rules: Rules,
) -> tuple[np.ndarray, np.ndarray]:
    """The tables of precision and recall, as `Evaluation` has them."""
    hit, counted = _judge(truth, detections, ranking, matches, rules)
    valid = ~_ignore_outside(truth.ignore, truth.areas, rules)
    shape = (len(truth.categories), len(rules.area_ranges), len(rules.max_detections))
    precision = np.full((len(rules.thresholds), len(rules.recalls), *shape), -1.0)
    recall = np.full((len(rules.thresholds), *shape), -1.0)
    for k, m in np.ndindex(shape[0], shape[2]):
        columns = (ranking.categories == k) & (ranking.places < rules.max_detections[m])
        columns = slice(None) if columns.all() else np.flatnonzero(columns)
        rows = truth.category_ids == truth.categories[k]
        for a, total in enumerate(np.count_nonzero(valid[:, rows], axis=1)):
            if total:
                precision[:, :, k, a, m], recall[:, k, a, m] = _trace_precision(
                    hit[a][:, columns], counted[a][:, columns], total, rules.recalls
                )
    return precision, recall


def _conclude(
    precision: np.ndarray,
    recall: np.ndarray,
    rules: Rules,
    sigmas: Sequence[float] | np.ndarray,
) -> Evaluation:
    return Evaluation(
        stats=summarise(precision, recall, rules),
        precision=precision,
        recall=recall,
        rules=rules,
        sigmas=tuple(map(float, sigmas)),
        evaluator="fast",
        versions={"poseras": version("poseras"), "numpy": np.__version__},
    )


def _judge(
    truth: GroundTruth,
    detections: Detections,
    ranking: Ranking,
    matches: Matches,
    rules: Rules,
) -> tuple[np.ndarray, np.ndarray]:
    """Which predictions are right, and which count at all.

    Returns:
        Two bool tables (ranges, thresholds, ranked). A prediction that found an ignored row does
        not count, nor does one outside the area range that found nothing.
    """
    outside = _ignore_outside(
        np.zeros(len(ranking.rows), bool), detections.areas[ranking.rows], rules
    )
    ignored = _ignore_outside(truth.ignore, truth.areas, rules)
    shape = (len(rules.area_ranges), len(rules.thresholds), len(ranking.rows))
    counted = np.broadcast_to(~outside[:, None], shape).copy()
    hit = np.zeros(shape, bool)
    if not len(matches.ranked):
        return hit, counted
    row = matches.rows  # (ranges, thresholds, candidates); -1 reads the last row and is masked
    matched = row >= 0
    on_ignored = matched & ignored[np.arange(len(ignored))[:, None, None], row]
    # kept: pycocotools marks "found" by the row's id, so that row id 0 is never found.
    right = matched & (truth.ids[row] != 0)
    counted[..., matches.ranked] = ~on_ignored & (right | ~outside[:, None, matches.ranked])
    hit[..., matches.ranked] = right & ~on_ignored
    return hit, counted


def _trace_precision(
    hit: np.ndarray, counted: np.ndarray, total: int, recalls: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision, and the final recall, of one category and range.

    Recall rises and interpolated precision steps at hits alone, so the curve is kept at the hits:
    the n-th has the recall n / total at every threshold.

    Args:
        hit: (thresholds, ranked) bool.
        counted: (thresholds, ranked) bool, False where a prediction is ignored.
        total: the number of rows to be found, above 0.
        recalls: (recalls,) points at which the precision is read.

    Returns:
        (thresholds, recalls) and (thresholds,), both float64.
    """
    so_far = np.cumsum(counted, axis=1, dtype=np.int32)
    position = np.searchsorted(np.arange(1, total + 1) / total, recalls, side="left")
    precision = np.zeros((len(hit), len(recalls)))
    hits = np.count_nonzero(hit, axis=1)
    for t, found in enumerate(hits):
        at = np.flatnonzero(hit[t])
        values = np.arange(1, found + 1) / (so_far[t, at] + np.spacing(1))
        best_behind = np.maximum.accumulate(values[::-1])[::-1]
        reached = position < found
        precision[t, reached] = best_behind[position[reached]]
    return precision, hits / total
