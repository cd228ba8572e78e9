"""The sections of a page about poses in space: errors of actions and joints, people to turn."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..metrics.mpjpe import AUC_THRESHOLDS_MM, PCK_MM
from .charts import Axis, Line, draw_legend, draw_lines
from .markup import (
    show_number,
    write_meters,
    write_pictures,
    write_section,
    write_table,
    write_text,
)
from .pictures import choose_median, choose_worst
from .runs import Run
from .sections import PICTURES, RUN_COLOURS
from .space import SpacePoses, choose_shown, find_paths, show_people, trace_pck, write_view

_PERCENT = Axis("joints within, %", (0.0, 20.0, 40.0, 60.0, 80.0, 100.0), ".0f")
_MILLIMETRES = Axis("distance, mm", (0.0, 25.0, 50.0, 75.0, 100.0, 125.0, PCK_MM), ".0f")


def write_space_errors(
    spaces: Sequence[SpacePoses], names: Sequence[str], runs: Sequence[Run]
) -> str:
    """MPJPE per action and per joint, and the share of joints within a distance."""
    lines = [
        Line(name, trace_pck(space.evaluation.errors_mm, AUC_THRESHOLDS_MM), colour)
        for space, name, colour in zip(spaces, names, RUN_COLOURS, strict=False)
    ]
    chart = draw_lines(lines, _MILLIMETRES, _PERCENT)
    legend = draw_legend([(line.name, line.colour) for line in lines]) if len(lines) > 1 else ""
    curve = f"<div><h3>3DPCK over the distance</h3>{chart}{legend}</div>"
    errors = [space.evaluation.per_joint() for space in spaces]
    meters = write_meters("Mean error, mm", errors, names, RUN_COLOURS)
    return write_section(
        "space",
        "Errors in space",
        _tabulate_actions(runs, names),
        _tabulate_axes(runs, names),
        f'<div class="charts">{curve}{meters}</div>',
    )


def _tabulate_actions(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Both errors of each action, laid out as in the published tables; empty without actions."""
    tables = []
    for measure in ("MPJPE", "PA-MPJPE"):
        errors = [
            run.protocol.get("evaluation", {}).get("per_action_mm", {}).get(measure, {})
            for run in runs
        ]
        actions = list(dict.fromkeys(action for values in errors for action in values))
        rows = [
            [
                html.escape(name),
                *(show_number(values.get(action), digits=1) for action in actions),
                show_number(run.metrics.get(measure), digits=1),
            ]
            for name, run, values in zip(names, runs, errors, strict=True)
        ]
        if actions:
            header = [f"{measure}, mm", *actions, "Avg"]
            tables.append(write_table(header, rows, kind="numbers"))
    return "".join(tables)


def _tabulate_axes(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The mean error along each axis of the camera; empty where the test did not write it."""
    errors = [run.protocol.get("evaluation", {}).get("per_axis_mm") for run in runs]
    if not all(errors):
        return ""
    rows = [
        [html.escape(name), *(show_number(values.get(axis), digits=1) for axis in "xyz")]
        for name, values in zip(names, errors, strict=True)
    ]
    header = ["Mean error along, mm", "x, right", "y, down", "z, depth"]
    return write_table(header, rows, kind="numbers")


def write_space_examples(
    spaces: Sequence[SpacePoses], names: Sequence[str], runs: Sequence[Run], root: Path
) -> str:
    """The worst and the median people, and all of them to be turned."""
    parts = []
    common = [spaces] if _same_people(spaces) else [[space] for space in spaces]
    for number, group in enumerate(common):
        titles = list(names) if len(group) == len(spaces) else [names[number]]
        prefix = f"{titles[0]}: " if len(common) > 1 else ""
        parts += _show_group(group, titles, prefix, runs[number], root)
    shown = choose_shown(spaces[0])
    order = "from the worst to the best"
    frames = [
        f'<iframe title="{html.escape(name)}" srcdoc="'
        f'{html.escape(write_view(s, name, shown if _same_people(spaces) else choose_shown(s)))}">'
        "</iframe>"
        for s, name in zip(spaces, names, strict=True)
    ]
    parts.append(f"<h3>Poses to turn</h3>{write_text(f'Up to {len(shown)} people, {order}.')}")
    parts.append(f'<div class="beside">{"".join(frames)}</div>')
    return write_section("pictures", "People in space", *parts)


def _same_people(spaces: Sequence[SpacePoses]) -> bool:
    ids = [space.annotation_ids for space in spaces]
    return all(np.array_equal(ids[0], other) for other in ids[1:])


def _show_group(
    spaces: Sequence[SpacePoses], names: Sequence[str], prefix: str, run: Run, root: Path
) -> list[str]:
    errors, count = np.mean([space.errors_mm for space in spaces], axis=0), PICTURES // len(spaces)
    worst = choose_worst(-errors, count)
    median = choose_median(errors, count, worst)
    ids = spaces[0].annotation_ids
    chosen = {spaces[0].people[place]["image_id"] for place in [*worst, *median]}
    paths = find_paths(run, root, chosen)
    parts = []
    for title, places in (("Worst", worst), ("Median", median)):
        if len(places):
            pictures = show_people(spaces, names, ids[places].tolist(), paths)
            parts.append(f"<h3>{html.escape(prefix + title)}</h3>{write_pictures(pictures)}")
    return parts
