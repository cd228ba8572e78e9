"""Writing results in a thread of their own while the next ones are made; see `read_ahead`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def write_behind(
    write: Callable[[Item], None], *, depth: int = 16
) -> Iterator[Callable[[Item], None]]:
    """Let a thread write items, one after the other in their order.

    Args:
        write: called with each item in the other thread.
        depth: how many may wait; who hands over one more waits for the first of them.

    Yields:
        A function that hands over an item. It raises what an earlier `write` raised. When the block
        ends everything is written; when it ends by an error, what waits is dropped.
    """
    waiting: deque[Future[None]] = deque()
    pool = ThreadPoolExecutor(1, thread_name_prefix="write_behind")

    def hand_over(item: Item) -> None:
        while len(waiting) >= depth or (waiting and waiting[0].done()):
            waiting.popleft().result()
        waiting.append(pool.submit(write, item))

    try:
        yield hand_over
        while waiting:
            waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
