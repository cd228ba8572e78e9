"""The sections of a page about the people of one or two runs: numbers, curves, errors, groups."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from ..metrics.keypoint_errors import KINDS
from .analysis import Analysis, Group, score_pictures, share_kinds
from .charts import Axis, Line, draw_legend, draw_lines, draw_shares, mix_ramp
from .markup import (
    show_number,
    show_percent,
    write_fields,
    write_pictures,
    write_section,
    write_table,
    write_text,
)
from .pictures import choose_median, choose_worst, show_pictures
from .protocols import compare_protocols, list_fields
from .runs import Run

#: Pictures of each group.
PICTURES = 6

#: Colours of the first and the second run.
RUN_COLOURS = ("var(--first)", "var(--second)")

#: Numbers in large type where a run has them.
HEADLINES = (
    *("AP", "AP .5", "AP .75", "AR"),
    *("MPJPE", "PA-MPJPE", "3DPCK", "AUC"),
    *("Mean", "Mean@0.1", "AP Total", "MOTA Total"),
)

#: The mean OKS of a picture differs visibly between two runs.
_VISIBLE_GAIN = 0.01

#: A re-computed AP differs from the stored one by more than rounding.
_AP_TOLERANCE = 5e-4

_SHARE_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def write_numbers(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The metrics as the test wrote them; of two runs with their difference."""
    metrics = [run.metrics for run in runs]
    titles = list(dict.fromkeys(title for values in metrics for title in values))
    if not titles:
        text = "The test wrote no scores: there were no annotations to compare with."
        return write_section("numbers", "Numbers", write_text(text, "note"))
    known = [v for values in metrics for v in values.values() if v is not None and v == v]
    digits = 3 if max(map(abs, known), default=0) <= 1 else 1
    rows = [
        [html.escape(name), *(show_number(values.get(t), digits=digits) for t in titles)]
        for name, values in zip(names, metrics, strict=True)
    ]
    if len(runs) == 2:
        pairs = [[values.get(title) for values in metrics] for title in titles]
        rows.append(["difference", *(_show_difference(*pair, digits=digits) for pair in pairs)])
    table = write_table(["", *titles], rows, kind="numbers")
    large = [title for title in HEADLINES if title in titles][:4] if len(runs) == 1 else []
    tiles = "".join(
        f"<div><b>{show_number(metrics[0][t], digits=digits)}</b>{html.escape(t)}</div>"
        for t in large
    )
    return write_section("numbers", "Numbers", f'<div class="tiles">{tiles}</div>', table)


def _show_difference(first: float | None, second: float | None, *, digits: int) -> str:
    if "–" in (show_number(first), show_number(second)) or first is None or second is None:
        return "–"
    return f"{second - first:+.{digits}f}".replace("-", "−")


def write_protocols(runs: Sequence[Run], names: Sequence[str]) -> str:
    """How it was measured, open, and what was measured, to be unfolded."""
    parts = []
    if len(runs) == 2:
        differing = compare_protocols(*runs)
        listed = ", ".join(difference.field for difference in differing)
        text = (
            f"These runs were measured by different protocols; they differ in {listed}. Their "
            "numbers must not be compared as if they were of one kind."
            if differing
            else "Both runs were measured by the same protocol."
        )
        parts.append(write_text(text, "warning" if differing else ""))
    measured = [list_fields(run.protocol, subject=False) for run in runs]
    subject = [list_fields(run.protocol, subject=True) for run in runs]
    parts.append(write_fields(measured, names))
    parts.append("<details><summary>Network, options and library versions</summary>")
    parts.append(f"{write_fields(subject, names)}</details>")
    return write_section("protocol", "Protocol", *parts)


def write_curves(analyses: Sequence[Analysis], names: Sequence[str], runs: Sequence[Run]) -> str:
    """Precision over recall at each OKS threshold, and AP over the threshold."""
    titles = [f"{name}, at each OKS threshold" if len(names) > 1 else _CURVES for name in names]
    charts = [_draw_curves(analysis, t) for analysis, t in zip(analyses, titles, strict=True)]
    parts = [f'<div class="charts">{"".join(charts)}{_draw_ap(analyses, names)}</div>']
    for analysis, run, name in zip(analyses, runs, names, strict=True):
        ap, stored = analysis.evaluation.stats["AP"], run.metrics.get("AP")
        if stored is not None and abs(ap - stored) > _AP_TOLERANCE:
            text = (
                f"{name}: the curves give AP {ap:.3f}, metrics.json says {stored:.3f}. Result "
                "file or annotations have changed since the test."
            )
            parts.append(write_text(text, "warning"))
        if "AP" not in run.metrics:
            text = "These curves are COCO's, by OKS; the numbers above follow another protocol."
            parts.append(write_text(text, "note"))
    return write_section("curves", "Precision and recall", *parts)


