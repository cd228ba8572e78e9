"""Our PCKh against Microsoft's, on the ground truth and the predictions of the golden cases."""

import re

import numpy as np
import pytest

from poseras.metrics.pckh import evaluate_pckh
from poseras.metrics.pckh_truth import MAT_NAMES, PckhTruth, read_gt_valid

FOLDER = "evaluation/mpii/"
CASES = FOLDER + "expected.json"
PIPELINE = "simple_baselines/ms_pipeline"

# Expected percents are rounded to 6 decimals; one joint of one person is worth 0.01 at the least.
TOLERANCE = 1e-4
# The pipeline's percents are not rounded: only the order of sums differs.
EXACT = 1e-6


def find_file(golden, name):
    return golden.sample(name) if name.startswith("samples/") else golden.path(FOLDER + name)


def read_predictions(golden, name, truth):
    """The array `file.npz:key`, or the truth itself, counted from 0."""
    array = re.fullmatch(r"(?P<file>\S+\.npz):(?P<key>\S+)", name)
    if array:
        return golden.load(FOLDER + array["file"])[array["key"]]
    assert name.startswith("pos_gt_src"), f"unknown kind of predictions: {name}"
    return truth.keypoints_px - 1


def evaluate_case(golden, tag):
    assert tag, f"no case in {CASES}"
    case = golden.load(CASES)[tag]
    truth = read_gt_valid(find_file(golden, case["gt"]))
    assert len(truth) == case["n"]
    return case, evaluate_pckh(truth, read_predictions(golden, case["preds"], truth))


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_the_published_row_equals_that_of_the_original(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    stats = {name: evaluation.stats[name] for name in case["summary"]}
    assert stats == pytest.approx(case["summary"], abs=TOLERANCE)
    assert set(evaluation.stats) - set(stats) == {"Mean@0.1 (true)"}


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_every_joint_equals_that_of_the_original(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    expected = {MAT_NAMES[name]: value for name, value in case["PCKh_at_0.5_per_joint"].items()}
    assert evaluation.per_joint() == pytest.approx(expected, abs=TOLERANCE)
    counts = {MAT_NAMES[name]: n for name, n in case["annotated_count_per_joint"].items()}
    assert dict(zip(evaluation.names, evaluation.counts, strict=True)) == counts


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_curves_over_thresholds_equal_those_of_the_original(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    curves = {key: values for key, values in case.items() if key.startswith("PCKh_curve_")}
    assert curves
    for key, values in curves.items():
        joint = evaluation.names.index(MAT_NAMES[key.removeprefix("PCKh_curve_")])
        np.testing.assert_allclose(evaluation.curve[:, joint], values, rtol=0, atol=TOLERANCE)


@pytest.mark.golden(PIPELINE + ".npz", keys=r"(?P<tag>.*pckh.*)_preds0")
def test_the_row_of_made_up_people_equals_that_of_the_original(golden, tag):
    assert tag, f"no case in {PIPELINE}.npz"
    arrays, expected = golden.load(PIPELINE + ".npz"), golden.load(PIPELINE + ".json")
    truth = PckhTruth.from_mat(
        expected[f"{tag}_dataset_joints"],
        *(arrays[f"{tag}_{part}"] for part in ("gt", "missing", "headboxes")),
    )
    stats = evaluate_pckh(truth, arrays[f"{tag}_preds0"]).stats
    assert {name: stats[name] for name in expected[tag]} == pytest.approx(expected[tag], abs=EXACT)
