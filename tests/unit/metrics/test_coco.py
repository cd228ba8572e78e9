"""Both evaluators on random problems full of ties, and what `score` makes of its inputs."""

import contextlib
import copy
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from poseras.metrics import coco
from poseras.metrics.coco import format_table, score
from poseras.metrics.columns import Detections, GroundTruth
from poseras.metrics.oks_ap import BOX_RULES, KEYPOINT_RULES

SEEDS = range(40)


def make_annotations(rng, *, images, joints, categories):
    """Crowds, unlabelled people, twins, areas at the ends of the ranges, empty pictures."""
    rows = []
    for image in images:
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            side = rng.choice([8, 32, 60, 96, 200])
            box = [int(v) for v in (*rng.integers(0, 300, 2), side, side)]
            flags = rng.integers(0, 3, joints) * (rng.random() < 0.8)
            points = rng.integers(0, side + 1, (joints, 2)) + box[:2]
            keypoints = np.concatenate([points, flags[:, None]], axis=1) * (flags > 0)[:, None]
            rows.append(
                {
                    "image_id": int(image),
                    "category_id": int(rng.choice(categories)),
                    "iscrowd": int(rng.random() < 0.15),
                    "area": float(side**2),
                    "bbox": box,
                    "num_keypoints": int(np.count_nonzero(flags)),
                    "keypoints": keypoints.reshape(-1).tolist(),
                }
            )
            if rng.random() < 0.25:
                rows.append(copy.deepcopy(rows[-1]))
    ids = rng.permutation(len(rows)) + int(rng.integers(0, 2))
    rows = [{"id": int(i), **row} for i, row in zip(ids, rows, strict=True)]
    return {
        "images": [{"id": int(image)} for image in images],
        "categories": [{"id": int(c)} for c in categories],
        "annotations": [rows[i] for i in rng.permutation(len(rows))],
    }


def make_results(rng, dataset, *, joints, with_boxes):
    """Predictions with few different scores: exact copies, near misses, strays."""
    results = []
    for row in dataset["annotations"]:
        points = np.array(row["keypoints"]).reshape(joints, 3)[:, :2]
        for _ in range(rng.choice([0, 1, 1, 3, 9])):
            spread = rng.choice([0, 0.02, 0.1]) * row["bbox"][2]
            moved = points + rng.normal(0, 1, points.shape).round(1) * spread
            shift = rng.normal(0, 1, 4).round(1) * spread
            results.append((row["image_id"], row["category_id"], moved, row["bbox"] + shift))
    for image in dataset["images"]:
        for _ in range(rng.choice([0, 1, 30], p=[0.5, 0.4, 0.1])):
            category = int(rng.choice([c["id"] for c in dataset["categories"]]))
            box = rng.integers(1, 120, 4)
            results.append((image["id"], category, rng.integers(0, 300, (joints, 2)), box))
    rows = []
    for index in rng.permutation(len(results)):
        image, category, points, box = results[index]
        keypoints = np.concatenate([points, np.ones((joints, 1))], axis=1)
        rows.append(
            {
                "image_id": image,
                "category_id": category,
                "score": float(rng.choice([0.1, 0.5, 0.7, 0.9])),
                "keypoints": keypoints.reshape(-1).tolist(),
            }
        )
        if with_boxes:
            rows[-1]["bbox"] = np.maximum(box, 0).tolist()
    return rows


def make_problem(seed, *, with_boxes=None):
    rng = np.random.default_rng(seed)
    joints = int(rng.choice([1, 3, 14, 17, 21]))
    images = rng.permutation(1000)[:12]
    categories = [1] if rng.random() < 0.7 else [1, 4, 7]
    dataset = make_annotations(rng, images=images, joints=joints, categories=categories)
    if with_boxes is None:
        with_boxes = bool(rng.integers(0, 2))
    results = make_results(rng, dataset, joints=joints, with_boxes=with_boxes)
    return dataset, results, rng.uniform(0.02, 0.1, joints)


