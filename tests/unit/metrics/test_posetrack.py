"""PoseTrack scores of one or two people whose heads measure 10 px: bbox_head of 10 x 40/3 px."""

import json
import math

import numpy as np
import pytest

from poseras.metrics.posetrack import evaluate_posetrack, group_joints
from poseras.metrics.posetrack_columns import JOINTS, find_inside, read_sequences

FILE_JOINTS = ["left_ear", *JOINTS.values()]  # another order than poseval's, and one joint more
HEAD_BOX = [0, 0, 10, 40 / 3]  # diagonal 50/3, of which 0.6 is 10 px
SQUARE = ([0, 100, 100, 0], [0, 0, 100, 100])


def make_person(frame, x, *, track=0, y=0.0, joints=("nose",), score=None, **more):
    """A person whose `joints` all lie at (x, y); with a score it is a prediction."""
    keypoints = [v for name in FILE_JOINTS for v in ((x, y, 1) if name in joints else (0, 0, 0))]
    row = {"image_id": frame, "track_id": track, "keypoints": keypoints}
    row |= {"bbox_head": HEAD_BOX} if score is None else {"scores": [score] * len(FILE_JOINTS)}
    return row | more


def make_file(*people, frames=3, regions=None):
    images = [{"id": frame} for frame in range(1, frames + 1)]
    for image in images[: len(regions or ())]:
        xs, ys = zip(*regions, strict=True)
        image |= {"ignore_regions_x": list(xs), "ignore_regions_y": list(ys)}
    category = {"id": 1, "name": "person", "keypoints": FILE_JOINTS}
    return {"images": images, "annotations": list(people), "categories": [category]}


def evaluate(truth, *predictions, tracking=False):
    result = {"images": truth["images"], "annotations": list(predictions)}
    return evaluate_posetrack({"walk": truth}, {"walk": result}, tracking=tracking)


def follow(steps):
    """Events of the nose of one person (track 5) whose prediction has a track, or None, a frame.

    A frame more is added, because the last one is left out.
    """
    frames = len(steps) + 1
    truth = make_file(*(make_person(f, 50, track=5) for f in range(1, frames + 1)), frames=frames)
    predictions = [
        make_person(frame, 51, track=track, score=0.5)
        for frame, track in enumerate(steps, start=1)
        if track is not None
    ]
    return events_of_nose(evaluate(truth, *predictions, tracking=True))


def events_of_nose(evaluation):
    return {event: n["nose"] for event, n in evaluation.tracking.counts.to_dict().items()}


def test_a_joint_half_a_head_away_is_right_and_one_farther_is_wrong():
    truth = make_file(make_person(1, 50))
    assert evaluate(truth, make_person(1, 55, score=1)).ap["nose"] == 100
    assert evaluate(truth, make_person(1, 55.1, score=1)).ap["nose"] == 0


def test_average_precision_is_the_area_under_the_interpolated_curve():
    truth = make_file(*(make_person(f, 50) for f in (1, 2, 3)))
    right, wrong = (
        (lambda f, s: make_person(f, 50, score=s)),
        (lambda s: make_person(3, 99, score=s)),
    )
    evaluation = evaluate(truth, right(1, 0.9), wrong(0.8), right(2, 0.7))
    # Recall 1/3 at precision 1, recall 2/3 at precision 2/3, nothing beyond.
    assert evaluation.ap["nose"] == pytest.approx(100 * (1 / 3 + 1 / 3 * 2 / 3))
    assert evaluation.precision["nose"] == pytest.approx(200 / 3)
    assert evaluation.recall["nose"] == pytest.approx(200 / 3)


def test_a_low_score_of_a_wrong_joint_costs_no_average_precision():
    truth = make_file(make_person(1, 50))
    people = make_person(1, 50, score=0.9), make_person(1, 99, score=0.1, track=1)
    assert evaluate(truth, *people).ap["nose"] == 100
    assert evaluate(truth, *people).precision["nose"] == 50


def test_of_equal_scores_the_later_row_goes_first():
    truth = make_file(make_person(1, 50))
    right, wrong = make_person(1, 50, score=1), make_person(1, 99, score=1)
    assert evaluate(truth, wrong, right).ap["nose"] == 100
    assert evaluate(truth, right, wrong).ap["nose"] == 50


def test_a_row_without_scores_ranks_behind_all_others():
    truth = make_file(make_person(1, 50))
    unscored = make_person(1, 99, score=1, track=1) | {"scores": []}
    assert evaluate(truth, unscored, make_person(1, 50, score=-5)).ap["nose"] == 100


