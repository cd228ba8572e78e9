"""All tests of a run, one line each in `tests.jsonl`: a table over epochs, boxes and splits.

`metrics.json` beside it holds the latest test alone, with its whole protocol.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

TESTS_NAME = "tests.jsonl"

_NUMBERED = re.compile(r"snapshot_(\d+)\b")
#: What a line repeats of the protocol, where that has it.
_FROM_PROTOCOL = (
    *("snapshot", "snapshot_sha256", "ensemble_sha256", "dataset", "split", "annotations"),
    *("boxes", "detections", "flip_test", "scales", "pictures", "tracking"),
)


def append_test(
    folder: Path,
    metrics: Mapping[str, float],
    protocol: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Add a test to `tests.jsonl`.

    The line goes to the file in one piece, so that tests that end at the same time do not mix; what
    a killed one left unfinished is closed first.

    Args:
        folder: of the results of a run; it is there.
        metrics: the numbers by name; those that are not finite become null.
        protocol: how they came about, of which the line repeats the most important fields.
        settings: that differ from their defaults, flat.
    """
    number = _NUMBERED.match(Path(str(protocol.get("snapshot", ""))).name)
    line = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "epoch": int(number[1]) if number else None,
        **{name: protocol[name] for name in _FROM_PROTOCOL if name in protocol},
        "metrics": {name: float(value) for name, value in metrics.items()},
        "settings": dict(settings),
    }
    path = folder / TESTS_NAME
    begin = b"\n" if _is_unfinished(path) else b""
    with path.open("ab", buffering=0) as file:
        file.write(begin + msgspec.json.encode(line) + b"\n")


def _is_unfinished(path: Path) -> bool:
    """Whether the last line of a file lacks its end."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() != b"\n"


def read_tests(folder: Path) -> list[dict[str, Any]]:
    """The tests of a run, oldest first, but for lines that a killed test left unfinished.

    Returns:
        As `append_test` writes them; none where there is no such file.
    """
    path = folder / TESTS_NAME
    tests = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            test = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if _is_test(test):
            tests.append(test)
    return tests


def _is_test(line: Any) -> bool:
    """Whether a line has metrics, each a number or null."""
    metrics = line.get("metrics") if isinstance(line, dict) else None
    return isinstance(metrics, dict) and all(
        isinstance(value, int | float | None) for value in metrics.values()
    )
