"""Our PCKh against Microsoft's, on the ground truth and the predictions of the golden cases."""

import re

import numpy as np
import pytest
from scipy.io import loadmat

from poseras.engine.mpii_results import write_predictions
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


def drop_nan(row):
    """A row without the means that have a joint that nobody has: ours leave out the joint."""
    counted = {name: value for name, value in row.items() if not np.isnan(value)}
    assert counted
    return counted


def evaluate_case(golden, tag):
    assert tag, f"no case in {CASES}"
    case = golden.load(CASES)[tag]
    truth = read_gt_valid(find_file(golden, case["gt"]))
    assert len(truth) == case["n"]
    return case, evaluate_pckh(truth, read_predictions(golden, case["preds"], truth))


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_the_published_row_equals_that_of_the_original(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    assert set(evaluation.stats) - set(case["summary"]) == {"Mean@0.1 (true)"}
    expected = drop_nan(case["summary"])
    assert {name: evaluation.stats[name] for name in expected} == pytest.approx(
        expected, abs=TOLERANCE
    )


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_every_joint_equals_that_of_the_original(golden, tag):
    case, evaluation = evaluate_case(golden, tag)
    expected = {MAT_NAMES[name]: value for name, value in case["PCKh_at_0.5_per_joint"].items()}
    assert evaluation.per_joint() == pytest.approx(expected, abs=TOLERANCE, nan_ok=True)
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
    row = drop_nan(expected[tag])
    assert {name: stats[name] for name in row} == pytest.approx(row, abs=EXACT)


@pytest.mark.golden(PIPELINE + ".npz", keys=r"(?P<tag>.*pckh.*)_preds0")
def test_pred_mat_of_made_up_people_is_that_of_the_original(golden, tag, tmp_path):
    assert tag, f"no case in {PIPELINE}.npz"
    arrays, expected = golden.load(PIPELINE + ".npz"), golden.load(PIPELINE + ".json")
    path = tmp_path / "pred.mat"
    write_predictions(path, arrays[f"{tag}_preds0"][..., :2], first_pixel=0)
    written = {key: values for key, values in loadmat(path).items() if not key.startswith("__")}
    described = {key: [list(v.shape), str(v.dtype)] for key, v in written.items()}
    assert described == expected[tag.replace("pckh", "pred_mat")]
    np.testing.assert_array_equal(written["preds"][0], arrays[f"{tag}_pred_mat_first"])
