import os
import signal
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.logbook import read_values
from poseras.engine.schedule import Schedule
from poseras.engine.snapshot import list_snapshots, newest_valid, read_snapshot, snapshot_path
from poseras.engine.train_step import StepSettings
from poseras.engine.trainer import train
from poseras.engine.training_loop import RunSettings
from poseras.skeleton import Skeleton

SKELETON = Skeleton("toy", ("a", "b"))
METADATA = {
    "config": {"system": "toy", "options.width": 4, "train.batch_size": 4},
    "skeleton": SKELETON.to_dict(),
}


class Toy:
    """Two points from a picture of 8 x 8."""

    skeleton = SKELETON

    def __init__(self, width=4):
        self.width = width

    def build_model(self):
        image = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.layers.Conv2D(self.width, 3, name="conv")(x)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.Dropout(0.2, seed=1, name="dropout")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(image, keras.layers.Dense(4, name="out")(x))

    def encode(self, batch):
        return tf.reshape(batch["keypoints"][..., :2], (-1, 4))

    def compute_loss(self, targets, outputs):
        return {"total": tf.reduce_mean(tf.square(targets - outputs))}

    def decode(self, outputs):
        points = tf.reshape(outputs, (-1, 1, 2, 2))
        return {"keypoints_px": points, "keypoint_scores": tf.ones_like(points[..., 0])}


def make_batches(share, poison=None):
    """Batches that are functions of their number; NaN from batch `poison` on."""

    def make(number):
        random = np.random.default_rng(int(number))
        image = random.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
        keypoints = random.uniform(0, 8, (4, 1, 2, 3)).astype(np.float32)
        if poison is not None and number >= poison:
            keypoints[:] = np.nan
        return image, keypoints

    def tensors(number):
        image, keypoints = tf.numpy_function(make, [number], [tf.uint8, tf.float32])
        return {
            "image": tf.ensure_shape(image, (4, 8, 8, 3)),
            "keypoints": tf.ensure_shape(keypoints, (4, 1, 2, 3)),
        }

    return tf.data.Dataset.range(share.first_batch, 10**6).map(tensors)


def run(folder, *, epochs=3, resume=False, metadata=METADATA, **others):
    """Train a toy of 5 steps an epoch."""
    names = {"log_every": 2, "snapshot_minutes": 0.0, **others.pop("intervals", {})}
    keras.utils.set_random_seed(7)
    given = {
        "make_batches": make_batches,
        "step_settings": StepSettings(ema_decay=0.9),
        "system": Toy(),
        "schedule": Schedule(5, end_epoch=epochs, learning_rate=1e-2, decay_epochs=(2,)),
        **others,
    }
    return train(
        given.pop("system"),
        run=RunSettings(
            snapshot_folder=folder / "dump" / "data" / "run",
            log_folder=folder / "log",
            batch_size=4,
            resume=resume,
            **names,
        ),
        metadata=metadata,
        **given,
    )


def last(folder):
    snapshots = list_snapshots(folder / "dump" / "data" / "run")
    return read_snapshot(snapshots[max(snapshots)])


def stop_after(steps):
    """Batches that raise a SIGTERM in the middle of a step."""

    def make(share):
        def notice(number, batch):
            def tell(n):
                if n == steps:
                    os.kill(os.getpid(), signal.SIGTERM)
                return np.int64(n)

            n = tf.numpy_function(tell, [number], tf.int64)
            with tf.control_dependencies([n]):
                return {name: tf.identity(value) for name, value in batch.items()}

        numbered = make_batches(share).enumerate(share.first_batch)
        return numbered.map(notice)

    return make


def test_a_run_leaves_one_snapshot_an_epoch_and_a_log(tmp_path):
    run(tmp_path)
    assert list(list_snapshots(tmp_path / "dump" / "data" / "run")) == [1, 2, 3]
    assert last(tmp_path).metadata["counters"] == {"epoch": 3, "step": 15, "steps_per_epoch": 5}
    lines = read_values(tmp_path / "log" / "values.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12, 14, 15]
    assert [line["learning_rate"] for line in lines[4:6]] == [1e-2, 1e-3]
    assert "global batch 4, adam, float32" in (tmp_path / "log" / "train.log").read_text()


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    run(tmp_path / "whole")
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "stopped", make_batches=stop_after(7))
    assert ended.value.code == 143
    # Batches are asked for ahead, so it stops between two epochs or at the end of one.
    newest, _ = newest_valid(tmp_path / "stopped" / "dump" / "data" / "run")
    assert 0 < newest.metadata["counters"]["step"] < 15
    run(tmp_path / "stopped", resume=True)
    whole, stopped = last(tmp_path / "whole"), last(tmp_path / "stopped")
    assert stopped.sha256 == whole.sha256
    assert any(name.startswith("random/") for name in whole.arrays)
    values = [(tmp_path / n / "log" / "values.jsonl").read_text() for n in ("whole", "stopped")]
    assert values[0] == values[1]


