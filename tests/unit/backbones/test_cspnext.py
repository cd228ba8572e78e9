import keras
import numpy as np
import pytest

from poseras.backbones.cspnext import build_backbone, rename_entries
from poseras.checkpoints.names import convert_checkpoint

SETTINGS = {"batch_norm_momentum": 0.9, "batch_norm_epsilon": 1e-5, "synchronized": False}


def build(depth=4, width=4):
    images = keras.Input((64, 32, 3))
    return keras.Model(images, build_backbone(images, depth=depth, width=width, **SETTINGS))


@pytest.fixture(scope="module")
def model():
    return build()


def test_features_are_at_stride_32_with_sixteen_times_the_width(model):
    assert model.output.shape == (None, 2, 1, 64)


@pytest.mark.parametrize(("depth", "blocks"), [(4, (1, 1, 1, 1)), (12, (2, 4, 4, 2))])
def test_depth_is_the_number_of_residual_blocks(depth, blocks):
    names = {layer.name for layer in build(depth).layers}
    counts = tuple(
        sum(
            name.startswith(f"backbone.stage{s}.") and name.endswith("conv1.conv") for name in names
        )
        for s in (1, 2, 3, 4)
    )
    # The last stage's spatial pyramid has a conv1 too.
    assert counts == (*blocks[:3], blocks[3] + 1)


def test_blocks_of_the_last_stage_have_no_residual_sum(model):
    sums = {layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)}
    assert sums == {f"backbone.stage{s}.1.blocks.0.add" for s in (1, 2, 3)}


def test_a_depthwise_kernel_of_torch_fits_ours_channel_by_channel():
    name = "backbone.stage1.1.blocks.0.conv2.depthwise_conv.conv"
    torch_kernel = np.arange(4 * 25.0).reshape(4, 1, 5, 5)
    renamed = rename_entries({f"module.{name}.weight": torch_kernel}, (64, 32))
    shapes = {v.path: tuple(v.shape) for v in build().variables if v.path == f"{name}/kernel"}
    assert shapes == {f"{name}/kernel": (5, 5, 4, 1)}
    report = convert_checkpoint(shapes, renamed, "pytorch")
    kernel = report.arrays[f"{name}/kernel"]
    assert kernel[3, 2, 1, 0] == torch_kernel[1, 0, 3, 2]


@pytest.mark.parametrize("wrong", [{"depth": 50}, {"width": 5}])
def test_an_unknown_depth_lists_those_there_are(wrong):
    with pytest.raises(ValueError, match="depth of 4, 6, 12, 18 and an even width"):
        build(**wrong)
