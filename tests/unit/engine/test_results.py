import json
from pathlib import Path

import numpy as np
import pytest

from poseras.data.annotation import AnnotationTable
from poseras.engine import results
from poseras.skeleton import Skeleton
from poseras.structures import ImageTable, People

THREE = Skeleton("A/three", ("nose", "left_hand", "right_hand"))
FOUR = Skeleton("B/four", ("right_hand", "tail", "nose", "left_hand"))


def make_people():
    return People(
        keypoints_px=np.array([[[1.0, 2], [3, 4], [5, 6]]]),
        keypoint_scores=np.array([[0.1, 0.2, 0.3]]),
        person_scores=np.array([0.123456]),
    )


def make_table():
    """Three rows on two pictures: a person, a crowd, a person without a label."""
    keypoints = np.zeros((3, 3, 3), np.float32)
    keypoints[:2, :, 2] = 2
    return AnnotationTable(
        source=Path("a.json"),
        skeleton=THREE,
        images=ImageTable(np.array([7, 5]), ("/a.jpg", "/b.jpg"), np.zeros((2, 2), np.int32)),
        annotation_ids=np.array([1, 2, 3]),
        image_index=np.array([0, 1, 1]),
        boxes_xywh=np.ones((3, 4)),
        areas=np.full(3, 100.0),
        area_given=np.ones(3, bool),
        keypoints=keypoints,
        num_keypoints=np.array([3, 3, 2]),
        iscrowd=np.array([False, True, False]),
    )


def test_a_record_has_a_third_value_of_one_unless_scores_are_asked_for():
    (plain,) = results.coco_results({9: make_people()})
    assert plain["keypoints"] == [1, 2, 1, 3, 4, 1, 5, 6, 1]
    assert (plain["image_id"], plain["score"]) == (9, 0.1235)
    (scored,) = results.coco_results({9: make_people()}, real_keypoint_scores=True)
    assert scored["keypoints"][2::3] == [0.1, 0.2, 0.3]


def test_people_are_reordered_by_name_and_a_missing_joint_is_at_the_origin():
    people = results.reorder_people(make_people(), THREE, FOUR)
    assert people.keypoints_px[0].tolist() == [[5, 6], [0, 0], [1, 2], [3, 4]]
    assert people.keypoint_scores[0].tolist() == [0.3, 0, 0.1, 0.2]


def test_rows_without_a_joint_of_the_network_are_ignored_as_crowds_are():
    truth = results.ground_truth_columns(make_table())
    assert truth.images.tolist() == [5, 7]
    assert truth.image_ids.tolist() == [7, 5, 5]
    assert truth.ignore.tolist() == [False, True, True]


@pytest.mark.parametrize("evaluator", ["pycocotools", "fast", "both"])
def test_a_perfect_answer_has_an_ap_of_one(evaluator):
    table = make_table()
    table.keypoints[0, :, :2] = [[10, 10], [20, 25], [30, 12]]
    answer = People(table.keypoints[:1, :, :2], np.ones((1, 3)), np.ones(1))
    scores = results.score_people({7: answer}, table, (0.1, 0.1, 0.1), evaluator)
    assert scores.stats["AP"] == pytest.approx(1)


def test_the_origin_names_files_relative_to_the_project_with_their_digest(tmp_path):
    inside = tmp_path / "data" / "a.json"
    inside.parent.mkdir()
    inside.write_bytes(b"abc")
    origin = {"boxes": "detected", "annotations": inside, "sequences": inside.parent}
    described = results.describe_origin(origin, tmp_path)
    assert described["annotations"] == "data/a.json"
    # SHA-256 of "abc", FIPS 180-2.
    assert described["annotations_sha256"].startswith("ba7816bf8f01cfea")
    assert described["boxes"] == "detected"
    assert described["sequences"] == "data" and "sequences_sha256" not in described


def test_metrics_are_written_with_their_protocol(tmp_path):
    path = results.write_metrics(tmp_path, {"AP": 0.5}, {"flip_test": True, "path": str(Path("a"))})
    assert json.loads(path.read_text()) == {
        "metrics": {"AP": 0.5},
        "protocol": {"flip_test": True, "path": "a"},
    }
