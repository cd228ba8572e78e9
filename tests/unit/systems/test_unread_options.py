"""An option that nothing reads is refused where a user chose it, never where a file holds it."""

from dataclasses import replace
from pathlib import Path

import pytest

import config as main_config
from poseras.engine.snapshot import Snapshot
from poseras.predictor import build_system
from poseras.settings import apply_differences, flatten
from poseras.systems import check_unread, free_settings, options_module, system_names
from poseras.systems.simple_baselines.options import Options, default_view, find_unread
from poseras.training import TrainingJob, _folders

UDP = {"codec": "udp", "decoder": "dark"}
DISCS = {"codec": "udp_discs", "loss": "disc_and_offset", "decoder": "none"}
VECTORS = {"codec": "simcc", "head": "simcc", "loss": "divergence", "decoder": "none"}
RTMCC = {**VECTORS, "head": "rtmcc", "head_filters": [], "head_kernels": []}
#: A heatmap network as one could write it before anybody looked: nothing reads this setting.
STORED = apply_differences(Options(), {"keep_inside": True, "gau.width": 128})


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({"keep_inside": True}, "keep_inside does nothing with the codec heatmap; leave it at Fa"),
        ({"decoder": "dark", "blur_border": "reflect"}, "blur_border .* codec heatmap.*at zero"),
        ({**UDP, "shift_flipped": False}, "shift_flipped .* codec udp; leave it at True"),
        ({**DISCS, "sigma": 2}, "sigma does nothing with the codec udp_discs; leave it at 0.0"),
        ({**DISCS, "zero_nonpositive": True}, "zero_nonpositive .* codec udp_discs"),
        ({**VECTORS, "sigma": 2}, "^options.sigma does nothing with the codec simcc"),
        ({**VECTORS, "decoder": "dark", "blur_kernel": 11}, "blur_kernel .* the codec simcc"),
        ({**VECTORS, "simcc.smoothing": 0.2}, "simcc.smoothing .* label gaussian; leave it at 0.1"),
        ({**VECTORS, "gau.width": 128}, "gau.width .* the head simcc; leave it at 256. Received 1"),
        ({**RTMCC, "final_kernel": 3}, "final_kernel .* rtmcc, which has gau.final_kernel"),
        ({"simcc.beta": 1}, "simcc.beta does nothing with the codec heatmap; leave it at 10.0"),
        ({"simcc.smoothing": 0.2}, "simcc.smoothing does nothing with the codec heatmap"),
        ({"gau.rotary": True}, "gau.rotary does nothing with the head deconvolution"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(differences, message):
    options = apply_differences(Options(), differences)
    with pytest.raises(ValueError, match=message):
        check_unread("simple_baselines", options)
    check_unread("simple_baselines", options, ["options.codec", "train.batch_size"])
    with pytest.raises(ValueError, match=message):
        check_unread("simple_baselines", options, {f"options.{name}" for name in differences})


@pytest.mark.parametrize(
    "differences",
    [
        {"decoder": "dark", "blur_kernel": 11, "target_window": "exact", "shift_flipped": False},
        {"decoder": "none", "blur_kernel": 11},
        {**UDP, "sigma": 2, "blur_kernel": 11, "blur_border": "reflect", "keep_inside": True},
        {**UDP, "decoder": "none", "blur_kernel": 11, "blur_border": "reflect"},
        {**UDP, "zero_nonpositive": True, "target_window": "three_sigma"},
        {**DISCS, "keep_inside": True, "target_window": "three_sigma"},
        {**VECTORS, "simcc.label": "one_bin", "simcc.smoothing": 0.2, "simcc.beta": 1},
        {**RTMCC, "gau.width": 128, "zero_nonpositive": True},
    ],
)
def test_a_setting_that_is_read_or_waits_for_its_decoder_is_taken(differences):
    check_unread("simple_baselines", apply_differences(Options(), differences))


def test_the_window_of_the_targets_decides_about_the_view_with_any_codec():
    for codec in ({}, UDP, DISCS, VECTORS):
        options = apply_differences(Options(), {**codec, "target_window": "three_sigma"})
        assert default_view(options).outside_joints == "keep"
        assert "target_window" not in find_unread(options)


@pytest.mark.parametrize("name", system_names())
def test_defaults_do_nothing_wrong_and_what_nothing_reads_may_change_between_runs(name):
    options = options_module(name).Options()
    check_unread(name, options)
    free = free_settings(name, options)
    assert {f"options.{key}" for key in options_module(name).FREE_OPTIONS} <= free
    assert free <= {f"options.{key}" for key in flatten(options)}


def test_a_run_goes_on_without_the_option_that_a_snapshot_holds_in_vain():
    assert "options.gau.width" in free_settings("simple_baselines", Options())
    rtmcc = apply_differences(Options(), RTMCC)
    assert "options.gau.width" not in free_settings("simple_baselines", rtmcc)


@pytest.mark.parametrize("name", main_config.config_names())
def test_no_config_sets_an_option_that_nothing_reads(name):
    config = main_config.load_config(name)
    check_unread(config.system, config.options)


def test_a_training_refuses_it_and_goes_on_from_a_snapshot_that_holds_it(five_joints):
    job = TrainingJob(
        people=None,
        skeleton=five_joints,
        recipe=None,
        system_name="simple_baselines",
        options=Options(),
        view=default_view(Options()),
        seed=0,
        config={},
        **dict.fromkeys(("snapshot_folder", "log_folder", "root"), Path()),
    )
    with pytest.raises(ValueError, match="options.keep_inside does nothing with the codec heat"):
        replace(job, options=STORED)
    assert "options.gau.width" in _folders(job)["free_settings"]


def test_a_snapshot_that_holds_it_is_looked_at_and_only_a_changed_one_is_refused(five_joints):
    view = default_view(STORED)
    metadata = {
        "system": "simple_baselines",
        "options": flatten(STORED),
        "skeleton": five_joints.to_dict(),
        "view": flatten(view),
    }
    snapshot = Snapshot(Path("a.safetensors"), {}, metadata, "")
    assert build_system(snapshot, {})[0].options == STORED
    same = {f"options.{key}": value for key, value in flatten(STORED).items()}
    assert build_system(snapshot, {**same, "options.decoder": "dark"})[0].options.keep_inside
    assert not build_system(snapshot, {"options.keep_inside": False})[0].options.keep_inside
    with pytest.raises(ValueError, match="options.blur_border does nothing with the codec heat"):
        build_system(snapshot, {"options.blur_border": "reflect"})
