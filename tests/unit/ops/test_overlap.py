"""Overlaps of boxes and of poses, by hand."""

import math

import numpy as np
import pytest

from poseras import ops
from poseras.ops.overlap import Poses, exp_of_negative

A, B = [0, 0, 9, 9], [0, 0, 9, 4]


# --- boxes ----------------------------------------------------------------------------------------


def test_box_overlaps_of_two_conventions_by_hand():
    boxes, others = [[0, 0, 10, 10]], [[5, 0, 14, 10], [20, 20, 30, 30], [2, 2, 4, 4]]
    np.testing.assert_allclose(
        ops.box_iou(boxes, others), [[66 / (121 + 110 - 66), 0, 9 / 121]], rtol=1e-12
    )
    np.testing.assert_allclose(
        ops.box_iou(boxes, others, plus_one=False), [[50 / (100 + 90 - 50), 0, 4 / 100]], rtol=1e-12
    )
    np.testing.assert_allclose(
        ops.box_overlap_over_query(boxes, others), [[66 / 110, 0, 1]], rtol=1e-12
    )
    np.testing.assert_allclose(
        ops.box_overlap_over_query(boxes, others, plus_one=False), [[50 / 90, 0, 1]], rtol=1e-12
    )


def test_boxes_without_area_overlap_nothing():
    line = [[1, 1, 1, 5]]
    assert ops.box_iou(line, line, plus_one=False).tolist() == [[0]]
    assert ops.box_overlap_over_query([A], line, plus_one=False).tolist() == [[0]]


def test_overlaps_of_no_boxes_have_the_right_shape():
    nothing = np.zeros((0, 4))
    assert ops.box_iou(nothing, [A, B]).shape == (0, 2)
    assert ops.box_overlap_over_query([A, B], nothing).shape == (2, 0)


# --- poses ----------------------------------------------------------------------------------------

SIGMAS = np.array([0.05, 0.1, 0.05])


def pose(x, y=0.0, third=None):
    points = np.array([[x, y], [x + 10, y], [x, y + 10]], float)
    return points if third is None else np.concatenate([points, np.array(third)[:, None]], 1)


def test_oks_of_two_poses_by_hand():
    matrix = ops.oks_matrix([pose(0), pose(3)], [100, 300], sigmas=SIGMAS)
    falloff = np.exp(-9 / (2 * (2 * SIGMAS) ** 2 * 200))
    np.testing.assert_allclose(matrix, [[1, falloff.mean()], [falloff.mean(), 1]], rtol=1e-12)


def test_poses_of_zero_area_match_themselves_alone():
    matrix = ops.oks_matrix([pose(0), pose(0), pose(1)], [0, 0, 0], sigmas=SIGMAS)
    assert matrix.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_the_published_visibility_rule_looks_at_the_second_pose_only():
    poses = [pose(0, third=[1, 0, 0]), pose(3, third=[1, 1, 0]), pose(0, third=[0, 0, 0])]
    near = np.exp(-9 / (2 * (2 * SIGMAS) ** 2 * 100))
    options = {"sigmas": SIGMAS, "visibility_threshold": 0.5}
    second = ops.oks_matrix(poses, [100] * 3, counted="second_visible", **options)
    both = ops.oks_matrix(poses, [100] * 3, counted="both_visible", **options)
    np.testing.assert_allclose(second[0], [1, near[:2].mean(), 0], rtol=1e-12)
    np.testing.assert_allclose(second[1], [near[0], 1, 0], rtol=1e-12)
    np.testing.assert_allclose(both[0], [1, near[0], 0], rtol=1e-12)
    np.testing.assert_allclose(both, both.T, rtol=1e-12)
    assert both[2].tolist() == [0, 0, 0]


def test_whether_poses_resemble_is_what_their_oks_says_even_at_the_threshold():
    rng = np.random.default_rng(5)
    keypoints, areas = rng.uniform(0, 30, (40, 7, 2)), rng.uniform(500, 4000, 40)
    poses, everyone = Poses(keypoints, areas, np.full(7, 0.1)), np.arange(40)
    oks = poses.oks(everyone, everyone)
    for threshold in (0.0, *oks[np.triu_indices(40, 1)][::9]):
        found = poses.resemble(everyone, everyone, threshold)
        np.testing.assert_array_equal(found, oks > threshold)


# --- the exponential ------------------------------------------------------------------------------


def test_the_exponential_is_right_to_two_units_of_the_last_place():
    values = -np.random.default_rng(3).uniform(0, 700, 20_000)
    exact = np.array([math.exp(value) for value in values])
    assert (np.abs(exp_of_negative(values) - exact) <= 2 * np.spacing(exact)).all()


@pytest.mark.parametrize(
    ("value", "result"),
    [(0.0, 1.0), (-0.0, 1.0), (-1e-300, 1.0), (-745.0, 5e-324), (-746.0, 0.0), (-np.inf, 0.0)],
)
def test_the_exponential_of_special_numbers(value, result):
    assert exp_of_negative(np.array([value])).tolist() == [result]


def test_the_exponential_keeps_what_is_no_number():
    assert np.isnan(exp_of_negative(np.array([np.nan]))).all()
