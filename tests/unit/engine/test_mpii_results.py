from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from poseras.data.annotation import AnnotationTable
from poseras.engine import mpii_results
from poseras.skeleton import Skeleton
from poseras.structures import ImageTable, People

THREE = Skeleton("A/three", ("head_top", "left_wrist", "pelvis"))
IMAGES = ImageTable(np.array([7, 5]), ("/images/a.jpg", "/images/b.jpg"), np.zeros((2, 2), int))


def make_people(ids, offset=0.0):
    count = len(ids)
    points = np.arange(count * 6, dtype=float).reshape(count, 3, 2) + offset
    scores = np.linspace(0.1, 0.9, count * 3).reshape(count, 3)
    return People(points, scores, np.ones(count), annotation_ids=np.array(ids))


def make_table():
    keypoints = np.full((3, 3, 3), 2, np.float32)
    keypoints[..., :2] = np.arange(18).reshape(3, 3, 2)
    keypoints[2, 1] = 0
    return AnnotationTable(
        source=Path("a.json"),
        skeleton=THREE,
        images=IMAGES,
        annotation_ids=np.array([0, 1, 2]),
        image_index=np.array([0, 0, 1]),
        boxes_xywh=np.ones((3, 4)),
        areas=np.ones(3),
        area_given=np.ones(3, bool),
        keypoints=keypoints,
        num_keypoints=np.array([3, 3, 2]),
        iscrowd=np.zeros(3, bool),
    )


def test_records_are_those_of_the_simple_baselines_code():
    (record,) = mpii_results.mpii_results({7: make_people([0])})
    assert record == {
        "image_id": 7,
        "scores": [0.1, 0.5, 0.9],
        "keypoints": [0, 1, 1, 2, 3, 1, 4, 5, 1],
    }


def test_predictions_stand_in_the_order_of_the_annotations():
    people = {5: make_people([2]), 7: make_people([1])}
    gathered = mpii_results.gather_by_annotation(people, np.array([0, 1, 2]))
    assert gathered.shape == (3, 3, 2)
    assert np.isnan(gathered[0]).all()
    assert gathered[2].tolist() == people[5].keypoints_px[0].tolist()


@pytest.mark.parametrize(("first_pixel", "shift"), [(0, 1), (1, 0)])
def test_pred_mat_counts_from_1_whatever_the_network_does(tmp_path, first_pixel, shift):
    keypoints = np.arange(12.0).reshape(2, 3, 2)
    mpii_results.write_predictions(tmp_path / "pred.mat", keypoints, first_pixel)
    np.testing.assert_array_equal(loadmat(tmp_path / "pred.mat")["preds"], keypoints + shift)


@pytest.mark.parametrize(("first_pixel", "shift"), [(0, 1), (1, 0)])
def test_the_submission_has_mpiis_structure(tmp_path, first_pixel, shift):
    path = tmp_path / "pred.mat"
    mpii_results.write_submission(path, {5: make_people([1, 2])}, IMAGES, first_pixel)
    pred = loadmat(path, squeeze_me=True, struct_as_record=False)["pred"]
    assert [p.image.name for p in pred] == ["a.jpg", "b.jpg"]
    assert pred[0].annorect.size == 0
    points = pred[1].annorect[1].annopoints.point
    assert [(p.x, p.y, p.id) for p in points] == [
        (6 + shift, 7 + shift, 0),
        (8 + shift, 9 + shift, 1),
        (10 + shift, 11 + shift, 2),
    ]
    assert points[2].score == pytest.approx(0.9)


def test_matlab_indexes_one_person_as_it_does_many(tmp_path):
    path = tmp_path / "pred.mat"
    mpii_results.write_submission(path, {7: make_people([1])}, IMAGES, 1)
    pred = loadmat(path)["pred"]
    assert pred.shape == (1, 2) and pred[0, 0]["annorect"].shape == (1, 1)
    point = pred[0, 0]["annorect"][0, 0]["annopoints"][0, 0]["point"]
    assert point.shape == (1, 3) and point.dtype.names == ("x", "y", "id", "score")


def test_pckh_counts_joints_within_half_a_head():
    people = {7: make_people([0, 1]), 5: make_people([2], offset=12)}
    people[7].keypoints_px[0, 0] += 5
    heads = {0: 8.0, 1: 8.0, 2: 8.0}
    scores = mpii_results.score_people(people, make_table(), heads)
    per_joint = scores.per_joint()
    assert per_joint["head_top"] == pytest.approx(200 / 3)
    assert (per_joint["left_wrist"], per_joint["pelvis"]) == (100, 100)
    assert scores.counts.tolist() == [3, 2, 3]


def test_people_without_a_known_head_are_left_out_and_those_not_found_are_wrong():
    scores = mpii_results.score_people(
        {7: make_people([0, 1])}, make_table(), {1: 8.0, 2: 8.0, 0: np.nan}
    )
    assert scores.per_joint()["head_top"] == 50
    assert mpii_results.score_people({7: make_people([0])}, make_table(), {}) is None


def test_where_nobody_is_found_everybody_is_wrong():
    heads = {0: 8.0, 1: 8.0, 2: 8.0}
    for people in ({}, {7: make_people([])}):
        scores = mpii_results.score_people(people, make_table(), heads)
        assert set(scores.per_joint().values()) == {0} and scores.counts.tolist() == [3, 2, 3]
