"""The fused BatchNorm against Keras' own layer."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.batch_norm import BatchNormalization

ARGUMENTS = {"momentum": 0.9, "epsilon": 1e-3}


def train(kind, features, dtype="float32", **arguments):
    """Outputs, gradients of input, scale and offset, and the moving statistics of one step."""
    layer = kind(**ARGUMENTS, **arguments, dtype=dtype)
    layer.build(features.shape)
    channels = features.shape[-1]
    random = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(random.uniform(0.5, 1.5, channels))
    weights = random.normal(size=features.shape).astype(np.float32)
    x = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    watched = [x, *(variable.value for variable in layer.trainable_variables)]
    gradients = tape.gradient(loss, watched)
    moving = [variable.numpy() for variable in layer.non_trainable_variables]
    return tf.cast(outputs, tf.float32).numpy(), [g.numpy() for g in gradients], moving


def features(*shape, seed=0):
    return np.random.default_rng(seed).normal(2, 3, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(4, 6, 5, 8), (1, 1, 2, 3), (2, 1, 1, 16)])
def test_a_training_step_is_that_of_keras(shape):
    inputs = features(*shape)
    outputs, gradients, moving = train(BatchNormalization, inputs)
    usual, usual_gradients, usual_moving = train(keras.layers.BatchNormalization, inputs)
    # Sums in another order, in float32.
    np.testing.assert_allclose(outputs, usual, rtol=1e-4, atol=1e-4)
    for found, expected in zip(gradients, usual_gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    for found, expected in zip(moving, usual_moving, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_moving_variance_divides_by_n():
    inputs = features(1, 1, 3, 2)
    *_, (mean, variance) = train(BatchNormalization, inputs)
    np.testing.assert_allclose(mean, 0.1 * inputs.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * inputs.var(axis=(0, 1, 2)), rtol=1e-5)


def test_bfloat16_features_are_summed_in_float32():
    inputs = features(8, 16, 16, 4) + 100  # bfloat16 sums of 2,048 numbers near 100 would stop
    outputs, _, (mean, variance) = train(BatchNormalization, inputs, "mixed_bfloat16")
    stored = tf.cast(tf.cast(inputs, tf.bfloat16), tf.float32).numpy()
    np.testing.assert_allclose(mean, 0.1 * stored.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * stored.var(axis=(0, 1, 2)), rtol=1e-3)
    usual, *_ = train(keras.layers.BatchNormalization, inputs, "mixed_bfloat16")
    np.testing.assert_allclose(outputs, usual, atol=0.05)  # a few units of 8 significant bits


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((4, 8), {}),
        ((4, 3, 5, 6), {"axis": 1}),
        ((4, 3, 5, 6), {"scale": False}),
        ((4, 3, 5, 6), {"dtype": "float16"}),  # the variables, too
    ],
    ids=["vectors", "channels_first", "no_scale", "half_variables"],
)
def test_what_the_kernel_cannot_do_goes_the_usual_way(shape, arguments):
    layer = BatchNormalization(**ARGUMENTS, **arguments)
    usual = keras.layers.BatchNormalization(**ARGUMENTS, **arguments)
    inputs = features(*shape)
    np.testing.assert_array_equal(layer(inputs, training=True), usual(inputs, training=True))
    for found, expected in zip(layer.variables, usual.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_synchronised_it_takes_the_kernel_where_there_is_one_device():
    layer = BatchNormalization(**ARGUMENTS, synchronized=True)
    layer.build((2, 3, 3, 4))
    step = tf.function(lambda x: layer(x, training=True))
    graph = step.get_concrete_function(tf.TensorSpec((2, 3, 3, 4))).graph.as_graph_def()
    assert "FusedBatchNormV3" in {node.op for node in graph.node}


def test_synchronised_it_joins_the_statistics_of_several_devices(monkeypatch):
    layer = BatchNormalization(**ARGUMENTS, synchronized=True)
    strategy = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    assert not layer._has_kernel(tf.zeros((2, 3, 3, 4)))


def test_it_trains_under_a_keras_that_knows_no_renorm():
    layer = BatchNormalization(**ARGUMENTS)
    layer.build((None, 3, 3, 4))
    vars(layer).pop("renorm", None)
    inputs = features(2, 3, 3, 4)
    outputs = np.asarray(layer(inputs, training=True))
    np.testing.assert_allclose(outputs.mean(axis=(0, 1, 2)), np.zeros(4), atol=1e-5)


def test_a_frozen_layer_takes_its_moving_statistics():
    layer = BatchNormalization(**ARGUMENTS)
    layer.trainable = False
    inputs = features(2, 3, 3, 4)
    np.testing.assert_allclose(layer(inputs, training=True), inputs / np.sqrt(1.001), rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(4))


def test_the_kernel_is_in_the_graph_of_a_training_step():
    layer = BatchNormalization()
    layer.build((None, 4, 4, 2))

    @tf.function
    def step(x):
        return layer(x, training=True)

    graph = step.get_concrete_function(tf.TensorSpec((None, 4, 4, 2))).graph
    assert "FusedBatchNormV3" in {operation.type for operation in graph.get_operations()}


def test_it_comes_back_from_its_config():
    layer = BatchNormalization(momentum=0.7, name="bn")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(again, BatchNormalization) and again.momentum == 0.7
