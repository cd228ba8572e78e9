"""Which prediction finds which annotated row: similarity of pairs, and greedy matching.

All pictures are worked on at once. Pairs of a prediction and a row of the same picture are flat
lists; a round of matching takes from every picture the next prediction that can match at all, so
the number of Python steps is the largest number of such predictions on one picture, not the number
of pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .columns import Detections, GroundTruth, check_image_ids

#: Pairs that are measured together: about 1 MB an array of joints, which stays in the cache.
PAIRS_AT_A_TIME = 1 << 13

# kept: pycocotools never asks for more than this, so that a perfect prediction passes at 1.0.
HIGHEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True)
class Ranking:
    """The predictions that count, in the order in which precision and recall run over them.

    That order is: category, falling score, picture, file.

    Attributes:
        rows: (ranked,) rows of the detections.
        categories: (ranked,) index of the category.
        groups: (ranked,) number of the category and picture; only its members can match.
        places: (ranked,) place by falling score within the group, 0 is the best.
    """

    rows: np.ndarray
    categories: np.ndarray
    groups: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Pairs of a prediction and an annotated row of the same category and picture.

    Attributes:
        ranked: (pairs,) place of the prediction in the ranking.
        rows: (pairs,) row of the ground truth, rising within one prediction.
    """

    ranked: np.ndarray
    rows: np.ndarray

    def take(self, chosen: np.ndarray) -> Pairs:
        """Some of the pairs, as indices or as a bool mask."""
        return Pairs(self.ranked[chosen], self.rows[chosen])


def rank_detections(truth: GroundTruth, detections: Detections, limit: int) -> Ranking:
    """Order the predictions and leave out those beyond the `limit` best of a picture.

    Equal scores keep the order of the file within a picture, and the order of picture ids between
    pictures. Predictions of categories that the ground truth does not list are left out.

    Raises:
        ValueError: a prediction stands on a picture that the ground truth lacks.
    """
    check_image_ids(detections.image_ids, truth.images, "Predictions")
    category = _find(detections.category_ids, truth.categories)
    group = category * len(truth.images) + _find(detections.image_ids, truth.images)
    rows = np.lexsort((-detections.scores, group))
    rows = rows[category[rows] >= 0]
    places = count_up(group[rows])
    rows, places = rows[places < limit], places[places < limit]
    order = np.lexsort((-detections.scores[rows], category[rows]))
    rows, places = rows[order], places[order]
    return Ranking(rows=rows, categories=category[rows], groups=group[rows], places=places)


def list_pairs(truth: GroundTruth, ranking: Ranking) -> Pairs:
    """Every pair that could match, prediction by prediction, rows in file order."""
    category = _find(truth.category_ids, truth.categories)
    group = category * len(truth.images) + _find(truth.image_ids, truth.images)
    rows = np.argsort(group, kind="stable")
    first = np.searchsorted(group[rows], ranking.groups, side="left")
    counts = np.searchsorted(group[rows], ranking.groups, side="right") - first
    ranked = np.repeat(np.arange(len(ranking.rows)), counts)
    return Pairs(ranked, rows[first[ranked] + count_up(ranked)])


