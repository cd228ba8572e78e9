"""What a continued run measures before its first step, and what it says of it."""

import logging
from types import SimpleNamespace

import pytest
import tensorflow as tf

from poseras.engine.logbook import Logbook
from poseras.engine.run_snapshots import RunSnapshots
from poseras.engine.running import RunningValues
from poseras.engine.schedule import Schedule
from poseras.engine.snapshot import ROLLING, snapshot_path
from poseras.engine.train_step import StepSettings
from poseras.engine.training_loop import RunSettings, TrainingLoop


def continue_from(folder, number, steps, schedule, **settings):
    """How often a run that has made all its steps is measured, by the snapshot it continues."""
    measured = []
    snapshots = RunSnapshots(folder, {})
    snapshots.last = snapshot_path(folder, number)
    step = SimpleNamespace(
        settings=StepSettings(),
        replicas=1,
        strategy=tf.distribute.get_strategy(),
        average=None,
        model="the network",
    )
    loop = TrainingLoop(
        system=None,
        schedule=schedule,
        run=RunSettings(folder, folder, batch_size=4, validate_every_epochs=1, **settings),
        step=step,
        snapshots=snapshots,
        logbook=Logbook(None),
        running=RunningValues(),
        validate=lambda model: measured.append(model) or {"AP": 0.5},
    )
    loop.go(steps, [])
    return len(measured)


@pytest.mark.parametrize(("number", "measured"), [(1, 1), (ROLLING, 0), (2, 0)])
def test_steps_that_only_rounding_makes_whole_epochs_are_not_measured_as_one(
    tmp_path, number, measured
):
    """Six steps of epochs of 5, continued with epochs of 1: `snapshot_1` has other weights."""
    rounded = Schedule(1, end_epoch=1, steps_ahead=-5)
    assert rounded.end_step == 6 and rounded.steps_within(6) == 0
    assert continue_from(tmp_path, number, 6, rounded) == measured


@pytest.mark.parametrize(("pictures", "told"), [(0, ""), (7, " on the first 7 pictures")])
def test_the_line_of_a_validation_tells_on_how_many_pictures_it_looks(
    tmp_path, caplog, pictures, told
):
    with caplog.at_level(logging.INFO, "poseras"):
        continue_from(tmp_path, 1, 1, Schedule(1, end_epoch=1), validation_pictures=pictures)
    assert f"epoch 1 validation{told}: AP 0.5000 (best so far)" in caplog.text
