"""Small pieces of HTML: tables, numbers, pictures, protocols."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .pictures import Picture
from .protocols import show_value


def show_number(value: float | None, *, digits: int = 3) -> str:
    """A number of a table; a dash where nothing counts, which metrics write as -1 or NaN."""
    if value is None or not math.isfinite(value) or value == -1:
        return "–"
    return f"{value:.{digits}f}"


def show_percent(value: float) -> str:
    """A share as percent with one decimal; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def write_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "", caption: str = ""
) -> str:
    """A table whose first column names the rows.

    Args:
        header: plain text, one for each column.
        rows: HTML of the cells.
        kind: class of the table.
        caption: plain text above it.
    """
    titles = "".join(f"<th>{html.escape(title)}</th>" for title in header)
    lines = "".join(
        f"<tr><th>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="wide"><table class="{kind}">{above}<thead><tr>{titles}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def write_section(anchor: str, title: str, *parts: str) -> str:
    """A section of the page."""
    return f'<section id="{anchor}"><h2>{html.escape(title)}</h2>{"".join(parts)}</section>'


def write_text(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def write_meters(
    title: str, columns: Sequence[Mapping[str, float]], names: Sequence[str], colours: Sequence[str]
) -> str:
    """A number over a bar of its length for each joint, one column a run.

    Args:
        title: of the table.
        columns: joint -> number, NaN for none, joints in the order of the rows.
        names: of the runs.
        colours: of CSS, at least one for each run.
    """
    longest = max((v for values in columns for v in values.values() if v == v), default=0.0)
    rows = [
        [
            html.escape(joint.replace("_", " ")),
            *(
                _write_meter(values.get(joint, math.nan), longest, colour)
                for values, colour in zip(columns, colours, strict=False)
            ),
        ]
        for joint in dict.fromkeys(joint for values in columns for joint in values)
    ]
    header = [title, *(names if len(names) > 1 else [""])]
    return write_table(header, rows, kind="joints")


def _write_meter(value: float, longest: float, colour: str) -> str:
    share = 0.0 if math.isnan(value) else 100 * value / max(longest, 1e-9)
    bar = f'<div class="meter" style="width:{share:.1f}%;background:{colour}"></div>'
    return show_number(value, digits=1) + bar


def write_fields(columns: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """The fields of one or two protocols as a table; values that differ are marked."""
    fields = list(dict.fromkeys(name for column in columns for name in column))
    rows = []
    for field in fields:
        values = [column.get(field) for column in columns]
        differs = len(values) > 1 and values[0] != values[1]
        shown = [html.escape(show_value(value)) for value in values]
        rows.append([html.escape(field), *(f"<mark>{s}</mark>" if differs else s for s in shown)])
    return write_table(["", *(names if len(columns) > 1 else ["value"])], rows, kind="fields")


def write_pictures(pictures: Sequence[Picture]) -> str:
    """Pictures with their panels beside each other."""
    many = any(len(picture.panels) > 2 for picture in pictures)
    kind = "pictures rows" if many else "pictures"
    return f'<div class="{kind}">{"".join(map(_write_picture, pictures))}</div>'


def _write_picture(picture: Picture) -> str:
    panels = "".join(
        f'<div><img src="{uri}" alt="{title}"><small>{title}</small></div>'
        for title, uri in ((html.escape(title), uri) for title, uri in picture.panels)
    )
    trouble = f'<p class="note">{html.escape(picture.trouble)}</p>' if picture.trouble else ""
    caption = html.escape(picture.caption)
    return (
        f'<figure>{trouble}<div class="panels">{panels}</div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