def measure_oks(
    truth: GroundTruth,
    detections: Detections,
    ranking: Ranking,
    pairs: Pairs,
    sigmas: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """Object keypoint similarity of pairs.

    The mean over labelled joints of exp(-d^2 / (2 area (2 sigma)^2)). A row without a labelled
    joint is compared by its box, doubled on each side: d is the distance to that box, per axis,
    averaged over all joints.

    Args:
        truth: with keypoints (rows, joints, 3).
        detections: with keypoints (rows, joints, 2 or 3).
        ranking: of the detections.
        pairs: what to measure.
        sigmas: one per joint, the standard deviation of annotators relative to sqrt(area).

    Returns:
        (pairs,) float64, 0..1. Every operation is done in the order of pycocotools' computeOks, so
        that ties and values at a threshold fall alike.

    Raises:
        ValueError: keypoints are missing, or their number of joints is not that of the sigmas.

    Source: https://cocodataset.org/#keypoints-eval.
    """
    true_points = _with_joints(truth.keypoints, len(sigmas), "ground truth")
    points = _with_joints(detections.keypoints, len(sigmas), "predictions")
    x, y = (np.asarray(points[ranking.rows, :, axis], np.float64) for axis in (0, 1))
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2
    scales = truth.areas + np.spacing(1)
    labelled = true_points[..., 2] > 0
    labelled_first = np.argsort(~labelled, axis=1, kind="stable")
    counts = np.count_nonzero(labelled, axis=1)
    similarities = np.empty(len(pairs.rows))
    for count, part in _split_by_count(counts[pairs.rows]):
        rows, ranked = pairs.rows[part][:, None], pairs.ranked[part][:, None]
        if count:
            joints = labelled_first[rows[:, 0], :count]  # (part, labelled joints)
            dx = x[ranked, joints] - true_points[rows, joints, 0]
            dy = y[ranked, joints] - true_points[rows, joints, 1]
        else:
            joints = np.arange(len(sigmas))
            left, top, width, height = np.moveaxis(truth.boxes_xywh[rows], -1, 0)
            dx = _distance_outside(x[ranked[:, 0]], left - width, left + width * 2)
            dy = _distance_outside(y[ranked[:, 0]], top - height, top + height * 2)
        exponents = (dx**2 + dy**2) / variances[joints] / scales[rows] / 2
        similarities[part] = np.exp(-exponents).sum(axis=1) / exponents.shape[1]
    return similarities


def measure_iou(
    truth: GroundTruth, detections: Detections, ranking: Ranking, pairs: Pairs
) -> np.ndarray:
    """Intersection over union of pairs of boxes, (pairs,) float64, 0..1.

    With a crowd row the union is the prediction alone: a small box inside a crowd fits it fully.

    Raises:
        ValueError: the detections have no boxes.
    """
    if detections.boxes_xywh is None:
        raise ValueError("Box metrics need boxes_xywh of the predictions. Received None.")
    found = detections.boxes_xywh[ranking.rows[pairs.ranked]].astype(np.float64)
    true = truth.boxes_xywh[pairs.rows].astype(np.float64)
    sides = np.minimum(found[:, 2:] + found[:, :2], true[:, 2:] + true[:, :2])
    sides -= np.maximum(found[:, :2], true[:, :2])
    overlap = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0.0)
    found_area = found[:, 2] * found[:, 3]
    union = np.where(
        truth.crowd[pairs.rows], found_area, found_area + true[:, 2] * true[:, 3] - overlap
    )
    return np.divide(overlap, union, out=np.zeros(len(overlap)), where=overlap > 0)


@dataclass(frozen=True)
class Matches:
    """What each prediction found, for predictions that reach the lowest threshold somewhere.

    Attributes:
        ranked: (candidates,) places in the ranking; every other prediction found nothing.
        rows: (ranges, thresholds, candidates) row of the ground truth, -1 for none.
    """

    ranked: np.ndarray
    rows: np.ndarray


