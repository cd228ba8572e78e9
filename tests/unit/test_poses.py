import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from poseras.poses import Poses
from poseras.skeleton import Skeleton

SKELETON = Skeleton("Mine/three", ("pelvis", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)))


def make_poses(**changes):
    values = {
        "keypoints_px": np.array(
            [[[10, 20], [30, 40], [0, 0]], [[5, 6], [7, 8], [9, 11.5]]], float
        ),
        "keypoint_scores": np.array([[0.9, 0.5, 0.0], [0.8, 0.7, 0.6]]),
        "person_scores": np.array([0.7, 0.65]),
        "skeleton": SKELETON,
        "size_hw": (60, 80),
        "image_id": 4,
        "name": "clip.mp4",
        "frame": 4,
        "time_s": 0.16,
        "track_ids": np.array([2, 1]),
        **changes,
    }
    return Poses(**values)


def test_coco_entries_hold_keypoints_box_and_track():
    first, second = make_poses().to_coco()
    assert first == {
        "image_id": 4,
        "category_id": 1,
        "keypoints": [10.0, 20.0, 0.9, 30.0, 40.0, 0.5, 0.0, 0.0, 0.0],
        "num_keypoints": 2,
        "bbox": [10.0, 20.0, 20.0, 20.0],
        "area": 400.0,
        "score": 0.7,
        "track_id": 2,
    }
    assert second["bbox"] == [5.0, 6.0, 4.0, 5.5]
    assert make_poses().image_entry() == {
        "id": 4,
        "file_name": "clip.mp4",
        "height": 60,
        "width": 80,
        "frame": 4,
        "time_s": 0.16,
    }


def test_a_picture_has_neither_frame_nor_tracks():
    poses = make_poses(frame=None, time_s=None, track_ids=None)
    assert "track_id" not in poses.to_coco()[0]
    assert set(poses.image_entry()) == {"id", "file_name", "height", "width"}


def test_the_boxes_that_were_looked_into_come_before_those_around_the_joints():
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8.0]])
    assert [e["bbox"] for e in make_poses(boxes_xywh=boxes).to_coco()] == boxes.tolist()
    nothing = make_poses(keypoint_scores=np.zeros((2, 3)))
    np.testing.assert_array_equal(nothing.boxes, 0)


def test_the_table_has_a_row_per_person_and_joint():
    rows = list(csv.DictReader(io.StringIO(make_poses().to_csv())))
    assert len(rows) == 6
    assert rows[1] == {
        "image_id": "4",
        "file_name": "clip.mp4",
        "frame": "4",
        "time_s": "0.16",
        "person": "0",
        "track_id": "2",
        "person_score": "0.7",
        "keypoint": "left_hand",
        "x_px": "30.0",
        "y_px": "40.0",
        "keypoint_score": "0.5",
    }
    assert make_poses().to_csv(header=False).count("\n") == 6


def test_joints_in_space_say_where_they_count_from():
    joints = np.arange(18.0).reshape(2, 3, 3)
    poses = make_poses(joints_mm=joints, space_origin="root")
    assert poses.to_coco()[1]["joints_root_mm"] == joints[1].tolist()
    row = list(csv.DictReader(io.StringIO(poses.to_csv())))[5]
    assert [row[c] for c in ("x_mm", "y_mm", "z_mm", "origin")] == ["15.0", "16.0", "17.0", "root"]
    with pytest.raises(ValueError, match="belong together"):
        make_poses(joints_mm=joints)


def test_a_drawing_changes_the_picture_where_the_people_are():
    image = np.full((60, 80, 3), 128, np.uint8)
    drawn = make_poses().draw(image)
    assert drawn.shape == image.shape and (image == 128).all()
    assert (drawn[20, 10] != 128).any() and (drawn[50:, 60:] == 128).all()


def test_ids_are_drawn_above_tracked_people():
    image = np.full((120, 160, 3), 128, np.uint8)
    poses = make_poses(size_hw=(120, 160), keypoints_px=make_poses().keypoints_px + 40)
    without = replace(poses, track_ids=None)
    changed = (poses.draw(image) != without.draw(image)).any(axis=-1)
    assert changed[:50].any() and not changed[100:].any()


def test_in_3d_the_surest_person_in_space_stands_beside_the_picture():
    image = np.full((60, 80, 3), 128, np.uint8)
    joints = np.random.default_rng(0).normal(0, 300, (2, 3, 3))
    poses = make_poses(joints_mm=joints, space_origin="camera")
    drawn = poses.draw(image)
    assert drawn.shape[0] == 60 and drawn.shape[1] > 80 + 60
    other = replace(poses, joints_mm=joints * [[[1.0]], [[5.0]]])
    np.testing.assert_array_equal(other.draw(image), drawn)
    nobody = Poses(
        *(np.zeros((0, 3, 2)), np.zeros((0, 3)), np.zeros(0)),
        skeleton=SKELETON,
        size_hw=(60, 80),
        joints_mm=np.zeros((0, 3, 3)),
        space_origin="camera",
    )
    assert nobody.draw(image).shape == drawn.shape, "a video keeps its size"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"track_ids": np.array([1])}, r"track_ids must have shape \(2,\)"),
        ({"track_ids": np.array([3, 3])}, r"each person of a frame once. Received \[3, 3\]"),
        ({"boxes_xywh": np.zeros((3, 4))}, r"boxes_xywh must have shape \(2, 4\)"),
        ({"joints_mm": np.zeros((2, 3, 2)), "space_origin": "root"}, r"shape \(2, 3, 3\)"),
        ({"skeleton": Skeleton("Mine/one", ("nose",))}, "must have 1 joints. Received 3"),
        ({"size_hw": (0, 5)}, "size_hw must be positive"),
        ({"time_s": -1.0}, "time_s at least 0"),
        ({"keypoint_scores": np.zeros((2, 2))}, "keypoint_scores must have shape"),
    ],
)
def test_records_check_themselves(changes, rule):
    with pytest.raises(ValueError, match=rule):
        make_poses(**changes)


def test_another_picture_cannot_be_drawn_on():
    with pytest.raises(ValueError, match=r"the size \(60, 80\) of its poses"):
        make_poses().draw(np.zeros((80, 60, 3), np.uint8))
