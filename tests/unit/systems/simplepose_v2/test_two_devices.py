"""Two logical CPU devices: the loss of a step is the mean of both devices' losses.

Logical devices must be made before TensorFlow is first used, so the comparison runs in a process of
its own: this file, called as a program, prints what it measured.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest


def test_the_loss_of_two_devices_is_the_mean_of_both():
    result = subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert result.returncode == 0, result.stderr[-2000:]
    measured = json.loads(result.stdout.splitlines()[-1])
    first, second = measured["separate"]
    assert first != pytest.approx(second, rel=1e-3)
    assert measured["together"] == pytest.approx((first + second) / 2, rel=1e-4)


def make_batch(rows):
    """Four pictures of two people; the last one teaches no offsets, so that counts differ."""
    random = np.random.default_rng(4)
    points = random.uniform(5, 60, (4, 2, 3, 2))
    keypoints = np.concatenate([points, np.full((4, 2, 3, 1), 2)], axis=-1).astype(np.float32)
    keypoints[3, :, :, 2] = 0
    batch = {
        "image": random.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8),
        "keypoints": keypoints,
        "boxes_xywh": np.full((4, 2, 4), 40, np.float32),
        "image_to_network": np.tile(np.eye(2, 3, dtype=np.float32), (4, 1, 1)),
        "ignore_mask": np.zeros((4, 64, 64), bool),
    }
    return {name: values[rows] for name, values in batch.items()}


def measure():
    """The losses of both halves of a batch, alone and in one step of two devices."""
    import keras
    import tensorflow as tf

    from poseras.engine.train_step import StepSettings, TrainStep
    from poseras.skeleton import Skeleton
    from poseras.systems.simplepose_v2.options import Options
    from poseras.systems.simplepose_v2.system import System

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    joints = ("nose", "left_wrist", "right_wrist")
    skeleton = Skeleton("made/up", joints, ((1, 2),), ((0, 1), (0, 2)), (0.05,) * 3)
    options = Options(
        input_shape=(64, 64), backbone_width=8, units=(1, 1), batch_norm_synchronized=False
    )
    system = System(options, skeleton)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = system.build_model()
    halves = [make_batch(slice(0, 2)), make_batch(slice(2, 4))]
    separate = [
        float(system.compute_loss(system.encode(h), model(h["image"], training=True))["total"])
        for h in halves
    ]
    step = TrainStep(system, model, StepSettings(weight_decay=0.0), strategy)
    shared = strategy.experimental_distribute_values_from_function(
        lambda context: {
            k: tf.constant(v) for k, v in halves[context.replica_id_in_sync_group].items()
        }
    )
    return {"separate": separate, "together": float(step([shared], 1e-3)["total"])}


if __name__ == "__main__":
    print(json.dumps(measure()))