def match_greedily(
    ranking: Ranking,
    pairs: Pairs,
    similarities: np.ndarray,
    *,
    thresholds: Sequence[float] | np.ndarray,
    ignored: np.ndarray,
    crowd: np.ndarray,
) -> Matches:
    """Let the predictions of each picture choose a row, the best-scored first.

    A prediction takes the most similar free row at or above the threshold; a row that is not
    ignored goes before any ignored one, and of equally similar rows the later. A row is free until
    it is taken, a crowd row for ever.

    Args:
        ranking: of the predictions.
        pairs: all pairs of a prediction and a row of its picture.
        similarities: (pairs,).
        thresholds: (thresholds,) each is a matching of its own.
        ignored: (ranges, rows) bool; each range is a matching of its own.
        crowd: (rows,) bool.
    """
    limits = np.minimum(thresholds, HIGHEST_THRESHOLD)
    near = similarities >= limits.min()
    rounds, ranked, number = _plan_rounds(ranking, pairs.ranked[near])
    order = np.lexsort((pairs.rows[near], similarities[near], number))
    number, rows = number[order], pairs.rows[near][order]
    reached = similarities[near][order] >= limits[:, None]  # (thresholds, pairs)
    # The last of a prediction's pairs is the best; those not ignored stand above all others.
    preference = np.arange(1, len(rows) + 1) + len(rows) * ~ignored[:, rows]  # (ranges, pairs)
    taken = np.zeros((len(ignored), len(limits), len(crowd)), bool)
    found = np.full((len(ignored), len(limits), len(ranked)), -1)
    first_pair = np.searchsorted(number, np.arange(len(ranked) + 1))
    for begin, end in zip(rounds[:-1], rounds[1:], strict=True):
        window = slice(first_pair[begin], first_pair[end])
        free = reached[:, window] & (~taken[:, :, rows[window]] | crowd[rows[window]])
        value = np.where(free, preference[:, None, window], 0)  # (ranges, thresholds, pairs)
        best = np.maximum.reduceat(value, first_pair[begin:end] - first_pair[begin], axis=2)
        chosen = np.nonzero(best)
        row = rows[(best[chosen] - 1) % len(rows)]
        taken[chosen[0], chosen[1], row] = True
        found[chosen[0], chosen[1], begin + chosen[2]] = row
    return Matches(ranked, found)


def count_up(values: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each run of equal values."""
    begins = np.append(True, values[1:] != values[:-1])[: len(values)]
    starts = np.flatnonzero(begins)
    return np.arange(len(values)) - np.repeat(starts, np.diff(np.append(starts, len(values))))


def _plan_rounds(ranking: Ranking, ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put predictions into rounds, in each of which a picture has one prediction at most.

    Args:
        ranking: of the predictions.
        ranked: (pairs,) place in the ranking of each pair's prediction.

    Returns:
        (rounds + 1,) where each round begins in the second output; (candidates,) the different
        predictions, round by round; (pairs,) for each pair the index into the second output.
    """
    candidates, number = np.unique(ranked, return_inverse=True)
    by_picture = np.lexsort((ranking.places[candidates], ranking.groups[candidates]))
    rounds = np.empty(len(candidates), np.int64)
    rounds[by_picture] = count_up(ranking.groups[candidates][by_picture])
    order = np.argsort(rounds, kind="stable")
    position = np.empty(len(candidates), np.int64)
    position[order] = np.arange(len(candidates))
    starts = np.append(0, np.cumsum(np.bincount(rounds)))
    return starts, candidates[order], position[number]


def _find(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The index of each id in a rising table, -1 where it is missing."""
    if not len(table):
        return np.full(len(ids), -1)
    index = np.minimum(np.searchsorted(table, ids), len(table) - 1)
    return np.where(table[index] == ids, index, -1)


def _with_joints(keypoints: np.ndarray | None, joints: int, what: str) -> np.ndarray:
    if keypoints is None or (len(keypoints) and keypoints.shape[1] != joints):
        shape = None if keypoints is None else keypoints.shape
        raise ValueError(
            f"keypoints of the {what} must have one joint for each of the {joints} sigmas. "
            f"Received {shape}."
        )
    return keypoints


def _split_by_count(counts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Indices of equal count, in parts small enough for the cache."""
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count)
        for start in range(0, len(members), PAIRS_AT_A_TIME):
            yield int(count), members[start : start + PAIRS_AT_A_TIME]


def _distance_outside(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How far values lie outside low..high, 0 inside."""
    return np.maximum(0, low - values) + np.maximum(0, values - high)
