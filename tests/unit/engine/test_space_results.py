"""From depths of the network to camera millimetres, errors and files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from poseras.engine import space_results, tester
from poseras.geometry import project_points
from poseras.skeleton import Skeleton
from poseras.structures import ImageTable, PersonRecords, SpaceColumns

SKELETON = Skeleton(
    "made/up",
    ("pelvis", "head_top", "left_wrist"),
    limbs=((0, 1), (0, 2)),
    colours=((9, 9, 9),) * 2,
)
CAMERA = [1000.0, 900, 80, 60, 0, 0, 0, 0, 0]
POSES = np.array(
    [
        [[0.0, 0, 4000], [0, -600, 4100], [300, -300, 3800]],
        [[100, 0, 5000], [100, -600, 5000], [400, -300, 5200]],
        [[0, 0, 1], [0, 0, 1], [0, 0, 1]],
    ]
)


def make_records():
    """Two people in space, doing 2 and 4, and one who is not."""
    known = np.array([True, True, False])
    space = SpaceColumns(
        joints_camera_mm=(POSES * known[:, None, None]).astype(np.float32),
        joints_valid=np.repeat(known[:, None], 3, axis=1),
        root_camera_mm=(POSES[:, 0] * known[:, None]).astype(np.float32),
        cameras=np.array([CAMERA, CAMERA, [0.0] * 9]),
        actions=np.array([2, 4, -1], np.int32),
    )
    return PersonRecords(
        images=ImageTable(np.array([7, 8]), ("a", "b"), np.full((2, 2), 100, np.int32)),
        image_index=np.array([0, 1, 1], np.int32),
        boxes_xywh=np.float32([[0, 0, 10, 10]] * 3),
        keypoints=np.zeros((3, 3, 3), np.float32),
        scores=np.ones(3),
        areas=np.ones(3),
        annotation_ids=np.array([70, 80, 81]),
        space=space,
    )


MATRICES = np.float32([[[0.5, 0, 3], [0, 0.25, 5]]] * 3)


def predict(depth_error_mm=0.0, records=None):
    """A network that sees every joint right, but for an error of all depths but the root's."""
    records = records or make_records()
    points = project_points(POSES, np.array(CAMERA))
    shown = points @ np.swapaxes(MATRICES[:, :, :2], 1, 2) + MATRICES[:, None, :, 2]
    depths = POSES[..., 2] - POSES[:, :1, 2] + depth_error_mm * np.array([0, 1, 1])

    def step(images):
        return [
            {
                "keypoints_px": shown[:, None].astype(np.float32),
                "keypoint_scores": np.ones((3, 1, 3), np.float32),
                "joints_depth_mm": depths[:, None].astype(np.float32),
            }
        ]

    batch = {"image": np.zeros((3, 4, 4, 3)), "index": np.arange(3), "image_to_network": MATRICES}
    return tester.predict_people(step, [batch], records, joint_count=3, progress=False)


def test_depths_come_home_to_the_space_of_the_camera():
    joints = predict().joints_camera_mm
    # float32 pixels of the view, four times as large in the picture, at 5 m.
    np.testing.assert_allclose(joints[:2], POSES[:2], atol=0.05)
    assert np.isnan(joints[2]).all()


def test_people_of_whom_nothing_is_known_in_space_have_no_place_there():
    assert predict(records=replace(make_records(), space=None)).joints_camera_mm is None


def test_errors_count_people_who_are_known():
    scores = space_results.score_poses(
        make_records(), predict(30.0), SKELETON, {2: "Eat", 4: "Sit"}
    )
    assert len(scores.published.errors_mm) == 2
    # Two joints of three are 30 mm behind their place, and as much wider: x and y grow with z.
    assert 20 < scores.stats["MPJPE"] < 21.5
    assert scores.stats["PA-MPJPE with scale"] <= scores.stats["PA-MPJPE"] + 1e-6
    actions = scores.protocol()["per_action_mm"]["MPJPE"]
    assert set(actions) == {"Eat", "Sit"}
    assert "14 joints: MPJPE" in scores.table() and "Eat" in scores.table()


def test_nobody_in_space_gives_no_scores():
    records = make_records()
    records = records.take(np.array([2]))
    lonely = tester.Predictions(np.zeros((1, 3, 2)), np.ones((1, 3)), np.ones(1, bool))
    assert space_results.score_poses(records, lonely, SKELETON, {}) is None
    with pytest.raises(ValueError, match="people whose joints are known. Received none"):
        space_results.write_poses(None, records, lonely, SKELETON, None)


def test_the_files_hold_poses_and_truth(tmp_path):
    records, found = make_records(), predict()
    scores = space_results.score_poses(records, found, SKELETON, {2: "Eat"})
    path = space_results.write_poses(tmp_path, records, found, SKELETON, scores)
    content = json.loads(path.read_text())
    assert Skeleton.from_dict(content["skeleton"]) == SKELETON
    assert [person["annotation_id"] for person in content["people"]] == [70, 80]
    np.testing.assert_allclose(content["people"][1]["joints_true_mm"], POSES[1], atol=1e-3)
    lines = (tmp_path / "gt_3d_kpt.txt").read_text().splitlines()
    np.testing.assert_allclose(
        np.array(lines[0].split(), float).reshape(3, 3), POSES[0] - POSES[0, 0], atol=1e-3
    )
    assert lines[0].endswith(" ") and len(lines) == 2
    assert (tmp_path / "eval_result.txt").read_text().startswith("Protocol #1 error (PA MPJPE) >>")
    assert (tmp_path / "poses_3d.html").read_text().count('"image_id":') == 2


def test_everybody_of_an_annotated_box_stays():
    records, found = make_records(), predict()
    selection = tester.Selection(1.0, 1.0, rule="human36m")
    people = tester.select_people(records, found, selection)
    assert {image: len(p) for image, p in people.items()} == {7: 1, 8: 2}