def test_a_stopped_run_with_frozen_parts_goes_on_as_if_it_had_not_stopped(tmp_path, caplog):
    settings = StepSettings(frozen=("^conv", "beta"), ema_decay=0.9, optimizer="adamw")
    run(tmp_path / "whole", step_settings=settings)
    assert "FROZEN: 3 of 8 variables." in caplog.text
    run(tmp_path / "part", step_settings=settings, epochs=1)
    first = last(tmp_path / "part")
    with pytest.raises(SystemExit):
        run(tmp_path / "part", step_settings=settings, resume=True, make_batches=stop_after(7))
    run(tmp_path / "part", step_settings=settings, resume=True)
    whole, part = last(tmp_path / "whole"), last(tmp_path / "part")
    assert part.sha256 == whole.sha256
    moved = {name for name in whole.arrays if (whole.arrays[name] != first.arrays[name]).any()}
    assert {"weights/out/kernel", "ema/out/kernel", "weights/bn/gamma"} <= moved
    frozen = {
        f"{kind}/{name}" for kind in ("weights", "ema") for name in ("conv/kernel", "bn/beta")
    }
    assert not frozen & moved
    assert not [name for name in whole.arrays if name.startswith("optimizer/") and "conv" in name]


def test_a_damaged_newest_snapshot_is_told_and_the_one_before_it_used(tmp_path, caplog):
    run(tmp_path, epochs=3)
    expected = last(tmp_path).sha256
    path = last(tmp_path).path
    path.write_bytes(path.read_bytes()[:-7])
    run(tmp_path, epochs=3, resume=True)
    assert "DAMAGED" in caplog.text and path.name in caplog.text
    assert last(tmp_path).sha256 == expected


def test_a_fresh_start_over_snapshots_is_an_error_that_names_the_two_ways(tmp_path):
    run(tmp_path, epochs=1)
    with pytest.raises(ValueError, match="--continue goes on.*--set run=NAME"):
        run(tmp_path, epochs=1)


def test_continue_without_snapshots_starts_at_zero_and_says_so(tmp_path, caplog):
    run(tmp_path, epochs=1, resume=True)
    assert "NO SNAPSHOT" in caplog.text
    assert last(tmp_path).metadata["counters"]["step"] == 5


def test_a_snapshot_placed_beside_the_run_is_continued(tmp_path, caplog):
    run(tmp_path / "a", epochs=1)
    target = tmp_path / "b" / "dump" / "data"
    target.mkdir(parents=True)
    last(tmp_path / "a").path.rename(target / "snapshot_1.safetensors")
    run(tmp_path / "b", epochs=2, resume=True)
    assert "has no snapshot of its own" in caplog.text
    assert last(tmp_path / "b").metadata["counters"]["step"] == 10


def test_a_loss_that_is_no_number_stops_the_run_and_names_step_and_snapshot(tmp_path):
    def poisoned(share):
        return make_batches(share, poison=6)

    with pytest.raises(FloatingPointError, match="at step 7; the last good snapshot is .*_1.safe"):
        run(tmp_path, make_batches=poisoned, intervals={"log_every": 4})
    assert list(list_snapshots(tmp_path / "dump" / "data" / "run")) == [1]


def test_a_schedule_that_ends_before_the_snapshot_is_an_error(tmp_path):
    run(tmp_path, epochs=3)
    refused = "must not lie before.*Received train.{}; snapshot_3.*step 15.*Set it higher"
    with pytest.raises(ValueError, match=refused.format("end_epoch=2")):
        run(tmp_path, epochs=2, resume=True)
    shorter = Schedule(5, total_steps=12, learning_rate=1e-2)
    with pytest.raises(ValueError, match=refused.format("total_steps=12")):
        run(tmp_path, schedule=shorter, resume=True)


