"""What the numbers of a run are made of: curves, kinds of errors, groups of people and pictures.

Groups and their limits are those of the error diagnosis of Ronchi and Perona (ICCV 2017): size,
number of overlapping people, number of labelled joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..metrics.columns import GroundTruth
from ..metrics.keypoint_errors import KINDS, KeypointErrors, diagnose_keypoints
from ..metrics.matching import list_pairs, match_greedily, measure_oks, rank_detections
from ..metrics.oks_ap import Evaluation, evaluate_oks_ap
from ..ops.overlap import box_iou
from .people import RunPeople

#: Two people overlap from this intersection over union of their boxes on.
OVERLAP_IOU = 0.1

#: Groups of people, each with the lowest value that belongs to it.
_SIZES = (
    ("below 32 px", 0.0),
    ("32 to 64 px", 32.0),
    ("64 to 96 px", 64.0),
    ("96 to 128 px", 96.0),
    ("above 128 px", 128.0),
)
_OVERLAPS = (("nobody", 0), ("1 or 2 people", 1), ("3 or more", 3))
_LABELLED = (("1 to 5", 1), ("6 to 10", 6), ("11 to 15", 11), ("above 15", 16))


@dataclass(frozen=True)
class Group:
    """Some of the annotated people.

    Attributes:
        name: of the group.
        people: how many.
        found: share of them with a prediction of an OKS of 0.5 or more.
        recall: AR, the mean of such shares over the thresholds 0.5 to 0.95.
        oks: mean OKS, 0 for people that were not found.
        kinds: (kinds,) share of each kind among the labelled joints of matched people; NaN without.
    """

    name: str
    people: int
    found: float
    recall: float
    oks: float
    kinds: np.ndarray


@dataclass(frozen=True)
class Analysis:
    """One run looked at person by person.

    Attributes:
        people: that were looked at.
        evaluation: curves of precision and recall.
        errors: kinds of errors of matched people.
        oks: (rows of the truth,) OKS of the matched prediction, 0 where none was, NaN where the
            row does not count.
        splits: title -> groups of people; groups without anybody are left out.
    """

    people: RunPeople
    evaluation: Evaluation
    errors: KeypointErrors
    oks: np.ndarray
    splits: dict[str, list[Group]]

    @property
    def missing(self) -> int:
        """How many people that count were matched with no prediction."""
        return int(np.count_nonzero(self.oks == 0))


def analyse(people: RunPeople) -> Analysis:
    """Look at a run person by person."""
    sigmas = people.skeleton.oks_sigmas
    truth, detections = people.truth, people.detections
    errors = diagnose_keypoints(
        truth, detections, sigmas=sigmas, mirror=people.skeleton.flip_permutation
    )
    oks = np.where(truth.ignore, np.nan, 0.0)
    oks[errors.rows] = errors.oks
    found = _find_rows(people)
    splits = {
        "Size": _part(np.sqrt(truth.areas), _SIZES),
        "Overlapping with": _part(count_overlaps(truth), _OVERLAPS),
        "Labelled joints": _part(_count_labelled(truth), _LABELLED),
    }
    return Analysis(
        people=people,
        evaluation=evaluate_oks_ap(truth, detections, sigmas=sigmas, rules=people.rules),
        errors=errors,
        oks=oks,
        splits={
            title: [
                _describe(name, members & ~truth.ignore, found, errors, oks)
                for name, members in groups
                if (members & ~truth.ignore).any()
            ]
            for title, groups in splits.items()
        },
    )


def count_overlaps(truth: GroundTruth) -> np.ndarray:
    """(rows,) how many other people of the picture have a box that overlaps with that one."""
    counts = np.zeros(len(truth), np.int64)
    corners = np.concatenate(
        [truth.boxes_xywh[:, :2], truth.boxes_xywh[:, :2] + np.maximum(truth.boxes_xywh[:, 2:], 0)],
        axis=1,
    )
    order = np.argsort(truth.image_ids, kind="stable")
    _, starts = np.unique(truth.image_ids[order], return_index=True)
    for rows in np.split(order, starts[1:]):
        if len(rows) > 1:
            overlaps = box_iou(corners[rows], corners[rows], plus_one=False) > OVERLAP_IOU
            counts[rows] = overlaps.sum(axis=1) - overlaps.diagonal()
    return counts


def score_pictures(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the pictures with people that count, and the mean OKS of those people.

    Returns:
        (pictures,) int64, rising, and (pictures,) 0..1; people that were not found have 0.
    """
    counted = ~np.isnan(analysis.oks)
    ids, picture = np.unique(analysis.people.truth.image_ids[counted], return_inverse=True)
    sums = np.bincount(picture, weights=analysis.oks[counted], minlength=len(ids))
    return ids, sums / np.maximum(np.bincount(picture, minlength=len(ids)), 1)


def share_kinds(counts: np.ndarray) -> np.ndarray:
    """(..., kinds) shares of counts; NaN where there is nothing."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def _part(values: np.ndarray, groups: Sequence[tuple[str, float]]) -> list[tuple[str, np.ndarray]]:
    """Name and members, (rows,) bool, of each group; the last one is open to above."""
    limits = [lowest for _, lowest in groups]
    place = np.searchsorted(limits, values, side="right") - 1
    return [(name, place == number) for number, (name, _) in enumerate(groups)]


def _count_labelled(truth: GroundTruth) -> np.ndarray:
    points = truth.keypoints
    return np.zeros(len(truth)) if points is None else (points[..., 2] > 0).sum(axis=1)


def _find_rows(people: RunPeople) -> np.ndarray:
    """(thresholds, rows) bool: which people are found at each OKS threshold, matched as for AP."""
    truth, rules = people.truth, people.rules
    ranking = rank_detections(truth, people.detections, rules.max_detections[-1])
    pairs = list_pairs(truth, ranking)
    matches = match_greedily(
        ranking,
        pairs,
        measure_oks(truth, people.detections, ranking, pairs, people.skeleton.oks_sigmas),
        thresholds=rules.thresholds,
        ignored=truth.ignore[None],
        crowd=truth.crowd,
    )
    found = np.zeros((len(rules.thresholds), len(truth)), bool)
    threshold, candidate = np.nonzero(matches.rows[0] >= 0)
    found[threshold, matches.rows[0][threshold, candidate]] = True
    return found


def _describe(
    name: str, members: np.ndarray, found: np.ndarray, errors: KeypointErrors, oks: np.ndarray
) -> Group:
    counts = errors.count(members[errors.rows]).sum(axis=0)
    return Group(
        name=name,
        people=int(members.sum()),
        found=float(found[0, members].mean()),
        recall=float(found[:, members].mean()),
        oks=float(oks[members].mean()),
        kinds=share_kinds(counts) if len(errors) else np.full(len(KINDS), np.nan),
    )