_CURVES = "At each OKS threshold"


def _draw_curves(analysis: Analysis, heading: str) -> str:
    evaluation = analysis.evaluation
    precision = evaluation.precision[:, :, 0, 0, -1]  # (thresholds, recalls)
    colours = mix_ramp(len(precision))
    recalls = evaluation.rules.recalls
    lines, entries = [], []
    for values, threshold, ap, colour in zip(
        precision,
        evaluation.rules.thresholds,
        evaluation.ap_per_threshold,
        colours,
        strict=True,
    ):
        title = f"OKS {threshold:.2f}, AP {show_number(ap)}"
        lines.append(Line(title, _drop(recalls, values), colour))
        entries.append((f"{threshold:.2f}: AP {show_number(ap)}", colour))
    chart = draw_lines(
        lines[::-1], Axis("recall", _SHARE_TICKS, ".1f"), Axis("precision", _SHARE_TICKS, ".1f")
    )
    return f"<div><h3>{html.escape(heading)}</h3>{chart}{draw_legend(entries)}</div>"


def _drop(recalls: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """(points, 2): the curve up to the last recall that is reached, and from there down."""
    reached = np.flatnonzero(precision > 0)
    last = reached[-1] + 1 if len(reached) else 0
    curve = np.stack([recalls[:last], precision[:last]], axis=-1)
    return np.concatenate([curve, [[recalls[max(last - 1, 0)], 0.0]]])


def _draw_ap(analyses: Sequence[Analysis], names: Sequence[str]) -> str:
    lines = [
        Line(name, np.stack([a.evaluation.rules.thresholds, a.evaluation.ap_per_threshold], -1), c)
        for a, name, c in zip(analyses, names, RUN_COLOURS, strict=False)
    ]
    x_axis = Axis("OKS threshold", (0.5, 0.6, 0.7, 0.8, 0.9, 0.95), ".2f")
    chart = draw_lines(lines, x_axis, Axis("AP", _SHARE_TICKS, ".1f"))
    legend = draw_legend([(line.name, line.colour) for line in lines]) if len(lines) > 1 else ""
    return f"<div><h3>AP over the threshold</h3>{chart}{legend}</div>"


def write_errors(analyses: Sequence[Analysis], names: Sequence[str]) -> str:
    """The kinds of errors of each joint."""
    legend = draw_legend([(kind, f"var(--{kind})") for kind in KINDS])
    tables = [
        _tabulate_errors(analysis, name, counts=len(analyses) == 1)
        for analysis, name in zip(analyses, names, strict=True)
    ]
    return write_section(
        "errors",
        "Errors of joints",
        f"<p>{_EXPLANATION}</p>",
        legend,
        f'<div class="beside">{"".join(tables)}</div>',
    )


_EXPLANATION = (
    "Labelled joints of matched people (OKS of at least 0.1), in percent, after Ronchi and Perona "
    "(ICCV 2017): <b>good</b> from a keypoint similarity of 0.85 on, <b>jitter</b> from 0.5 on; "
    "otherwise <b>inversion</b> where the joint lies on that of the other side, <b>swap</b> where "
    "it lies on somebody else’s, else <b>miss</b>."
)


def _tabulate_errors(analysis: Analysis, name: str, *, counts: bool) -> str:
    """A row for each joint; with the number of joints where there is room for it."""
    every = analysis.errors.count()
    joints = analysis.people.skeleton.keypoints
    rows = [
        _row_of_kinds(joint.replace("_", " "), joint_counts)
        for joint, joint_counts in zip(joints, every, strict=True)
        if joint_counts.sum()
    ]
    rows.append(_row_of_kinds("all joints", every.sum(axis=0)))
    total = int(np.count_nonzero(~np.isnan(analysis.oks)))
    caption = f"{name}: {total - analysis.missing} of {total} people matched"
    header = ["", "", *KINDS, "joints"]
    width = len(header) if counts else len(header) - 1
    rows = [row[:width] for row in rows]
    return write_table(header[:width], rows, kind="kinds total", caption=caption)


def _row_of_kinds(name: str, counts: np.ndarray) -> list[str]:
    shares = share_kinds(counts)
    bar = draw_shares(shares, KINDS)
    return [html.escape(name), bar, *map(show_percent, shares), str(int(counts.sum()))]


def write_groups(analyses: Sequence[Analysis], names: Sequence[str], runs: Sequence[Run]) -> str:
    """How people of different sizes and in different crowds fare."""
    parts = [write_text(_GROUPS_EXPLANATION)]
    titles = list(dict.fromkeys(title for analysis in analyses for title in analysis.splits))
    for title in titles:
        tables = [
            _tabulate_groups(analysis.splits[title], title, name if len(analyses) > 1 else "")
            for analysis, name in zip(analyses, names, strict=True)
            if title in analysis.splits
        ]
        parts.append(f'<div class="beside">{"".join(tables)}</div>')
    parts += [_tabulate_levels(run, name) for run, name in zip(runs, names, strict=True)]
    return write_section("groups", "Size and crowding", *parts)


_GROUPS_EXPLANATION = (
    "People are grouped as they are annotated: by the root of their area, by the others whose "
    "boxes overlap with theirs (IoU above 0.1), by their labels. Found: OKS of at least 0.5. AR: "
    "the mean of such shares over the thresholds 0.5 to 0.95. Mean OKS counts people that were not "
    "matched as 0. Shares of people and of errors are in percent."
)


def _tabulate_groups(groups: Sequence[Group], title: str, name: str) -> str:
    """A row for each group; errors as a bar alone where another run stands beside it."""
    rows = [
        [
            html.escape(group.name),
            str(group.people),
            show_percent(group.found),
            show_number(group.recall),
            show_number(group.oks),
            draw_shares(group.kinds, KINDS),
            *([] if name else map(show_percent, group.kinds[1:])),
        ]
        for group in groups
    ]
    header = [title, "people", "found", "AR", "mean OKS", ""]
    header += [] if name else KINDS[1:]
    return write_table(
        header, rows, kind="kinds groups" if name else "kinds groups full", caption=name
    )


def _tabulate_levels(run: Run, name: str) -> str:
    """CrowdPose's levels of crowding; empty for other protocols."""
    images = run.protocol.get("evaluation", {}).get("images_per_level", {})
    rows = [
        [level, str(count), show_number(run.metrics.get(f"AP ({level})"))]
        for level, count in images.items()
    ]
    return write_table(["Crowd index", "pictures", "AP"], rows, caption=name) if rows else ""


def write_examples(analyses: Sequence[Analysis], names: Sequence[str]) -> str:
    """Pictures with truth beside predictions."""
    if len(analyses) == 2 and not _same_people(*analyses):
        parts = [
            part
            for analysis, name in zip(analyses, names, strict=True)
            for part in _show_one([analysis], [name], f"{name}: ")
        ]
    else:
        parts = _show_one(analyses, names, "")
    explanation = (
        "Cut to their people. Hidden true joints are hollow. As many predictions are drawn as "
        "people are annotated, matching ones first; rings mark inversions, swaps and misses in "
        "their colours. OKS is the mean over the people of a picture, 0 for those not matched."
    )
    return write_section("pictures", "Pictures", write_text(explanation), *parts)


def _same_people(first: Analysis, second: Analysis) -> bool:
    same_rows = np.array_equal(first.people.truth.ids, second.people.truth.ids)
    return same_rows and first.people.skeleton.keypoints == second.people.skeleton.keypoints


def _show_one(analyses: Sequence[Analysis], names: Sequence[str], prefix: str) -> list[str]:
    """Groups of pictures, chosen by the mean of the runs, and where each is better."""
    ids, scores = score_pictures(analyses[0])
    every = np.stack([score_pictures(analysis)[1] for analysis in analyses])
    mean, count = every.mean(axis=0), PICTURES // len(analyses)
    worst = choose_worst(mean, count)
    groups = [("Worst", worst), ("Median", choose_median(mean, count, worst))]
    if len(analyses) == 2:
        for sign, name in ((-1, names[0]), (1, names[1])):
            gain = sign * (every[1] - every[0])
            better = choose_worst(-gain, count)
            groups.append((f"{name} is better", better[gain[better] > _VISIBLE_GAIN]))
    parts = []
    for title, places in groups:
        if len(places):
            parts.append(f"<h3>{html.escape(prefix + title)}</h3>")
            parts.append(write_pictures(show_pictures(analyses, names, ids[places].tolist())))
    return parts
