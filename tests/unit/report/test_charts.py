"""Lines and shares in SVG, by the coordinates a person can work out."""

import re

import numpy as np

from poseras.report.charts import Axis, Line, draw_legend, draw_lines, draw_shares, mix_ramp

UNIT = Axis("share", (0.0, 1.0), ".1f")


def points_of(svg):
    text = re.search(r'points="([^"]+)"', svg)[1]
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def test_the_ends_of_the_axes_lie_on_the_frame():
    line = Line("a", np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), "red")
    svg = draw_lines([line], UNIT, UNIT, width=158, height=150)
    # 46 px at the left and 12 at the right leave 100; 10 above and 40 below leave 100.
    assert points_of(svg) == [(46, 110), (146, 10), (96, 60)]


def test_points_outside_are_cut_off_at_the_axes():
    line = Line("a", np.array([[-1.0, 2.0]]), "red")
    svg = draw_lines([line], UNIT, UNIT, width=158, height=150)
    assert points_of(svg) == [(46, 10)]


def test_names_are_escaped_and_ticks_written_in_their_form():
    svg = draw_lines([Line("<b>", np.zeros((1, 2)), "red")], UNIT, Axis("&", (0.0, 1.0), ".0f"))
    assert "<title>&lt;b&gt;</title>" in svg and "&amp;" in svg and "<b>" not in svg
    assert svg.count(">0.0</text>") == 1 and svg.count(">0</text>") == 1


def test_shares_stand_one_behind_the_other_and_empty_ones_are_left_out():
    svg = draw_shares(np.array([0.25, 0.0, 0.75]), ["good", "swap", "miss"])
    bars = re.findall(r'class="fill-(\w+)" x="([\d.]+)" width="([\d.]+)"', svg)
    assert bars == [("good", "0.000", "25.000"), ("miss", "25.000", "75.000")]
    assert "<rect" not in draw_shares(np.array([np.nan]), ["good"])


def test_a_ramp_begins_and_ends_with_its_outer_colours():
    assert mix_ramp(4) == ["#2a9d8f", "#3d7ed6", "#8e5bd0", "#d64f84"]
    assert len(mix_ramp(10)) == 10 and mix_ramp(1) == ["#2a9d8f"]


def test_a_legend_names_each_colour():
    assert draw_legend([("<a>", "red")]).count("&lt;a&gt;") == 1
