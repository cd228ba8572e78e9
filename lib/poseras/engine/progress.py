"""Progress bars of everything but training: live on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

#: Seconds between two lines where the output is no terminal; shorter work writes none at all.
LOG_INTERVAL_S = 30
LOG_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]\n"


def progress_bar(iterable: Iterable[Any] | None = None, **settings: Any) -> tqdm[Any]:
    """A bar of tqdm, on standard error.

    Args:
        iterable: what to go through, if the bar is to do that.
        **settings: tqdm's own, such as `total`, `unit` and `desc`.

    Returns:
        The bar. Where standard error goes to a file or a pipe, it writes a line each
        `LOG_INTERVAL_S`, so that a night's log stays readable.
    """
    if sys.stderr.isatty():
        return tqdm(iterable, dynamic_ncols=True, **settings)
    return tqdm(
        iterable,
        delay=LOG_INTERVAL_S,
        mininterval=LOG_INTERVAL_S,
        maxinterval=LOG_INTERVAL_S,
        bar_format=LOG_LINE,
        **settings,
    )
