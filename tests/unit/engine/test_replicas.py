"""Two logical CPU devices under MirroredStrategy against one device with the same global batch.

Logical devices must be made before TensorFlow is first used, so the comparison runs in a process of
its own: this file, called as a program, prints what it measured.
"""

import json
import os
import subprocess
import sys

import pytest

NORMALISATIONS = ("none", "synchronised", "own batch")


@pytest.fixture(scope="module")
def measured():
    result = subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("normalisation", ["none", "synchronised"])
def test_gradients_of_two_devices_are_those_of_one(measured, normalisation):
    # Sums of float32 products in another order.
    assert measured[normalisation]["gradient"] < 1e-5


@pytest.mark.parametrize("normalisation", ["none", "synchronised"])
def test_weights_after_one_step_of_two_devices_are_those_of_one(measured, normalisation):
    assert measured[normalisation]["update"] < 1e-3


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_both_devices_hold_the_same_weights_and_statistics(measured, normalisation):
    assert measured[normalisation]["copies"] == 0


def test_own_batches_are_normalised_apart_but_statistics_are_means(measured):
    # The mean of equal halves is that of all. And the comparison is not blind: gradients differ.
    assert measured["own batch"]["gradient"] > 1e-3
    assert measured["own batch"]["moving_mean"] < 1e-6


def test_optimizer_average_and_clipping_agree_over_several_steps(measured):
    # Five Adam steps; rounding decides the direction where a gradient is almost zero.
    assert measured["several"]["weights"] < 1e-3
    assert measured["several"]["copies"] == 0


def measure():
    import keras
    import numpy as np
    import tensorflow as tf

    from poseras.batch_norm import BatchNormalization
    from poseras.engine.distribute import make_strategy
    from poseras.engine.train_step import StepSettings, TrainStep

    pair, one = make_strategy((), cpu_devices=2), tf.distribute.get_strategy()
    random = np.random.default_rng(0)
    data = {
        "image": random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8),
        "keypoints": random.normal(size=(40, 3)).astype(np.float32),
    }

    class Toy:
        def encode(self, batch):
            return batch["keypoints"]

        def compute_loss(self, targets, outputs):
            return {"total": tf.reduce_mean(tf.square(targets - outputs))}

    def build(normalisation):
        keras.utils.set_random_seed(5)
        image = keras.Input((16, 16, 3))
        x = keras.layers.Rescaling(1 / 255)(image)
        for name in ("a", "b"):
            x = keras.layers.Conv2D(8, 3, use_bias=False, name=name)(x)
            if normalisation != "none":
                shared = normalisation == "synchronised"
                x = BatchNormalization(synchronized=shared, name=f"{name}.bn")(x)
            x = keras.layers.ReLU(name=f"{name}.relu")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(image, keras.layers.Dense(3, name="out")(x))

    def run(strategy, normalisation, steps, **settings):
        """Weights before and after some steps."""
        with strategy.scope():
            model = build(normalisation)
        step = TrainStep(Toy(), model, StepSettings(**settings), strategy)
        before = {v.path: v.numpy() for v in model.variables}
        size = 8 // strategy.num_replicas_in_sync
        batches = tf.data.Dataset.from_tensor_slices(data).batch(size, drop_remainder=True)
        iterator = iter(strategy.distribute_datasets_from_function(lambda _: batches))
        for _ in range(steps):
            step([next(iterator)], 0.01)
        after = {v.path: v.numpy() for v in model.variables}
        copies = 0.0
        for variable in [*model.variables, *(step.average.averages if step.average else ())]:
            value = variable.value if isinstance(variable, keras.Variable) else variable
            held = [v.numpy() for v in strategy.experimental_local_results(value)]
            copies = max(copies, *(float(np.abs(v - held[0]).max()) for v in held), 0.0)
        return before, after, copies

    def compare(normalisation):
        before, single, _ = run(one, normalisation, 1, optimizer="sgd")
        _, double, copies = run(pair, normalisation, 1, optimizer="sgd")
        learnt = [name for name in before if "/moving_" not in name]
        # The gradient of plain descent, read off the update of the unharmed float32 weights.
        changes = {n: (single[n] - before[n], double[n] - before[n]) for n in learnt}
        largest = max(np.abs(a).max() for a, _ in changes.values())
        means = [n for n in before if n.endswith("/moving_mean")]
        return {
            "gradient": gradient_difference(normalisation),
            "update": float(max(np.abs(a - b).max() for a, b in changes.values()) / largest),
            "copies": copies,
            "moving_mean": float(
                max((np.abs(single[n] - double[n]).max() for n in means[:1]), default=0.0)
            ),
        }

    def gradient_difference(normalisation):
        """The largest difference of a gradient, relative to the maximum of its tensor."""

        def gradients(strategy):
            with strategy.scope():
                model = build(normalisation)
            step = TrainStep(Toy(), model, StepSettings(weight_decay=0.0), strategy)
            size = 8 // strategy.num_replicas_in_sync
            batches = tf.data.Dataset.from_tensor_slices(data).batch(size, drop_remainder=True)
            batch = next(iter(strategy.distribute_datasets_from_function(lambda _: batches)))

            @tf.function(autograph=False)
            def everywhere(batch):
                def on_device(batch):
                    found, _ = step.compute_gradients(batch)
                    context = tf.distribute.get_replica_context()
                    return context.all_reduce(tf.distribute.ReduceOp.MEAN, found)

                return strategy.run(on_device, args=(batch,))

            found = everywhere(batch)
            return [strategy.experimental_local_results(g)[0].numpy() for g in found]

        pairs = zip(gradients(one), gradients(pair), strict=True)
        return float(max(np.abs(a - b).max() / np.abs(a).max() for a, b in pairs))

    measured = {name: compare(name) for name in NORMALISATIONS}
    settings = {"optimizer": "adam", "ema_decay": 0.9, "clip_norm": 0.5}
    _, single, _ = run(one, "synchronised", 5, **settings)
    _, double, copies = run(pair, "synchronised", 5, **settings)
    largest = max(np.abs(single[n] - double[n]).max() for n in single)
    measured["several"] = {"weights": float(largest), "copies": copies}
    print(json.dumps(measured))


if __name__ == "__main__":
    measure()
