"""How far joints of a person lie apart, and whether two detections belong to one person.

Two detections of different joints are compared both ways: the vector that the network regressed
from the cell of the one to the other joint, with the vector to where the other one is. Distance and
angle between both, and their exp(-x), are eight features of a logistic model, one for each pair of
joints. Detections of the same joint are compared by their distance alone. NumPy.

Source: Insafutdinov et al., "DeeperCut", ECCV 2016; constants are those of pose-tensorflow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .pairwise import list_pairs

#: Detections of one joint are one person's with probability 1/2 at this distance, and with
#: sigmoid(7.5) at none.
SAME_JOINT_PX, SAME_JOINT_LOGIT = 37.5, 7.5
#: Probabilities are kept this far from 0 and 1 before the logarithm.
PROBABILITY_MARGIN = 1e-7
#: Weight of the errors against the squared weights; liblinear's -c of the authors.
TRAINING_COST = 1e-3
#: Their vectors are in memory together: 18 MB for the 272 pairs of COCO, twice that mirrored.
PEOPLE_AT_A_TIME = 4096
_FEATURES = 8
_NEWTON_STEPS = 100


@dataclass(frozen=True)
class PairwiseStatistics:
    """Mean and deviation of the vector from one joint to another, at scale 1.

    Attributes:
        means_px: (pairs, 2), pairs in the order of `pairwise.list_pairs`.
        deviations_px: (pairs, 2), above 0.
    """

    means_px: np.ndarray
    deviations_px: np.ndarray

    def __post_init__(self) -> None:
        shape = np.shape(self.means_px)
        if shape != (self.joint_count * (self.joint_count - 1), 2) or shape != np.shape(
            self.deviations_px
        ):
            raise ValueError(
                "means_px and deviations_px must have shape (joints * (joints - 1), 2). "
                f"Received {shape} and {np.shape(self.deviations_px)}."
            )
        if not np.all(np.asarray(self.deviations_px) > 0):
            raise ValueError("deviations_px must be above 0.")

    @property
    def joint_count(self) -> int:
        """How many joints make so many pairs."""
        return round((1 + np.sqrt(1 + 4 * len(self.means_px))) / 2)

    def require_joints(self, joints: int) -> None:
        """Refuse another skeleton.

        Raises:
            ValueError: the statistics are those of another number of joints.
        """
        if self.joint_count != joints:
            raise ValueError(
                f"The pairwise statistics must be of {joints} joints, {joints * (joints - 1)} "
                f"pairs. Received those of {self.joint_count} joints; tool/pairwise_stats.py "
                "computes them for any dataset."
            )


def measure_statistics(
    keypoints: ArrayLike,
    flip_permutation: ArrayLike | None = None,
    *,
    people_at_a_time: int = PEOPLE_AT_A_TIME,
) -> tuple[PairwiseStatistics, list[tuple[int, int]]]:
    """Mean and deviation over people of the vectors between their labelled joints.

    A pair that no person shows has mean 0 and deviation 1; a component that never changes has
    deviation 1, too. The people are gone through twice, some at a time, so that the vectors of all
    are never in memory together.

    Args:
        keypoints: (people, joints, 3), x px, y px, visibility.
        flip_permutation: (joints,); with it people are counted as they are and mirrored.
        people_at_a_time: changes no result but by its rounding.

    Returns:
        The statistics, and the pairs that no person shows.

    Raises:
        ValueError: a wrong shape, or fewer than two joints.
    """
    points = np.asarray(keypoints)
    if points.ndim != 3 or points.shape[2] != 3 or points.shape[1] < 2:
        raise ValueError(
            f"keypoints must have shape (people, joints >= 2, 3). Received {points.shape}."
        )
    pairs = list_pairs(points.shape[1])
    flip = None if flip_permutation is None else np.asarray(flip_permutation)
    counts, sums, squares = np.zeros(len(pairs), np.int64), 0.0, 0.0
    for vectors, both in _list_vectors(points, pairs, flip, people_at_a_time):
        counts += both.sum(axis=0)
        sums = sums + np.where(both[..., None], vectors, 0.0).sum(axis=0)
    divisor = np.maximum(counts, 1)[:, None]
    means = np.broadcast_to(sums / divisor, (len(pairs), 2))
    for vectors, both in _list_vectors(points, pairs, flip, people_at_a_time):
        squares = squares + np.where(both[..., None], np.square(vectors - means), 0.0).sum(axis=0)
    variances = np.broadcast_to(squares / divisor, means.shape)
    deviations = np.where(variances > 0, np.sqrt(variances), 1.0)
    missing = [(a, b) for a, b in pairs[counts == 0].tolist()]
    return PairwiseStatistics(means, deviations), missing


def _list_vectors(
    keypoints: np.ndarray, pairs: np.ndarray, flip_permutation: np.ndarray | None, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(people, pairs, 2) vectors and (people, pairs) whether known, of `size` people at a time."""
    first, second = pairs.T
    for start in range(0, len(keypoints), size):
        points = keypoints[start : start + size].astype(np.float64)
        if flip_permutation is not None:
            mirrored = points[:, flip_permutation] * (-1.0, 1.0, 1.0)
            points = np.concatenate([points, mirrored])
        labelled = points[..., 2] > 0
        known = labelled[:, first] & labelled[:, second]
        yield points[:, second, :2] - points[:, first, :2], known


