import numpy as np
import pytest

from poseras.structures import People
from poseras.tracking.boxes import box_areas, join_boxes, person_boxes, pose_boxes

POINTS = np.array([[[10.0, 20.0], [30.0, 60.0], [500.0, 500.0]]])
COUNTED = np.array([[True, True, False]])


def test_a_box_goes_around_the_counted_joints():
    assert pose_boxes(POINTS, COUNTED).tolist() == [[10, 20, 20, 40]]


def test_the_margin_keeps_the_centre():
    assert pose_boxes(POINTS, COUNTED, 1.5).tolist() == [[5, 10, 30, 60]]


def test_no_joint_is_no_box():
    assert pose_boxes(POINTS, np.zeros((1, 3), bool)).tolist() == [[0, 0, 0, 0]]
    assert pose_boxes(POINTS[:0], COUNTED[:0]).shape == (0, 4)


def test_boxes_are_those_looked_into_or_else_around_joints():
    scores = np.ones((1, 3))
    assert person_boxes(People(POINTS, scores, np.ones(1)), COUNTED).tolist() == [[10, 20, 20, 40]]
    boxes = np.array([[0, 0, 50, 100]], np.float32)
    found = People(POINTS, scores, np.ones(1), boxes)
    assert person_boxes(found, COUNTED).tolist() == [[0, 0, 50, 100]]


def test_the_smallest_area_is_32_px_squared():
    assert box_areas(np.array([[5.0, 5, 50, 100], [0, 0, 0, 40]])).tolist() == [5000, 1024]


def test_expected_boxes_are_added_where_nothing_was_detected():
    detected = [[0, 0, 10, 10]]
    expected = [[0, 2, 10, 10], [50, 0, 10, 10], [52, 0, 10, 10], [0, 6, 10, 10]]
    # IoU with the detected box 8/12 and 4/16; of the two at 50 8/12
    assert join_boxes(detected, expected, 0.5).tolist() == [1, 3]
    assert join_boxes(detected, expected, 0.7).tolist() == [0, 1, 2, 3]
    assert join_boxes(detected, expected, 0.2).tolist() == [1]


@pytest.mark.parametrize(
    ("detected", "expected", "kept"), [([], [[0, 0, 1, 1]], [0]), ([], [], [])]
)
def test_no_boxes_at_all(detected, expected, kept):
    assert join_boxes(np.array(detected), np.array(expected), 0.5).tolist() == kept
    assert join_boxes(np.array([[0, 0, 1, 1]]), np.zeros((0, 4)), 0.5).tolist() == []
