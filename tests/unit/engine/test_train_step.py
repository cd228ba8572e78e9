from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.snapshot import Snapshot
from poseras.engine.train_state import collect_state, restore_state
from poseras.engine.train_step import (
    StepSettings,
    TrainStep,
    apply_channel_gain,
    moving_statistics,
)


class MeanColour:
    """Learns the numbers of `keypoints` from the picture."""

    def encode(self, batch):
        return batch["keypoints"]

    def compute_loss(self, targets, outputs):
        return {"total": tf.reduce_mean(tf.square(targets - outputs))}


def make_model(normalised=False):
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255, dtype="float32")(image)
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    if normalised:
        x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2, name="out", dtype="float32")(x))


def make_batch(samples=4, seed=0):
    random = np.random.default_rng(seed)
    return {
        "image": tf.constant(random.integers(0, 256, (samples, 8, 8, 3), dtype=np.uint8)),
        "keypoints": tf.constant(random.normal(size=(samples, 2)).astype(np.float32)),
    }


def make_step(model=None, **settings):
    return TrainStep(MeanColour(), model or make_model(), StepSettings(**settings))


def weights(step):
    return [variable.numpy() for variable in step.model.variables]


def test_colour_gains_are_multiplied_and_clipped():
    batch = {
        "image": tf.constant(np.full((2, 1, 1, 3), 200, np.uint8)),
        "channel_gain": tf.constant([[0.5, 1.0, 1.5], [1.0, 1.0, 1.0]]),
    }
    found = apply_channel_gain(batch)["image"].numpy().reshape(2, 3)
    np.testing.assert_array_equal(found, [[100, 200, 255], [200, 200, 200]])


def test_two_accumulated_batches_make_the_update_of_one_twice_as_large():
    batch = make_batch(8)
    halves = [{name: value[i : i + 4] for name, value in batch.items()} for i in (0, 4)]
    one, two = make_step(optimizer="sgd"), make_step(optimizer="sgd", accumulate_steps=2)
    for _ in range(2):  # the sums must start anew
        loss = one([batch], 0.1)["total"]
        assert float(two(halves, 0.1)["total"]) == pytest.approx(float(loss), rel=1e-6)
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_weight_decay_pulls_kernels_alone():
    plain, decayed = (
        make_step(optimizer="sgd", weight_decay=0.0),
        make_step(optimizer="sgd", weight_decay=0.5),
    )
    kernels = {name: plain.model.get_layer(name).kernel.numpy() for name in ("conv", "out")}
    for step in (plain, decayed):
        step([make_batch()], 0.1)
    differences = {
        a.path: a.numpy() - b.numpy()
        for a, b in zip(plain.model.variables, decayed.model.variables, strict=True)
    }
    for name, kernel in kernels.items():
        pulled = differences.pop(f"{name}/kernel")
        np.testing.assert_allclose(pulled, 0.1 * 0.5 * kernel, atol=1e-6)
    for difference in differences.values():
        np.testing.assert_array_equal(difference, 0)


def test_a_long_gradient_is_cut_to_the_norm():
    free, cut = make_step(optimizer="sgd"), make_step(optimizer="sgd", clip_norm=1e-3)
    before = weights(free)
    norm = float(free([make_batch()], 0.1)["gradient_norm"])
    assert norm > 1e-3
    assert float(cut([make_batch()], 0.1)["gradient_norm"]) == pytest.approx(norm)
    for old, a, b in zip(before, weights(free), weights(cut), strict=True):
        np.testing.assert_allclose((a - old) * 1e-3 / norm, b - old, atol=1e-6)