@dataclass(frozen=True)
class Detections:
    """Candidates for the joints of the people of one picture.

    Attributes:
        joints: (detections,) int64, which joint.
        points_px: (detections, 2), refined.
        centres_px: (detections, 2), centre of the cell.
        vectors_px: (detections, joints, 2), from the centre to each joint of the same person, as
            the network regressed it; that to the detection's own joint is not looked at.
        scores: (detections,) 0..1.
    """

    joints: np.ndarray
    points_px: np.ndarray
    centres_px: np.ndarray
    vectors_px: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.joints)


@dataclass(frozen=True)
class LogisticModels:
    """For pairs of different joints a < b.

    Attributes:
        pairs: (models, 2) int64.
        lower: (models, 8), what is mapped to 0 of each feature.
        upper: (models, 8), what is mapped to 1.
        weights: (models, 9), the last one is added.
    """

    pairs: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weights: np.ndarray

    def find(self, first: int, second: int) -> int:
        """The row of a pair.

        Raises:
            ValueError: there is no model of it.
        """
        rows = np.flatnonzero((self.pairs == (first, second)).all(axis=1))
        if not len(rows):
            raise ValueError(
                f"There is no logistic model of the joints {first} and {second}. Add it, or leave "
                "the pair out of the graph."
            )
        return int(rows[0])

    def probabilities(self, row: int, features: np.ndarray) -> np.ndarray:
        """That two detections are one person's.

        Args:
            row: of the pair.
            features: (comparisons, 4) of `compare`.
        """
        scaled = (extend(features) - self.lower[row]) / (self.upper[row] - self.lower[row])
        return _sigmoid(scaled @ self.weights[row, :-1] + self.weights[row, -1])


