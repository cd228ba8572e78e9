"""Pairwise statistics, probabilities, costs and clusters against the original."""

import re

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
from poseras.systems.deepercut_arttrack.grouping import gather_people

FOLDER = "deepercut_arttrack/"
SAMPLES = "samples/deepercut_coco_pairwise/"


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


def test_features_of_pairs_of_joints_equal_the_original(golden, graph_case, models):
    case = golden.load(f"{FOLDER}{graph_case}.npz")
    detections = load_detections(case)
    listed = [match for key in case if (match := re.fullmatch(r"pair_(\d+)_(\d+)_index", key))]
    assert listed, f"no pair in {graph_case}"
    for match in listed:
        a, b = map(int, match.groups())
        rows = [np.flatnonzero(detections.joints == joint) for joint in (a, b)]
        first, second = (r[i] for r, i in zip(rows, case[f"pair_{a}_{b}_index"].T, strict=True))
        features = compare(detections, first, second)
        # Float32 vectors, as the original has them.
        np.testing.assert_allclose(features, case[f"pair_{a}_{b}_feat"], rtol=1e-6, atol=1e-6)
        found = models.probabilities(models.find(a, b), features)
        np.testing.assert_allclose(found, case[f"pair_{a}_{b}_prob"], rtol=1e-6)


def make_instance(case, models):
    """The graph problem of a case, and its solution by the original."""
    detections = load_detections(case)
    joints = case["out_person_conf"].shape[1]
    sparse = [tuple(pair) for pair in case["sparse_graph"].tolist()]
    edges, probabilities = link_detections(detections, models, joints, sparse)
    instance = probability_cost(detections.scores), edges, probability_cost(probabilities)
    return probabilities, instance, (case["solver_class"] == 0, case["solver_cluster"])


def test_probabilities_and_costs_of_the_graph_equal_the_original(golden, graph_case, models):
    case = golden.load(f"{FOLDER}{graph_case}.npz")
    probabilities, (unary, edges, costs), _ = make_instance(case, models)
    rows = case["out_pw_index"].astype(np.int64)
    real = rows[:, 0] != rows[:, 1]  # behind them the original has unused rows
    theirs = {tuple(edge): row for row, edge in enumerate(rows.tolist()) if real[row]}
    assert set(map(tuple, edges.tolist())) == theirs.keys() and len(edges) == len(theirs)
    order = [theirs[tuple(edge)] for edge in edges.tolist()]
    # Float32 vectors, as the original has them, and float64 from there.
    np.testing.assert_allclose(probabilities, case["out_pw_prob"][order, 0], rtol=1e-6)
    np.testing.assert_allclose(costs, case["out_pw_cost"][order, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(unary, case["out_unary_cost"][:, 0], rtol=1e-6)


def test_clusters_have_no_higher_energy_than_those_of_the_original(golden, graph_case, models):
    case = golden.load(f"{FOLDER}{graph_case}.npz")
    _, instance, theirs = make_instance(case, models)
    # Both solvers stop at gains of 1e-6.
    assert solve_multicut(*instance).objective <= make_graph(*instance).objective(*theirs) + 1e-6


def test_people_of_the_original_clusters_equal_the_original(golden, graph_case, assert_same_people):
    case = golden.load(f"{FOLDER}{graph_case}.npz")
    detections, cluster = load_detections(case), case["solver_cluster"]
    theirs = case["out_person_conf"]
    np.testing.assert_array_equal(case["out_unLab"].T, [detections.joints, cluster])
    np.testing.assert_array_equal(case["out_pos"], detections.points_px)
    everybody = np.ones(len(detections), bool)  # suppressed detections are people there, too
    people = gather_people(detections, everybody, cluster, theirs.shape[1])
    # Weighted means in float64, summed in another order.
    assert_same_people(people.keypoints_px, theirs, 1e-9)
