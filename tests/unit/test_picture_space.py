import numpy as np
import pytest

from poseras.data.pipeline import records_of_boxes
from poseras.engine.tester import _to_space
from poseras.geometry import project_points, root_boxes
from poseras.picture_space import PictureCamera, attach_camera, camera_of, can_place, express_joints
from poseras.skeleton import Skeleton
from poseras.structures import View

SKELETON = Skeleton("Mine/two", ("pelvis", "nose"))
VIEW = View(rule="root_box_3d", size_hw=(64, 64), margin=1.0, box_mm=(2000.0, 2000.0))
PICTURE = np.zeros((400, 600, 3), np.uint8)
BOXES = np.array([[100, 50, 101, 201], [300, 100, 201, 101.0]])


def make_records():
    return records_of_boxes([PICTURE], [BOXES], 2)


def test_a_known_camera_gives_back_the_space_that_it_shows():
    camera = PictureCamera(1000.0, 5000.0)
    space = attach_camera(make_records(), VIEW, camera).space
    joints = space.root_camera_mm[:, None] + np.array([[[0, 0, 0], [120, -600, 80.0]]])
    np.testing.assert_array_equal(space.cameras[:, 2:4], [[299.5, 199.5]] * 2)  # the middle
    seen = project_points(joints, space.cameras)
    home = _to_space(seen, np.array([[0, 80.0], [0, 80.0]]), space)
    np.testing.assert_allclose(home, joints, atol=0.01)  # float32 roots of 5 m
    np.testing.assert_allclose(seen[:, 0], BOXES[:, :2] + (BOXES[:, 2:] - 1) / 2, atol=1e-3)
    told, origin = express_joints(home, SKELETON, camera)
    assert origin == "camera" and told is home


def test_the_view_of_a_known_camera_shows_the_box_of_the_training():
    space = attach_camera(make_records(), VIEW, PictureCamera(1000.0, 5000.0)).space
    boxes = root_boxes(space.root_camera_mm, space.cameras, VIEW.box_mm)
    np.testing.assert_allclose(boxes[:, 2:], 2000 / 5000 * 1000 + 1, atol=1e-3)


def test_without_a_camera_the_view_is_the_grown_box_and_poses_count_from_the_root():
    space = attach_camera(make_records(), VIEW, None).space
    boxes = root_boxes(space.root_camera_mm, space.cameras, VIEW.box_mm)
    np.testing.assert_allclose(boxes, [[50, 50, 201, 201], [300, 50, 201, 201]], atol=0.02)
    # A quarter of the view to the right and 300 mm ahead of the root.
    root = BOXES[:, :2] + (BOXES[:, 2:] - 1) / 2
    seen = np.stack([root, root + [50.25, 0]], axis=1)
    home = _to_space(seen, np.array([[0, 300.0], [10, 310.0]]), space)
    told, origin = express_joints(home, SKELETON, None)
    assert origin == "root"
    np.testing.assert_allclose(told[:, 0], 0)
    # The view is 2000 mm in 200 of its 201 pixels.
    np.testing.assert_allclose(told[:, 1], [[502.5, 0, 300]] * 2, atol=0.1)


def test_a_skeleton_without_pelvis_counts_from_the_mean():
    joints = np.array([[[0, 0, 1000.0], [2, 4, 1006]]])
    told, _ = express_joints(joints, Skeleton("Mine/hands", ("left_hand", "right_hand")), None)
    np.testing.assert_allclose(told, [[[-1, -2, -3], [1, 2, 3]]])


def test_only_views_of_a_fixed_size_in_mm_do_without_a_camera():
    by_box = View(rule="person_box", in_space=True)
    assert can_place(VIEW, None) and not can_place(by_box, None)
    assert can_place(by_box, PictureCamera(1.0, 1.0))
    assert not can_place(View(rule="person_box"), PictureCamera(1.0, 1.0))


def test_focal_length_and_depth_come_together():
    assert camera_of(None, None) is None
    assert camera_of(1000, 4000) == PictureCamera(1000, 4000)
    with pytest.raises(ValueError, match="only help together. Received 1000 and None"):
        camera_of(1000, None)
    with pytest.raises(ValueError, match="must be positive. Received 1000 and 0"):
        camera_of(1000, 0)
