import keras
import pytest
import tensorflow as tf

from poseras.engine.precision import LossScale, set_precision


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def test_an_overflow_halves_the_scale_and_starts_the_count_anew():
    scale = LossScale()
    scale.update(tf.constant(True))
    scale.update(tf.constant(False))
    assert float(scale.scale) == LossScale.INITIAL / 2
    assert int(scale.good_steps) == 0


def test_the_scale_doubles_after_the_interval():
    scale = LossScale()
    scale.good_steps.assign(LossScale.GROWTH_INTERVAL - 2)
    scale.update(tf.constant(True))
    assert float(scale.scale) == LossScale.INITIAL
    scale.update(tf.constant(True))
    assert float(scale.scale) == LossScale.INITIAL * 2
    assert int(scale.good_steps) == 0


def test_the_scale_does_not_fall_below_one():
    scale = LossScale()
    scale.scale.assign(1.0)
    scale.update(tf.constant(False))
    assert float(scale.scale) == 1.0


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_weights_are_float32_under_every_policy(precision, policy):
    set_precision(precision)
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert layer.kernel.dtype == "float32"
    assert layer.compute_dtype == precision.removeprefix("mixed_")
