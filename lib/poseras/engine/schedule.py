"""The learning rate as a pure function of the step, and the arithmetic of epochs.

A *step* is one update of the weights; steps count from 0, epochs too, and epoch e is the steps
e * steps_per_epoch to (e + 1) * steps_per_epoch - 1, less `steps_ahead`. Nothing else is stored, so
nothing else can be stale after a resume.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from ..check import check_at_least, check_positive


@dataclass(frozen=True)
class Schedule:
    """A learning rate for every step of a training run.

    Attributes:
        steps_per_epoch: updates in one epoch, at least 1.
        end_epoch: number of epochs; the last step is steps_per_epoch * end_epoch - 1, less
            `steps_ahead`.
        learning_rate: of the first epochs.
        decay_epochs: ascending; the first step of each such epoch already has the lower rate.
        decay_factor: what each of them divides by.
        decay_factors: instead, the share of the first learning rate from each of them on; it may
            rise again.
        decay_steps: the first steps of each new rate, in the place of `decay_epochs`.
        total_steps: of the run, in the place of `end_epoch`; 0 takes that.
        schedule: `step` as above; `cosine` falls from the first to the last step of the run as
            half a cosine wave (Loshchilov and Hutter, ICLR 2017), whatever the decay epochs.
        flat_fraction: of the run that passes before the wave begins, RTMPose's flat first half.
        final_fraction: of the learning rate that the cosine ends at.
        warmup_steps: over which the rate rises linearly, before either of them; 0 is none.
        steps_ahead: what is added to steps where epochs are counted. Not 0 in a run that went on
            with epochs of another length: what is said in epochs then goes on at the same part of
            the data, while what is said in steps stays a number of updates.

    Raises:
        ValueError: a value breaks a rule; the message names the setting, `train.decay_steps`.

    Source: the steps are those of Simple Baselines, Xiao et al., ECCV 2018. In the authors'
    TensorFlow code the last iteration of an epoch already belonged to the next one; here it does
    not.
    """

    steps_per_epoch: int
    end_epoch: int = 140
    learning_rate: float = 5e-4
    decay_epochs: tuple[int, ...] = (90, 120)
    decay_factor: float = 10.0
    decay_factors: tuple[float, ...] = ()
    decay_steps: tuple[int, ...] = ()
    total_steps: int = 0
    schedule: Literal["step", "cosine"] = "step"
    flat_fraction: float = 0.0
    final_fraction: float = 0.0
    warmup_steps: int = 0
    steps_ahead: int = 0

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise ValueError(
                f"steps_per_epoch must be at least 1. Received {self.steps_per_epoch}."
            )
        check_at_least("train", self, 1, "end_epoch")
        check_at_least("train", self, 0, "total_steps warmup_steps")
        check_positive(self, "learning_rate decay_factor", "train")
        self._check_changes()
        self._check_cosine()

    def _check_changes(self) -> None:
        for name in ("decay_epochs", "decay_steps"):
            changes = getattr(self, name)
            if list(changes) != sorted(set(changes)) or min(changes, default=0) < 0:
                raise ValueError(
                    f"train.{name} must ascend from 0 on and name each of them once. "
                    f"Received {list(changes)}."
                )
        kind = "decay_steps" if self.decay_steps else "decay_epochs"
        count = len(getattr(self, kind))
        if self.decay_factors and len(self.decay_factors) != count:
            raise ValueError(
                f"train.decay_factors must have one share for each of {count} {kind}, or none at "
                f"all. Received {list(self.decay_factors)}."
            )
        if min(self.decay_factors, default=1) <= 0:
            raise ValueError(
                f"train.decay_factors must be positive. Received {list(self.decay_factors)}."
            )

    def _check_cosine(self) -> None:
        if not 0 <= self.final_fraction <= 1:
            raise ValueError(
                f"train.final_fraction must be in 0..1. Received {self.final_fraction}."
            )
        if not 0 <= self.flat_fraction < 1:
            raise ValueError(
                f"train.flat_fraction must be at least 0 and below 1. "
                f"Received {self.flat_fraction}."
            )
        if self.flat_fraction and self.schedule != "cosine":
            raise ValueError(
                f"train.flat_fraction is for the schedule cosine. Received {self.flat_fraction} "
                f"with {self.schedule}, whose decay epochs say how long the rate stays."
            )

    @property
    def end_step(self) -> int:
        """The number of steps of the whole run."""
        return self.total_steps or self.steps_per_epoch * self.end_epoch - self.steps_ahead

    @property
    def last_epoch(self) -> int:
        """The epoch in which the run ends, counted from 1."""
        return self.epochs_begun(self.end_step)

    def place_of(self, step: int) -> int:
        """How many steps of the present length the data takes that `step` steps have seen."""
        return step + self.steps_ahead

    def epoch_at(self, step: int) -> int:
        """The epoch that a step belongs to, counted from 0."""
        return self.place_of(step) // self.steps_per_epoch

    def epochs_begun(self, done: int) -> int:
        """How many epochs `done` steps have begun, the last of which may be over."""
        return -(-self.place_of(done) // self.steps_per_epoch)

    def steps_within(self, done: int) -> int:
        """How many steps of an epoch were made after `done` steps, 0 between two epochs."""
        return self.place_of(done) % self.steps_per_epoch

    def rate_in_epoch(self, epoch: int) -> float:
        """Learning rate / decay_factor ** (number of decay epochs up to this one), or its share."""
        return self._rate_after(bisect_right(self.decay_epochs, epoch))

    def _rate_after(self, passed: int) -> float:
        """The learning rate when some of its changes are over."""
        if self.decay_factors:
            return self.learning_rate * (self.decay_factors[passed - 1] if passed else 1.0)
        return self.learning_rate / self.decay_factor**passed

    def rate_at(self, step: int) -> float:
        """The learning rate of the update that step makes."""
        warmth = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "step" and self.decay_steps:
            return warmth * self._rate_after(bisect_right(self.decay_steps, step))
        if self.schedule == "step":
            return warmth * self.rate_in_epoch(self.epoch_at(step))
        place, end = step, self.total_steps
        if not end:  # the share of the epochs, not of the updates, is over
            place, end = self.place_of(step), self.steps_per_epoch * self.end_epoch
        begin = self.flat_fraction * end
        angle = math.pi * max(place - begin, 0.0) / (end - begin)
        wave = 0.5 * (1 + math.cos(angle))
        return (
            warmth * self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * wave)
        )


def count_steps_per_epoch(samples: int, samples_per_step: int) -> int:
    """The steps after which every sample was seen about once: samples / step, rounded up.

    Raises:
        ValueError: there is no sample.
    """
    if samples < 1:
        raise ValueError(
            "The training set must hold at least one sample. Received none; check data.trainset "
            "and what its annotations keep after filtering."
        )
    return math.ceil(samples / samples_per_step)
