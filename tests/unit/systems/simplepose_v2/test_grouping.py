"""Limbs to people on tables that a person can follow."""

import numpy as np
import pytest

from poseras.systems.simplepose_v2 import grouping
from poseras.systems.simplepose_v2.grouping import (
    LimbRows,
    Poses,
    group_limbs,
    keep_best_limbs,
    select_poses,
)

CHAIN = ((0, 1), (1, 2))


def make_rows(*rows):
    """Rows of (kind, id of the start, id of the end, score); a peak's id is its place, too."""
    kinds, starts, ends, scores = (np.array(column) for column in zip(*rows, strict=True))
    ids = np.stack([starts, ends], axis=1).astype(np.int64)
    points = np.stack([ids, ids + 100], axis=-1).astype(np.float32) + 1
    return LimbRows(
        kinds=kinds,
        points_px=points,
        peak_scores=np.full(ids.shape, 0.5, np.float32),
        scales_px=np.full(ids.shape, 4, np.float32),
        ids=ids,
        distances_px=np.ones(len(kinds), np.float32),
        scores=scores.astype(np.float32),
    )


def ids_of(rows, joints=3, **options):
    poses = group_limbs(rows, CHAIN, joints, max_distance_px=10, **options)
    return poses.ids.tolist()


def test_limbs_that_share_a_joint_are_one_person():
    assert ids_of(make_rows((0, 1, 2, 0.9), (1, 2, 3, 0.8))) == [[1, 2, 3]]


def test_limbs_without_a_common_joint_are_two_people():
    assert ids_of(make_rows((0, 1, 2, 0.9), (1, 5, 6, 0.8))) == [[1, 2, -1], [-1, 5, 6]]


def test_an_end_joint_belongs_to_the_best_limb_of_its_kind_alone():
    rows = keep_best_limbs(make_rows((0, 1, 2, 0.3), (0, 7, 2, 0.9)), 10, use_scale=False)
    assert rows.ids.tolist() == [[7, 2]]


def test_a_limb_that_ends_too_far_from_its_joint_is_none():
    rows = make_rows((0, 1, 2, 0.9))
    assert len(keep_best_limbs(rows, 1.0, use_scale=False).scores) == 0  # strictly nearer
    assert len(keep_best_limbs(rows, 1.0, use_scale=True).scores) == 1  # the scale is 4 px


def test_a_limb_with_a_joint_in_the_first_row_or_column_is_lost():
    rows = make_rows((0, 1, 2, 0.9))
    rows.points_px[0, 0, 0] = 0
    assert ids_of(rows) == []


def test_a_stronger_limb_replaces_a_joint_that_a_person_has():
    limbs = ((0, 1), (2, 1))
    rows = make_rows((0, 1, 2, 0.3), (1, 9, 2, 0.2), (1, 8, 3, 0.9))
    poses = group_limbs(rows, limbs, 3, max_distance_px=10)
    assert poses.ids.tolist() == [[1, 2, 9], [-1, 3, 8]]
    rows = make_rows((0, 1, 2, 0.3), (1, 9, 2, 0.9))
    poses = group_limbs(rows, limbs, 3, max_distance_px=10)
    np.testing.assert_allclose(poses.values[0, :, 4], [0.3, 0.9, 0.9])


def test_two_people_with_two_common_joints_become_one():
    limbs = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3))
    rows = make_rows((0, 1, 2, 0.9), (1, 3, 4, 0.8), (2, 1, 3, 0.7), (3, 2, 4, 0.6))
    for strict in (False, True):
        poses = group_limbs(rows, limbs, 4, max_distance_px=10, strict=strict)
        assert poses.ids.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(("strict", "people"), [(False, [[1, 6, 3]] * 2), (True, [[1, 6, 3]])])
def test_people_who_come_to_share_three_joints_stay_two_as_published(strict, people):
    limbs = ((0, 1), (1, 2), (0, 2), (1, 0))
    rows = make_rows(
        (0, 1, 2, 0.8), (0, 5, 6, 0.3), (1, 2, 3, 0.9), (2, 5, 3, 0.5), (3, 6, 1, 0.95)
    )
    poses = group_limbs(rows, limbs, 3, max_distance_px=10, strict=strict)
    assert poses.ids.tolist() == people


def test_nobody_is_found_without_limbs():
    empty = make_rows((0, 1, 2, 0.9)).take(np.zeros(0, np.int64))
    poses = group_limbs(empty, CHAIN, 3, max_distance_px=10)
    assert select_poses(poses, 0.1, 2).values.shape == (0, 3, 5)


def test_people_are_sorted_by_the_mean_of_what_was_found_and_gaps_are_zero():
    rows = make_rows((0, 1, 2, 0.9), (1, 5, 6, 0.8))
    rows.peak_scores[1] = 0.9
    poses = group_limbs(rows, CHAIN, 3, max_distance_px=10)
    chosen = select_poses(poses, 0.1, 2)
    assert chosen.ids.tolist() == [[0, 5, 6], [1, 2, 0]]
    np.testing.assert_allclose(chosen.values[0, 0], 0)
    assert len(select_poses(poses, 0.6, 2)) == 1


@pytest.mark.parametrize("strict", [False, True])
def test_the_rows_given_are_not_changed(strict):
    rows = make_rows((0, 1, 2, 0.9), (1, 2, 3, 0.8), (1, 2, 4, 0.7))
    before = [values.copy() for values in vars(rows).values()]
    group_limbs(rows, CHAIN, 3, max_distance_px=10, strict=strict)
    for old, new in zip(before, vars(rows).values(), strict=True):
        np.testing.assert_array_equal(old, new)


def merge_one_by_one(poses):
    """The strict rule as it is told: the first pair that shares two joints, then all anew."""
    values, ids = list(poses.values.copy()), list(poses.ids.copy())
    pairs = [(0, 0)]
    while pairs:
        pairs = [
            (one, other)
            for one in range(len(ids))
            for other in range(one + 1, len(ids))
            if np.sum((ids[one] == ids[other]) & (ids[one] >= 0)) >= 2
        ]
        if pairs:
            one, other = pairs[0]
            better = values[other][:, 4] > values[one][:, 4]
            values[one][better], ids[one][better] = values[other][better], ids[other][better]
            del values[other], ids[other]
    return Poses(np.array(values), np.array(ids))


@pytest.mark.parametrize("seed", range(8))
def test_strict_people_are_those_of_joining_pair_by_pair(seed):
    random = np.random.default_rng(seed)
    ids = random.integers(-1, 8, (24, 6))  # people who grow come to share joints with others
    values = random.uniform(0, 1, (24, 6, 5)).astype(np.float32)
    poses = Poses(values.copy(), ids.copy())
    merged = grouping._merge_strictly(poses)
    expected = merge_one_by_one(poses)
    assert len(expected) < 20
    np.testing.assert_array_equal(merged.ids, expected.ids)
    np.testing.assert_array_equal(merged.values, expected.values)
    np.testing.assert_array_equal(poses.ids, ids)  # as they were given