def test_a_person_goes_to_the_one_with_the_largest_share_of_right_joints():
    # One of one joint is right there, one of two here: the other joint of the prediction is wrong.
    truth = make_file(
        make_person(1, 50, joints=("nose", "left_hip")), make_person(1, 52, joints=("nose",))
    )
    moved = make_person(1, 51, score=1, joints=("nose", "left_hip"))
    at = 3 * FILE_JOINTS.index("left_hip")
    moved["keypoints"][at : at + 2] = [200, 200]
    evaluation = evaluate(truth, moved)
    assert (evaluation.recall["nose"], evaluation.recall["left_hip"]) == (50, 0)
    exact = evaluate(truth, make_person(1, 50, score=1, joints=("nose", "left_hip")))
    assert exact.recall["left_hip"] == 100


def test_of_two_people_on_one_the_better_stays_and_the_other_is_a_false_alarm():
    truth = make_file(make_person(1, 50, joints=("nose", "left_hip")))
    evaluation = evaluate(
        truth,
        make_person(1, 50, score=0.9, joints=("nose",)),
        make_person(1, 51, score=0.5, joints=("nose", "left_hip")),
    )
    assert evaluation.precision["nose"] == 50
    assert evaluation.ap["nose"] == 50  # the false alarm has the higher score
    assert evaluation.ap["left_hip"] == 100


def test_frames_without_annotated_people_are_left_out_predictions_included():
    evaluation = evaluate(
        make_file(make_person(1, 50)), make_person(1, 50, score=0.1), make_person(2, 50, score=0.9)
    )
    assert (evaluation.frames, evaluation.precision["nose"]) == (1, 100)


def test_joints_in_an_ignore_region_count_on_neither_side():
    truth = make_file(make_person(1, 50, y=50), make_person(1, 150, y=50), regions=[SQUARE])
    evaluation = evaluate(
        truth, make_person(1, 60, y=50, score=0.9), make_person(1, 150, y=50, score=0.1)
    )
    assert (evaluation.ap["nose"], evaluation.precision["nose"]) == (100, 100)


def test_a_frame_whose_people_are_all_ignored_counts_its_predictions_as_false_alarms():
    truth = make_file(make_person(1, 50, y=50), make_person(2, 300), regions=[SQUARE])
    evaluation = evaluate(truth, make_person(1, 150, score=0.5), make_person(2, 300, score=0.1))
    assert evaluation.ap["nose"] == 50


def test_annotated_joints_of_visibility_zero_count():
    hidden = make_person(1, 50)
    hidden["keypoints"][3 * FILE_JOINTS.index("nose") + 2] = 0
    assert evaluate(make_file(hidden), make_person(1, 50, score=1)).ap["nose"] == 100


def test_a_head_without_a_size_makes_no_joint_right():
    truth = make_file(*(make_person(f, 50, bbox_head=[0] * 4) for f in (1, 2)))
    evaluation = evaluate(truth, make_person(1, 50, score=1), tracking=True)
    assert evaluation.ap["nose"] == 0
    assert events_of_nose(evaluation)["misses"] == 1


def test_a_joint_that_nobody_has_is_nan_and_the_total_is_that_of_the_others():
    truth = make_file(make_person(1, 50))
    evaluation = evaluate(truth, make_person(1, 50, score=1, joints=("nose", "left_hip")))
    assert math.isnan(evaluation.ap["left_hip"])
    assert evaluation.ap["right_hip"] == 0  # kept: neither annotated nor predicted
    assert evaluation.ap["total"] == pytest.approx(100 / 14)
    assert evaluation.table["Hip"] == 0


def test_groups_are_plain_means_and_the_total_is_that_of_the_joints():
    values = dict(zip(JOINTS, range(15), strict=True)) | {"total": 7.0}
    assert group_joints(values) == {
        "Head": 13, "Shoulder": 8.5, "Elbow": 8.5, "Wrist": 8.5, "Hip": 2.5, "Knee": 2.5,
        "Ankle": 2.5, "Total": 7,
    }  # fmt: skip


def test_tracking_counts_every_frame_but_the_last():
    assert follow([1, 1, 1]) == {"misses": 0, "false_alarms": 0, "switches": 0, "matches": 3}


def test_another_track_id_is_a_switch_once():
    assert follow([1, 2, 2]) == {"misses": 0, "false_alarms": 0, "switches": 1, "matches": 2}


def test_a_lost_person_is_remembered_however_long():
    truth = make_file(*(make_person(f, 50, track=5) for f in range(1, 6)), frames=5)
    away = [make_person(f, 300, track=9, score=0.5) for f in (2, 3)]
    for track, expected in ((1, (0, 2)), (2, (1, 1))):
        people = make_person(1, 50, track=1, score=0.5), make_person(4, 50, track=track, score=0.5)
        counts = events_of_nose(evaluate(truth, *people, *away, tracking=True))
        assert (counts["switches"], counts["matches"]) == expected
        assert (counts["misses"], counts["false_alarms"]) == (2, 2)


