"""The values of the steps since the last line of the log."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class RunningValues:
    """Collects scalars that a device may still be computing, and reads them together.

    Reading a value waits for the device, so nothing is read between two lines of the log. What is
    pending goes into snapshots, so that a mean over steps before and after a restart is exact.
    """

    def __init__(self) -> None:
        self._read: dict[str, list[float]] = {}
        self._unread: list[Mapping[str, tf.Tensor]] = []

    def add(self, values: Mapping[str, tf.Tensor]) -> None:
        """Note the values of one step."""
        self._unread.append(values)

    @property
    def pending(self) -> dict[str, list[float]]:
        """Name to one number for each step since the last line; waits for the device."""
        for values in self._unread:
            for name, value in values.items():
                self._read.setdefault(name, []).append(float(value))
        self._unread = []
        return {name: list(numbers) for name, numbers in self._read.items()}

    @pending.setter
    def pending(self, values: Mapping[str, list[float]]) -> None:
        self._read = {name: list(numbers) for name, numbers in values.items()}
        self._unread = []

    @property
    def count(self) -> int:
        """The number of steps that are pending."""
        return max((len(numbers) for numbers in self.pending.values()), default=0)

    def first_not_finite(self, name: str) -> int | None:
        """The place of the first pending value that is NaN or infinite, or None."""
        bad = ~np.isfinite(self.pending.get(name, []))
        return int(np.argmax(bad)) if bad.any() else None

    def take_means(self) -> dict[str, float]:
        """Means over the pending steps, which are then forgotten.

        Values that are not finite are left out (with float16, the gradient norm of a skipped
        update is one); a value without any finite number is left out altogether.
        """
        means = {}
        for name, numbers in self.pending.items():
            finite = [number for number in numbers if np.isfinite(number)]
            if finite:
                means[name] = float(np.mean(finite))
        self.pending = {}
        return means
