"""Why joints of found people are wrong: jitter, inversion, swap or miss.

A prediction that was matched with an annotated person has a similarity ks = exp(-d^2 / (2 area
(2 sigma)^2)) between each of its joints and any true joint. By it a joint is

- `good`: ks with its own true joint of at least 0.85, beyond which annotators disagree themselves;
- `jitter`: near its true joint, 0.5 <= ks < 0.85;
- `inversion`: not near its own (ks < 0.5), but near (ks >= 0.5) the joint of the other side of the
  same person;
- `swap`: not near its own, but near the same joint, or that of the other side, of somebody else;
- `miss`: near none of them.

A joint that is near both its own other side and somebody else goes to the nearer one. The area of a
similarity is that of the person whose joint it is.

Source: Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation, Ronchi and Perona,
ICCV 2017, and their program matteorr/coco-analyze.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .columns import Detections, GroundTruth
from .matching import list_pairs, match_greedily, measure_oks, rank_detections

#: What a joint can be; `KeypointErrors.kinds` holds places in this list.
KINDS = ("good", "jitter", "inversion", "swap", "miss")
_GOOD, _JITTER, _INVERSION, _SWAP, _MISS = range(len(KINDS))

#: A joint is near another from this similarity on, and good from the second one on.
NEAR, SURE = 0.5, 0.85

#: A prediction belongs to a person from this OKS on: lower than in AP, so that bad poses count.
MATCH_OKS = 0.1

#: Predictions per picture that are looked at, as in COCO's AP.
LIMIT = 20

#: `paper`: a joint near its own true joint is good or jitter, whatever else is near. `nearest`:
#: the true joint with the highest similarity decides, as in coco-analyze.
Precedence = Literal["paper", "nearest"]


@dataclass(frozen=True)
class KeypointErrors:
    """The joints of matched predictions, one row for each pair of a prediction and a person.

    Attributes:
        detections: (pairs,) row of the detections.
        rows: (pairs,) row of the ground truth; each stands here once at most.
        oks: (pairs,) similarity of the whole poses, 0.1..1.
        kinds: (pairs, joints) int8, place in `KINDS`; -1 where the joint is not labelled.
    """

    detections: np.ndarray
    rows: np.ndarray
    oks: np.ndarray
    kinds: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def count(self, pairs: np.ndarray | None = None) -> np.ndarray:
        """(joints, kinds) int64: how many joints are of each kind.

        Args:
            pairs: (pairs,) bool, those that count; all by default.
        """
        kinds = self.kinds if pairs is None else self.kinds[pairs]
        return np.stack([(kinds == kind).sum(axis=0) for kind in range(len(KINDS))], axis=-1)


def diagnose_keypoints(
    truth: GroundTruth,
    detections: Detections,
    *,
    sigmas: Sequence[float] | np.ndarray,
    mirror: np.ndarray,
    precedence: Precedence = "paper",
) -> KeypointErrors:
    """Match predictions with people and tell what is wrong with each joint.

    Predictions choose in the order of their scores, as in COCO's AP, from an OKS of 0.1 on; the 20
    best of a picture are looked at. Ignored people (crowds, people without labels) get no row,
    but their labelled joints take part in swaps.

    Args:
        truth: annotated people with keypoints.
        detections: predictions with keypoints.
        sigmas: one per joint, COCO's k_i / 2.
        mirror: (joints,) the joint of the other side, itself in the middle of the body:
            `Skeleton.flip_permutation`.
        precedence: see `Precedence`.

    Raises:
        ValueError: the number of joints differs, a prediction stands on an unknown picture, or an
            unknown precedence.
    """
    if precedence not in ("paper", "nearest"):
        raise ValueError(f"precedence must be paper or nearest. Received {precedence!r}.")
    if len(mirror) != len(sigmas):
        raise ValueError(
            f"mirror must name a joint for each of the {len(sigmas)} sigmas. "
            f"Received {len(mirror)}."
        )
    found, rows, oks = _match(truth, detections, sigmas)
    own, inverted, swapped = _measure_nearness(
        truth, detections, found, rows, sigmas=sigmas, mirror=mirror
    )
    kinds = _judge(own, inverted, swapped, precedence)
    kinds[~_labelled(truth)[rows]] = -1
    return KeypointErrors(detections=found, rows=rows, oks=oks, kinds=kinds)


def _match(
    truth: GroundTruth, detections: Detections, sigmas: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of matched predictions, rows of their people, and the OKS, each (pairs,)."""
    ranking = rank_detections(truth, detections, LIMIT)
    pairs = list_pairs(truth, ranking)
    similarities = measure_oks(truth, detections, ranking, pairs, sigmas)
    matches = match_greedily(
        ranking,
        pairs,
        similarities,
        thresholds=[MATCH_OKS],
        ignored=truth.ignore[None],
        crowd=truth.crowd,
    )
    row = matches.rows[0, 0]
    counted = (row >= 0) & ~truth.ignore[row] if len(row) else np.zeros(0, bool)
    ranked, row = matches.ranked[counted], row[counted]
    # Pairs stand in the order of predictions, and of rows within one.
    place = np.searchsorted(pairs.ranked * len(truth) + pairs.rows, ranked * len(truth) + row)
    return ranking.rows[ranked], row, similarities[place]


