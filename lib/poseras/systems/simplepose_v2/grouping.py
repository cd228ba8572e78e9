"""Limbs to people, greedily: kinds of limbs one after the other, the best limb of a kind first.

NumPy alone. A person grows by every limb that shares a joint with it; two people who come to share
two joints become one. The rules, the odd ones too, are those of the authors' code, and decide the
published scores; `strict` mends the odd ones.

Source: Li, Xiang, Chen, Wang, "Greedy Offset-Guided Keypoint Grouping for Human Pose Estimation",
2021 (arXiv 2107.03098), in the OffsetGuided code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

Limbs = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class LimbRows:
    """Candidate limbs of one picture, one row each.

    Attributes:
        kinds: (rows,) int, position of the limb in the list of limbs.
        points_px: (rows, 2, 2) float32, start and end, x before y.
        peak_scores: (rows, 2) float32, heights of the peaks at both ends.
        scales_px: (rows, 2) float32, scales of both joints.
        ids: (rows, 2) int64: equal numbers are the same peak.
        distances_px: (rows,) float32, from where the offset leads to the end.
        scores: (rows,) float32.
    """

    kinds: np.ndarray
    points_px: np.ndarray
    peak_scores: np.ndarray
    scales_px: np.ndarray
    ids: np.ndarray
    distances_px: np.ndarray
    scores: np.ndarray

    def take(self, rows: np.ndarray) -> LimbRows:
        """Some rows, in that order."""
        return LimbRows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class Poses:
    """Groups of peaks.

    Attributes:
        values: (people, joints, 5) float32: x px, y px, height of the peak, scale px and score of
            the best limb; -1 where the joint is missing.
        ids: (people, joints) int64 of the peaks, -1 where missing.
    """

    values: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def collect_limbs(candidates: Mapping[str, np.ndarray], limbs: Limbs) -> LimbRows:
    """The limbs of one picture as rows, one for each kind and peak of its start joint.

    Args:
        candidates: of `System.decode`, without the batch axis.
        limbs: pairs of joints.
    """
    pairs = np.asarray(limbs, np.int64).reshape(-1, 2)
    real = np.minimum(candidates["peak_count"], candidates["peak_scores"].shape[1])[pairs[:, 0]]
    kinds, first = np.nonzero(np.arange(candidates["peak_scores"].shape[1]) < real[:, None])
    second = candidates["limb_ends"][kinds, first]
    joints, peaks = pairs[kinds], np.stack([first, second], axis=1)  # (rows, 2) both
    return LimbRows(
        kinds=kinds,
        points_px=candidates["peaks_px"][joints, peaks],
        peak_scores=candidates["peak_scores"][joints, peaks],
        scales_px=candidates["peak_scales_px"][joints, peaks],
        ids=candidates["peak_ids"][joints, peaks].astype(np.int64),
        distances_px=candidates["limb_distances_px"][kinds, first],
        scores=candidates["limb_scores"][kinds, first],
    )


def group_limbs(
    rows: LimbRows,
    limbs: Limbs,
    joint_count: int,
    *,
    max_distance_px: float,
    use_scale: bool = True,
    strict: bool = False,
) -> Poses:
    """Join limbs into people.

    Args:
        rows: the candidates.
        limbs: pairs of joints; kinds are joined in this order.
        joint_count: of the skeleton.
        max_distance_px: a limb whose offset ends further from its end joint is none.
        use_scale: let that be the scale of the end joint where it is larger.
        strict: people who share two or more joints become one, each joint that of the better limb,
            and no limb makes a copy of a person. Otherwise, as published: two shared joints
            exactly, the larger value of each column, and copies.
    """
    rows = keep_best_limbs(rows, max_distance_px, use_scale)
    ends = np.searchsorted(rows.kinds, np.arange(len(limbs) + 1))
    poses = Poses(np.zeros((0, joint_count, 5), np.float32), np.zeros((0, joint_count), np.int64))
    for kind, (start, end) in enumerate(limbs):
        if ends[kind] < ends[kind + 1]:
            part = rows.take(np.arange(ends[kind], ends[kind + 1]))
            poses = _add_kind(poses, part, start, end, strict)
    return poses


def keep_best_limbs(rows: LimbRows, max_distance_px: float, use_scale: bool) -> LimbRows:
    """Limbs that are near enough, by kind and falling score; each end joint once in a kind.

    Kept: a limb with a joint in row or column 0 of the picture is lost.
    """
    limit = np.full(len(rows.scores), np.float32(max_distance_px))
    if use_scale:
        limit = np.maximum(limit, rows.scales_px[:, 1])
    good = (rows.distances_px < limit) & (rows.points_px > 0).all(axis=(1, 2))
    rows = rows.take(np.flatnonzero(good))
    rows = rows.take(np.lexsort((-rows.scores, rows.kinds)))  # stable
    if not len(rows.scores):
        return rows
    span = rows.ids.max() + 1
    _, first = np.unique(rows.kinds * span + rows.ids[:, 1], return_index=True)
    return rows.take(np.sort(first))


def _add_kind(poses: Poses, rows: LimbRows, start: int, end: int, strict: bool) -> Poses:
    """Join the limbs of one kind, best first, to the people so far."""
    if not len(poses):
        return _found(rows, start, end, poses.ids.shape[1])
    shared = (poses.ids[:, start, None] == rows.ids[:, 0]).astype(np.int64)
    shared += poses.ids[:, end, None] == rows.ids[:, 1]  # (people, rows)
    free = ~shared.any(axis=0)
    limb_scores = poses.values[:, (start, end), 4]
    better = rows.scores > limb_scores.min(axis=1)[:, None]
    person, row = np.nonzero((shared == 2) & better)
    if len(person):
        raised = np.maximum(rows.scores[row, None], limb_scores[person])
        poses.values[person[:, None], (start, end), 4] = raised
        shared[shared == 2] = -1
    person, row = np.nonzero((shared == 1) & better)
    if len(person):
        before = poses.values[person[:, None], (start, end), 4]
        # Of several limbs for one person the last, the worst, stays.
        _write(poses, person, rows.take(row), (start, end), before)
        shared[shared == 1] = -1
    merged = _merge_strictly(poses) if strict else _merge(poses)
    # kept: a double and an unused single match cancel out, and the limb makes a copy.
    new = free if strict else shared.sum(axis=0) == 0
    if not new.any():
        return merged
    founded = _found(rows.take(np.flatnonzero(new)), start, end, poses.ids.shape[1])
    return Poses(
        np.concatenate([merged.values, founded.values]), np.concatenate([merged.ids, founded.ids])
    )


def _found(rows: LimbRows, start: int, end: int, joint_count: int) -> Poses:
    """One new person for each limb."""
    people = len(rows.scores)
    poses = Poses(
        np.full((people, joint_count, 5), -1, np.float32),
        np.full((people, joint_count), -1, np.int64),
    )
    nothing = np.full((people, 2), -1, np.float32)
    _write(poses, np.arange(people), rows, (start, end), nothing)
    return poses


def _write(
    poses: Poses,
    person: np.ndarray,
    rows: LimbRows,
    joints: tuple[int, int],
    before: np.ndarray,
) -> None:
    """Write limb i into person[i]; later ones on top. `before` (rows, 2) are its limb scores."""
    place = person[:, None], joints
    best = np.maximum(rows.scores[:, None], before)
    columns = (rows.peak_scores, rows.scales_px, best)
    poses.values[place] = np.concatenate(
        [rows.points_px, np.stack(columns, axis=-1)], axis=-1
    )  # (rows, 2, 5)
    poses.ids[place] = rows.ids


def _count_shared(ids: np.ndarray) -> np.ndarray:
    """(people, people): joints that two people share, the upper triangle alone."""
    same = (ids[:, None] == ids[None]) & (ids >= 0)[:, None]
    return np.triu(same.sum(axis=-1), 1)


def _merge(poses: Poses) -> Poses:
    """Join pairs that share two joints, by the published rule."""
    first, second = np.nonzero(_count_shared(poses.ids) == 2)
    if not len(first):
        return poses
    values, ids = poses.values.copy(), poses.ids.copy()
    # kept: the larger value of each column, and of several partners the last one alone.
    values[first] = np.maximum(poses.values[first], poses.values[second])
    ids[first] = np.maximum(poses.ids[first], poses.ids[second])
    stays = np.ones(len(ids), bool)
    stays[second] = False
    return Poses(values[stays], ids[stays])


def _merge_strictly(poses: Poses) -> Poses:
    """Join people who share two joints or more until none are left that do.

    The first pair comes first; then only the person that grew is counted anew.
    """
    values, ids, shared = poses.values.copy(), poses.ids.copy(), _count_shared(poses.ids)
    stays = np.ones(len(ids), bool)
    while (shared >= 2).any():
        one, other = np.unravel_index(np.argmax(shared >= 2), shared.shape)
        better = values[other, :, 4] > values[one, :, 4]
        values[one, better], ids[one, better] = values[other, better], ids[other, better]
        stays[other] = False
        counts = ((ids == ids[one]) & (ids >= 0)).sum(axis=-1) * stays  # (people,)
        shared[other], shared[:, other] = 0, 0
        shared[:one, one], shared[one, one + 1 :] = counts[:one], counts[one + 1 :]
    return Poses(values[stays], ids[stays])


def select_poses(poses: Poses, threshold: float, sort_column: int) -> Poses:
    """People that are sure enough, the surest first, missing joints 0.

    Args:
        poses: of `group_limbs`.
        threshold: on the mean over the joints that were found.
        sort_column: 2 for the heights of the peaks, 4 for the scores of the limbs.
    """
    column = poses.values[:, :, sort_column]
    positive = column > 0
    total = np.where(positive, column, 0).sum(axis=1, dtype=np.float32)
    score = total / np.maximum(positive.sum(axis=1), 1).astype(np.float32)
    order = np.argsort(-score, kind="stable")
    order = order[score[order] >= threshold]
    chosen = replace(poses, values=poses.values[order], ids=poses.ids[order])
    return Poses(np.where(chosen.values == -1, 0, chosen.values), np.maximum(chosen.ids, 0))