def compare(detections: Detections, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Regressed against real vectors between detections of different joints.

    Args:
        detections: of one picture.
        first: (comparisons,) rows of the joint of lower number.
        second: (comparisons,) rows of the other.

    Returns:
        (comparisons, 4) float64: distance px and angle (0..pi) from the first to the second, and
        from the second to the first.
    """
    columns = []
    for start, end in ((first, second), (second, first)):
        real = detections.points_px[end] - detections.centres_px[start]
        regressed = detections.vectors_px[start, detections.joints[end]]
        columns.append(np.linalg.norm(real - regressed, axis=1))
        turn = np.arctan2(real[:, 1], real[:, 0]) - np.arctan2(regressed[:, 1], regressed[:, 0])
        turn = np.where(turn > np.pi, turn - 2 * np.pi, turn)
        columns.append(np.abs(np.where(turn < -np.pi, turn + 2 * np.pi, turn)))
    return np.stack(columns, axis=1)


def extend(features: np.ndarray) -> np.ndarray:
    """(comparisons, 8): the four features and exp(-x) of each."""
    return np.concatenate([features, np.exp(-features)], axis=1)


def link_detections(
    detections: Detections,
    models: LogisticModels | None,
    joint_count: int,
    sparse_graph: Collection[tuple[int, int]] = (),
    same_joint_px: float = SAME_JOINT_PX,
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of detections that are compared, and how probably each is one person's.

    Args:
        detections: of one picture.
        models: None for one joint alone.
        joint_count: of the skeleton.
        sparse_graph: pairs of joints a < b that are compared; none compares all.
        same_joint_px: at which two detections of one joint are as probably one person's as not.

    Returns:
        (edges, 2) int64 rows of detections and (edges,) float64. Joints are in rising order, the
        first of a pair varies slowest.

    Raises:
        ValueError: there is no model for a pair that occurs.
    """
    rows_of = [np.flatnonzero(detections.joints == joint) for joint in range(joint_count)]
    wanted = {tuple(pair) for pair in sparse_graph}
    edges, probabilities = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for a in range(joint_count):
        for b in range(a, joint_count):
            left_out = b > a and wanted and (a, b) not in wanted
            if left_out or not len(rows_of[a]) or not len(rows_of[b]):
                continue
            if a == b:
                first, second = (rows_of[a][i] for i in np.triu_indices(len(rows_of[a]), 1))
                points = detections.points_px[[first, second]]
                found = _same_joint_probabilities(points, same_joint_px)
            elif models is None:
                raise ValueError(f"The joints {a} and {b} need a logistic model.")
            else:
                first = np.repeat(rows_of[a], len(rows_of[b]))
                second = np.tile(rows_of[b], len(rows_of[a]))
                features = compare(detections, first, second)
                found = models.probabilities(models.find(a, b), features)
            edges.append(np.stack([first, second], axis=1))
            probabilities.append(found)
    return np.concatenate(edges), np.concatenate(probabilities)


def _same_joint_probabilities(points_px: np.ndarray, same_joint_px: float) -> np.ndarray:
    """(pairs,) from points (2, pairs, 2)."""
    distance = np.linalg.norm(points_px[0] - points_px[1], axis=1)
    return _sigmoid(SAME_JOINT_LOGIT * (1 - distance / same_joint_px))


def probability_cost(probabilities: ArrayLike) -> np.ndarray:
    """ln((1 - p) / p): negative for what is probable, as `ops.multicut` wants it."""
    clipped = np.clip(
        np.asarray(probabilities, np.float64), PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN
    )
    return np.log((1 - clipped) / clipped)


def train_model(
    positives: np.ndarray, negatives: np.ndarray, *, cost: float = TRAINING_COST
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logistic model of one pair of joints.

    Minimises |w|^2 / 2 + cost * sum of log(1 + exp(-label * w x)), the added weight included, by
    Newton's method.

    Args:
        positives: (comparisons, 4), of one person.
        negatives: (comparisons, 4), of different ones.
        cost: of an error.

    Returns:
        lower (8,), upper (8,) and weights (9,), as in `LogisticModels`.

    Raises:
        ValueError: a class is empty.
    """
    if not len(positives) or not len(negatives):
        raise ValueError(
            "A logistic model needs examples of both kinds. "
            f"Received {len(positives)} of one person and {len(negatives)} of different ones."
        )
    features = extend(np.concatenate([positives, negatives]))
    lower, upper = features.min(axis=0), features.max(axis=0)
    upper = np.where(upper > lower, upper, lower + 1)  # a feature that never changes is 0
    inputs = np.concatenate([(features - lower) / (upper - lower), np.ones((len(features), 1))], 1)
    label = np.repeat([1.0, 0.0], [len(positives), len(negatives)])
    weights = np.zeros(_FEATURES + 1)
    for _ in range(_NEWTON_STEPS):
        probability = _sigmoid(inputs @ weights)
        slope = weights + cost * inputs.T @ (probability - label)
        curve = inputs.T * (cost * probability * (1 - probability))
        step = np.linalg.solve(np.eye(len(weights)) + curve @ inputs, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return lower, upper, weights


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))
