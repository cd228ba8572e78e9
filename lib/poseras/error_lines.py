"""The last line of a program that cannot go on: one line for wrong input, the trace for a fault."""

from __future__ import annotations

import contextlib
import linecache
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

#: Set to 1, this environment variable shows the trace of every error, above its line.
TRACE_VARIABLE = "POSERAS_TRACEBACK"

_PACKAGE = Path(__file__).resolve().parent
_PROJECT = _PACKAGE.parent.parent
#: Whose `raise` is meant for the user.
_OWN_FOLDERS = (_PACKAGE, _PROJECT / "main", _PROJECT / "tool")
_PLACE = re.compile(r'^ *File "(.+)", line (\d+)', re.MULTILINE)


@contextlib.contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """End a program with exit code 2 and one line on stderr where its input is wrong.

    Those are the errors that a user can mend: each `OSError` (a missing file, no permission, a full
    disk), and each `ValueError` that a `raise` of poseras or of a program made, which says rule,
    value and next step. A `ValueError` of NumPy or Keras tells of a fault in the code, as all other
    errors do: it keeps its trace.

    Args:
        program: its name, which begins the line.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if not isinstance(error, OSError) and not was_raised_by_us(error):
            raise
        print_error(program, error)
        raise SystemExit(2) from error


def print_error(program: str, error: BaseException) -> None:
    """One line on stderr; above it the trace, where `POSERAS_TRACEBACK=1` asks for it."""
    if os.environ.get(TRACE_VARIABLE) == "1":
        traceback.print_exception(error)
    print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)


def was_raised_by_us(error: BaseException) -> bool:
    """Whether the error comes from a `raise` statement of poseras, main or tool.

    The innermost frame alone does not tell: NumPy's compiled functions have none, and Keras takes
    its own frames out of the trace.
    """
    file, line = _origin(error)
    own = any(Path(file).resolve().is_relative_to(folder) for folder in _OWN_FOLDERS)
    return own and linecache.getline(file, line).lstrip().startswith("raise ")


def _origin(error: BaseException) -> tuple[str, int]:
    """File and line of the innermost frame; an error of another process brings its trace as text.

    `concurrent.futures` and `multiprocessing` hang that text to the error as its cause.
    """
    remote = getattr(error.__cause__, "tb", None)
    if isinstance(remote, str):
        file, line = _PLACE.findall(remote)[-1]
        return file, int(line)
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_filename, number