def test_a_frame_without_predictions_counts_one_miss_and_one_false_alarm_for_every_joint():
    truth = make_file(*(make_person(1, x, track=x) for x in (50, 80)), make_person(2, 50))
    counts = evaluate(truth, tracking=True).tracking.counts
    assert counts.misses.tolist() == counts.false_alarms.tolist() == [1] * len(JOINTS)


def test_a_match_of_the_past_is_kept_though_another_is_nearer():
    truth = make_file(*(make_person(f, 50) for f in (1, 2, 3)))
    first = make_person(1, 50, track=1, score=0.5)
    second = [make_person(2, 54, track=1, score=0.5), make_person(2, 50, track=2, score=0.5)]
    evaluation = evaluate(truth, first, *second, tracking=True)
    assert events_of_nose(evaluation) == {
        "misses": 0, "false_alarms": 1, "switches": 0, "matches": 2
    }  # fmt: skip
    assert evaluation.tracking.motp_matched_only["nose"] == pytest.approx(100 * (1 - 0.4 / 2))


def test_of_two_people_who_had_one_track_last_the_first_gets_it():
    truth = make_file(
        make_person(1, 50, track=5),
        make_person(2, 52, track=6),
        make_person(3, 50, track=5),
        make_person(3, 52, track=6),
        make_person(4, 50),
        frames=4,
    )
    people = [make_person(frame, 52, track=1, score=0.5) for frame in (1, 2, 3)]
    evaluation = evaluate(truth, *people, tracking=True)
    assert events_of_nose(evaluation) == {
        "misses": 1, "false_alarms": 0, "switches": 0, "matches": 3
    }  # fmt: skip
    nose = list(JOINTS).index("nose")
    assert evaluation.tracking.counts.distances[nose] == pytest.approx(0.2 + 0 + 0.2)


def test_as_many_as_possible_are_matched_before_distances_count():
    # The near pair (50, 50) would leave 46 and 54 alone, 8 px apart: too far to match.
    truth = make_file(make_person(1, 46, track=1), make_person(1, 50, track=2), make_person(2, 9))
    people = make_person(1, 50, track=1, score=0.5), make_person(1, 54, track=2, score=0.5)
    evaluation = evaluate(truth, *people, tracking=True)
    assert events_of_nose(evaluation)["matches"] == 2
    assert evaluation.tracking.counts.distances[list(JOINTS).index("nose")] == pytest.approx(0.8)


def test_of_equally_many_matches_the_nearest_are_taken():
    truth = make_file(make_person(1, 50, track=1), make_person(1, 52, track=2), make_person(2, 9))
    people = make_person(1, 52, track=1, score=0.5), make_person(1, 50, track=2, score=0.5)
    assert evaluate(truth, *people, tracking=True).tracking.motp_matched_only["nose"] == 100


def test_mota_counts_misses_switches_and_false_alarms_against_annotated_joints():
    truth = make_file(*(make_person(f, 50) for f in (1, 2, 3, 4, 5)), frames=5)
    people = [
        make_person(1, 50, track=1, score=0.5),
        make_person(2, 50, track=2, score=0.5),  # a switch
        make_person(2, 300, track=3, score=0.5),  # a false alarm
        make_person(3, 300, track=2, score=0.5),  # a miss and a false alarm
        make_person(4, 50, track=2, score=0.5),
    ]
    tracking = evaluate(truth, *people, tracking=True).tracking
    assert tracking.mota["nose"] == pytest.approx(100 * (1 - 4 / 4))
    assert tracking.recall["nose"] == 75
    assert tracking.precision["nose"] == 60
    assert math.isnan(tracking.mota["left_hip"])
    assert tracking.motp_matched_only["left_hip"] == 0  # kept, and in the mean
    assert tracking.mota["total"] == tracking.mota["nose"]


def test_sequences_are_summed_and_track_ids_start_anew_in_each():
    truth = make_file(*(make_person(f, 50, track=5) for f in (1, 2, 3)))
    results = {
        name: {"annotations": [make_person(f, 50, track=track, score=0.5) for f in (1, 2, 3)]}
        for name, track in (("a", 1), ("b", 2))
    }
    evaluation = evaluate_posetrack({"a": truth, "b": truth}, results)
    assert events_of_nose(evaluation) == {
        "misses": 0, "false_alarms": 0, "switches": 0, "matches": 4
    }  # fmt: skip
    assert (evaluation.sequences, evaluation.frames) == (2, 6)


def test_single_frames_have_no_tracking():
    truth = make_file(make_person(2, 50))
    assert evaluate(truth, make_person(2, 50, score=1), tracking=True).tracking is None


