"""Bad samples: the errors that stop a run, in their own words, and the samples that were skipped.

tf.data wraps an exception of a worker in an account of its own that runs over many lines. The log
keeps the original beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import tensorflow as tf


@dataclass
class SampleLog:
    """What happened to bad samples: the errors that stopped a run, the samples that were skipped.

    `original_errors` raises the original error where the batches are taken:

        log = SampleLog()
        batches = build_inference_batches(records, view, batch_size=32, log=log)
        with log.original_errors():
            for batch in batches: ...

    Attributes:
        skipped: message by row of the record, of all samples that were left out so far.
    """

    skipped: dict[int, str] = field(default_factory=dict)
    _errors: dict[int, Exception] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def skip(self, row: int, error: Exception) -> None:
        """Note a sample that is left out; once, however often it comes up again."""
        with self._lock:
            self.skipped.setdefault(row, str(error))

    def stop(self, number: int, error: Exception) -> None:
        """Note the error that ends batch `number`."""
        with self._lock:
            self._errors[number] = error

    @contextmanager
    def original_errors(self) -> Iterator[None]:
        """Raise the error of a worker as it was, instead of tf.data's account of it."""
        try:
            yield
        except tf.errors.OpError:
            with self._lock:
                earlier = sorted(self._errors.items())
            if earlier:  # batches come in order, so the first that failed is the one asked for
                raise earlier[0][1] from None
            raise

    def summary(self) -> str:
        """One line for the log: how many samples were skipped, and the first few reasons."""
        with self._lock:
            reasons = [self.skipped[row] for row in sorted(self.skipped)]
        if not reasons:
            return "No sample was skipped."
        shown = " | ".join(reasons[:5])
        more = f" | and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        return f"Skipped {len(reasons)} bad sample(s): {shown}{more}"
