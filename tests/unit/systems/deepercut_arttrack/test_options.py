"""Options that break a rule say so, and the published numbers are the defaults."""

import dataclasses
import os

import pytest

import command_line
import config as main_config
from poseras.settings import apply_differences, flatten, parse_assignments
from poseras.structures import View
from poseras.systems.deepercut_arttrack.options import COCO_GRAPH, Options, default_view


def test_the_supervised_unit_is_the_twelfth_or_the_last():
    assert Options().supervised_unit == 12
    assert Options(depth=50).supervised_unit == 6
    assert Options(depth=50, intermediate_unit=3).supervised_unit == 3


def test_the_published_graph_has_forty_pairs_of_rising_joints():
    assert len(set(COCO_GRAPH)) == 40
    assert all(0 <= a < b < 17 for a, b in COCO_GRAPH)


def test_the_view_keeps_joints_outside_and_pads_to_the_features():
    view = default_view(Options())
    assert (view.rule, view.factor, view.stride, view.outside_joints) == ("scale", 1, 16, "keep")
    assert view.picture_augmentation.scale == (0.85, 1.15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 50, "intermediate_unit": 12}, "ResNet-50 has 6 units.*Received 12"),
        ({"depth": 52}, r"depth must be one of \(18, 34, 50, 101, 152\). Received 52"),
        ({"input_shape": (100, 96)}, "divisible by the stride 16. Received"),
        ({"nms_radius": 0.0}, "nms_radius must be positive"),
        ({"det_min_score": 1.0}, "det_min_score must be in 0..1"),
        ({"pairwise_weight": -1.0}, "must not be negative"),
        ({"batch_norm_momentum": 1.0}, "batch_norm_momentum must be in 0..1"),
        ({"backbone_width": 1}, "backbone_width must be at least 4"),
        ({"solver": "fast"}, r"solver must be one of \('local', 'exact'\). Received 'fast'"),
        ({"same_joint_px": 0.0}, "same_joint_px must be positive. Received 0.0"),
        ({"joint_count": -1}, "joint_count must not be negative"),
        ({"joint_groups": ((0,), (1, 2, 3))}, "joint_groups hold one or two joints each"),
        ({"time_limit_s": 0.0}, "time_limit_s must be positive. Received 0.0"),
        ({"sparse_graph": "coco"}, "sparse_graph must be all, coco_40, or at least one.*'coco'"),
        ({"sparse_graph": ()}, r"at least one pair of joints such as.*Received \(\)"),
        ({"sparse_graph": ((0, 1), (2,))}, r"Received \(\(0, 1\), \(2,\)\)"),
        ({"sparse_graph": None}, "Received None"),
    ],
)
def test_settings_that_break_a_rule_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Options(), **settings)


@pytest.mark.parametrize(
    ("text", "graph"),
    [
        ("all", "all"),
        ("coco_40", "coco_40"),
        ("[[0, 1], [nose, 2]]", ((0, 1), ("nose", 2))),
        ('[["0", 1]]', ((0, 1),)),
    ],
)
def test_a_graph_is_a_name_or_a_list_of_pairs(text, graph):
    told = parse_assignments([f"sparse_graph={text}"])
    options = apply_differences(Options(), told)
    assert options.sparse_graph == graph
    assert apply_differences(Options(), flatten(options)) == options


@pytest.mark.parametrize("text", ["none", "coco_41", "[0, 1]", "[[0, 1, 2]]", "[[0, none]]x"])
def test_a_graph_of_another_form_is_refused_with_its_setting(text):
    with pytest.raises(ValueError, match="^sparse_graph must be one of all, coco_40 or a list"):
        apply_differences(Options(), {"sparse_graph": text})


def test_kernels_are_not_timed_anew_where_pictures_differ_in_size(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    command_line.prepare_environment(View(rule="long_edge"))
    assert not os.environ
    command_line.prepare_environment(default_view(Options()))
    assert os.environ == {"TF_CUDNN_USE_AUTOTUNE": "0"}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("data/x", "data/x"),
        ("./data/../data/x", "data/x"),
        ("{root}/data/x", "data/x"),
        ("../x", "{parent}/x"),
        ("/elsewhere/x", "/elsewhere/x"),
        ("", ""),
    ],
)
def test_named_files_are_kept_relative_to_the_project_root_where_they_lie_below_it(told, kept):
    root = main_config.PROJECT_ROOT
    named = {"options.pairwise_models": told.format(root=root), "system": "deepercut_arttrack"}
    config = main_config.build_config(named)
    assert config.options.pairwise_models == kept.format(parent=root.parent)
    assert config.options.pairwise_statistics == ""
    assert main_config.build_config(flatten(config)) == config
