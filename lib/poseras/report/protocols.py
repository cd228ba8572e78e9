"""Whether two runs were measured alike: their protocols field by field.

A protocol says two things: how it was measured (pictures, boxes, thresholds, evaluator), which must
be the same where numbers are compared, and what was measured (system, options, snapshot, library
versions), which is what a comparison is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.tester import UNSUPPRESSED_RESCORING
from .runs import Run

#: What was measured, and results that stand among the protocol.
_SUBJECT = (
    "snapshot",
    "snapshot_sha256",
    "averaged_weights",
    "imported",
    "resources",
    "system",
    "skeleton",
    "options",
    "view",
    "versions",
    "evaluation.versions",
)
_RESULTS = (
    "evaluation.per_action_mm",
    "evaluation.per_axis_mm",
    "evaluation.levels_of_the_paper",
    "evaluation.people_found",
)
#: How the names of more results begin, `PCK@0.1 by joint` and its like.
_RESULT_PREFIX = "evaluation.PCK@"
#: Files whose SHA-256 says what they are, wherever they lie.
_HASHED = "_sha256"


@dataclass(frozen=True)
class Difference:
    """A field in which two protocols differ; a value is None where one has no such field.

    Attributes:
        field: dotted name.
        values: of the first and of the second run.
    """

    field: str
    values: tuple[Any, Any]


def list_fields(protocol: Mapping[str, Any], *, subject: bool) -> dict[str, Any]:
    """The leaves of a protocol by their dotted names.

    Args:
        protocol: of a run.
        subject: what was measured, else how.
    """
    leaves = dict(_walk(protocol, ""))
    return {
        name: value
        for name, value in leaves.items()
        if _begins(name, _SUBJECT) == subject
        and not _begins(name, _RESULTS)
        and not name.startswith(_RESULT_PREFIX)
    }


def compare_protocols(first: Run, second: Run, *, subject: bool = False) -> list[Difference]:
    """The fields in which two runs differ.

    Args:
        first: a run.
        second: another run.
        subject: compare what was measured, else how.
    """
    fields = [list_fields(run.protocol, subject=subject) for run in (first, second)]
    names = list(dict.fromkeys([*fields[0], *fields[1]]))
    pairs = [(name, (fields[0].get(name), fields[1].get(name))) for name in names]
    silent = {name.removesuffix(_HASHED) for name in names if name.endswith(_HASHED)}
    if all(field.get("rescoring") in UNSUPPRESSED_RESCORING for field in fields):
        silent.add("oks_nms_threshold")  # nobody went by it, whatever was asked for
    return [
        Difference(name, pair) for name, pair in pairs if pair[0] != pair[1] and name not in silent
    ]


def refuse_differences(first: Run, second: Run) -> None:
    """See that two runs were measured alike.

    Raises:
        ValueError: they were not; the line names each field with both values.
    """
    differences = compare_protocols(first, second)
    if differences:
        listed = "; ".join(
            f"{d.field}: {show_value(d.values[0])} against {show_value(d.values[1])}"
            for d in differences
        )
        raise ValueError(
            f"{first.name} and {second.name} must be measured by the same protocol. They differ in "
            f"{len(differences)} fields: {listed}. Test one of them again, or compare all the same "
            "with --anyway."
        )


def show_value(value: Any) -> str:
    """A value of a protocol as short text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(show_value, value)) or "none"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


def _begins(name: str, roots: Sequence[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
