"""Which sample stands at which position of an endless training run.

Position p (from 0) lies in pass p // N over N samples, at place p % N of that pass' permutation.
Step s of `devices` devices takes `devices * batch_size` positions in a row, each device its own
contiguous block of them. So a run is resumed by its step number alone, and the number of devices
changes who reads a sample, not which samples a step of the same global batch reads.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

#: How several data sets make one stream, see `Mixture`.
Mixing = Literal["joined", "even", "published"]


@dataclass(frozen=True)
class Order:
    """The order of training samples, a function of the seed.

    Attributes:
        samples: how many there are.
        seed: of the run.
    """

    samples: int
    seed: int

    def rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The samples at some positions.

        Args:
            positions: (positions,) int64, from 0 without an end.

        Returns:
            passes: (positions,) int64, how often the data had been gone through before.
            rows: (positions,) int64, which sample.
        """
        passes, places = np.divmod(np.asarray(positions, np.int64), self.samples)
        rows = np.empty_like(places)
        for number in np.unique(passes):
            here = passes == number
            rows[here] = _permutation(self.samples, self.seed, int(number))[places[here]]
        return passes, rows

    def next_positions(self, positions: np.ndarray) -> np.ndarray:
        """(positions,): the following place of the same pass; the last is followed by the first."""
        passes, places = np.divmod(np.asarray(positions, np.int64), self.samples)
        return passes * self.samples + (places + 1) % self.samples


@dataclass(frozen=True)
class Mixture:
    """The order of training samples of several data sets whose records stand one after another.

    With `even`, position p belongs to data set p % K of K, so that every batch of a multiple of K
    holds equally many of each; each data set is gone through in passes of its own. With `published`
    a pass has K times the largest set; index i of it is item i % largest, modulo the set's own
    length, of set i // largest, and one shuffle mixes all: equally many in expectation, as in
    Moon's PyTorch code. An epoch has K times the largest set under both.

    Attributes:
        parts: records of each data set.
        seed: of the run.
        mixing: `even` or `published`.
    """

    parts: tuple[int, ...]
    seed: int
    mixing: Mixing = "even"

    def __post_init__(self) -> None:
        if not self.parts or min(self.parts) < 1:
            raise ValueError(
                "Every data set of a mixture must have people to learn from. "
                f"Received {self.parts}; look into what the log says was left out."
            )
        if self.mixing not in ("even", "published"):
            raise ValueError(f"mixing must be even or published. Received {self.mixing!r}.")

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return len(self.parts) * max(self.parts)

    def rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `Order.rows`; passes count how often the sample's own data set was gone through."""
        positions = np.asarray(positions, np.int64)
        if self.mixing == "published":
            return self._published_rows(positions)
        first_rows = np.concatenate([[0], np.cumsum(self.parts)[:-1]])
        places, sets = np.divmod(positions, len(self.parts))
        passes, rows = np.empty_like(places), np.empty_like(places)
        for part in np.unique(sets):
            here = sets == part
            # A shuffle of its own for each data set, also for those of equal length.
            order = Order(self.parts[part], self.seed + (int(part) << 32))
            passes[here], own = order.rows(places[here])
            rows[here] = own + first_rows[part]
        return passes, rows

    def _published_rows(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        passes, indices = Order(self.samples, self.seed).rows(positions)
        sets, items = locate_items(indices, self.parts)
        lengths = np.array(self.parts, np.int64)[sets]
        first_rows = np.cumsum(self.parts) - self.parts
        # A small set is repeated within a pass; each time counts, so that no draw repeats.
        longest = max(self.parts)
        repeats = -(-longest // min(self.parts))
        return (
            passes * repeats + indices % longest // lengths,
            first_rows[sets] + items,
        )

    def next_positions(self, positions: np.ndarray) -> np.ndarray:
        """(positions,): the next place of the same data set, or of the same pass."""
        step = len(self.parts) if self.mixing == "even" else 1
        return np.asarray(positions, np.int64) + step


def mix(parts: Sequence[Sized], seed: int, mixing: Mixing) -> Mixture | None:
    """The mixture of some data sets; None where all are shuffled together, or there is only one."""
    if mixing == "joined" or len(parts) == 1:
        return None
    return Mixture(tuple(len(part) for part in parts), seed, mixing)


def locate_items(indices: np.ndarray, parts: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Which item of which data set an index of a `published` mixture is.

    Args:
        indices: (indices,) int64, from 0 to K times the largest length.
        parts: lengths of the K data sets.

    Returns:
        (indices,) numbers of data sets and (indices,) items, both int64.

    Source: Moon's PyTorch code of Integral Human Pose Regression.
    """
    longest = max(parts)
    sets, places = np.divmod(np.asarray(indices, np.int64), longest)
    return sets, places % np.array(parts, np.int64)[sets]


@lru_cache(maxsize=8)
def _permutation(samples: int, seed: int, number: int) -> np.ndarray:
    """(samples,) int64; kept, because every batch of a pass needs it."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, number], np.uint64)
    permutation = np.random.Generator(np.random.Philox(key=key)).permutation(samples)
    permutation.flags.writeable = False
    return permutation


def check_batch_fits(samples: int, batch_size: int, devices: int) -> None:
    """Refuse a training step that would need a sample twice.

    Raises:
        ValueError: no samples at all, or a global batch larger than the data set.
    """
    if batch_size < 1 or devices < 1:
        raise ValueError(
            f"batch_size and devices must be positive. Received {batch_size} and {devices}."
        )
    if samples == 0:
        raise ValueError(
            "Training needs at least one labelled person. Received none: every annotation was "
            "filtered out; check data.trainset and its annotation file."
        )
    if batch_size * devices > samples:
        raise ValueError(
            f"The global batch must not be larger than the training set of {samples} samples. "
            f"Received {batch_size} per device on {devices} device(s) = {batch_size * devices}; "
            f"--set train.batch_size={max(1, samples // devices)} fits."
        )


def training_positions(
    number: int, *, batch_size: int, devices: int, first_device: int, local_devices: int
) -> np.ndarray:
    """The positions of one device's batch in the stream of a process.

    A process that feeds devices `first_device` to `first_device + local_devices - 1` gets their
    batches of one step after another, step by step.

    Args:
        number: of the batch in that stream, counted from step 0.
        batch_size: per device.
        devices: of all processes.
        first_device: of this process.
        local_devices: of this process.

    Returns:
        (batch_size,) int64.
    """
    step, device = divmod(number, local_devices)
    first = (step * devices + first_device + device) * batch_size
    return np.arange(first, first + batch_size, dtype=np.int64)