def assert_same(one, other):
    # The operations are the same in the same order; 1e-12 leaves room for another NumPy's sums.
    np.testing.assert_allclose(one.precision, other.precision, atol=1e-12)
    np.testing.assert_allclose(one.recall, other.recall, atol=1e-12)
    assert one.stats == pytest.approx(other.stats, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_keypoint_numbers_equal_those_of_pycocotools_on_random_problems(seed):
    dataset, results, sigmas = make_problem(seed)
    reference = score(dataset, results, sigmas=sigmas)
    fast = score(dataset, results, sigmas=sigmas, evaluator="fast")
    assert (reference.evaluator, fast.evaluator) == ("pycocotools", "fast")
    assert_same(fast, reference)


@pytest.mark.parametrize("seed", SEEDS)
def test_box_numbers_equal_those_of_pycocotools_on_random_problems(seed):
    dataset, results, _ = make_problem(seed, with_boxes=True)
    reference = score(dataset, results, kind="boxes")
    assert_same(score(dataset, results, kind="boxes", evaluator="fast"), reference)


def test_the_random_problems_hold_the_cases_that_they_are_made_for():
    problems = [make_problem(seed) for seed in SEEDS]
    rows = [row for dataset, _, _ in problems for row in dataset["annotations"]]
    assert sum(row["iscrowd"] for row in rows) > 20
    assert sum(not row["num_keypoints"] for row in rows) > 50
    assert sum(row["id"] == 0 for row in rows) > 10
    crowded = [
        np.unique([row["image_id"] for row in results], return_counts=True)[1].max()
        for _, results, _ in problems
    ]
    assert sum(count > 20 for count in crowded) > 10
    aps = [score(*problem[:2], sigmas=problem[2], evaluator="fast").stats for problem in problems]
    assert 0.1 < np.mean([stats["AP"] for stats in aps]) < 0.9
    assert any(stats["AP (L)"] == -1 for stats in aps)


@pytest.mark.parametrize("kind", ["keypoints", "boxes"])
def test_columns_give_the_numbers_of_the_lists_they_were_read_from(kind):
    dataset, results, sigmas = make_problem(3, with_boxes=True)
    options = {"kind": kind, "sigmas": sigmas if kind == "keypoints" else ()}
    expected = score(dataset, results, **options)
    truth = GroundTruth.from_coco(dataset, kind=kind)
    detections = Detections.from_coco(results, kind=kind)
    for evaluator in ("pycocotools", "both"):
        assert_same(score(truth, detections, evaluator=evaluator, **options), expected)
        assert_same(score(dataset, detections, evaluator=evaluator, **options), expected)


def test_areas_and_ignored_rows_of_columns_reach_pycocotools():
    dataset, results, sigmas = make_problem(5, with_boxes=False)
    rng = np.random.default_rng(0)
    truth = GroundTruth.from_coco(dataset)
    detections = Detections.from_coco(results)
    truth = replace(
        truth,
        areas=rng.uniform(500, 20000, len(truth)),
        ignore=truth.crowd | (rng.random(len(truth)) < 0.3),
    )
    detections = replace(detections, areas=rng.uniform(500, 20000, len(detections)))
    options = {"sigmas": sigmas, "evaluator": "pycocotools"}
    reference = score(truth, detections, **options)
    assert_same(score(truth, detections, **{**options, "evaluator": "fast"}), reference)
    assert reference.stats != score(dataset, results, **options).stats


def test_ignored_rows_that_pycocotools_cannot_be_told_are_refused():
    dataset, results, _ = make_problem(5, with_boxes=True)
    truth = GroundTruth.from_coco(dataset, kind="boxes")
    truth = replace(truth, ignore=np.ones(len(truth), bool))
    with pytest.raises(ValueError, match="pycocotools always ignores crowd rows, and no other"):
        score(truth, Detections.from_coco(results, kind="boxes"), kind="boxes")


def test_rows_without_iscrowd_and_num_keypoints_are_people_with_their_labelled_joints():
    dataset, results, sigmas = make_problem(8)
    for row in dataset["annotations"]:
        row["iscrowd"] = 0
    expected = score(dataset, results, sigmas=sigmas)
    for row in dataset["annotations"]:
        del row["iscrowd"], row["num_keypoints"]
    assert_same(score(dataset, results, sigmas=sigmas, evaluator="both"), expected)


def test_inputs_are_not_changed_and_nothing_is_printed(capsys):
    dataset, results, sigmas = make_problem(2, with_boxes=True)
    before = copy.deepcopy((dataset, results))
    score(dataset, results, sigmas=sigmas, evaluator="both")
    assert (dataset, results) == before
    assert capsys.readouterr().out == ""


def test_rules_are_the_default_parameters_of_pycocotools():
    for rules, params in ((KEYPOINT_RULES, Params("keypoints")), (BOX_RULES, Params("bbox"))):
        assert [[r.low, r.high] for r in rules.area_ranges] == params.areaRng
        assert [r.name for r in rules.area_ranges] == params.areaRngLbl
        assert list(rules.max_detections) == params.maxDets
        np.testing.assert_array_equal(rules.thresholds, params.iouThrs)
        np.testing.assert_array_equal(rules.recalls, params.recThrs)


def test_both_gives_the_reference_numbers_and_names_all_libraries():
    dataset, results, sigmas = make_problem(4)
    evaluation = score(dataset, results, sigmas=sigmas, evaluator="both")
    assert evaluation.stats == score(dataset, results, sigmas=sigmas).stats
    protocol = evaluation.protocol()
    assert protocol["evaluator"] == "both"
    assert set(protocol["versions"]) == {"numpy", "poseras", "pycocotools"}
    assert protocol["sigmas"] == sigmas.tolist()


def test_both_names_the_numbers_that_differ(monkeypatch):
    dataset, results, sigmas = make_problem(4)
    true = score(dataset, results, sigmas=sigmas, evaluator="fast")
    wrong = replace(true, stats={**true.stats, "AR (M)": true.stats["AR (M)"] + 2e-6})
    monkeypatch.setattr(coco, "evaluate_oks_ap", lambda *_, **__: wrong)
    with pytest.raises(RuntimeError, match=r"fast: AR \(M\) 0\.\d{8} against 0\.\d{8}\. Score"):
        score(dataset, results, sigmas=sigmas, evaluator="both")
    wrong = replace(true, recall=true.recall - 1e-3)
    with pytest.raises(RuntimeError, match=r"AR at 0\.50 .*, AR at 0\.95 "):
        score(dataset, results, sigmas=sigmas, evaluator="both")
    near = replace(true, stats={**true.stats, "AR (M)": true.stats["AR (M)"] + 5e-7})
    monkeypatch.setattr(coco, "evaluate_oks_ap", lambda *_, **__: near)
    score(dataset, results, sigmas=sigmas, evaluator="both")


@pytest.mark.parametrize("evaluator", ["pycocotools", "fast", "both"])
def test_bad_input_is_the_same_clear_error_from_every_evaluator(evaluator):
    dataset, results, sigmas = make_problem(6)
    options = {"sigmas": sigmas, "evaluator": evaluator}
    with pytest.raises(ValueError, match="predictions must not be empty"):
        score(dataset, [], **options)
    none = Detections.from_coco(results).take(np.zeros(0, int))
    with pytest.raises(ValueError, match="predictions must not be empty"):
        score(dataset, none, **options)
    elsewhere = [{**results[0], "image_id": 5000}, *results[1:]]
    with pytest.raises(ValueError, match="1 unknown image_id of .* the first is 5000"):
        score(dataset, elsewhere, **options)
    with pytest.raises(ValueError, match=r"one joint per sigma. Received"):
        score(dataset, results, **{**options, "sigmas": [*sigmas, 0.1]})
    with pytest.raises(ValueError, match="Received kind='keypoints' and 0 sigmas"):
        score(dataset, results, evaluator=evaluator)
    with pytest.raises(ValueError, match="Received kind='boxes' and 1 sigmas"):
        score(dataset, results, kind="boxes", sigmas=[0.1], evaluator=evaluator)


def test_an_unknown_evaluator_is_named():
    dataset, results, sigmas = make_problem(6)
    with pytest.raises(ValueError, match="pycocotools, fast or both. Received 'quick'"):
        score(dataset, results, sigmas=sigmas, evaluator="quick")


def test_annotations_without_a_row_give_minus_one_everywhere():
    dataset, results, sigmas = make_problem(6)
    dataset = {**dataset, "annotations": []}
    evaluation = score(dataset, results, sigmas=sigmas, evaluator="both")
    assert set(evaluation.stats.values()) == {-1.0}


def test_the_table_has_a_name_above_each_number():
    dataset, results, sigmas = make_problem(4)
    evaluation = score(dataset, results, sigmas=sigmas, evaluator="fast")
    evaluation = replace(evaluation, stats={"AP": 0.12345, "AP (L)": -1.0, "AR": 1.0})
    assert format_table(evaluation).splitlines() == [
        "   AP  AP (L)     AR",
        "0.123  -1.000  1.000",
    ]


def test_pycocotools_is_silent_even_where_output_is_redirected_already():
    dataset, results, sigmas = make_problem(1)
    outer = io.StringIO()
    with contextlib.redirect_stdout(outer):
        score(dataset, results, sigmas=sigmas)
        print("after")
    assert outer.getvalue() == "after\n"
