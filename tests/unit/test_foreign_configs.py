"""The settings of a test on a published checkpoint: the config's, and what the file fixes."""

import json
from fnmatch import filter as matching
from pathlib import Path

import numpy as np
import pytest

import config as main_config
from poseras import foreign, snapshot_choice
from poseras.settings import apply_differences
from poseras.skeleton import Skeleton
from poseras.systems import check_view, options_module, system_class
from poseras.systems.simple_baselines.options import DECODERS

LISTS = Path(__file__).resolve().parents[1] / "golden" / "backbones"
SMALL = {"input_shape": [64, 64], "backbone_width": 8}
HSR = {"form": "pytorch", "backbone": "hsrnet", "depth": 59, "backbone_stride": 16}
HSR |= {"head_filters": [8, 8], "head_kernels": [4, 4]}
HOURGLASS = {**SMALL, "units": [1, 2, 1]}
#: The configs of each family, and a network of it: a list of names and shapes, or small options.
FAMILIES = {
    "simple_baselines_*": ("simple_baselines", SMALL),
    "microsoft_*": ("simple_baselines", {**SMALL, "form": "pytorch"}),
    "hsrnet_*": ("simple_baselines", {**SMALL, **HSR}),
    "hsr_msnet_*": ("simple_baselines", {**SMALL, **HSR, "hsr.multi_scale": True}),
    "hrnet_*": ("simple_baselines", "hrnet/hrnet_w32"),
    "vitpose_*[hlbs]_256x192": ("simple_baselines", "vit/vitpose_b"),
    "vitpose_*_simple": ("simple_baselines", "vit/vitpose_b_simple"),
    "rtmpose_*": ("simple_baselines", "rtm/rtmpose_m"),
    "integral_3d_*": ("integral_3d", {**SMALL, "depth": 18}),
    "simplepose_v2_*hourglass*": ("simplepose_v2", HOURGLASS),
    "simplepose_v2_*hrnet*": ("simplepose_v2", {**SMALL, "backbone": "hrnet", "stacks": 1}),
    "deepercut_*": ("deepercut_arttrack", {**SMALL, "depth": 50}),
}
VIT = "vit/vitpose_b"
JOINTS = tuple(f"joint_{index}" for index in range(17))
SKELETON = Skeleton("Test/17", JOINTS, limbs=tuple((j, j + 1) for j in range(16)))


def shapes_of(system, network):
    """Names and shapes of a checkpoint."""
    if isinstance(network, str):
        family, name = network.split("/")
        lists = json.loads((LISTS / f"{family}_state_dicts.json").read_text(encoding="utf-8"))
        return dict(lists[name])
    options = apply_differences(options_module(system).Options(), network)
    model = system_class(system)(options, SKELETON, {}).build_model()
    arrays = {v.path: np.broadcast_to(np.float32(0), v.shape) for v in model.variables}
    entries = foreign.weights_module(system).export(arrays, options)
    return {name: array.shape for name, array in entries.items()}


@pytest.fixture
def place(monkeypatch):
    """A function that lets every foreign file be a network of a family."""

    def recognise_as(system, network):
        recognised = foreign.weights_module(system).recognise(shapes_of(system, network))
        monkeypatch.setattr(snapshot_choice, "recognise", lambda path, system: recognised)

    return recognise_as


def load_for_test(name, *assignments):
    """The settings with which `main/test.py` looks at the file."""
    stored = snapshot_choice.stored_config("a.pth", main_config.load_config(name, assignments))
    config = main_config.load_config(name, assignments, stored)
    check_view(config.system, config.options, config.view)
    return config


@pytest.mark.usefixtures("shapes_alone")
@pytest.mark.parametrize("pattern", FAMILIES)
def test_every_config_of_a_family_takes_its_published_files(place, pattern):
    system, network = FAMILIES[pattern]
    place(system, network)
    names = matching(main_config.config_names(), pattern)
    assert names
    for name in names:
        config = load_for_test(name)
        for decoder in DECODERS[config.options.codec] if system == "simple_baselines" else ():
            config = load_for_test(name, f"options.decoder={decoder}")
            assert config.options.decoder == decoder, name


@pytest.mark.parametrize("size", ["w32_384x288", "w48_256x192", "w48_384x288"])
@pytest.mark.parametrize("kernel", [0, 11])
def test_an_hrnet_of_udp_is_tested_with_the_settings_of_the_readme(place, size, kernel):
    place("simple_baselines", "hrnet/hrnet_w32")
    told = ["options.codec=udp", "options.decoder=dark", "options.target_window=full"]
    config = load_for_test(f"hrnet_coco_{size}", *told, f"options.blur_kernel={kernel}")
    assert (config.options.codec, config.options.blur_kernel) == ("udp", kernel)
    assert config.view.crop_convention == "udp"


def test_the_view_follows_the_codec_of_the_file_and_what_was_set_by_itself_stays(place):
    default = main_config.DEFAULT_CONFIG
    place("simple_baselines", VIT)
    config = load_for_test(default)
    assert (config.options.codec, config.view.crop_convention) == ("udp", "udp")
    config = load_for_test(default, "view.margin=1.1", "options.input_shape=384,288")
    assert config.view.margin == 1.1 and config.view.size_hw == (384, 288)
    odd = main_config.load_config(default, ["view.crop_convention=udp", "view.margin=1.1"])
    stored = snapshot_choice.stored_config("a.pth", odd)
    own = {key for key in stored if key.startswith("view.")}
    assert own == {"view.crop_convention", "view.margin"}


def test_an_option_that_a_user_sets_for_a_file_and_nothing_reads_is_named(place):
    place("simple_baselines", VIT)
    message = "options.shift_flipped does nothing with the codec udp; leave it at True"
    with pytest.raises(ValueError, match=message):
        load_for_test("vitpose_coco_b_256x192", "options.shift_flipped=no")
