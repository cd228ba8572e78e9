"""Statistics, features and logistic models on numbers that a person can check by hand."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize

from poseras.codecs.pairwise_models import (
    Detections,
    LogisticModels,
    PairwiseStatistics,
    compare,
    extend,
    link_detections,
    measure_statistics,
    probability_cost,
    train_model,
)


def make_detections(joints, points, vectors=None):
    points = np.array(points, float)
    vectors = np.zeros((len(joints), 3, 2)) if vectors is None else np.array(vectors, float)
    return Detections(np.array(joints), points, points, vectors, np.full(len(joints), 0.9))


def make_models(*pairs, weights=None):
    rows = len(pairs)
    weights = np.zeros((rows, 9)) if weights is None else np.array([weights] * rows, float)
    return LogisticModels(np.array(pairs), np.zeros((rows, 8)), np.ones((rows, 8)), weights)


def test_statistics_are_the_mean_and_population_deviation_of_vectors():
    people = [[[0, 0, 1], [2, 4, 1]], [[0, 0, 2], [6, 4, 1]], [[0, 0, 0], [9, 9, 1]]]
    statistics, missing = measure_statistics(people)
    assert statistics.means_px.tolist() == [[4, 4], [-4, -4]]
    assert statistics.deviations_px.tolist() == [[2, 1], [2, 1]]  # y never changes
    assert statistics.joint_count == 2 and not missing


def test_mirrored_people_count_with_their_sides_exchanged():
    people = [[[0, 0, 1], [2, 4, 1], [3, 3, 0]]]
    statistics, missing = measure_statistics(people, [1, 0, 2])
    # From 0 to 1: (2, 4), and mirrored from what was 1 to what was 0: (2, -4).
    assert statistics.means_px[0].tolist() == [2, 0]
    assert statistics.deviations_px[0].tolist() == [1, 4]
    assert missing == [(0, 2), (1, 2), (2, 0), (2, 1)]
    assert statistics.means_px[1].tolist() == [0, 0]
    assert statistics.deviations_px[1].tolist() == [1, 1]


@pytest.mark.parametrize("flip", [None, [1, 0, 2]])
def test_statistics_do_not_depend_on_how_many_people_are_looked_at_together(flip):
    rng = np.random.default_rng(4)
    people = np.concatenate([rng.uniform(0, 300, (53, 3, 2)), rng.integers(0, 3, (53, 3, 1))], -1)
    people[:, 2, 2] = 0  # a pair that nobody shows, in no part
    whole, missing = measure_statistics(people, flip)
    assert len(missing) == 4
    for size in (1, 7, 53, 54):
        parts, nowhere = measure_statistics(people, flip, people_at_a_time=size)
        # Sums in another order: 1e-16 of numbers of hundreds, fifty times.
        np.testing.assert_allclose(parts.means_px, whole.means_px, rtol=0, atol=1e-10)
        np.testing.assert_allclose(parts.deviations_px, whole.deviations_px, rtol=0, atol=1e-10)
        assert nowhere == missing


def test_statistics_hold_the_vectors_of_a_part_of_the_people_alone():
    people = np.ones((4000, 17, 3), np.float32)
    tracemalloc.start()
    measure_statistics(people, people_at_a_time=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4000 * 272 * 2 * 8 / 4, "a quarter of the vectors of all"


def test_nobody_has_statistics_of_nothing():
    statistics, missing = measure_statistics(np.zeros((0, 3, 3)))
    assert len(missing) == 6 and not statistics.means_px.any()
    assert (statistics.deviations_px == 1).all()


def test_statistics_of_another_joint_set_are_refused():
    statistics, _ = measure_statistics(np.ones((1, 4, 3)))
    statistics.require_joints(4)
    with pytest.raises(ValueError, match="must be of 17 joints, 272 pairs. Received .* 4 joints"):
        statistics.require_joints(17)
    with pytest.raises(ValueError, match=r"must have shape \(joints"):
        PairwiseStatistics(np.zeros((5, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="must be above 0"):
        PairwiseStatistics(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"keypoints must have shape .* Received \(2, 3\)"):
        measure_statistics(np.zeros((2, 3)))


def test_features_are_distance_and_angle_both_ways():
    # From 0 at the origin to 1 at (3, 0) the network points at (0, 4); back it is right.
    vectors = [[[0, 0], [0, 4], [0, 0]], [[-3, 0], [0, 0], [0, 0]]]
    detections = make_detections([0, 1], [(0, 0), (3, 0)], vectors)
    features = compare(detections, np.array([0]), np.array([1]))
    np.testing.assert_allclose(features, [[5, np.pi / 2, 0, 0]])
    np.testing.assert_allclose(extend(features)[0, 4:], [np.exp(-5), np.exp(-np.pi / 2), 1, 1])


def test_angles_are_taken_the_short_way_round():
    vectors = [[[0, 0], [-1, -0.1], [0, 0]], [[1, -0.1], [0, 0], [0, 0]]]
    detections = make_detections([0, 1], [(0, 0), (-1, 0.1)], vectors)
    angle = compare(detections, np.array([0]), np.array([1]))[0, 1]
    assert angle == pytest.approx(2 * np.arctan(0.1))


def test_detections_of_one_joint_are_compared_by_distance_alone():
    edges, found = link_detections(make_detections([0, 0], [(0, 0), (37.5, 0)]), None, 3)
    assert edges.tolist() == [[0, 1]]
    np.testing.assert_allclose(found, [0.5])


def test_pairs_come_in_the_order_of_joints_and_a_sparse_graph_leaves_some_out():
    detections = make_detections([0, 0, 1, 2], [(0, 0), (1, 0), (2, 0), (3, 0)])
    models = make_models((0, 1), (0, 2), (1, 2))
    edges, found = link_detections(detections, models, 3)
    assert edges.tolist() == [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]]
    np.testing.assert_allclose(found[1:], 0.5)  # weights are 0
    edges, _ = link_detections(detections, models, 3, [(1, 2)])
    assert edges.tolist() == [[0, 1], [2, 3]]


def test_a_pair_without_a_model_is_named():
    detections = make_detections([0, 2], [(0, 0), (3, 0)])
    with pytest.raises(ValueError, match="no logistic model of the joints 0 and 2"):
        link_detections(detections, make_models((0, 1)), 3)
    with pytest.raises(ValueError, match="joints 0 and 2 need a logistic model"):
        link_detections(detections, None, 3)


def test_features_are_scaled_and_weighted():
    models = make_models((0, 1), weights=[-2, 0, 0, 0, 0, 0, 0, 0, 1])
    models.upper[0, 0] = 4.0
    found = models.probabilities(0, np.array([[2.0, 0, 0, 0], [4e4, 0, 0, 0]]))
    np.testing.assert_allclose(found, [0.5, 0])


def test_costs_are_negative_for_what_is_probable():
    np.testing.assert_allclose(probability_cost([0.5, 0.9]), [0, -np.log(9)], atol=1e-12)
    assert probability_cost([0, 1]).tolist() == pytest.approx([16.118, -16.118], abs=1e-3)


def test_training_finds_the_least_of_its_objective_and_separates_the_classes():
    rng = np.random.default_rng(0)
    positives = np.abs(rng.normal(0, 1, (60, 4))) * (5, 0.2, 5, 0.2)
    negatives = np.abs(rng.normal(0, 1, (80, 4))) * (60, 1.5, 60, 1.5)
    lower, upper, weights = train_model(positives, negatives, cost=0.5)
    features = extend(np.concatenate([positives, negatives]))
    inputs = np.concatenate([(features - lower) / (upper - lower), np.ones((140, 1))], axis=1)
    signs = np.repeat([1.0, -1.0], [60, 80])

    def objective(w):
        return w @ w / 2 + 0.5 * np.logaddexp(0, -signs * (inputs @ w)).sum()

    assert objective(weights) <= minimize(objective, np.zeros(9)).fun + 1e-9
    models = LogisticModels(np.array([[0, 1]]), lower[None], upper[None], weights[None])
    assert (models.probabilities(0, positives) > 0.5).mean() > 0.9
    assert (models.probabilities(0, negatives) < 0.5).mean() > 0.9


def test_training_needs_both_kinds():
    with pytest.raises(ValueError, match="examples of both kinds. Received 0 of one person and 3"):
        train_model(np.zeros((0, 4)), np.ones((3, 4)))
