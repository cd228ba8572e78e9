import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.running import RunningValues


def test_means_are_taken_over_the_steps_since_the_last_line():
    running = RunningValues()
    for value in (1.0, 2.0, 6.0):
        running.add({"total": tf.constant(value)})
    assert running.count == 3
    assert running.take_means() == {"total": pytest.approx(3.0)}
    assert running.count == 0


def test_a_mean_over_a_restart_is_exact():
    whole, before, after = RunningValues(), RunningValues(), RunningValues()
    values = [tf.constant(value) for value in (0.1, 0.2, 0.7)]
    for value in values:
        whole.add({"total": value})
    before.add({"total": values[0]})
    stored = {name: np.array(numbers).tolist() for name, numbers in before.pending.items()}
    after.pending = stored
    for value in values[1:]:
        after.add({"total": value})
    assert after.take_means() == whole.take_means()


def test_the_first_value_that_is_no_number_is_found():
    running = RunningValues()
    for value in (1.0, float("nan"), float("inf")):
        running.add({"total": tf.constant(value)})
    assert running.first_not_finite("total") == 1
    assert running.first_not_finite("absent") is None


def test_infinite_norms_of_skipped_updates_stay_out_of_the_mean():
    running = RunningValues()
    for value in (1.0, float("inf"), 3.0):
        running.add({"gradient_norm": tf.constant(value)})
    assert running.take_means() == {"gradient_norm": 2.0}
