"""Which fields must be the same where two runs are compared."""

from pathlib import Path

import pytest

from poseras.report.protocols import (
    Difference,
    compare_protocols,
    list_fields,
    refuse_differences,
    show_value,
)
from poseras.report.runs import Run


def make_run(name, **protocol):
    return Run(Path(name), f"Made/{name}", {}, protocol)


def test_what_was_measured_is_told_from_how():
    protocol = {
        "boxes": "annotated",
        "system": "simple_baselines",
        "options": {"depth": 50, "head": {"filters": [1, 2]}},
        "evaluation": {
            "evaluator": "fast",
            "versions": {"numpy": "2"},
            "per_action_mm": {"MPJPE": {"Eat": 3.0}},
            "per_axis_mm": {"x": 1.0},
        },
    }
    how = list_fields(protocol, subject=False)
    what = list_fields(protocol, subject=True)
    assert how == {"boxes": "annotated", "evaluation.evaluator": "fast"}
    assert what == {
        "system": "simple_baselines",
        "options.depth": 50,
        "options.head.filters": [1, 2],
        "evaluation.versions.numpy": "2",
    }


def test_other_snapshots_and_options_are_no_difference_in_the_protocol():
    first = make_run("a", boxes="annotated", snapshot="s1", options={"depth": 18})
    second = make_run("b", boxes="annotated", snapshot="s2", options={"depth": 50})
    assert compare_protocols(first, second) == []
    refuse_differences(first, second)
    named = [d.field for d in compare_protocols(first, second, subject=True)]
    assert named == ["snapshot", "options.depth"]


def test_a_file_is_known_by_its_hash_not_by_its_place():
    first = make_run("a", annotations="here.json", annotations_sha256="1")
    moved = make_run("b", annotations="there.json", annotations_sha256="1")
    changed = make_run("c", annotations="here.json", annotations_sha256="2")
    assert compare_protocols(first, moved) == []
    assert compare_protocols(first, changed) == [Difference("annotations_sha256", ("1", "2"))]


def test_different_protocols_are_refused_field_by_field():
    first = make_run("a", flip_test=True, split="val", evaluation={"thresholds": [0.5, 0.75]})
    second = make_run("b", flip_test=False, split="val", scales=[1.0])
    message = (
        "Made/a and Made/b must be measured by the same protocol. They differ in 3 fields: "
        "flip_test: yes against no; evaluation.thresholds: 0.5, 0.75 against none; scales: none "
        "against 1. Test one of them again, or compare all the same with --anyway."
    )
    with pytest.raises(ValueError) as caught:
        refuse_differences(first, second)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (False, "no"), (0.1 + 0.2, "0.3"), ([], "none"), ("a" * 64, "a" * 12 + "…")],
)
def test_values_are_shown_short(value, text):
    assert show_value(value) == text
