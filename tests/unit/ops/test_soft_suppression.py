"""Suppression that lowers scores."""

import numpy as np
import pytest

from poseras import ops

A, B, FAR = [0, 0, 9, 9], [0, 0, 9, 4], [50, 50, 59, 59]  # plus one: IoU(A, B) is exactly 0.5
SIGMAS = np.array([0.05, 0.1, 0.05])


def pose(x, y=0.0, third=None):
    points = np.array([[x, y], [x + 10, y], [x, y + 10]], float)
    return points if third is None else np.concatenate([points, np.array(third)[:, None]], 1)


def boxes_array(boxes):
    return np.array(boxes, np.float64).reshape(-1, 4)


def test_soft_nms_lowers_the_scores_of_overlapping_boxes_by_hand():
    kept, scores = ops.soft_nms(boxes_array([A, B, FAR]), [0.9, 0.8, 0.7], 0.5)
    assert kept.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores, [0.9, 0.7, 0.8 * np.exp(-0.25 / 0.5)], rtol=1e-12)
    kept, _ = ops.soft_nms(boxes_array([A, B, FAR]), [0.9, 0.8, 0.7], 0.5, lowest_score=0.5)
    assert kept.tolist() == [0, 2]
    kept, _ = ops.soft_nms(boxes_array([A, B, FAR]), [0.9, 0.8, 0.7], 0.5, max_kept=1)
    assert kept.tolist() == [0]


def test_soft_oks_nms_keeps_twenty_at_most_and_the_higher_index_of_equal_scores_first():
    poses = [pose(1000.0 * i) for i in range(25)]
    kept, scores = ops.soft_oks_nms(poses, np.ones(25), np.full(25, 100.0), 0.9, sigmas=SIGMAS)
    assert kept.tolist() == list(range(24, 4, -1))
    assert scores.tolist() == [1.0] * 20
    kept, _ = ops.soft_oks_nms(
        poses, np.ones(25), np.full(25, 100.0), 0.9, sigmas=SIGMAS, max_kept=None
    )
    assert len(kept) == 25


def test_soft_oks_nms_multiplies_scores_by_a_gaussian_of_the_oks():
    poses, areas = [pose(0), pose(2), pose(4)], [100.0] * 3
    oks = ops.oks_matrix(poses, areas, sigmas=SIGMAS)
    kept, scores = ops.soft_oks_nms(poses, [0.9, 0.8, 0.1], areas, 0.5, sigmas=SIGMAS)
    assert kept.tolist() == [0, 1, 2]
    second = 0.8 * np.exp(-(oks[0, 1] ** 2) / 0.5)
    third = 0.1 * np.exp(-(oks[0, 2] ** 2) / 0.5) * np.exp(-(oks[1, 2] ** 2) / 0.5)
    np.testing.assert_allclose(scores, [0.9, second, third], rtol=1e-12)


def test_soft_forms_take_nothing():
    kept, scores = ops.soft_nms(np.zeros((0, 4)), [], 0.5)
    assert kept.shape == scores.shape == (0,)
    kept, scores = ops.soft_oks_nms(np.zeros((0, 3, 2)), [], [], 0.5, sigmas=SIGMAS)
    assert kept.shape == scores.shape == (0,)


def test_soft_forms_refuse_a_zero_threshold_and_infinite_scores():
    with pytest.raises(ValueError, match=r"above 0 and at most 1. Received 0"):
        ops.soft_nms([A], [1], 0)
    with pytest.raises(ValueError, match=r"above 0 and at most 1. Received 0"):
        ops.soft_oks_nms([pose(0)], [1], [1], 0, sigmas=SIGMAS)
    with pytest.raises(ValueError, match=r"scores must be finite. Received inf in row 0"):
        ops.soft_nms([A], [np.inf], 0.5)
