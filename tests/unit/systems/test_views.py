"""A view that its network cannot look at, or would not read as told, is refused early."""

from dataclasses import replace

import pytest

import config as main_config
from poseras.settings import apply_differences, parse_assignments
from poseras.systems import check_view, options_module, system_names

PERSON = [name for name in system_names() if options_module(name).SAMPLE == "person"]
IMAGE = [name for name in system_names() if options_module(name).SAMPLE == "image"]


def look(name, *assignments, **options):
    """Check the view of a system's defaults with some settings of either changed."""
    module = options_module(name)
    chosen = apply_differences(module.Options(), options)
    view = apply_differences(module.default_view(chosen), parse_assignments(assignments))
    check_view(name, chosen, view)


@pytest.mark.parametrize("name", system_names())
def test_the_default_view_follows_the_options(name):
    look(name)
    look(name, input_shape=(384, 256))


@pytest.mark.parametrize("name", [*PERSON, "deepercut_arttrack"])
def test_a_view_of_another_size_than_the_network_is_refused_and_the_option_named(name):
    with pytest.raises(
        ValueError,
        match=r"size_hw must be options.input_shape, here 128,96. Received 96,128; "
        r"set options.input_shape=96,128, which the view follows",
    ):
        look(name, "size_hw=96,128", input_shape=(128, 96))


@pytest.mark.parametrize("name", PERSON)
@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "length=640",
            "view.length does nothing .* people in boxes; leave it at 512. Received 640",
        ),
        ("factor=0.5", "view.factor does nothing"),
        ("stride=32", "view.stride does nothing"),
        ("picture_augmentation.form=resize", "augmentation.form does nothing .* leave it at crop"),
        ("picture_augmentation.max_shift_px=9", "view.picture_augmentation.max_shift_px does"),
    ],
)
def test_people_in_boxes_have_no_settings_of_whole_pictures(name, assignment, message):
    with pytest.raises(ValueError, match=message):
        look(name, assignment)


@pytest.mark.parametrize("name", IMAGE)
@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "margin=1.5",
            "view.margin does nothing .* whole pictures; leave it at 1.25. Received 1.5",
        ),
        ("crop_convention=udp", "view.crop_convention does nothing"),
        ("box_mm=1,1", "view.box_mm does nothing"),
        ("in_space=true", "view.in_space does nothing"),
        ("augmentation.flip_probability=0.5", "view.augmentation.flip_probability does nothing"),
    ],
)
def test_whole_pictures_have_no_settings_of_boxes(name, assignment, message):
    with pytest.raises(ValueError, match=message):
        look(name, assignment)


def simcc():
    return {
        "form": "pytorch",
        "codec": "simcc",
        "head": "simcc",
        "loss": "divergence",
        "decoder": "none",
    }


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, "corner"),
        (simcc(), "corner"),
        ({"codec": "udp", "decoder": "dark"}, "udp"),
        ({"codec": "udp_discs", "loss": "disc_and_offset", "decoder": "none"}, "udp"),
    ],
)
def test_views_are_cut_by_the_convention_of_the_codec_alone(options, wanted):
    other = {"corner": "udp", "udp": "corner"}[wanted]
    look("simple_baselines", f"crop_convention={wanted}", **options)
    with pytest.raises(ValueError, match=f"must be {wanted} with the codec .* Received {other}"):
        look("simple_baselines", f"crop_convention={other}", **options)


def test_boxes_around_a_root_know_no_crop_convention_and_boxes_of_people_do():
    look("integral_3d", "crop_convention=udp", depth_unit="view")
    with pytest.raises(ValueError, match="of the rule person_box.*Received udp; leave it at corn"):
        look("integral_3d", "crop_convention=udp")


@pytest.mark.parametrize("name", main_config.config_names())
def test_every_config_has_a_view_that_its_network_can_look_at(name):
    config = main_config.load_config(name)
    check_view(config.system, config.options, config.view)
    with pytest.raises(ValueError, match="view.size_hw must be"):
        odd = replace(config.view, size_hw=(config.view.size_hw[0] + 8, 8))
        check_view(config.system, config.options, odd)
