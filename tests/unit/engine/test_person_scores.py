"""Results in AI Challenger's form and its score, and PCK."""

from types import SimpleNamespace

import numpy as np
import pytest

from poseras.engine import ai_challenger_results, pck_results
from poseras.structures import ImageTable, People


def make_table(people=2, joints=14):
    """Two people on the first of two pictures, far from each other, seen at all joints but one."""
    points = np.stack([np.arange(joints) * 10.0, np.arange(joints) * 5.0], axis=1)
    keypoints = np.ones((people, joints, 3), np.float32) * 2
    keypoints[:, :, :2] = points + 1000 * np.arange(people)[:, None, None]
    keypoints[:1, 3] = 0
    return SimpleNamespace(
        images=ImageTable(np.array([7, 9]), ("/a/left.jpg", "/a/right.jpg"), np.full((2, 2), 99)),
        image_index=np.zeros(people, np.int32),
        annotation_ids=np.arange(31, 31 + people),
        iscrowd=np.zeros(people, bool),
        boxes_xywh=np.array([[1000.0 * n, 1000.0 * n, 130, 70] for n in range(people)]),
        keypoints=keypoints,
    )


def make_people(points, *, scores=None, **others):
    scores = np.ones(len(points)) if scores is None else np.array(scores)
    return People(points.astype(np.float64), np.full(points.shape[:2], 0.9), scores, **others)


def test_perfect_people_have_the_full_score_and_each_one_too_many_costs():
    table = make_table()
    points = table.keypoints[..., :2]
    scores = ai_challenger_results.score_people({7: make_people(points)}, table)
    assert scores.score == 1 and scores.people == 2 and scores.unpredicted == 1
    more = np.concatenate([points, points[:1] + 5000, points[:1] + 7000])
    assert ai_challenger_results.score_people({7: make_people(more)}, table).score == 0.5


def test_people_on_a_picture_without_annotated_ones_cost_too():
    table = make_table()
    points = table.keypoints[..., :2]
    found = {7: make_people(points), 9: make_people(points)}
    scores = ai_challenger_results.score_people(found, table)
    assert scores.score == 0.5 and scores.people == 4 and scores.unknown == 0
    only = ai_challenger_results.score_people({7: found[7]}, table, np.array([7]))
    assert (only.score, only.unpredicted) == (1, 0)
    looked_at = ai_challenger_results.score_people({7: found[7]}, table)
    assert (looked_at.score, looked_at.unpredicted) == (1, 1)
    assert ai_challenger_results.score_people({}, table).score == 0


def test_pictures_are_told_apart_whatever_their_names():
    table = make_table()
    table.image_index = np.array([0, 1])
    points = table.keypoints[..., :2]
    for paths in (("/a/img.001.jpg", "/a/img.002.jpg"), ("/a/same.jpg", "/b/same.jpg")):
        table.images = ImageTable(table.images.ids, paths, table.images.sizes_hw)
        found = {7: make_people(points[:1]), 9: make_people(points[1:])}
        scores = ai_challenger_results.score_people(found, table)
        assert (scores.score, scores.people, scores.repeated) == (1, 2, 0)


def test_rows_have_the_form_of_the_challenge():
    table = make_table(1)
    people = make_people(table.keypoints[..., :2])
    people.keypoint_scores[0, 3] = 0
    (row,) = ai_challenger_results.list_predictions({7: people}, table.images)
    assert row["image_id"] == "left" and list(row["keypoint_annotations"]) == ["human1"]
    values = row["keypoint_annotations"]["human1"]
    assert len(values) == 42 and values[3:6] == [10, 5, 1] and values[11] == 3
    reference, nobody = ai_challenger_results.list_reference(table)
    assert (reference["image_id"], nobody["image_id"]) == ("left", "right")
    assert nobody["keypoint_annotations"] == nobody["human_annotations"] == {}
    assert reference["human_annotations"] == {"human0": [0, 0, 130, 70]}
    assert reference["keypoint_annotations"]["human0"][9:12] == [0, 0, 3]