def test_float16_skips_an_update_that_overflows_and_lowers_the_scale():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        step = make_step(precision="mixed_float16", ema_decay=0.5)
    finally:
        keras.config.set_dtype_policy(before)
    old, scale = weights(step), float(step.loss_scale.scale)
    step.loss_scale.scale.assign(1e38)
    step([make_batch()], 0.1)
    for a, b in zip(old, weights(step), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(step.optimizer.iterations) == 0
    assert float(step.loss_scale.scale) == pytest.approx(5e37)
    step.loss_scale.scale.assign(scale)
    step([make_batch()], 0.1)
    assert int(step.optimizer.iterations) == 1
    assert any((a != b).any() for a, b in zip(old, weights(step), strict=True))


def test_the_graph_is_traced_once():
    step = make_step()
    for seed in range(3):
        step([make_batch(seed=seed)], 0.1 / (seed + 1))
    assert step.traces == 1


def test_the_weight_average_lies_between_start_and_present():
    step = make_step(optimizer="sgd", ema_decay=0.9)
    start = step.model.get_layer("conv").kernel.numpy()
    step([make_batch()], 0.1)
    present = step.model.get_layer("conv").kernel.numpy()
    average = step.average.averages[0].numpy()
    # The first update: decay min(0.9, 1 / 10), so 0.9 of the way.
    np.testing.assert_allclose(average, start + 0.9 * (present - start), atol=1e-6)


def test_a_weight_without_influence_is_named():
    image = keras.Input((8, 8, 3))
    used = keras.layers.Dense(2, name="used")(keras.layers.GlobalAveragePooling2D()(image))
    idle = keras.layers.Dense(2, name="idle")(keras.layers.GlobalAveragePooling2D()(image))

    class UsesOne(MeanColour):
        def compute_loss(self, targets, outputs):
            return super().compute_loss(targets, outputs["used"])

    model = keras.Model(image, {"used": used, "idle": idle})
    step = TrainStep(UsesOne(), model, StepSettings())
    with pytest.raises(ValueError, match="idle/kernel, idle/bias have none .2 in all."):
        step([make_batch()], 0.1)


def test_statistics_of_layers_that_learn_are_known():
    model = make_model(normalised=True)
    assert [v.path for v in moving_statistics(model)] == ["bn/moving_mean", "bn/moving_variance"]
    model.get_layer("bn").trainable = False
    assert moving_statistics(model) == []


def test_decoupled_decay_shrinks_kernels_beside_the_step_of_adam():
    batch, rate, decay = make_batch(), 0.01, 0.5
    plain = make_step(optimizer="adam", weight_decay=0.0)
    decoupled = make_step(optimizer="adamw", weight_decay=decay)
    before = [np.array(weight) for weight in weights(plain)]
    plain([batch], rate)
    decoupled([batch], rate)
    names = [variable.path for variable in plain.model.variables]
    assert sum(name.endswith("kernel") for name in names) == 2
    for name, old, a, b in zip(names, before, weights(plain), weights(decoupled), strict=True):
        shrunk = rate * decay * old if name.endswith("kernel") else 0.0 * old
        np.testing.assert_allclose(b, a - shrunk, rtol=1e-5, atol=1e-7)


class NumberedColour(MeanColour):
    """Its convolution is two layers before its end."""

    def number_layers(self, model):
        return {v.path: 0 if v.path.startswith("conv") else 2 for v in model.weights}


def make_numbered(**settings):
    return TrainStep(NumberedColour(), make_model(), StepSettings(layer_decay=0.5, **settings))


def test_layers_near_the_input_move_by_their_share_of_the_rate():
    plain, slowed = (
        make_step(optimizer="sgd", weight_decay=0.0),
        make_numbered(optimizer="sgd", weight_decay=0.0),
    )
    start = weights(plain)
    for step in (plain, slowed):
        step([make_batch()], 0.1)
    for variable, old, a, b in zip(
        plain.model.variables, start, weights(plain), weights(slowed), strict=True
    ):
        share = 0.25 if variable.path.startswith("conv") else 1.0
        np.testing.assert_allclose(b - old, share * (a - old), atol=1e-7)


def test_the_decoupled_decay_of_a_layer_follows_its_share_of_the_rate():
    batch, rate, decay = make_batch(), 0.01, 0.5
    without = make_numbered(optimizer="adamw", weight_decay=0.0)
    decayed = make_numbered(optimizer="adamw", weight_decay=decay)
    kernel = without.model.get_layer("conv").kernel.numpy()
    for step in (without, decayed):
        step([batch], rate)
    a, b = (step.model.get_layer("conv").kernel.numpy() for step in (without, decayed))
    np.testing.assert_allclose(a - b, 0.25 * rate * decay * kernel, rtol=1e-3, atol=1e-7)


def test_a_resumed_run_with_layer_decay_equals_an_unbroken_one_bit_for_bit():
    unbroken, first = (make_numbered(optimizer="adamw", ema_decay=0.9) for _ in range(2))
    for step in (unbroken, first):
        step([make_batch(seed=1)], 0.1)
    second = make_numbered(optimizer="adamw", ema_decay=0.9)
    restore_state(second, Snapshot(Path("memory"), collect_state(first, {}), {}, ""))
    for step in (unbroken, second):
        step([make_batch(seed=2)], 0.05)
    for a, b in zip(weights(unbroken), weights(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_decay_without_numbered_layers_is_refused():
    with pytest.raises(ValueError, match=r"system that numbers its layers.*Received 0\.5"):
        make_step(layer_decay=0.5)