def _measure_nearness(
    truth: GroundTruth,
    detections: Detections,
    found: np.ndarray,
    rows: np.ndarray,
    *,
    sigmas: Sequence[float] | np.ndarray,
    mirror: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Similarity with the own joint, the own other side, and the nearest of somebody else.

    Returns:
        Three (pairs, joints) float64; -1 where there is no such labelled joint.
    """
    if truth.keypoints is None or detections.keypoints is None:
        raise ValueError("Keypoint errors need the keypoints of people and predictions.")
    on_image = np.argsort(truth.image_ids, kind="stable")
    sorted_ids = truth.image_ids[on_image]
    first = np.searchsorted(sorted_ids, truth.image_ids[rows], side="left")
    counts = np.searchsorted(sorted_ids, truth.image_ids[rows], side="right") - first
    starts = np.cumsum(counts) - counts
    pair = np.repeat(np.arange(len(rows)), counts)
    person = on_image[np.arange(len(pair)) + np.repeat(first - starts, counts)]
    # (candidates, 2, joints): the same joint of each person on the picture, and the other side's.
    joints = np.stack([np.arange(len(mirror)), mirror])
    points = truth.keypoints[person[:, None, None], joints]
    offsets = detections.keypoints[found[pair], None, :, :2] - points[..., :2]
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2
    scales = (truth.areas[person] + np.spacing(1))[:, None, None]
    similar = np.exp(-(offsets**2).sum(axis=-1) / variances / scales / 2)
    similar[points[..., 2] <= 0] = -1
    same_person = person == rows[pair]
    own, inverted = similar[same_person, 0], similar[same_person, 1]
    inverted[:, mirror == np.arange(len(mirror))] = -1
    others = np.where(same_person[:, None], -1, similar.max(axis=1))
    swapped = np.maximum.reduceat(others, starts) if len(rows) else own
    return own, inverted, swapped


def _judge(
    own: np.ndarray, inverted: np.ndarray, swapped: np.ndarray, precedence: Precedence
) -> np.ndarray:
    """(pairs, joints) int8: the kind of each joint, labelled or not."""
    elsewhere = np.maximum(inverted, swapped)
    kinds = np.where(inverted >= swapped, _INVERSION, _SWAP).astype(np.int8)
    kinds[elsewhere < NEAR] = _MISS
    at_home = own >= NEAR if precedence == "paper" else (own >= NEAR) & (own >= elsewhere)
    kinds[at_home] = np.where(own[at_home] >= SURE, _GOOD, _JITTER)
    return kinds


def _labelled(truth: GroundTruth) -> np.ndarray:
    """(rows, joints) bool."""
    return np.zeros((0, 0), bool) if truth.keypoints is None else truth.keypoints[..., 2] > 0
