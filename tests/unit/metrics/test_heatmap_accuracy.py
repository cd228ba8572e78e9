import numpy as np
import pytest

from poseras.metrics.heatmap_accuracy import heatmap_accuracy


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
