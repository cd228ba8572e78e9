import numpy as np
import pytest
import tensorflow as tf

from poseras.metrics.heatmap_accuracy import heatmap_accuracy, mean_accuracy


def test_a_joint_is_found_within_half_a_tenth_of_the_map():
    # height 20 and width 10: x is measured in units of 2 cells, y in units of 1 (kept exchange)
    targets = np.full((1, 4, 2), 5.0)
    outputs = targets + np.array([[0, 0], [0.9, 0], [0, 0.9], [1, 0]])
    result = heatmap_accuracy(outputs, targets, (20, 10))
    assert result.per_joint.tolist() == [1, 1, 0, 0]
    assert result.mean == 0.5
    assert result.counted_joints == 4


def test_targets_at_the_first_two_cells_are_not_counted():
    targets = np.array([[[5.0, 5.0], [1.0, 5.0], [0.0, 0.0]], [[1.0, 5.0], [5.0, 1.0], [0.0, 0.0]]])
    result = heatmap_accuracy(targets, targets, (16, 12))
    assert result.per_joint.tolist() == [1, -1, -1]
    assert (result.mean, result.counted_joints) == (1, 1)


def test_a_batch_without_any_target_has_accuracy_zero():
    result = heatmap_accuracy(np.ones((2, 3, 2)), np.zeros((2, 3, 2)), (16, 12))
    assert (result.mean, result.counted_joints) == (0, 0)
    assert result.per_joint.tolist() == [-1, -1, -1]


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"Received \(2, 3, 2\) and \(2, 4, 2\)"):
        heatmap_accuracy(np.zeros((2, 3, 2)), np.zeros((2, 4, 2)), (16, 12))


@pytest.mark.parametrize("targets_from", [0, 2, 60])
def test_the_mean_is_the_same_in_a_graph(targets_from):
    random = np.random.default_rng(targets_from)
    targets = random.integers(targets_from, 64, (16, 17, 2)).astype(np.float32)
    targets[:, :3] *= random.integers(0, 2, (16, 3, 1))  # joints without a target
    targets[:, 3] = 0
    outputs = targets + random.integers(-4, 5, targets.shape).astype(np.float32)
    mean = tf.function(mean_accuracy)(tf.constant(outputs), tf.constant(targets), (64, 48))
    expected = heatmap_accuracy(outputs, targets, (64, 48)).mean
    assert 0 < expected < 1
    assert float(mean) == pytest.approx(expected, rel=1e-6)  # float32 against float64


def test_the_mean_of_nothing_is_zero_in_a_graph():
    nothing = tf.zeros((2, 3, 2))
    assert float(tf.function(mean_accuracy)(nothing, nothing, (16, 12))) == 0


def test_a_broken_output_is_not_found():
    targets = np.full((1, 2, 2), 5.0)
    outputs = np.array([[[5.0, 5.0], [np.nan, np.nan]]])
    assert heatmap_accuracy(outputs, targets, (16, 12)).per_joint.tolist() == [1, 0]
