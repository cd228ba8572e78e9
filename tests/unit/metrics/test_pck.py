"""PCK by the extent of the person, on two people that can be measured by hand."""

import numpy as np
import pytest

from poseras.metrics.pck import evaluate_pck

# The first person is 100 px wide and 50 high; the second has one labelled joint, so no extent.
TRUTH = np.array([[[0, 0, 1], [100, 50, 1], [9, 9, 0]], [[5, 5, 1], [0, 0, 0], [0, 0, 0]]])


def move(*distances):
    predicted = TRUTH[..., :2].astype(float)
    predicted[0, :2, 0] += distances
    return predicted


def test_the_unit_is_the_larger_side_and_the_limit_itself_is_right():
    evaluation = evaluate_pck(TRUTH, move(10, 10.5), 0.1)
    assert evaluation.percent[:2].tolist() == [100, 0]  # the second person hits exactly
    assert evaluation.counts.tolist() == [2, 1, 0] and np.isnan(evaluation.percent[2])


def test_a_person_of_one_joint_must_be_hit_exactly():
    predicted = move(0, 0)
    predicted[1, 0, 1] += 0.01
    assert evaluate_pck(TRUTH, predicted, 0.5).percent[0] == 50


def test_the_table_shows_means_of_groups_and_of_all_joints():
    evaluation = evaluate_pck(TRUTH[:, :2], move(0, 60)[:, :2], 0.5)
    assert evaluation.table({"a": (0,), "b": (1,), "both": (0, 1)}) == (
        " & a & b & both & total\n & 100.0 & 0.0 & 50.0 & 50.0\n"
    )
    assert evaluation.stats == {"PCK@0.5": 50}
    assert evaluation.protocol()["labelled"] == [2, 1]


def test_people_without_labels_and_nobody_at_all_are_no_error():
    assert np.isnan(evaluate_pck(np.zeros((1, 2, 3)), np.zeros((1, 2, 2)), 0.1).percent).all()
    assert evaluate_pck(np.zeros((0, 2, 3)), np.zeros((0, 2, 2)), 0.1).counts.tolist() == [0, 0]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"truth must have shape \(people, joints, 3\)"):
        evaluate_pck(TRUTH[0], TRUTH[0], 0.1)
    with pytest.raises(ValueError, match=r"predicted must have shape \(2, 3, 2\)"):
        evaluate_pck(TRUTH, TRUTH[:1], 0.1)
    with pytest.raises(ValueError, match="threshold must be above 0. Received 0"):
        evaluate_pck(TRUTH, TRUTH, 0)