def test_a_finished_run_has_nothing_left_to_do(tmp_path, caplog):
    run(tmp_path, epochs=1)
    before = last(tmp_path).sha256
    with caplog.at_level("INFO"):
        run(tmp_path, epochs=1, resume=True)
    assert "Nothing is left to train" in caplog.text
    assert last(tmp_path).sha256 == before


def test_options_of_another_network_are_named(tmp_path):
    run(tmp_path, epochs=1)
    config = {**METADATA["config"], "options.width": 5}
    with pytest.raises(ValueError, match=r"options.width \(4 -> 5\).*train.initial_weights="):
        run(tmp_path, epochs=2, resume=True, metadata={**METADATA, "config": config})


def test_other_joints_are_named(tmp_path):
    run(tmp_path, epochs=1)
    skeleton = Skeleton("toy", ("a", "c")).to_dict()
    with pytest.raises(ValueError, match="the joints"):
        run(tmp_path, epochs=2, resume=True, metadata={**METADATA, "skeleton": skeleton})


def test_settings_that_do_not_change_the_network_only_warn(tmp_path, caplog):
    run(tmp_path, epochs=1)
    config = {**METADATA["config"], "train.batch_size": 8, "options.sigma": 3.0}
    changed = {**METADATA, "config": config}
    with pytest.raises(ValueError, match=r"written by another network.*options.sigma"):
        run(tmp_path, epochs=2, resume=True, metadata=changed)
    free = {"free_settings": {"options.sigma"}}
    run(tmp_path, epochs=2, resume=True, metadata=changed, intervals=free)
    assert "CHANGED since the snapshot: options.sigma (None -> 3.0); train.batch_size (4 -> 8)" in (
        caplog.text
    )


def test_an_epoch_of_another_length_goes_on_at_the_same_part(tmp_path, caplog):
    firsts = []

    def make(share):
        firsts.append(share.first_batch)
        return make_batches(share)

    run(tmp_path, epochs=2)
    longer = Schedule(10, end_epoch=3, learning_rate=1e-2)
    run(tmp_path, resume=True, schedule=longer, make_batches=make)
    assert "an epoch had 5 steps and now has 10" in caplog.text
    counters = {"epoch": 3, "step": 20, "steps_per_epoch": 10, "steps_ahead": 10}
    assert last(tmp_path).metadata["counters"] == counters
    shorter = Schedule(5, end_epoch=4, learning_rate=1e-2)
    run(tmp_path, resume=True, schedule=shorter, make_batches=make)
    counters = {"epoch": 4, "step": 25, "steps_per_epoch": 5, "steps_ahead": -5}
    assert last(tmp_path).metadata["counters"] == counters
    assert firsts == [20, 15], "two epochs of 10, three of 5"
    assert list(list_snapshots(tmp_path / "dump" / "data" / "run")) == [1, 2, 3, 4]
    lines = read_values(tmp_path / "log" / "values.jsonl")
    assert [line["step"] for line in lines] == [*range(2, 25, 2), 25], "what was logged stays"


def test_what_is_set_in_steps_counts_updates_whatever_the_batch(tmp_path, caplog):
    in_steps = {"learning_rate": 1e-2, "decay_steps": (9,), "warmup_steps": 3}
    run(tmp_path, schedule=Schedule(5, total_steps=8, **in_steps))
    run(tmp_path, resume=True, schedule=Schedule(10, total_steps=10, **in_steps))
    run(tmp_path, resume=True, schedule=Schedule(10, total_steps=12, **in_steps))
    assert "updates, of which 8 are made" in caplog.text and "step 10 of 12" in caplog.text
    counters = {"epoch": 2, "step": 12, "steps_per_epoch": 10, "steps_ahead": 8}
    assert last(tmp_path).metadata["counters"] == counters
    lines = read_values(tmp_path / "log" / "values.jsonl")
    rates = {line["step"]: line["learning_rate"] for line in lines}
    # The first rate holds from the end of the warm-up to step 9, which is the tenth update.
    assert rates == pytest.approx({2: 1e-2 * 2 / 3, 4: 1e-2, 6: 1e-2, 8: 1e-2, 10: 1e-3, 12: 1e-3})


def test_a_snapshot_of_another_run_leaves_its_epochs_and_not_its_steps(tmp_path, caplog):
    run(tmp_path / "a", epochs=2)
    target = tmp_path / "b" / "dump" / "data"
    target.mkdir(parents=True)
    last(tmp_path / "a").path.rename(target / "snapshot_2.safetensors")
    run(tmp_path / "b", resume=True, schedule=Schedule(10, end_epoch=3, learning_rate=1e-2))
    counters = {"epoch": 3, "step": 30, "steps_per_epoch": 10}
    assert last(tmp_path / "b").metadata["counters"] == counters
    assert "Steps are counted as if all had been of the present length, 20" in caplog.text


