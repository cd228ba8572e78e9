"""What the logistic models learn from: pairs of cells of one person, and of anything else.

A cell is near a joint when its centre is within `NEAR_PX` of it in the picture; in the view, which
may be smaller, the radius shrinks as that of the parts does. Pairs of cells near two joints of one
person are examples of one person. Examples of different ones are a cell near a joint with one far
from the other joint of everybody, both ways, two far cells, and, where pictures show several
people, cells near joints of two of them.

Source: the training code of DeeperCut (Insafutdinov et al., ECCV 2016), which has no examples
across people; they are what tells people of a crowd apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .pairwise_models import Detections, LogisticModels, compare, train_model

#: px of the picture.
NEAR_PX = 17.0
#: Pairs of cells that a picture gives at most, of one person and of each kind of different ones.
POSITIVES, NEGATIVES = 100, 33


@dataclass(frozen=True)
class CellPredictions:
    """What a network says of every cell of one picture.

    Attributes:
        centres_px: (cells, 2), where the cells stand.
        points_px: (cells, joints, 2), where the joint is that the cell is near to.
        vectors_px: (cells, joints, joints, 2), from a cell near the first joint to the second.
    """

    centres_px: np.ndarray
    points_px: np.ndarray
    vectors_px: np.ndarray


def collect_examples(
    cells: CellPredictions,
    keypoints: np.ndarray,
    pair: tuple[int, int],
    rng: np.random.Generator,
    *,
    near_px: float = NEAR_PX,
    across_people: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Examples of one picture for the model of two joints.

    Args:
        cells: of the network.
        keypoints: (people, joints, 3), x px, y px, visibility.
        pair: the joints, the first of lower number.
        rng: which cells are taken.
        near_px: a cell at most so far from a joint is near it; in the pixels of `cells`.
        across_people: also take cells near joints of two people.

    Returns:
        (positives, 4) and (negatives, 4) features of `pairwise_models.compare`; none where nobody
        shows both joints.
    """
    near = [_near_cells(cells, keypoints[:, joint], near_px) for joint in pair]  # (people, cells)
    people = np.flatnonzero(near[0].any(axis=1) & near[1].any(axis=1))
    if not len(people):
        return np.zeros((0, 4)), np.zeros((0, 4))
    far = [np.flatnonzero(~mask.any(axis=0)) for mask in near]
    share = -(-POSITIVES // len(people))
    positives = [
        _draw(np.flatnonzero(near[0][p]), np.flatnonzero(near[1][p]), share, rng) for p in people
    ]
    close = [np.flatnonzero(mask[people].any(axis=0)) for mask in near]
    kinds = [(close[0], far[1]), (far[0], close[1]), (far[0], far[1])]
    negatives = [_draw(first, second, NEGATIVES, rng) for first, second in kinds]
    if across_people and len(people) > 1:
        share = -(-NEGATIVES // (len(people) * (len(people) - 1)))
        negatives += [
            _draw(np.flatnonzero(near[0][p]), np.flatnonzero(near[1][q]), share, rng)
            for p in people
            for q in people
            if p != q
        ]
    return _describe(cells, pair, positives), _describe(cells, pair, negatives)


def train_models(
    examples: Mapping[tuple[int, int], Sequence[tuple[np.ndarray, np.ndarray]]],
    rng: np.random.Generator,
) -> tuple[LogisticModels, list[tuple[int, int]]]:
    """A model for each pair of joints that has examples of both kinds.

    Negatives are thinned at random to the number of positives.

    Args:
        examples: pair of joints -> what `collect_examples` gave for each picture.
        rng: which negatives stay.

    Returns:
        The models, in rising order of the pairs, and the pairs without examples.

    Raises:
        ValueError: no pair has any.
    """
    trained, missing = {}, []
    for pair in sorted(examples):
        positives, negatives = (
            np.concatenate([np.zeros((0, 4)), *(kinds[side] for kinds in examples[pair])])
            for side in (0, 1)
        )
        if not len(positives) or not len(negatives):
            missing.append(pair)
            continue
        kept = rng.permutation(len(negatives))[: len(positives)]
        trained[pair] = train_model(positives, negatives[kept])
    if not trained:
        raise ValueError(
            "No pair of joints has examples; the pictures need people with two labelled joints."
        )
    lower, upper, weights = (np.stack(part) for part in zip(*trained.values(), strict=True))
    return LogisticModels(np.array(list(trained), np.int64), lower, upper, weights), missing


def _near_cells(cells: CellPredictions, points: np.ndarray, near_px: float) -> np.ndarray:
    """(people, cells) bool: cells near one labelled joint of each person, points (people, 3)."""
    distance = np.linalg.norm(points[:, None, :2] - cells.centres_px, axis=2)
    return (distance <= near_px) & (points[:, 2:] > 0)


def _draw(
    first: np.ndarray, second: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """(at most count, 2): random pairs of one cell of each list; no pair twice."""
    total = len(first) * len(second)
    if not total:
        return np.zeros((0, 2), np.int64)
    chosen = rng.choice(total, min(count, total), replace=False, shuffle=False)
    return np.stack([first[chosen // len(second)], second[chosen % len(second)]], axis=1)


def _describe(
    cells: CellPredictions, pair: tuple[int, int], drawn: Sequence[np.ndarray]
) -> np.ndarray:
    """(pairs, 4) features of pairs of cells, the first taken for one joint, the second likewise."""
    chosen = np.concatenate(drawn)
    cell = chosen.T.ravel()  # all first ones, then all second ones
    joint = np.repeat(pair, len(chosen))
    detections = Detections(
        joints=joint,
        points_px=cells.points_px[cell, joint],
        centres_px=cells.centres_px[cell],
        vectors_px=cells.vectors_px[cell, joint],
        scores=np.ones(len(cell)),
    )
    rows = np.arange(len(chosen))
    return compare(detections, rows, rows + len(chosen))
