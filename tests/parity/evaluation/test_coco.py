"""Our COCO numbers against those that the official tool gave for the same files."""

import json
import re

import numpy as np
import pytest
import yaml

from poseras.metrics.coco import score
from poseras.metrics.columns import Detections, GroundTruth
from poseras.metrics.matching import list_pairs, measure_oks, rank_detections
from poseras.metrics.oks_ap import KEYPOINT_RULES

FOLDER = "evaluation/coco/"
CASES = FOLDER + "expected.json"
EDGE_CASES = FOLDER + "edge_cases.json"
EVALUATORS = ("pycocotools", "fast")

# Expected numbers are rounded to 6 decimals (half a unit: 5e-7) and computed in float64.
TOLERANCE = 1e-6


def pytest_generate_tests(metafunc):
    """One test for each problem in the list of edge cases, by its name."""
    if "problem" not in metafunc.fixturenames:
        return
    golden = metafunc.config.golden
    if golden.find(EDGE_CASES) is None:
        skip = pytest.mark.skip(reason=f"golden file {EDGE_CASES} is absent")
        metafunc.parametrize("problem", [pytest.param(None, marks=skip)])
        return
    problems = golden.load(EDGE_CASES)
    # An empty list must not pass silently: the test runs with None and fails.
    metafunc.parametrize("problem", problems or [None], ids=[p["name"] for p in problems] or None)


def find_file(golden, name):
    """A path of a case; some carry a note in brackets behind it."""
    path = re.sub(r" \(.*\)$", "", name)
    return golden.sample(path) if path.startswith("samples/") else golden.path(FOLDER + path)


def read_case(golden, tag):
    assert tag, f"no case in {CASES}"
    case = golden.load(CASES)[tag]
    dataset, results = (
        json.loads(find_file(golden, case[key]).read_text(encoding="utf-8"))
        for key in ("gt", "preds")
    )
    if case["preds"].endswith(")"):  # the note: only the images of the GT file
        known = {image["id"] for image in dataset["images"]}
        results = [row for row in results if row["image_id"] in known]
    return case, dataset, results


def find_sigmas(case, dataset, project_root):
    """Those of the case where it has some, else COCO's by the names of its keypoints."""
    given = next((case[key] for key in case if "sigma" in key), None)
    if given is not None:
        return np.asarray(given)
    path = project_root / "data" / "COCO" / "dataset.yaml"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))["keypoint_sets"]["coco_17"]
    by_name = dict(zip(body["keypoints"], body["oks_sigmas"], strict=True))
    # Files of boxes list categories without keypoints too; some files number their joints.
    names = next((c["keypoints"] for c in dataset["categories"] if c.get("keypoints")), [])
    return np.array(
        [by_name[name] for name in (names if names and set(names) <= set(by_name) else by_name)]
    )


def score_case(case, dataset, results, evaluator, project_root):
    if case.get("iou_type", "keypoints") == "bbox":
        return score(dataset, results, kind="boxes", evaluator=evaluator)
    sigmas = find_sigmas(case, dataset, project_root)
    return score(dataset, results, sigmas=sigmas, evaluator=evaluator)


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_numbers_of_a_prediction_file_equal_the_official_ones(golden, tag, evaluator, project_root):
    case, dataset, results = read_case(golden, tag)
    assert len(results) == case["n_preds"]
    assert len(dataset["images"]) == case.get("n_images", len(dataset["images"]))
    evaluation = score_case(case, dataset, results, evaluator, project_root)
    assert list(evaluation.stats) == list(case["stats"])
    assert evaluation.stats == pytest.approx(case["stats"], abs=TOLERANCE)
    for key, values in (
        ("AP_per_OKS_threshold", evaluation.ap_per_threshold),
        ("AR_per_OKS_threshold", evaluation.ar_per_threshold),
    ):
        if key in case or case.get("iou_type", "keypoints") == "keypoints":
            np.testing.assert_allclose(values, case[key], rtol=0, atol=TOLERANCE)


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_oks_of_every_pair_equals_the_official_one(golden, tag, project_root):
    case, dataset, results = read_case(golden, tag)
    if "oks_file" not in case:
        pytest.skip(f"{tag} lists no OKS")
    matrices = json.loads(find_file(golden, case["oks_file"]).read_text(encoding="utf-8"))
    assert matrices
    truth, detections = GroundTruth.from_coco(dataset), Detections.from_coco(results)
    ranking = rank_detections(truth, detections, KEYPOINT_RULES.max_detections[-1])
    pairs = list_pairs(truth, ranking)
    sigmas = find_sigmas(case, dataset, project_root)
    similarities = measure_oks(truth, detections, ranking, pairs, sigmas)
    image_of_pair = truth.image_ids[pairs.rows]
    for image, matrix in matrices.items():
        of_image = np.flatnonzero(image_of_pair == int(image))
        best_first = of_image[np.lexsort((of_image, ranking.places[pairs.ranked[of_image]]))]
        expected = np.asarray(matrix, np.float64).reshape(-1)
        np.testing.assert_allclose(similarities[best_first], expected, rtol=0, atol=TOLERANCE)
    assert sum(np.size(matrix) for matrix in matrices.values()) == len(similarities)


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_numbers_of_an_edge_case_equal_the_official_ones(golden, problem, evaluator, project_root):
    assert problem is not None, f"no case in {EDGE_CASES}"
    evaluation = score_case(problem, problem["gt"], problem["preds"], evaluator, project_root)
    assert evaluation.stats == pytest.approx(problem["stats"], abs=TOLERANCE)
