import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.ema import WeightAverage, settle_decay


def make_model():
    image = keras.Input((2,))
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="d")(image)
    return keras.Model(image, keras.layers.BatchNormalization(name="bn")(x))


def test_the_average_follows_slowly():
    model = make_model()
    average = WeightAverage(model, 0.75)
    kernel = model.get_layer("d").kernel
    kernel.assign(kernel * 0 + 5)
    average.update(tf.constant(1000.0))
    np.testing.assert_allclose(average.averages[0].numpy(), 2.0)  # 0.75 * 1 + 0.25 * 5


def test_moving_statistics_are_averaged_too():
    average = WeightAverage(make_model(), 0.9)
    paths = [weight.path for weight in average.weights]
    assert "bn/moving_variance" in paths and len(paths) == 5


def test_the_first_updates_count_more():
    assert float(settle_decay(0.999, tf.constant(0.0))) == pytest.approx(0.1)
    assert float(settle_decay(0.999, tf.constant(1e6))) == pytest.approx(0.999)


def test_the_trained_weights_come_back_after_validation():
    model = make_model()
    average = WeightAverage(model, 0.9)
    kernel = model.get_layer("d").kernel
    kernel.assign(kernel * 0 + 5)
    with pytest.raises(RuntimeError), average.in_place_of_weights():
        np.testing.assert_array_equal(kernel.numpy(), 1.0)
        raise RuntimeError("validation failed")
    np.testing.assert_array_equal(kernel.numpy(), 5.0)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match="must lie between 0 and 1. Received 1.0"):
        WeightAverage(make_model(), 1.0)