def test_stats_and_protocol_list_ap_and_tracking():
    truth = make_file(*(make_person(f, 50) for f in (1, 2)))
    evaluation = evaluate(truth, make_person(1, 50, score=1), tracking=True)
    assert {"AP Total", "MOTA Total", "MOTP matched only"} <= set(evaluation.stats)
    assert "left out" in evaluation.protocol()["tracking"]
    alone = evaluate(truth, make_person(1, 50, score=1))
    assert list(alone.stats)[-1] == "AP Total"
    assert alone.protocol()["tracking"] == "not evaluated"


def test_points_inside_polygons_are_found_and_points_on_an_outline_are_not():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    notched = np.array([[10, 0], [14, 0], [12, 2], [14, 4], [10, 4]])
    points = np.array([[2, 2], [4, 2], [0, 0], [5, 2], [11, 2], [13, 2], [13.5, 0.2], [12, 2]])
    inside = [True, False, False, False, True, False, True, False]
    assert find_inside(points, [square, notched]).tolist() == inside
    assert find_inside(points, [square[::-1], np.vstack([notched, notched[:1]])]).tolist() == inside
    assert not find_inside(points, [square[:2]]).any()
    assert find_inside(np.zeros((0, 2)), [square]).shape == (0,)


def test_two_people_of_one_frame_with_one_track_id_are_refused_where_tracking_is_wanted():
    truth = make_file(make_person(1, 50))
    people = make_person(1, 50, score=0.9), make_person(1, 90, score=0.1)
    assert evaluate(truth, *people).ap["nose"] == 100
    with pytest.raises(ValueError, match="different track ids.*walk has two of id 0"):
        evaluate(truth, *people, tracking=True)


def test_people_without_track_ids_are_refused_where_tracking_is_wanted():
    person = make_person(1, 50, score=1)
    del person["track_id"]
    with pytest.raises(ValueError, match="track_id of 0 or more for each predicted person"):
        evaluate(make_file(make_person(1, 50)), person, tracking=True)


def test_a_missing_or_unknown_result_file_is_named():
    truth = make_file(make_person(1, 50))
    with pytest.raises(ValueError, match="results miss 1 of 1, the first is walk"):
        evaluate_posetrack({"walk": truth}, {})
    with pytest.raises(ValueError, match="have unknown 1 of 1, the first is run.*label version"):
        evaluate_posetrack({"walk": truth}, {"walk": truth, "run": truth})
    with pytest.raises(ValueError, match="needs annotated sequences. Received none"):
        evaluate_posetrack({}, {})


def test_results_on_other_images_are_refused():
    truth = make_file(make_person(1, 50))
    with pytest.raises(ValueError, match="1 unknown image_id, the first is 8"):
        evaluate(truth, make_person(8, 50, score=1))
    with pytest.raises(ValueError, match="must list the 3 images of its annotation file"):
        evaluate_posetrack({"walk": truth}, {"walk": make_file(frames=2)})


@pytest.mark.parametrize(
    ("person", "message"),
    [
        (make_person(1, 50, bbox_head=[]), "'bbox_head' of walk must be a list of 4 numbers"),
        (make_person(1, 50, keypoints=[1, 2, 3]), "'keypoints' of walk must be a list of 48"),
        (make_person(1, math.nan), "'keypoints' of walk must hold finite numbers"),
        ({"track_id": 1}, "'annotations', a whole number 'image_id'"),
    ],
)
def test_bad_rows_are_refused_by_their_file(person, message):
    with pytest.raises(ValueError, match=message):
        evaluate(make_file(make_person(2, 50), person))


def test_a_file_with_uneven_ignore_regions_is_refused():
    truth = make_file(make_person(1, 50), regions=[([0, 1, 2], [0, 1])])
    with pytest.raises(ValueError, match="equal lengths. Image 1 has"):
        evaluate(truth)


def test_files_of_another_skeleton_or_without_people_are_refused():
    truth = make_file(make_person(1, 50))
    truth["categories"][0]["keypoints"] = ["nose"] * len(FILE_JOINTS)
    with pytest.raises(ValueError, match="It lacks right_ankle, .*head_top; copy 'categories'"):
        evaluate(truth)
    with pytest.raises(ValueError, match="frames with annotated people. Received none"):
        evaluate(make_file())


def test_a_folder_of_sequences_is_read_by_name(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps({"images": []}))
    (tmp_path / "a.json").write_text(json.dumps({"images": [1]}))
    assert list(read_sequences(tmp_path).items()) == [("a", {"images": [1]}), ("b", {"images": []})]
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(ValueError, match=r"c.json must be a JSON file"):
        read_sequences(tmp_path)
    with pytest.raises(FileNotFoundError, match="one .json file for each sequence"):
        read_sequences(tmp_path / "none")
