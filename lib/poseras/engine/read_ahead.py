"""Asking for the next batch while the step before it runs.

To take a batch out of tf.data costs about half a millisecond, and the wait for Python's lock when
workers are busy another one. A thread that asks ahead hides both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()


@contextmanager
def read_ahead(items: Iterable[Item], *, depth: int = 2) -> Iterator[Iterator[Item]]:
    """Let a thread fetch items before they are asked for.

    Args:
        items: batches, or anything that may be iterated in another thread.
        depth: how many are kept ready.

    Yields:
        An iterator of the same items in the same order. An error of `items` is raised where the
        item would have come. When the block is left, the thread ends with the item it is at.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="read_ahead")
    try:
        yield _take(iter(items), pool, depth)
    finally:
        pool.shutdown(cancel_futures=True)


def _take(source: Iterator[Item], pool: ThreadPoolExecutor, depth: int) -> Iterator[Item]:
    asked: deque[Future[Any]] = deque(pool.submit(next, source, _END) for _ in range(depth))
    while (item := asked.popleft().result()) is not _END:
        asked.append(pool.submit(next, source, _END))
        yield item
