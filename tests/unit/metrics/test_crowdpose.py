"""CrowdPose scores on one person a picture: a box of 100 x 100, so the area is 5300 px^2."""

import numpy as np
import pytest

from poseras.metrics.crowdpose import evaluate_crowdpose, read_crowdpose, split_by_crowding

JOINTS = 14
SIGMAS = [0.5] * JOINTS  # (2 sigma)^2 = 1, so that OKS is exp(-d^2 / (2 area))


def make_row(image, *, joints=range(JOINTS), row_id=None, **more):
    keypoints = [
        v for joint in range(JOINTS) for v in ((50, 50, 1) if joint in joints else (0,) * 3)
    ]
    row = {"id": row_id or image, "image_id": image, "category_id": 1, "bbox": [0, 0, 100, 100]}
    return {**row, "iscrowd": 0, "keypoints": keypoints, **more}


def make_dataset(*rows, crowding=(0.0, 0.5, 0.9)):
    images = [{"id": number, "crowdIndex": c} for number, c in enumerate(crowding, start=1)]
    return {"images": images, "annotations": list(rows), "categories": [{"id": 1}]}


def make_result(image, *, distance=0.0, score=1.0, flag=1.0):
    keypoints = [50 + distance, 50, flag] * JOINTS
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score}


def evaluate(dataset, *results, **options):
    return evaluate_crowdpose(dataset, results, sigmas=SIGMAS, **options)


def test_the_area_is_a_little_over_half_the_box_whatever_the_file_says():
    truth = read_crowdpose(make_dataset(make_row(1, area=1.0)))
    assert truth.areas.tolist() == [5300.0]
    # exp(-d^2 / 10600) is 0.7 at 61.5 px; with half the area it would be 0.49.
    stats = evaluate(make_dataset(make_row(1)), make_result(1, distance=61.5)).stats
    assert stats["AP .5"] == pytest.approx(1)
    assert stats["AP .75"] == 0


def test_a_row_with_head_and_neck_alone_is_ignored():
    rows = [make_row(1, joints=(12, 13)), make_row(2, joints=(11, 13)), make_row(3, iscrowd=1)]
    assert read_crowdpose(make_dataset(*rows)).ignore.tolist() == [True, False, True]


def test_the_number_of_keypoints_in_the_file_decides():
    rows = [make_row(1, num_keypoints=0), make_row(2, joints=(12,), num_keypoints=1)]
    assert read_crowdpose(make_dataset(*rows)).ignore.tolist() == [True, False]


def test_levels_begin_at_their_boundaries_and_both_published_ones_are_named():
    dataset = make_dataset(crowding=(0.09, 0.1, 0.19, 0.2, 0.79, 0.8, 1.5))
    tools, paper = split_by_crowding(dataset), split_by_crowding(dataset, "paper")
    assert {level: ids.tolist() for level, ids in tools.items()} == {
        "easy": [1, 2, 3], "medium": [4, 5], "hard": [6, 7]
    }  # fmt: skip
    assert {level: ids.tolist() for level, ids in paper.items()} == {
        "easy": [1], "medium": [2, 3, 4, 5], "hard": [6, 7]
    }  # fmt: skip


def test_each_level_is_scored_on_its_own_pictures_and_rounded():
    dataset = make_dataset(make_row(1), make_row(2), make_row(3), make_row(3, row_id=4))
    evaluation = evaluate(dataset, make_result(1), make_result(2, distance=999), make_result(3))
    assert evaluation.levels == {"easy": 1.0, "medium": 0.0, "hard": round(51 / 101, 4)}
    assert evaluation.images_per_level == {"easy": 1, "medium": 1, "hard": 1}


def test_a_level_without_counted_people_is_minus_one():
    dataset = make_dataset(make_row(1), crowding=(0.0, 0.9))
    assert evaluate(dataset, make_result(1)).levels == {"easy": 1, "medium": -1, "hard": -1}


def test_the_nine_numbers_stand_in_the_order_of_the_tools():
    evaluation = evaluate(make_dataset(make_row(1)), make_result(1))
    assert list(evaluation.stats) == [
        "AP", "AP .5", "AP .75", "AR", "AR .5", "AR .75", "AP (easy)", "AP (medium)", "AP (hard)",
    ]  # fmt: skip


def test_predictions_without_a_single_flag_are_left_out():
    dataset, right = make_dataset(make_row(1)), make_result(1, score=0.5)
    wrong = make_result(1, distance=999, flag=0)
    assert evaluate(dataset, wrong, right).stats["AP"] == pytest.approx(1)
    assert evaluate(dataset, wrong).stats["AP"] == 0
    flagged = make_result(1, distance=999)
    flagged["keypoints"][5::3] = [0.0] * (JOINTS - 1)  # one flag is enough
    assert evaluate(dataset, flagged, right).stats["AP"] == pytest.approx(0.5)


def test_the_protocol_names_boundaries_and_areas():
    protocol = evaluate(make_dataset(make_row(1)), make_result(1), boundaries="paper").protocol()
    assert protocol["crowd_index_boundaries"] == {"paper": [0.1, 0.8]}
    assert protocol["area"] == "0.53 x box"
    assert protocol["images_per_level"] == {"easy": 1, "medium": 1, "hard": 1}
    assert protocol["sigmas"] == SIGMAS


def test_bad_input_is_refused():
    dataset = make_dataset(make_row(1))
    with pytest.raises(ValueError, match="boundaries must be tools or paper. Received 'both'"):
        evaluate(dataset, make_result(1), boundaries="both")
    with pytest.raises(ValueError, match="unknown image_id of 1, the first is 8"):
        evaluate(dataset, make_result(8))
    with pytest.raises(ValueError, match="predictions must not be empty"):
        evaluate(dataset)
    del dataset["images"][1]["crowdIndex"]
    with pytest.raises(ValueError, match="must have a crowdIndex. Received 1 without.* is 2"):
        evaluate(dataset, make_result(1))
    with pytest.raises(ValueError, match="a list 'annotations'"):
        evaluate({"images": []}, make_result(1))


def test_the_input_is_not_changed():
    dataset, result = make_dataset(make_row(1)), make_result(1)
    evaluate(dataset, result)
    assert dataset == make_dataset(make_row(1))
    assert result == make_result(1)
    assert np.isfinite(result["keypoints"]).all()
