"""What the log of a training says: what the run is, and what its system measures."""

import re
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from poseras.engine.logbook import read_values
from poseras.engine.run_description import RunDescription
from poseras.engine.schedule import Schedule
from poseras.engine.train_step import StepSettings
from poseras.engine.trainer import train
from poseras.engine.training_loop import RunSettings
from poseras.settings import read_differences
from poseras.skeleton import Skeleton


class Toy:
    """The mean colour of a picture of 4 x 4, from its pixels."""

    skeleton = Skeleton("toy", ("a",))

    def build_model(self):
        image = keras.Input((4, 4, 3))
        x = keras.layers.Rescaling(1 / 255)(image)
        return keras.Model(image, keras.layers.Dense(1, name="out")(keras.layers.Flatten()(x)))

    def encode(self, batch):
        return tf.reduce_mean(batch["image"], axis=(1, 2, 3))[:, None] / 255

    def compute_loss(self, targets, outputs):
        return {"total": tf.reduce_mean(tf.square(targets - outputs))}

    def decode(self, outputs):
        return {}


class Watched(Toy):
    """Also measures which share of four numbers is not negative."""

    def measure(self, targets, outputs):
        return {"accuracy": tf.reduce_mean(tf.cast(targets >= 0, tf.float32)) / 4}


def run(folder, system, *, epochs=1, resume=False, description=None):
    keras.utils.set_random_seed(7)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    train(
        system,
        schedule=Schedule(4, end_epoch=epochs, learning_rate=1e-2, decay_epochs=()),
        step_settings=StepSettings(),
        run=RunSettings(
            folder / "dump" / "run", folder / "log", batch_size=2, log_every=2, resume=resume
        ),
        make_batches=lambda share: tf.data.Dataset.from_tensors({"image": pictures}).repeat(),
        metadata={"config": {"run": "toy"}, "skeleton": Toy.skeleton.to_dict()},
        description=description,
    )
    return (folder / "log" / "train.log").read_text()


def test_each_start_describes_itself_before_anything_else(tmp_path):
    description = RunDescription({"run": "toy", "seed": 1}, {"run": "toy"}, {"keras": "3"})
    run(tmp_path, Toy(), description=description)
    again = replace(description, commit="abc")
    lines = run(tmp_path, Toy(), epochs=2, resume=True, description=again).splitlines()
    assert lines[0].endswith('Settings that differ from their defaults: run="toy"')
    told = [number for number, line in enumerate(lines) if "Versions: keras 3" in line]
    assert [lines[number].endswith(", commit abc") for number in told] == [False, True]
    starts = [number for number, line in enumerate(lines) if "Training from step" in line]
    assert told[0] < starts[0] < told[1] < starts[1]
    assert read_differences(tmp_path / "log" / "config.yaml") == {"run": "toy"}


def test_what_a_system_measures_is_logged_beside_the_loss(tmp_path):
    text = run(tmp_path / "watched", Watched())
    assert len(re.findall(r" loss \S+ accuracy 0\.250 \S+ samples/s", text)) == 2
    assert "accuracy" not in run(tmp_path / "plain", Toy())
    watched, plain = (
        read_values(tmp_path / name / "log" / "values.jsonl") for name in ("watched", "plain")
    )
    assert [line.pop("accuracy") for line in watched] == [0.25, 0.25]
    assert watched == plain, "nothing is learned from it"