def test_only_the_newest_epochs_stay_where_so_many_are_kept(tmp_path):
    run(tmp_path, epochs=4, intervals={"keep_snapshots": 2})
    assert list(list_snapshots(tmp_path / "dump" / "data" / "run")) == [3, 4]


def test_the_best_epoch_outlives_the_others(tmp_path):
    scores = iter([0.1, 0.9, 0.5, 0.2])
    run(
        tmp_path,
        epochs=4,
        intervals={"keep_snapshots": 1, "validate_every_epochs": 1},
        validate=lambda model: {"AP": next(scores)},
    )
    best = read_snapshot(snapshot_path(tmp_path / "dump" / "data" / "run", "best"))
    assert best.metadata["counters"]["epoch"] == 2
    lines = read_values(tmp_path / "log" / "values.jsonl")
    assert [x["validation/AP"] for x in lines if "validation/AP" in x] == [0.1, 0.9, 0.5, 0.2]


def test_an_epoch_that_the_end_of_the_run_cuts_short_is_validated_too(tmp_path):
    scores = iter([0.1, 0.9])
    run(
        tmp_path,
        schedule=Schedule(5, total_steps=7, learning_rate=1e-2),
        intervals={"validate_every_epochs": 1},
        validate=lambda model: {"AP": next(scores)},
    )
    best = read_snapshot(snapshot_path(tmp_path / "dump" / "data" / "run", "best"))
    assert best.metadata["counters"]["step"] == 7
    assert list(list_snapshots(tmp_path / "dump" / "data" / "run")) == [1, 2]


def test_averaged_weights_are_validated_and_trained_ones_come_back(tmp_path):
    seen = []

    def validate(model):
        seen.append(model.get_layer("conv").kernel.numpy())
        return {"AP": 0.5}

    run(tmp_path, epochs=1, intervals={"validate_every_epochs": 1}, validate=validate)
    np.testing.assert_array_equal(seen[0], last(tmp_path).arrays["ema/conv/kernel"])
    assert (seen[0] != last(tmp_path).arrays["weights/conv/kernel"]).any()


def test_a_validation_that_a_kill_prevented_is_made_up_for(tmp_path):
    def killed(model):
        raise SystemExit(137)

    settings = {"validate_every_epochs": 1}
    with pytest.raises(SystemExit):
        run(tmp_path, epochs=1, intervals=settings, validate=killed)
    run(tmp_path, epochs=1, resume=True, intervals=settings, validate=lambda model: {"AP": 0.5})
    lines = read_values(tmp_path / "log" / "values.jsonl")
    assert lines[-1] == {"step": 5, "validation/AP": 0.5, "validation/score": 0.5}


def test_a_rolling_snapshot_stands_between_two_epochs(tmp_path):
    run(tmp_path, epochs=1, intervals={"snapshot_minutes": 1e-9})
    rolling = read_snapshot(snapshot_path(tmp_path / "dump" / "data" / "run", "rolling"))
    assert rolling.metadata["counters"] == {"epoch": 0, "step": 4, "steps_per_epoch": 5}


def test_initial_weights_are_loaded_at_the_start_and_not_on_continue(tmp_path):
    calls = []
    run(tmp_path, epochs=1, load_weights=lambda model: calls.append(1) or [])
    run(tmp_path, epochs=2, resume=True, load_weights=lambda model: calls.append(2) or [])
    assert calls == [1]


def test_errors_of_worker_threads_come_as_they_were(tmp_path):
    class Data:
        def __call__(self):
            return self

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            if kind and issubclass(kind, tf.errors.OpError):
                raise ValueError("image 7 is broken") from error

    def broken(share):
        def fail(number):
            raise ValueError("inside")

        numbers = tf.data.Dataset.range(9)
        return numbers.map(lambda n: tf.numpy_function(fail, [n], tf.int64))

    with pytest.raises(ValueError, match="image 7 is broken"):
        run(tmp_path, make_batches=broken, data_errors=Data())


def test_an_unwritable_folder_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "dump").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="Cannot make .*dump"):
        run(tmp_path, data_errors=nullcontext)
