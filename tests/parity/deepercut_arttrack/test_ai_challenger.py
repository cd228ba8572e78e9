"""AI Challenger: the fork's converter and the challenge's score."""

import json

import numpy as np
import pytest

from poseras.data.ai_challenger import convert_records, read_records
from poseras.data.image_size import read_size_hw
from poseras.metrics.ai_challenger import compute_oks, evaluate_ai_challenger, read_poses

FOLDER = "deepercut_arttrack/"


@pytest.mark.golden(FOLDER + "ai2coco.json", keys="(?P<tag>output)")
def test_the_file_of_the_fork_is_equal_byte_for_byte(golden, tag):
    assert tag, "no case in ai2coco.json"
    case = golden.load(FOLDER + "ai2coco.json")
    source = golden.sample(f"samples/AIChallenger/{case['input_file']}")
    sizes = {name: (height, width) for name, (width, height) in case["image_sizes_wh"].items()}
    conversion = convert_records(read_records(source), sizes, "coco17_neckhead")
    assert json.dumps(conversion.content) == json.dumps(case[tag])


def test_sizes_are_those_of_the_pictures(golden):
    case = golden.load(FOLDER + "ai2coco.json")
    for name, (width, height) in case["image_sizes_wh"].items():
        path = golden.sample(f"samples/AIChallenger/images/{name}.jpg")
        assert read_size_hw(path) == (height, width)


def test_all_published_example_records_convert(golden):
    path = golden.sample("samples/AIChallenger/keypoint_annotations_example_1000.json")
    records = read_records(path)
    sizes = {record["image_id"]: (1000, 1000) for record in records}
    people = convert_records(records, sizes).content["annotations"]
    flags = [flag for person in people for flag in person["keypoints"][2::3]]
    wanted = [
        {1: 2, 2: 1, 3: 0}[flag]
        for record in records
        for values in record["keypoint_annotations"].values()
        for flag in values[2::3]
    ]
    assert flags == wanted


@pytest.mark.golden(FOLDER + "aic_eval.json", keys="(?P<tag>score)")
def test_the_score_of_the_challenge_is_equal(golden, tag):
    assert tag, "no case in aic_eval.json"
    case = golden.load(FOLDER + "aic_eval.json")
    evaluation = evaluate_ai_challenger(case["reference"], case["predictions"])
    assert evaluation.score == pytest.approx(case[tag], abs=1e-9)  # counts over counts
    assert evaluation.unpredicted + evaluation.repeated == case["num_warnings"]


@pytest.mark.golden(FOLDER + "aic_eval.json", keys="(?P<tag>oks)")
def test_oks_of_every_pair_is_equal(golden, tag):
    assert tag, "no case in aic_eval.json"
    case = golden.load(FOLDER + "aic_eval.json")
    predictions = {p["image_id"]: p for p in case["predictions"]}
    compared = 0
    for picture in case["reference"]:
        name = picture["image_id"]
        if name in case[tag] and len(case[tag][name]):
            people = list(picture["keypoint_annotations"])
            boxes = [picture["human_annotations"][person] for person in people]
            oks = compute_oks(
                read_poses(picture), np.array(boxes, float), read_poses(predictions[name])
            )
            # Sums of up to 14 exponentials in another order.
            np.testing.assert_allclose(oks, case[tag][name], rtol=0, atol=1e-6)
            compared += oks.size
    assert compared
