import numpy as np

from poseras.data.order import Order, training_positions


def test_the_place_behind_the_last_of_a_pass_is_its_first():
    order = Order(5, 0)
    assert order.next_positions(np.array([0, 3, 4, 5, 9])).tolist() == [1, 4, 0, 6, 5]


def test_positions_of_devices_tile_the_global_step():
    def positions(number, first, local):
        return training_positions(
            number, batch_size=2, devices=3, first_device=first, local_devices=local
        ).tolist()

    assert [positions(n, 0, 3) for n in range(4)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert [positions(n, 1, 2) for n in range(4)] == [[2, 3], [4, 5], [8, 9], [10, 11]]


def test_rows_over_the_end_of_a_pass_come_from_the_next():
    order = Order(5, 0)
    passes, rows = order.rows(np.arange(3, 13))
    assert passes.tolist() == [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    assert sorted(rows[2:7].tolist()) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(order.rows(np.arange(5, 10))[1], rows[2:7])
