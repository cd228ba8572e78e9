"""The section of a page about all tests of a run: other epochs, splits, boxes, settings."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.tests_log import read_tests
from .markup import show_number, write_section, write_table
from .protocols import show_value
from .runs import Run
from .sections import HEADLINES

#: Fields that tell tests of a run apart, where they differ.
_FIELDS = ("dataset", "split", "boxes", "detections", "annotations", "pictures", "ensemble_sha256")


def write_tests(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Every test of the runs that have more than one, oldest first; nothing where none has."""
    tables = []
    for run, name in zip(runs, names, strict=True):
        tests = read_tests(run.folder)
        if len(tests) > 1:
            tables.append(_write_table(tests, name if len(runs) > 1 else ""))
    return write_section("tests", "All tests of this run", *tables) if tables else ""


def _write_table(tests: Sequence[Mapping[str, Any]], caption: str) -> str:
    known = dict.fromkeys(title for test in tests for title in test["metrics"])
    titles = [title for title in HEADLINES if title in known] or list(known)[:4]
    numbers = [value for test in tests for value in test["metrics"].values() if value is not None]
    digits = 3 if max(map(abs, numbers), default=0) <= 1 else 1  # shares, or percent and mm
    rows = [
        [
            html.escape(_name_test(test)),
            html.escape(str(test.get("time", ""))[:16].replace("T", " ")),
            *(show_number(test["metrics"].get(title), digits=digits) for title in titles),
            html.escape(changes),
        ]
        for test, changes in zip(tests, _list_differences(tests), strict=True)
    ]
    header = ["snapshot", "time (UTC)", *titles, "what differs among the tests"]
    return write_table(header, rows, caption=caption)


def _name_test(test: Mapping[str, Any]) -> str:
    epoch = test.get("epoch")
    return f"epoch {epoch}" if epoch else str(test.get("snapshot", "")).rpartition("/")[2]


def _list_differences(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each test the fields and settings in which not all of them are alike."""
    flat: list[dict[str, Any]] = []
    for test in tests:
        told = test.get("settings")
        fields = {name: test[name] for name in _FIELDS if name in test}
        flat.append({**(told if isinstance(told, dict) else {}), **fields})
    names = dict.fromkeys(name for values in flat for name in values)
    differing = [
        name for name in names if len({json.dumps(v.get(name), sort_keys=True) for v in flat}) > 1
    ]
    return [
        ", ".join(f"{name} {show_value(values[name])}" for name in differing if name in values)
        for values in flat
    ]
