"""Our CrowdPose numbers against those that the official tools gave for the same files."""

import json

import numpy as np
import pytest
import yaml

from poseras.metrics.crowdpose import evaluate_crowdpose

FOLDER = "evaluation/crowdpose/"
CASES = FOLDER + "expected.json"
MADE_UP = "simplepose_v2/eval_crowdpose.json"

# CrowdPose's order, for files that number their joints: limbs left and right, head, neck.
JOINTS = [
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
] + ["head", "neck"]

# Expected numbers are rounded to 6 decimals (half a unit: 5e-7) and computed in float64.
TOLERANCE = 1e-6


def find_file(golden, name):
    return golden.sample(name) if name.startswith("samples/") else golden.path(FOLDER + name)


def find_sigmas(dataset, project_root):
    """COCO's by the names of the joints; head and neck, which COCO lacks, as its shoulders."""
    path = project_root / "data" / "COCO" / "dataset.yaml"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))["keypoint_sets"]["coco_17"]
    by_name = dict(zip(body["keypoints"], body["oks_sigmas"], strict=True))
    by_name.update(head=by_name["left_shoulder"], neck=by_name["left_shoulder"])
    names = next((c["keypoints"] for c in dataset["categories"] if c.get("keypoints")), JOINTS)
    return np.array([by_name[name] for name in (names if set(names) <= set(by_name) else JOINTS)])


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_numbers_of_a_prediction_file_equal_the_official_ones(golden, tag, project_root):
    assert tag, f"no case in {CASES}"
    case = golden.load(CASES)[tag]
    dataset, results = (
        json.loads(find_file(golden, case[key]).read_text(encoding="utf-8"))
        for key in ("gt", "preds")
    )
    counts = {"n_images": dataset["images"], "n_gt": dataset["annotations"], "n_preds": results}
    for name, rows in counts.items():
        assert len(rows) == case.get(name, len(rows)), name
    evaluation = evaluate_crowdpose(dataset, results, sigmas=find_sigmas(dataset, project_root))
    assert list(evaluation.stats) == list(case["stats"])
    for tool in ("stats", "stats_crowdposetools"):
        assert evaluation.stats == pytest.approx(case.get(tool, case["stats"]), abs=TOLERANCE)
    assert evaluation.images_per_level == case.get("images_per_level", evaluation.images_per_level)


@pytest.mark.golden(MADE_UP, keys=r"(?P<tag>.*stats)")
def test_numbers_of_made_up_people_equal_the_official_ones(golden, tag, project_root):
    assert tag, f"no case in {MADE_UP}"
    case = golden.load(MADE_UP)
    dataset = case["ground_truth"]
    sigmas = find_sigmas(dataset, project_root)
    evaluation = evaluate_crowdpose(dataset, case["detections"], sigmas=sigmas)
    np.testing.assert_allclose(list(evaluation.stats.values()), case[tag], rtol=0, atol=TOLERANCE)
    for values, key in (
        (evaluation.overall.ap_per_threshold, "ap_per_threshold"),
        (evaluation.overall.ar_per_threshold, "recall_per_threshold"),
        (list(evaluation.images_per_level.values()), "split_sizes"),
    ):
        np.testing.assert_allclose(values, case[key], rtol=0, atol=TOLERANCE)
