import keras
import numpy as np
import pytest

from poseras.engine.optimizer import (
    decayed_kernels,
    make_optimizer,
    share_rates,
    weight_decay_loss,
)


def follow(name, gradients, rates, **options):
    """The path of one weight that begins at 1."""
    weight = keras.Variable(np.ones(1, np.float32), name="w")
    optimizer = make_optimizer(name, **options)
    optimizer.build([weight])
    path = []
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.update_step(keras.ops.convert_to_tensor([gradient]), weight.value, rate)
        optimizer.iterations.assign_add(1)
        path.append(float(weight.numpy()[0]))
    return path


def test_plain_descent():
    assert follow("sgd", [1.0, 2.0], [0.1, 0.1]) == pytest.approx([0.9, 0.7])


def test_momentum_keeps_its_velocity_in_units_of_the_gradient():
    # velocity 1, then 0.9 * 1 + 1 = 1.9; the lower rate of the second step takes effect at once.
    found = follow("momentum", [1.0, 1.0], [0.1, 0.01], momentum=0.9)
    assert found == pytest.approx([0.9, 0.9 - 0.019])


def test_nesterov_adds_the_gradient_once_more():
    # velocity 1, step 0.9 * 1 + 1; then velocity 1.9, step 0.9 * 1.9 + 1.
    found = follow("momentum", [1.0, 1.0], [0.1, 0.1], momentum=0.9, nesterov=True)
    assert found == pytest.approx([1 - 0.19, 1 - 0.19 - 0.271])


def test_adam_moves_by_the_rate_at_first_whatever_the_size_of_the_gradient():
    for gradient in (1e-3, 1.0, 1e3):
        assert follow("adam", [gradient], [0.1]) == pytest.approx([0.9], abs=1e-4)


def test_adam_s_epsilon_is_that_of_tensorflow_1():
    # lr * sqrt(1 - b2) * g / (sqrt(1 - b2) * g + 1e-8) with g = 1e-6
    root = np.sqrt(0.001)
    expected = 1 - 0.1 * root * 1e-6 / (root * 1e-6 + 1e-8)
    assert follow("adam", [1e-6], [0.1]) == pytest.approx([expected], abs=1e-5)


def test_an_unknown_optimizer_is_an_error():
    with pytest.raises(ValueError, match="must be adam, adamw, momentum or sgd. Received 'lion'"):
        make_optimizer("lion")


def test_kernels_decay_and_nothing_else():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="a")(image)
    x = keras.layers.BatchNormalization(name="a.bn")(x)
    x = keras.layers.Conv2DTranspose(2, 2, name="up")(x)
    frozen = keras.layers.Conv2D(1, 1, name="frozen", trainable=False)(x)
    model = keras.Model(image, keras.layers.Dense(1, name="dense")(frozen))
    kernels = decayed_kernels(model)
    assert [kernel.path for kernel in kernels] == ["a/kernel", "up/kernel", "dense/kernel"]
    for kernel in kernels:
        kernel.assign(np.full(kernel.shape, 2.0))
    count = 3 * 3 * 3 * 4 + 2 * 2 * 2 * 4 + 1
    assert float(weight_decay_loss(kernels, 0.1)) == pytest.approx(0.1 * count * 4 / 2)


def test_rates_fall_by_the_decay_with_every_layer_towards_the_input():
    weights = [keras.Variable(np.zeros(1), name=name) for name in ("first", "second", "head")]
    depths = dict(zip((weight.path for weight in weights), (0, 1, 3), strict=True))
    assert share_rates(weights, depths, 0.5) == [0.125, 0.25, 1.0]
