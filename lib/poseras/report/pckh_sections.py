"""The sections of a page about MPII: PCKh over the distance, of each joint, and pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from .charts import Axis, Line, draw_legend, draw_lines, mix_ramp
from .markup import write_meters, write_pictures, write_section, write_text
from .pckh import PckhPoses, score_pictures, show_people
from .pictures import choose_median, choose_worst
from .sections import PICTURES, RUN_COLOURS

_PERCENT = Axis("PCKh, %", (0.0, 20.0, 40.0, 60.0, 80.0, 100.0), ".0f")
_HEADS = Axis("distance, head sizes", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), ".1f")


def write_pckh(every: Sequence[PckhPoses], names: Sequence[str]) -> str:
    """PCKh over the distance (of one run for each group of joints) and at 0.5 for each joint."""
    lines = _trace_groups(every[0]) if len(every) == 1 else _trace_means(every, names)
    chart = draw_lines(lines, _HEADS, _PERCENT)
    legend = draw_legend([(line.name, line.colour) for line in lines])
    curve = f"<div><h3>Over the distance</h3>{chart}{legend}</div>"
    joints = [poses.evaluation.per_joint() for poses in every]
    meters = write_meters("PCKh@0.5, %", joints, names, RUN_COLOURS)
    return write_section("pckh", "Joints", f'<div class="charts">{curve}{meters}</div>')


def _tabulate(poses: PckhPoses) -> list[dict[str, float]]:
    """Head, Shoulder, ..., Mean at each distance."""
    return [poses.evaluation.table(float(limit)) for limit in poses.evaluation.thresholds]


def _trace_groups(poses: PckhPoses) -> list[Line]:
    tables, limits = _tabulate(poses), poses.evaluation.thresholds
    groups = [name for name, value in tables[-1].items() if not np.isnan(value)]
    return [
        Line(name, np.stack([limits, [table[name] for table in tables]], axis=-1), colour)
        for name, colour in zip(groups, mix_ramp(len(groups)), strict=True)
    ]


def _trace_means(every: Sequence[PckhPoses], names: Sequence[str]) -> list[Line]:
    means = [[table["Mean"] for table in _tabulate(poses)] for poses in every]
    return [
        Line(f"{name}, mean", np.stack([poses.evaluation.thresholds, mean], axis=-1), colour)
        for poses, name, mean, colour in zip(every, names, means, RUN_COLOURS, strict=False)
    ]


def write_pckh_examples(every: Sequence[PckhPoses], names: Sequence[str]) -> str:
    """The worst and the median pictures, chosen by the mean of PCKh from 0 to 0.5."""
    ids = [poses.table.annotation_ids for poses in every]
    together = all(np.array_equal(ids[0], other) for other in ids[1:])
    parts = []
    if together:
        parts = _show_group(every, names, "")
    else:
        for poses, name in zip(every, names, strict=True):
            parts += _show_group([poses], [name], f"{name}: ")
    text = write_text(
        "Cut to their people, and chosen by PCKh of all their joints, its mean from 0 to 0.5 head "
        "sizes. People that were not looked for count as wrong."
    )
    return write_section("pictures", "Pictures", text, *parts)


def _show_group(every: Sequence[PckhPoses], names: Sequence[str], prefix: str) -> list[str]:
    image_ids = score_pictures(every[0])[0]
    scores = np.mean([score_pictures(poses)[2] for poses in every], axis=0)
    count = PICTURES // len(every)
    worst = choose_worst(scores, count)
    parts = []
    for title, places in (("Worst", worst), ("Median", choose_median(scores, count, worst))):
        if len(places):
            pictures = show_people(every, names, image_ids[places].tolist())
            parts.append(f"<h3>{html.escape(prefix + title)}</h3>{write_pictures(pictures)}")
    return parts
