"""Pairwise statistics, probabilities, costs and clusters against the original."""

import numpy as np
import pytest
import yaml

from poseras.checkpoints.pairwise_files import read_logistic_models, read_pairwise_statistics
from poseras.codecs.pairwise_models import (
    Detections,
    LogisticModels,
    compare,
    link_detections,
    measure_statistics,
    probability_cost,
)
from poseras.ops.multicut import make_graph, solve_multicut

FOLDER = "deepercut_arttrack/"
SAMPLES = "samples/deepercut_coco_pairwise/"
PEOPLE = FOLDER + "pairwise17.npz"


@pytest.fixture
def models(golden):
    arrays = np.load(golden.sample(SAMPLES + "coco_pairwise.npz"))
    return LogisticModels(arrays["pairs"], arrays["X_min"], arrays["X_max"], arrays["w"])


def load_detections(case):
    """The original keeps the whole vector of a cell; ours the part of the detection's own joint."""
    joints = case["det_joint"]
    count = case["out_person_conf"].shape[1]
    vectors = np.zeros((len(joints), count, 2))
    for row, joint in enumerate(joints.tolist()):
        others = [other for other in range(count) if other != joint]
        vectors[row, others] = case["det_pairwise"][row, joint * (count - 1) :][: count - 1]
    scores = case["det_conf"][:, 0]
    return Detections(joints, case["det_coord"], case["det_grid"], vectors, scores)


def find_flip(names):
    """(joints,) the mirror image of each joint of COCO's names."""
    swap = {"left": "right", "right": "left"}
    sides = (name.partition("_") for name in names)
    return [names.index(f"{swap.get(side, side)}{bar}{part}") for side, bar, part in sides]


@pytest.mark.golden(FOLDER + "pairwise_stats.npz", keys="(?P<tag>mirror[01])_means")
def test_statistics_equal_the_original(golden, tag, project_root):
    assert tag, "no case in pairwise_stats.npz"
    case = golden.load(FOLDER + "pairwise_stats.npz")
    rows = golden.load(FOLDER + "pairwise_stats_input.json")["annotations"]
    kept = [r["keypoints"] for r in rows if not r["iscrowd"] and r["num_keypoints"]]
    keypoints = np.array(kept, np.float64).reshape(len(kept), -1, 3)
    path = project_root / "data" / "COCO" / "dataset.yaml"
    names = yaml.safe_load(path.read_text(encoding="utf-8"))["keypoint_sets"]["coco_17"][
        "keypoints"
    ]
    flip = find_flip(names) if tag.endswith("1") else None
    statistics, missing = measure_statistics(keypoints, flip)
    assert not missing
    # Sums of float64 in another order.
    np.testing.assert_allclose(statistics.means_px, case[f"{tag}_means"], atol=1e-9)
    np.testing.assert_allclose(statistics.deviations_px, case[f"{tag}_std_devs"], atol=1e-9)


def test_the_published_archive_holds_the_numbers_of_the_sample(golden):
    arrays = np.load(golden.sample(SAMPLES + "coco_pairwise.npz"))
    archive = golden.sample(SAMPLES + "pairwise_coco.tar.gz")
    means, deviations = read_pairwise_statistics(archive)
    np.testing.assert_array_equal(means, arrays["means"])
    np.testing.assert_array_equal(deviations, arrays["std_devs"])
    read = read_logistic_models(archive)
    for ours, key in zip(read, ("pairs", "X_min", "X_max", "w"), strict=True):
        np.testing.assert_array_equal(ours, arrays[key])


@pytest.mark.golden(FOLDER + "tables.json", keys="(?P<tag>logit)_in")
def test_costs_are_clipped_as_in_the_original(golden, tag):
    assert tag, "no case in tables.json"
    table = golden.load(FOLDER + "tables.json")
    np.testing.assert_allclose(
        probability_cost(table[f"{tag}_in"]), table[f"{tag}_out"], rtol=1e-9, atol=1e-12
    )


@pytest.mark.golden(PEOPLE, keys=r"pair_(?P<tag>\d+_\d+)_index")
def test_features_of_a_pair_of_joints_equal_the_original(golden, tag, models):
    assert tag, f"no case in {PEOPLE}"
    case = golden.load(PEOPLE)
    detections = load_detections(case)
    a, b = map(int, tag.split("_"))
    rows = [np.flatnonzero(detections.joints == joint) for joint in (a, b)]
    first, second = (r[i] for r, i in zip(rows, case[f"pair_{tag}_index"].T, strict=True))
    features = compare(detections, first, second)
    # Float32 vectors, as the original has them.
    np.testing.assert_allclose(features, case[f"pair_{tag}_feat"], rtol=1e-6, atol=1e-6)
    found = models.probabilities(models.find(a, b), features)
    np.testing.assert_allclose(found, case[f"pair_{tag}_prob"], rtol=1e-6)


@pytest.mark.golden(PEOPLE, keys="out_(?P<tag>pw_prob)")
def test_graph_and_people_equal_the_original(golden, tag, models):
    assert tag, f"no case in {PEOPLE}"
    case = golden.load(PEOPLE)
    detections = load_detections(case)
    joints = case["out_person_conf"].shape[1]
    sparse = [tuple(pair) for pair in case["sparse_graph"].tolist()]
    edges, probabilities = link_detections(detections, models, joints, sparse)
    wanted = case["out_pw_index"].astype(np.int64)
    real = wanted[:, 0] != wanted[:, 1]  # behind them the original has unused rows
    ours = {tuple(e): p for e, p in zip(edges.tolist(), probabilities, strict=True)}
    theirs = dict(zip(map(tuple, wanted[real].tolist()), case["out_pw_prob"][real, 0], strict=True))
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose([ours[key] for key in theirs], list(theirs.values()), rtol=1e-6)
    unary = probability_cost(detections.scores)
    np.testing.assert_allclose(unary, case["out_unary_cost"][:, 0], rtol=1e-6)
    instance = unary, edges, probability_cost(probabilities)
    solution = solve_multicut(*instance)
    active, cluster = case["solver_class"] == 0, case["solver_cluster"]
    assert solution.objective <= make_graph(*instance).objective(active, cluster) + 1e-6
