"""SIGTERM and Ctrl-C: finish the step, write a snapshot, leave.

A preempted machine gets some tens of seconds between SIGTERM and SIGKILL. A second signal ends the
program at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """Listens for SIGTERM and SIGINT while its block runs; must be used in the main thread.

    Attributes:
        received: the number of the signal, None while there was none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._immediate = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received = number
        self._restore()
        if self._immediate:
            self.leave()

    @contextmanager
    def leaving_at_once(self) -> Iterator[None]:
        """For a block in which nothing can be lost: a signal ends the program there and then."""
        if self.received:
            self.leave()
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def leave(self) -> None:
        """End the program with the exit code of the signal: 143 for SIGTERM, 130 for Ctrl-C."""
        raise SystemExit(128 + (self.received or signal.SIGTERM))
