"""The steps of one process' life, and what happens between them: log, save, validate, leave."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm.contrib.logging import logging_redirect_tqdm

from . import workers
from .logbook import Logbook, ProgressBar, Stopwatch
from .preemption import StopRequest
from .read_ahead import read_ahead
from .run_snapshots import RunSnapshots
from .running import RunningValues
from .schedule import Schedule
from .snapshot import ROLLING, snapshot_path
from .strip import draw_strip
from .train_state import collect_state
from .train_step import TrainStep

log = logging.getLogger("poseras")

_STRIP_PAUSE_S = 60.0
_BEST_BY = "validation/score"

#: From the model to metrics by name; the first decides which snapshot is best (higher is better).
Validate = Callable[[keras.Model], Mapping[str, float]]


@dataclass(frozen=True)
class RunSettings:
    """Where a run writes, how often, and what it goes on from.

    Attributes:
        snapshot_folder: `output/model_dump/<dataset>/<run>/`.
        log_folder: `output/log/<dataset>/<run>/`.
        batch_size: per device and batch.
        log_every: steps between two lines of the log.
        snapshot_minutes: between two rolling snapshots, 0 for none.
        validate_every_epochs: 0 for never.
        validation_pictures: the validation looks at the first ones alone, as its line in the log
            says; 0 is all.
        keep_snapshots: newest epochs that stay, 0 for all.
        resume: `--continue`.
        free_settings: names of settings that do not change the network, `options.sigma`.
    """

    snapshot_folder: Path
    log_folder: Path
    batch_size: int
    log_every: int = 20
    snapshot_minutes: float = 10.0
    validate_every_epochs: int = 0
    validation_pictures: int = 0
    keep_snapshots: int = 0
    resume: bool = False
    free_settings: Collection[str] = ()


@dataclass(kw_only=True)
class TrainingLoop:
    """Everything that takes part in a run.

    Attributes:
        system: decodes for the image strip.
        schedule: steps and learning rates.
        run: where it writes, and how often.
        step: makes the updates.
        snapshots: writes them.
        logbook: of this process; keeps silent on all workers but the chief.
        running: the values since the last line of the log.
        validate: measures the model, on the chief alone.
        data_errors: a context that the taking of batches stands in.
    """

    system: Any
    schedule: Schedule
    run: RunSettings
    step: TrainStep
    snapshots: RunSnapshots
    logbook: Logbook
    running: RunningValues
    validate: Validate | None = None
    data_errors: Callable[[], AbstractContextManager[None]] = nullcontext
    watch: Stopwatch = field(default_factory=Stopwatch)

    def __post_init__(self) -> None:
        self._last_snapshot = self._last_strip = time.monotonic()

    @property
    def samples_per_step(self) -> int:
        """The global batch."""
        return self.run.batch_size * self.step.replicas * self.step.settings.accumulate_steps

    def go(self, first_step: int, batches: Iterable[Any]) -> None:
        """Make the steps from `first_step` to the end of the schedule.

        Args:
            first_step: the number of steps already made.
            batches: of the strategy, from that step on, without end.
        """
        self._describe(first_step)
        end = self.schedule.end_step
        with StopRequest() as stop, logging_redirect_tqdm(), ExitStack() as ahead:
            if first_step and not self._goes_on_within_an_epoch(first_step):
                self._validate_if_due(first_step, stop)
            if first_step == end:
                log.info("Nothing is left to train: the schedule ends at this step.")
                return
            bar = ProgressBar(first_step, end, hidden=self.logbook.folder is None)
            try:
                source = iter(batches)
                self.step.expect(getattr(source, "element_spec", ()))
                iterator = ahead.enter_context(self._read(source))
                self.watch.restart()
                for number in range(first_step, end):
                    taken = self._take_batches(iterator)
                    self.running.add(self.step(taken, self.schedule.rate_at(number)))
                    self.watch.steps += 1
                    bar.advance()
                    self._between_steps(number + 1, taken[-1], bar, stop)
            finally:
                bar.close()

    def _describe(self, first_step: int) -> None:
        settings, schedule = self.step.settings, self.schedule
        log.info(
            "Training from step %d to %d (%d epochs of %d steps): %d device(s) x batch %d x %d "
            "accumulated = global batch %d, %s, %s.",
            first_step,
            schedule.end_step,
            schedule.last_epoch,
            schedule.steps_per_epoch,
            self.step.replicas,
            self.run.batch_size,
            settings.accumulate_steps,
            self.samples_per_step,
            settings.optimizer,
            settings.precision,
        )

    def _read(self, batches: Iterable[Any]) -> AbstractContextManager[Iterator[Any]]:
        """Batches, asked for while the step before them runs.

        Not with several workers: taking a batch may then be an exchange between them, whose order
        among the exchanges of the steps must be the same everywhere.
        """
        if workers.count(self.step.strategy) > 1:
            return nullcontext(iter(batches))
        return read_ahead(batches)

    def _take_batches(self, iterator: Any) -> list[Any]:
        with self.data_errors():
            return [
                self.watch.next_batch(iterator) for _ in range(self.step.settings.accumulate_steps)
            ]

    def _between_steps(self, done: int, batch: Any, bar: ProgressBar, stop: StopRequest) -> None:
        """Log, save, validate, leave: whatever is due after `done` steps."""
        ends = done == self.schedule.end_step  # which may lie within an epoch
        epoch_ends = ends or not self.schedule.steps_within(done)
        if done % self.run.log_every == 0 or ends:
            self._write_values(done, bar)
        start = time.perf_counter()
        if epoch_ends:
            self._save(self.schedule.epochs_begun(done), done)
            self._draw(done, batch)
            self._validate_if_due(done, stop)
        stopping = workers.any_worker(self.step.strategy, stop.received is not None)
        if stopping or self._rolling_is_due():
            if not epoch_ends:
                self._save(ROLLING, done)
            if stopping:
                log.warning("STOPPED by a signal after step %d; --continue goes on.", done)
                stop.leave()
        self.watch.exclude(time.perf_counter() - start)

    def _write_values(self, done: int, bar: ProgressBar) -> None:
        """One line of the log: means over the steps since the last one."""
        self._check_finite(done)
        means = self.running.take_means()
        rate = self.schedule.rate_at(done - 1)
        times = self.watch.read(self.samples_per_step)
        self.watch.restart()
        means |= {"learning_rate": rate, "weight_decay": self.step.decay_loss()}
        if self.step.loss_scale:
            means["loss_scale"] = float(self.step.loss_scale.scale)
        self.logbook.write_values(done, means, times)
        epoch = self.schedule.epoch_at(done - 1) + 1
        bar.show(epoch, means["total"], times)
        in_epoch = self.schedule.steps_within(done - 1) + 1
        left = (self.schedule.end_step - done) * self.samples_per_step
        left_s = left / max(times["samples_per_second"], 1e-9)
        log.info(
            "epoch %d/%d step %d/%d lr %g loss %.6g%s %.1f samples/s waiting %.1f%% left %s",
            epoch,
            self.schedule.last_epoch,
            in_epoch,
            self.schedule.steps_per_epoch,
            rate,
            means["total"],
            f" accuracy {means['accuracy']:.3f}" if "accuracy" in means else "",
            times["samples_per_second"],
            100 * times["waiting_share"],
            _hours(left_s),
        )

    def _check_finite(self, done: int) -> None:
        first = done - self.running.count + 1
        bad = self.running.first_not_finite("total")
        if bad is None:
            return
        last = self.snapshots.last
        kept = f"the last good snapshot is {last}" if last else "there is no snapshot yet"
        raise FloatingPointError(
            f"The loss is not a finite number at step {first + bad}; {kept}. Lower "
            "train.learning_rate, or set train.clip_norm."
        )

    def _rolling_is_due(self) -> bool:
        minutes = self.run.snapshot_minutes
        return bool(minutes) and time.monotonic() - self._last_snapshot >= 60 * minutes

    def _save(self, number: int | str, done: int) -> None:
        self._check_finite(done)
        self._last_snapshot = time.monotonic()
        if not self.snapshots.writes:
            return
        self.logbook.flush()
        counters = {
            "epoch": self.schedule.epoch_at(done),
            "step": done,
            "steps_per_epoch": self.schedule.steps_per_epoch,
        }
        if self.schedule.steps_ahead:
            counters["steps_ahead"] = self.schedule.steps_ahead
        self.snapshots.write(number, collect_state(self.step, self.running.pending), counters)

    def _draw(self, done: int, batch: Any) -> None:
        """Show the first device's batch in TensorBoard, once a minute at most."""
        now = time.monotonic()
        if self.logbook.folder is None or now - self._last_strip < _STRIP_PAUSE_S:
            return
        self._last_strip = now
        local = {
            name: self.step.strategy.experimental_local_results(value)[0]
            for name, value in batch.items()
        }
        decoded = self.system.decode(self.step.model(local["image"], training=False))
        if "keypoints_px" in decoded:
            strip = draw_strip(
                {name: np.asarray(value) for name, value in local.items()},
                {name: np.asarray(value) for name, value in decoded.items()},
                self.system.skeleton,
            )
            self.logbook.write_strip(done, strip)

    def _goes_on_within_an_epoch(self, done: int) -> bool:
        """Whether the run's snapshot of `done` steps is not that of an epoch.

        Where the batch changed, rounding may count these steps as whole epochs all the same.
        """
        last, folder = self.snapshots.last, self.snapshots.folder
        epoch = snapshot_path(folder, self.schedule.epochs_begun(done))
        return last is not None and last.parent == folder and last != epoch

    def _validate_if_due(self, done: int, stop: StopRequest) -> None:
        """Measure after every so many epochs, unless a run that was killed did so already."""
        epoch, within = self.schedule.epoch_at(done), self.schedule.steps_within(done)
        if within and done == self.schedule.end_step:  # the last epoch, cut short
            epoch, within = epoch + 1, 0
        if self.validate is None or within or epoch % self.run.validate_every_epochs:
            return
        earlier = self.logbook.values_of(_BEST_BY)
        if not self.snapshots.writes or done in earlier:
            return
        average = self.step.average
        with (
            stop.leaving_at_once() if workers.count(self.step.strategy) == 1 else nullcontext(),
            average.in_place_of_weights() if average else nullcontext(),
        ):
            metrics = self.validate(self.step.model)
        text = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        score = float(next(iter(metrics.values())))
        if score > max(earlier.values(), default=float("-inf")):
            self.snapshots.mark_best(epoch)
            text += " (best so far)"
        first = self.run.validation_pictures
        where = f" on the first {first} pictures" if first else ""
        log.info("epoch %d validation%s: %s", epoch, where, text)
        values = {f"validation/{name}": float(value) for name, value in metrics.items()}
        self.logbook.write_values(done, {**values, _BEST_BY: score})


@contextmanager
def explain_device_errors(batch_size: int, strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turn what a device says into one line that names the next step.

    Raises:
        MemoryError: out of device memory.
        ConnectionError: another worker is gone.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        smaller = max(batch_size // 2, 1)
        raise MemoryError(
            f"Out of device memory with train.batch_size={batch_size} per device. "
            f"--set train.batch_size={smaller} train.accumulate_steps=2 keeps the global batch; "
            "train.precision=mixed_bfloat16 needs about half the memory."
        ) from error
    except workers.LOST_PEER_ERRORS as error:
        if workers.count(strategy) == 1:
            raise
        raise ConnectionError(
            "A worker of TF_CONFIG is lost; this one ends too. Start all of them again with "
            "--continue."
        ) from error


def _hours(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
