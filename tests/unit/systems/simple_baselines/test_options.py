import subprocess
import sys

import pytest

from poseras.systems.simple_baselines import SAMPLE, Options, default_view
from poseras.systems.simple_baselines.options import CODEC_OPTIONS, DECODERS, LOSSES


def test_defaults_are_the_published_coco_recipe():
    options = Options()
    assert options.heatmap_hw == (64, 48)
    assert options.sigma_cells == 2
    assert Options(input_shape=(384, 288)).sigma_cells == 3
    assert Options(sigma=2.5).sigma_cells == 2.5
    assert SAMPLE == "person"


def test_each_transposed_convolution_halves_the_heatmap_stride():
    two = {"head_filters": (64, 64), "head_kernels": (4, 4)}
    assert Options(**two).heatmap_hw == (32, 24)
    assert Options(backbone_stride=16, **two).heatmap_hw == (64, 48)
    assert Options(backbone_stride=4, head_filters=(), head_kernels=()).heatmap_stride == 4


def test_views_of_a_vit_are_whole_patches():
    vit = {"form": "pytorch", "backbone": "vit", "depth": 12, "backbone_stride": 16}
    vit |= {"head_filters": (256, 256), "head_kernels": (4, 4)}
    assert Options(input_shape=(208, 144), **vit).heatmap_hw == (52, 36)
    with pytest.raises(ValueError, match=r"divisible by the stride 16\. Received \(200, 144\)"):
        Options(input_shape=(200, 144), **vit)


def test_the_default_view_is_the_published_crop():
    view = default_view(Options(input_shape=(384, 288)))
    assert (view.rule, view.size_hw, view.margin) == ("person_box", (384, 288), 1.25)
    laws = view.augmentation
    assert (laws.scale_std, laws.rotation_std_deg) == (0.3, 40)
    assert (laws.rotation_probability, laws.flip_probability) == (0.6, 0.5)
    assert (laws.half_body_probability, laws.colour_gain) == (0, 0)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({"input_shape": (256, 190)}, r"divisible by the stride 32\. Received \(256, 190\)"),
        ({"input_shape": (0, 192)}, r"Received \(0, 192\)"),
        ({"depth": 34}, r"form tensorflow must be one of \(50, 101, 152\)\. Received 34"),
        ({"form": "pytorch", "depth": 77}, r"form pytorch must be one of \(18, .*Received 77"),
        ({"form": "torch"}, r"form must be one of \('tensorflow', 'pytorch'\)\. Received 'torch'"),
        ({"decoder": "half"}, r"decoder must be one of .* Received 'half'"),
        ({"form": "pytorch", "depth": 18, "stride_on": "1x1"}, "no 1x1 convolution"),
        ({"head_filters": (256, 256)}, "one value per transposed convolution"),
        ({"head_kernels": (4, 4, 5)}, r"2, 3 or 4 each\. Received \(4, 4, 5\)"),
        ({"head_filters": (256, 0, 256)}, "head_filters must be positive"),
        ({"head_filters": (8,) * 6, "head_kernels": (4,) * 6}, "larger than the input"),
        ({"final_kernel": 2}, r"final_kernel must be 1 or 3\. Received 2"),
        ({"backbone_width": 0}, "backbone_width must be positive"),
        ({"backbone_stride": 12}, "backbone_stride must be 4, 8, 16 or 32"),
        ({"pixel_std": (1.0, 0.0, 1.0)}, "pixel_std must be positive"),
        ({"pixel_mean": (1.0,)}, "one value per channel"),
        ({"sigma": -1.0}, "sigma must be positive, or 0"),
        ({"target_peak": 0.0}, "target_peak must be positive"),
        ({"batch_norm_momentum": 1.0}, r"batch_norm_momentum must be in \[0, 1\)"),
        ({"batch_norm_epsilon": 0.0}, "batch_norm_epsilon must be positive"),
    ],
)
def test_a_broken_rule_is_named_with_what_was_received(differences, message):
    with pytest.raises(ValueError, match=message):
        Options(**differences)


def test_the_tables_of_codecs_name_the_same_ones_and_settings_that_exist():
    assert set(CODEC_OPTIONS) == set(LOSSES) == set(DECODERS)
    assert all(hasattr(Options(), name) for names in CODEC_OPTIONS.values() for name in names)


def test_depth_of_another_backbone_is_its_own_business():
    assert Options(backbone="vit", form="pytorch", depth=12).depth == 12


def test_options_import_neither_keras_nor_tensorflow():
    program = (
        "import sys, poseras.systems.simple_baselines as room\n"
        "room.default_view(room.Options())\n"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_an_unknown_name_of_the_room_is_an_attribute_error():
    import poseras.systems.simple_baselines as room

    with pytest.raises(AttributeError, match="no attribute 'Sistem'"):
        room.Sistem  # noqa: B018
