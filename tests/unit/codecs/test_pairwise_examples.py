"""Examples for the logistic models: from a network that knows everything about two people."""

import numpy as np
import pytest

from poseras.codecs.pairwise_examples import (
    NEAR_PX,
    NEGATIVES,
    POSITIVES,
    CellPredictions,
    collect_examples,
    train_models,
)

PEOPLE = np.array([[[30, 30, 2], [70, 40, 2]], [[130, 60, 2], [170, 70, 2]]], float)


def make_cells(people=PEOPLE, noise=0.0):
    """Cells near a joint know it and all joints of its person; others know nothing."""
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(4, 200, 8.0), np.arange(4, 104, 8.0)), axis=-1)
    centres = grid.reshape(-1, 2)
    distance = np.linalg.norm(centres[:, None, None] - people[..., :2], axis=-1)
    owner = distance.argmin(axis=1)  # (cells, joints)
    near = distance.min(axis=1)[..., None] <= NEAR_PX
    points = np.take_along_axis(people[None, ..., :2], owner[:, None, :, None], axis=1)[:, 0]
    points = np.where(near, points, centres[:, None])
    vectors = people[owner][..., :2] - centres[:, None, None]
    vectors = vectors + rng.normal(0, noise, vectors.shape)
    vectors = np.where(near[..., None], vectors, rng.normal(0, 30, vectors.shape))
    return CellPredictions(centres, points, vectors)


def collect(people=PEOPLE, *, seed=0, cells=None, **options):
    rng = np.random.default_rng(seed)
    return collect_examples(cells or make_cells(people), people, (0, 1), rng, **options)


def test_one_person_agrees_with_itself_and_not_with_others():
    positives, negatives = collect()
    assert positives.shape == (POSITIVES, 4)
    np.testing.assert_allclose(positives, 0, atol=1e-6)
    # Near with far, far with near, far with far, and two ways across two people.
    assert len(negatives) == 3 * NEGATIVES + 2 * (NEGATIVES // 2 + 1)


def test_examples_across_people_can_be_left_out():
    _, negatives = collect(across_people=False)
    assert len(negatives) == 3 * NEGATIVES


def test_pairs_across_people_disagree_by_the_distance_of_the_people():
    _, with_others = collect()
    _, without = collect(across_people=False)
    across = with_others[len(without) :]
    assert len(across) and np.allclose(across[:, 0], np.hypot(100, 30))


# From 30, 30 the middles of the cells are 2.8, 6.3, 6.3 and 8.5 px away, from 70, 40 they are
# 4.5, 4.5, 7.2 and 7.2.
@pytest.mark.parametrize(("near_px", "pairs"), [(4.0, 0), (5.0, 1 * 2), (7.0, 3 * 2)])
def test_cells_are_near_within_the_radius_alone(near_px, pairs):
    positives, _ = collect(PEOPLE[:1], near_px=near_px)
    assert len(positives) == pairs


def test_equal_seeds_draw_equal_examples():
    cells = make_cells(noise=3.0)
    first, again, other = (collect(seed=seed, cells=cells)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nobody_with_both_joints_gives_no_example():
    people = PEOPLE.copy()
    people[0, 0, 2] = people[1, 1, 2] = 0
    assert [part.shape for part in collect(people)] == [(0, 4), (0, 4)]
    assert [part.shape for part in collect(np.zeros((1, 2, 3)), cells=make_cells())] == [(0, 4)] * 2


def test_few_cells_give_fewer_examples_and_none_twice():
    cells = make_cells(noise=3.0)
    near = [np.linalg.norm(cells.centres_px - PEOPLE[0, j, :2], axis=1) <= NEAR_PX for j in (0, 1)]
    lone = CellPredictions(
        *(part[near[0] | near[1]] for part in (cells.centres_px, cells.points_px, cells.vectors_px))
    )
    positives, _ = collect(PEOPLE[:1], cells=lone)
    possible = near[0].sum() * near[1].sum()
    assert len(positives) == min(POSITIVES, possible)
    assert len(np.unique(positives, axis=0)) == len(positives)


def test_models_learned_from_examples_tell_people_apart():
    cells = make_cells(noise=4.0)
    pictures = [collect(seed=seed, cells=cells) for seed in range(30)]
    models, missing = train_models({(0, 1): pictures, (0, 2): []}, np.random.default_rng(0))
    assert models.pairs.tolist() == [[0, 1]] and missing == [(0, 2)]
    positives, negatives = collect(seed=99, cells=cells)
    assert (models.probabilities(0, positives) > 0.5).all()
    assert models.probabilities(0, positives).min() > models.probabilities(0, negatives).max()


def test_no_examples_at_all_are_an_error():
    with pytest.raises(ValueError, match="No pair of joints has examples"):
        train_models({(0, 1): []}, np.random.default_rng(0))
