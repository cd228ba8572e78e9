"""People without a camera: joints relative to the root, laid over keypoints by hand and file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from poseras.data.annotation import read_split
from poseras.data.dataset import Dataset, Split
from poseras.data.far_cameras import FAR_MM, name_cameras, place_far_away
from poseras.data.persons import annotated_persons
from poseras.data.space import attach_space
from poseras.geometry import project_points
from poseras.skeleton import Skeleton
from poseras.structures import SpaceColumns
from poseras.systems.integral_3d.view_depth import depths_in_view

NAMES = ("pelvis", "left_hip", "right_hip", "head_top")
SKELETON = Skeleton("Made/four", NAMES, ((1, 2),), ((0, 1), (0, 2), (0, 3)))
ROOTED = np.array([[0, 0, 0], [100, 0, 50], [-100, 0, -50], [0, -600, 200.0]])
# A quarter turn to the right, a fifth of a pixel a millimetre, the pelvis at (300, 200).
SEEN = np.array([[300, 200, 2], [300, 220, 2], [300, 180, 1], [420, 200, 2.0]])


def columns(joints, valid=True):
    people = len(joints)
    return SpaceColumns(
        joints_camera_mm=np.float32(joints),
        joints_valid=np.full(joints.shape[:2], valid),
        root_camera_mm=np.float32(joints[:, 0]),
        cameras=np.zeros((people, 9)),
        actions=np.full(people, -1, np.int32),
    )


def test_joints_lie_over_their_keypoints_and_keep_their_depths_and_lengths():
    space = place_far_away(columns(ROOTED[None] + [7, 8, 9]), SEEN[None], np.array([True]))
    points = project_points(space.joints_camera_mm.astype(np.float64), space.cameras)
    # A depth of 200 mm in a kilometre moves the head's 120 px by a fiftieth of a pixel.
    np.testing.assert_allclose(points[0], SEEN[:, :2], atol=0.03)
    moved = space.joints_camera_mm[0] - space.root_camera_mm[0]
    np.testing.assert_allclose(moved[:, 2], ROOTED[:, 2], atol=0.07)
    np.testing.assert_allclose(
        np.linalg.norm(moved, axis=1), np.linalg.norm(ROOTED, axis=1), atol=0.1
    )
    assert space.cameras[0, 0] / FAR_MM == pytest.approx(0.2)


def test_an_unlabelled_keypoint_does_not_count_and_others_stay_as_they_are():
    seen = np.stack([SEEN, SEEN])
    seen[:, 3] = (9, 9, 0)
    given = columns(np.stack([ROOTED, ROOTED]))
    space = place_far_away(given, seen, np.array([False, True]))
    np.testing.assert_array_equal(space.joints_camera_mm[0], given.joints_camera_mm[0])
    assert not space.cameras[0].any() and not space.root_camera_mm[0].any()
    points = project_points(space.joints_camera_mm.astype(np.float64)[1:], space.cameras[1:])
    np.testing.assert_allclose(points[0], SEEN[:, :2], atol=0.03)


@pytest.mark.parametrize("labelled", [[0], [], [0, 1]])
def test_one_keypoint_or_two_in_one_place_give_no_camera(labelled):
    seen = SEEN.copy()
    seen[1, :2] = seen[0, :2]
    seen[:, 2] = np.isin(np.arange(4), labelled)
    space = place_far_away(columns(ROOTED[None]), seen[None], np.array([True]))
    assert not space.cameras.any() and not space.located.any()


def read(folder, keypoints, policy="stop", **fields):
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [280, 170, 160, 60]}
    row |= {"keypoints": np.ravel(keypoints).tolist(), "joints_root_mm": ROOTED.tolist()} | fields
    image = {"id": 1, "file_name": "1.png", "width": 600, "height": 400}
    (folder / "file.json").write_text(json.dumps({"images": [image], "annotations": [row]}))
    split = Split(folder / "file.json", folder)
    dataset = Dataset("Made", folder, {"four": SKELETON}, {}, {"val": split}, evaluation="none")
    records = annotated_persons(read_split(dataset, "val"))
    return attach_space(
        records, split.annotations, dataset, SKELETON, box_mm=(2000.0, 2000.0), on_bad_sample=policy
    )


def test_a_file_without_cameras_teaches_depth_in_pixels_of_the_view(tmp_path):
    records = read(tmp_path, SEEN)
    space = records.space
    assert space.located.all() and space.joints_valid.all()
    np.testing.assert_allclose(records.keypoints[0], SEEN, atol=0.03)
    batch = {
        "joints_camera_mm": space.joints_camera_mm[:, None],
        "root_camera_mm": space.root_camera_mm[:, None],
        "camera": space.cameras.astype(np.float32),
        "image_to_network": np.float32([[[0.5, 0, 0], [0, 0.5, 0]]]),
    }
    # Half a pixel of the view for one of the picture, which has 0.2 a millimetre.
    np.testing.assert_allclose(depths_in_view(batch)[0], 0.1 * ROOTED[:, 2], atol=0.01)


def test_joints_in_the_space_of_a_camera_go_before_those_without_one(tmp_path):
    with pytest.raises(ValueError, match=r"must have a camera \{f, c\}, or it joints_root_mm"):
        read(tmp_path, SEEN, joints_camera_mm=(ROOTED + [0, 0, 4000]).tolist())


def test_people_whose_scale_cannot_be_told_are_named_or_left_out(tmp_path):
    once = SEEN * [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="annotation 1 .* at least two labelled keypoints apart"):
        read(tmp_path, once)
    assert not len(read(tmp_path, once, policy="skip"))


def test_wrong_numbers_are_named_by_their_field(tmp_path):
    with pytest.raises(ValueError, match="joints_root_mm of annotation 1 must be 4 triples"):
        read(tmp_path, SEEN, joints_root_mm=ROOTED[:2].tolist())


def test_a_test_says_where_its_cameras_come_from():
    annotated = SpaceColumns.unknown(2, 4)
    assert name_cameras(annotated) == name_cameras(None) == "unknown"
    cameras = np.full((2, 9), 500.0)
    near = replace(annotated, cameras=cameras, root_camera_mm=np.float32([[0, 0, 4000]] * 2))
    assert name_cameras(near) == "annotated"
    both = replace(near, root_camera_mm=np.float32([[0, 0, 4000], [0, 0, FAR_MM]]))
    assert name_cameras(both) == "annotated, or fitted to the annotated keypoints"
    far = replace(near, root_camera_mm=np.float32([[0, 0, FAR_MM]] * 2))
    assert name_cameras(far) == "fitted to the annotated keypoints"
