"""Charts as inline SVG: lines over two axes, and shares as one bar. Colours follow the page's."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Colours that read on light and on dark paper, between which ramps are mixed.
_RAMP = np.array([[42, 157, 143], [61, 126, 214], [142, 91, 208], [214, 79, 132]], float)

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 40


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: shown where the pointer rests on it.
        points: (points, 2), x and y in units of the axes.
        colour: of CSS.
    """

    name: str
    points: np.ndarray
    colour: str


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        label: what it measures.
        ticks: rising; the first and the last one are the ends of the axis.
        form: of the numbers at the ticks, as `format` takes it.
    """

    label: str
    ticks: Sequence[float]
    form: str = "g"


def mix_ramp(count: int) -> list[str]:
    """Colours from green over blue to red, as CSS writes them."""
    places, stops = np.linspace(0, len(_RAMP) - 1, count), np.arange(len(_RAMP))
    channels = [np.interp(places, stops, _RAMP[:, channel]) for channel in range(3)]
    colours = np.round(np.stack(channels, axis=-1)).astype(int)
    return ["#" + "".join(f"{value:02x}" for value in colour) for colour in colours.tolist()]


def draw_lines(
    lines: Sequence[Line], x_axis: Axis, y_axis: Axis, *, width: int = 480, height: int = 320
) -> str:
    """A chart of lines.

    Args:
        lines: later ones on top; points outside the axes are cut off at them.
        x_axis: to the right.
        y_axis: to the top.
        width: in CSS pixels at most; a narrow page scales it down.
        height: the same.
    """
    right, bottom = width - _RIGHT, height - _BOTTOM

    def place(values: np.ndarray, axis: Axis, low: float, high: float) -> np.ndarray:
        first, last = axis.ticks[0], axis.ticks[-1]
        return low + (np.clip(values, first, last) - first) / (last - first) * (high - low)

    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{html.escape(f"{y_axis.label} over {x_axis.label}")}">'
    ]
    for tick in y_axis.ticks:
        y = float(place(np.array(tick), y_axis, bottom, _TOP))
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">')
        parts.append(f"{tick:{y_axis.form}}</text>")
    for tick in x_axis.ticks:
        x = float(place(np.array(tick), x_axis, _LEFT, right))
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">')
        parts.append(f"{tick:{x_axis.form}}</text>")
    for line in lines:
        xs = place(line.points[:, 0], x_axis, _LEFT, right)
        ys = place(line.points[:, 1], y_axis, bottom, _TOP)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{path}" style="stroke:{line.colour}">')
        parts.append(f"<title>{html.escape(line.name)}</title></polyline>")
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="axis" x="{(_LEFT + right) / 2}" y="{height - 6}" ')
    parts.append(f'text-anchor="middle">{html.escape(x_axis.label)}</text>')
    parts.append(f'<text class="axis" transform="translate(12 {middle}) rotate(-90)" ')
    parts.append(f'text-anchor="middle">{html.escape(y_axis.label)}</text></svg>')
    return "".join(parts)


def draw_shares(shares: np.ndarray, names: Sequence[str]) -> str:
    """Shares as one bar of as many colours as there are names: `fill-<name>` of the page's style.

    Args:
        shares: (names,) that sum to 1; NaN draws nothing.
        names: of the shares, shown where the pointer rests on them.
    """
    parts = ['<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none">']
    left = 0.0
    for share, name in zip(shares, names, strict=True):
        if share > 0:
            parts.append(f'<rect class="fill-{name}" x="{left:.3f}" width="{100 * share:.3f}" ')
            parts.append(f'height="10"><title>{name} {share:.1%}</title></rect>')
            left += 100 * float(share)
    return "".join([*parts, "</svg>"])


def draw_legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names beside their colours.

    Args:
        entries: name and CSS colour.
    """
    spans = (
        f'<span><i style="background:{colour}"></i>{html.escape(name)}</span>'
        for name, colour in entries
    )
    return f'<p class="legend">{"".join(spans)}</p>'
