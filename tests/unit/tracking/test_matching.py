import numpy as np
import pytest

from poseras.tracking.matching import match_greedily, match_optimally

BOTH = pytest.mark.parametrize("match", [match_greedily, match_optimally])


def test_greedy_takes_the_most_similar_pair_first():
    similarity = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert match_greedily(similarity, 0.05).tolist() == [0, 1]
    assert match_greedily(similarity, 0.2).tolist() == [0, -1]


def test_optimal_makes_the_sum_largest():
    assert match_optimally(np.array([[0.9, 0.8], [0.8, 0.1]]), 0.05).tolist() == [1, 0]


@BOTH
def test_pairs_below_the_threshold_stay_alone(match):
    assert match(np.array([[0.3, 0.0], [0.0, 0.5]]), 0.4).tolist() == [-1, 1]
    assert match(np.array([[0.5]]), 0.5).tolist() == [0]


@BOTH
def test_no_similarity_is_no_pair_at_any_threshold(match):
    assert match(np.zeros((2, 2)), 0.0).tolist() == [-1, -1]


@BOTH
@pytest.mark.parametrize(("tracks", "people"), [(0, 2), (2, 0), (0, 0), (1, 3), (3, 1)])
def test_more_of_one_than_of_the_other(match, tracks, people):
    partner = match(np.ones((tracks, people)), 0.5)
    assert partner.tolist() == ([0, -1, -1] if tracks else [-1, -1, -1])[:people]


@BOTH
def test_equal_pairs_go_by_order(match):
    assert match(np.full((3, 3), 0.7), 0.1).tolist() == [0, 1, 2]


@BOTH
def test_a_forbidden_pair_does_not_push_out_a_good_one(match):
    # Taking 0.3 + 0.3 would be forbidden; 0.5 alone is what is left.
    assert match(np.array([[0.5, 0.3], [0.3, 0.0]]), 0.4).tolist() == [0, -1]
