"""Which fields must be the same where two runs are compared."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from poseras.engine.pck_results import score_people as evaluate_people
from poseras.engine.tester import RESCORING
from poseras.report.protocols import (
    Difference,
    compare_protocols,
    list_fields,
    refuse_differences,
    show_value,
)
from poseras.report.runs import Run
from poseras.structures import ImageTable, People


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


@pytest.mark.parametrize(("rule", "told"), [("mpii", 0), ("human36m", 0), ("coco", 1)])
def test_the_threshold_of_oks_nms_counts_where_somebody_goes_by_it(rule, told):
    runs = [make_run(f"{t}", rescoring=RESCORING[rule], oks_nms_threshold=t) for t in (0.9, 0.0)]
    assert len(compare_protocols(*runs)) == told
    other = make_run("c", rescoring=RESCORING["coco"], oks_nms_threshold=0.9)
    named = [difference.field for difference in compare_protocols(runs[1], other)]
    assert "oks_nms_threshold" in named


def test_how_well_people_were_found_is_no_difference_in_the_protocol():
    def score(shift):
        people = People(points + shift, np.ones((1, 2)), np.ones(1))
        return evaluate_people({7: people} if shift < 100 else {}, table).protocol()

    images = ImageTable(np.array([7]), ("a.jpg",), np.zeros((1, 2), int))
    points = np.array([[[0.0, 0], [50, 90]]])
    table = SimpleNamespace(
        keypoints=np.dstack([points, np.full((1, 2), 2)]),
        iscrowd=np.zeros(1, bool),
        annotation_ids=np.array([3]),
        image_index=np.array([0]),
        images=images,
    )
    protocols = [score(shift) for shift in (0, 30, 200)]
    assert protocols[0] != protocols[1] and protocols[1] != protocols[2]
    first, *others = [make_run(f"{i}", evaluation=p) for i, p in enumerate(protocols)]
    assert [compare_protocols(first, other) for other in others] == [[], []]
    kept = list_fields(first.protocol, subject=False)
    assert all(f"evaluation.{name}" in kept for name in ("threshold", "matching", "people_scored"))


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
