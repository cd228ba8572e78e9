import numpy as np
import pytest

from poseras.data.order import Mixture, Order, locate_items, mix

PARTS = (7, 3)


def sets_of(rows):
    return np.where(rows < PARTS[0], 0, 1)


def test_every_batch_holds_equally_many_of_each_set():
    mixture = Mixture(PARTS, seed=1)
    for start in range(0, 60, 4):
        _, rows = mixture.rows(np.arange(start, start + 4))
        assert np.bincount(sets_of(rows)).tolist() == [2, 2]


def test_each_set_is_gone_through_in_passes_of_its_own():
    passes, rows = Mixture(PARTS, seed=1).rows(np.arange(2 * 21))
    for part, length, first in ((0, 7, 0), (1, 3, 7)):
        own = sets_of(rows) == part
        assert own.sum() == 21
        for number in range(21 // length):
            members = rows[own & (passes == number)]
            assert sorted(members) == list(range(first, first + length))


def test_sets_of_equal_length_are_shuffled_apart():
    _, rows = Mixture((50, 50), seed=3).rows(np.arange(100))
    assert (rows[::2] != rows[1::2] - 50).any()


def test_an_epoch_has_twice_the_larger_set():
    assert Mixture(PARTS, 0).samples == Mixture(PARTS, 0, "published").samples == 14


def test_the_published_order_holds_each_set_equally_often_in_an_epoch():
    mixture = Mixture(PARTS, seed=1, mixing="published")
    passes, rows = mixture.rows(np.arange(14))
    assert np.bincount(sets_of(rows)).tolist() == [7, 7]
    assert sorted(rows[sets_of(rows) == 0]) == list(range(7))
    # Seven of three: two whole rounds and one item more.
    assert np.bincount(rows[sets_of(rows) == 1] - 7).tolist() == [3, 2, 2]
    halves = {
        tuple(np.bincount(sets_of(mixture.rows(np.arange(s, s + 4))[1]), minlength=2))
        for s in range(0, 400, 4)
    }
    assert len(halves) > 1, "a batch is half and half in expectation only"


@pytest.mark.parametrize("mixing", ["even", "published"])
def test_no_sample_is_drawn_twice_with_the_same_numbers(mixing):
    passes, rows = Mixture(PARTS, 5, mixing).rows(np.arange(140))
    assert len(set(zip(passes.tolist(), rows.tolist(), strict=True))) == 140


@pytest.mark.parametrize("mixing", ["even", "published"])
def test_rows_are_a_function_of_the_position(mixing):
    mixture = Mixture(PARTS, 5, mixing)
    whole = mixture.rows(np.arange(40))
    part = mixture.rows(np.arange(17, 40))
    for one, two in zip(whole, part, strict=True):
        np.testing.assert_array_equal(one[17:], two)


def test_a_bad_sample_is_replaced_by_one_of_its_own_set():
    mixture = Mixture(PARTS, seed=1)
    positions = np.arange(20)
    before, after = mixture.rows(positions)[1], mixture.rows(mixture.next_positions(positions))[1]
    np.testing.assert_array_equal(sets_of(before), sets_of(after))


def test_items_are_found_as_published():
    sets, items = locate_items(np.arange(6), (3, 2))
    assert sets.tolist() == [0, 0, 0, 1, 1, 1] and items.tolist() == [0, 1, 2, 0, 1, 0]


def test_one_set_or_a_joined_order_needs_no_mixture():
    assert mix([range(3)], 0, "even") is None and mix([range(3), range(2)], 0, "joined") is None
    assert mix([range(3), range(2)], 4, "published") == Mixture((3, 2), 4, "published")
    assert Order(3, 0).samples == 3


def test_an_empty_set_and_an_unknown_mixing_are_named():
    with pytest.raises(ValueError, match=r"must have people to learn from. Received \(3, 0\)"):
        Mixture((3, 0), 0)
    with pytest.raises(ValueError, match="must be even or published. Received 'joined'"):
        Mixture((3, 2), 0, "joined")
