"""Training from the first step to the last, killed and continued as often as it may be.

The run is a function of its settings and the step: data order, augmentation and learning rate
follow from the step number, everything else is in the snapshot. A step is over when its values are
noted; snapshots are written between two steps only. The log is on the disk before the snapshot of
the same step, so that a continued run logs what the uninterrupted one logs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from . import workers
from .logbook import Logbook
from .run_description import RunDescription
from .run_snapshots import RunSnapshots, check_continuation, find_start
from .running import RunningValues
from .schedule import Schedule
from .snapshot import Snapshot
from .train_state import restore_state
from .train_step import StepSettings, TrainStep
from .training_loop import RunSettings, TrainingLoop, Validate, explain_device_errors

log = logging.getLogger("poseras")


@dataclass(frozen=True)
class Share:
    """Which part of the data one input pipeline delivers.

    Attributes:
        first_batch: the batch per device that it begins with, counted from the start of the run.
        devices: of all workers together.
        first_device: of this worker.
        local_devices: of this worker.
    """

    first_batch: int
    devices: int
    first_device: int
    local_devices: int


#: From a share to the endless batches of its devices, device by device.
MakeBatches = Callable[[Share], tf.data.Dataset]


def train(
    system: Any,
    *,
    schedule: Schedule,
    step_settings: StepSettings,
    run: RunSettings,
    make_batches: MakeBatches,
    metadata: Mapping[str, Any],
    strategy: tf.distribute.Strategy | None = None,
    load_weights: Callable[[keras.Model], list[str]] | None = None,
    validate: Validate | None = None,
    data_errors: Callable[[], AbstractContextManager[None]] = nullcontext,
    read_placed: Callable[[Path], Snapshot | None] | None = None,
    description: RunDescription | None = None,
) -> keras.Model:
    """Train a system's model to the end of its schedule.

    Args:
        system: builds the model, encodes, computes the loss; decodes for the image strip.
        schedule: steps and learning rates.
        step_settings: optimizer and precision; the dtype policy must be set already.
        run: folders and intervals.
        make_batches: the data, by share.
        metadata: of the snapshots: system, options, skeleton, view, config, versions.
        strategy: the devices; TensorFlow's default one if None.
        load_weights: puts initial weights into a fresh model and reports; not called for a run
            that is continued.
        validate: measures the model (its averaged weights, where they are kept), on the chief
            alone; with several workers it must not use their strategy.
        data_errors: a context that the taking of batches stands in, to turn errors of worker
            threads into what they were.
        read_placed: as in `find_start`.
        description: what the log says first.

    Returns:
        The model with its last weights.

    Raises:
        ValueError: the snapshots do not fit this run, see `find_start` and `check_continuation`.
        FloatingPointError: the loss is not a finite number.
        MemoryError: the device has too little memory for the batch.
        ConnectionError: another worker is lost or has another snapshot.
        SystemExit: a signal stopped the run; 143 for SIGTERM, 130 for Ctrl-C.
    """
    strategy = strategy or tf.distribute.get_strategy()
    chief = workers.is_chief(strategy)
    snapshot, notes = find_start(run.snapshot_folder, run.resume, read_placed)
    if snapshot:
        notes += check_continuation(snapshot, metadata, run.free_settings)
    workers.compare_starts(strategy, snapshot)
    first_step = 0
    if snapshot:
        own = snapshot.path.parent == run.snapshot_folder
        first_step, schedule = _go_on(snapshot, schedule, own, notes)
    snapshots = RunSnapshots(run.snapshot_folder, metadata, keep=run.keep_snapshots, writes=chief)
    snapshots.last = snapshot.path if snapshot else None
    with ExitStack() as stack:
        logbook = Logbook(run.log_folder if chief else None, first_step)
        stack.callback(logbook.close)
        if description:
            description.tell(logbook.folder)
        with strategy.scope():
            model = system.build_model()
        if load_weights and snapshot is None:
            notes += load_weights(model)
        step = TrainStep(system, model, step_settings, strategy)
        if step.frozen:
            notes.append(f"FROZEN: {len(step.frozen)} of {len(model.weights)} variables.")
        running = RunningValues()
        if snapshot:
            running.pending, restored = restore_state(step, snapshot)
            notes += restored
        for note in notes:
            log.warning("%s", note)
        first_batch = schedule.place_of(first_step) * step_settings.accumulate_steps
        batches = _Shares(make_batches, strategy, first_batch)
        loop = TrainingLoop(
            system=system,
            schedule=schedule,
            run=run,
            step=step,
            snapshots=snapshots,
            logbook=logbook,
            running=running,
            validate=validate if run.validate_every_epochs else None,
            data_errors=data_errors,
        )
        with explain_device_errors(run.batch_size, strategy):
            loop.go(first_step, batches)
    return model


def _go_on(
    snapshot: Snapshot, schedule: Schedule, own: bool, notes: list[str]
) -> tuple[int, Schedule]:
    """The number of steps already made, and the schedule with its epochs where they were.

    Steps are updates and stay what they are, whatever the batch: those of `total_steps`,
    `decay_steps` and `warmup_steps`, too. Epochs go on at the same part of the data.

    Args:
        snapshot: that is continued.
        schedule: of the settings.
        own: whether it is this run's. The steps of another run, of other data or of a published
            checkpoint are not; its epochs are counted in steps of the present length.
        notes: gets lines for the log.

    Raises:
        ValueError: the run ends before the snapshot.
    """
    counters = snapshot.metadata["counters"]
    step, now = int(counters["step"]), schedule.steps_per_epoch
    then = int(counters.get("steps_per_epoch", now))
    place = (step + int(counters.get("steps_ahead", 0))) * now // then
    step = step if own else place
    schedule = replace(schedule, steps_ahead=place - step)
    if then != now:
        made = f"What is set in steps still counts updates, of which {step} are made."
        taken = f"Steps are counted as if all had been of the present length, {step}."
        notes.append(
            f"CHANGED: an epoch had {then} steps and now has {now}; the run goes on at the same "
            f"part of the epoch. {made if own else taken}"
        )
    if step > schedule.end_step:
        raise ValueError(
            "The end of a run must not lie before the snapshot that is continued. Received "
            f"{_name_end(schedule)}; {snapshot.path.name} stands at step {step}, in epoch "
            f"{schedule.epoch_at(step) + 1}. Set it higher."
        )
    notes.append(f"CONTINUED from {snapshot.path}: step {step} of {schedule.end_step}.")
    return step, schedule


def _name_end(schedule: Schedule) -> str:
    """The setting that says where a run ends, with its value."""
    if schedule.total_steps:
        return f"train.total_steps={schedule.total_steps}"
    return f"train.end_epoch={schedule.end_epoch}"


@dataclass(frozen=True)
class _Shares:
    """Distributed batches from a given one on."""

    make_batches: MakeBatches
    strategy: tf.distribute.Strategy
    first_batch: int

    def __iter__(self) -> Iterator[Any]:
        def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
            local = context.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * local
            return self.make_batches(
                Share(self.first_batch, context.num_replicas_in_sync, first, local)
            )

        return iter(self.strategy.distribute_datasets_from_function(make))
