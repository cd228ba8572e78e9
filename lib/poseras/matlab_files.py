"""MATLAB files of version 4 to 7.2: read by scipy, with one kind of error for all damaged ones."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any


def read_matlab(source: str | Path | bytes) -> dict[str, Any]:
    """The variables of a MATLAB file.

    Args:
        source: path of the file, or what it holds.

    Raises:
        ValueError: it is of another kind, or damaged. The message is scipy's reason alone; the
            caller tells which file it was, and what to do.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(io.BytesIO(source) if isinstance(source, bytes) else source)
    except (
        *(MatReadError, NotImplementedError, zlib.error, OSError, ValueError, TypeError),
        *(LookupError, ArithmeticError, AttributeError, MemoryError),
        UnboundLocalError,  # of scipy's own code, which damage leads where nobody expected it
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error