def test_pck_of_one_person_a_picture_compares_the_surest_one_as_published():
    table = make_table(1)
    points = table.keypoints[..., :2]
    near = points.copy()
    near[0, 0, 0] += 10  # of a side of 130 px: beyond 5 %, within 10 %
    found = make_people(np.concatenate([points, near]), scores=[0.4, 0.5])
    scores = pck_results.score_people({7: found}, table, head_size_px=50.0)
    assert np.isnan(scores.stats["PCK@0.05"])  # joint 3 is never labelled, as in the original
    percent = scores.evaluations[0].percent, scores.evaluations[1].percent
    assert percent[0][0] == 0 and percent[1][0] == 100 and percent[0][1] == 100
    assert scores.stats["PCKh@0.5"] == 100
    assert scores.protocol()["PCK@0.1 by joint"][3] is None
    wrong = pck_results.score_people({7: make_people(points + 1000)}, table, head_size_px=50.0)
    assert wrong.stats["PCKh@0.5"] == 0


def count_people(scores):
    protocol = scores.protocol()
    return tuple(protocol[f"people_{name}"] for name in ("found", "scored", "annotated"))


@pytest.mark.parametrize("surer", [0, 1])
def test_pck_compares_each_of_several_people_with_the_nearest_prediction(surer):
    table = make_table()
    points = table.keypoints[..., :2]
    found = make_people(points[::-1], scores=[0.5, 0.9] if surer else [0.9, 0.5])
    scores = pck_results.score_people({7: found}, table)
    assert scores.stats["PCK@0.05"] == 100
    assert count_people(scores) == (2, 2, 2) and "nearest" in scores.protocol()["matching"]
    # One is found: the other one is wrong, whichever of them it is.
    for person in points:
        half = pck_results.score_people({7: make_people(person[None])}, table)
        assert half.evaluations[0].percent[0] == 50 and count_people(half) == (1, 2, 2)
    # A surer prediction in the place of nobody costs one of as many as are annotated.
    more = make_people(np.concatenate([points, points[:1] + 5000]), scores=[0.9, 0.5, 0.7])
    assert pck_results.score_people({7: more}, table).evaluations[0].percent[0] == 50


def test_pck_compares_people_of_annotated_boxes_with_their_annotation():
    table = make_table()
    points = table.keypoints[..., :2]
    ids = table.annotation_ids
    told = make_people(points[::-1], annotation_ids=ids[::-1])
    scores = pck_results.score_people({7: told}, table)
    assert np.nanmin(scores.evaluations[0].percent) == 100 and count_people(scores) == (2, 2, 2)
    assert "annotation" in scores.protocol()["matching"]
    # Who was found in the box of somebody else is wrong, however near.
    exchanged = make_people(points, annotation_ids=ids[::-1])
    assert np.nanmax(pck_results.score_people({7: exchanged}, table).evaluations[3].percent) == 0
    # -1 stands for boxes of a detector.
    detected = make_people(points, annotation_ids=np.array([-1, -1]))
    scores = pck_results.score_people({7: detected}, table)
    assert np.nanmin(scores.evaluations[0].percent) == 100 and "nearest" in scores.matching


def test_pck_leaves_out_crowds_and_people_without_labels_and_says_so():
    table = make_table(4)
    table.iscrowd[1] = True
    table.keypoints[2, :, 2] = 0
    points = table.keypoints[..., :2]
    scores = pck_results.score_people({7: make_people(points)}, table)
    assert count_people(scores) == (2, 2, 4)
    assert np.nanmin(scores.evaluations[0].percent) == 100
    table.iscrowd[:] = True
    assert pck_results.score_people({7: make_people(points)}, table) is None


def test_a_joint_that_a_network_did_not_find_does_not_decide_who_is_who():
    table = make_table()
    points = table.keypoints[..., :2].copy()
    points[0, 0] = np.nan
    scores = pck_results.score_people({7: make_people(points[::-1])}, table)
    assert scores.evaluations[0].percent[:2].tolist() == [50, 100]


def test_nobody_found_is_wrong_everywhere():
    scores = pck_results.score_people({}, make_table(1))
    assert np.nanmax(scores.evaluations[-1].percent) == 0 and "PCKh@0.5" not in scores.stats
    assert count_people(scores) == (0, 1, 1)
    assert pck_results.score_people({}, make_table(0)) is None
