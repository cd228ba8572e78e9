import keras
import numpy as np
import pytest

from poseras.backbones.resnet import (
    KERAS_NAMES,
    TORCH_NAMES,
    build_backbone,
    build_resnet,
    pair_layers,
    plan_units,
    slim_names,
)
from poseras.layers import slim_initializer

PUBLISHED = {
    "depth": 50,
    "width": 4,
    "names": slim_names(50),
    "stride_unit": "first",
    "stride_on": "3x3",
    "output_stride": 32,
    "pool_padding": "symmetric",
    "make_initializer": slim_initializer,
    "batch_norm_momentum": 0.9,
    "batch_norm_epsilon": 1e-5,
    "synchronized": False,
    "frozen_statistics": False,
}
#: tf-slim's own arrangement, as DeeperCut uses it.
SLIM = {
    "stride_unit": "last",
    "output_stride": 16,
    "pool_padding": "same",
    "frozen_statistics": True,
}


def build(hw=(64, 64), **differences):
    images = keras.Input((*hw, 3))
    stages = build_resnet(images, **{**PUBLISHED, **differences})
    return keras.Model(images, stages)


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_published_forms_stride_in_the_first_unit_of_the_last_three_blocks():
    plan = list(plan_units(50, "first", 32))
    assert [(u.block, u.index) for u in plan if u.stride == 2] == [(1, 0), (2, 0), (3, 0)]
    assert {u.dilation for u in plan} == {1}
    assert len(plan) == 3 + 4 + 6 + 3


def test_slim_strides_in_the_last_unit_and_dilates_block_four_at_output_stride_16():
    plan = list(plan_units(101, "last", 16))
    assert [(u.block, u.index) for u in plan if u.stride == 2] == [(0, 2), (1, 3)]
    assert {u.dilation for u in plan if u.block < 3} == {1}
    assert [u.dilation for u in plan if u.block == 3] == [2, 2, 2]


def test_dilation_starts_behind_the_unit_that_no_longer_strides():
    plan = list(plan_units(18, "first", 8))
    assert [u.stride for u in plan] == [1, 1, 2, 1, 1, 1, 1, 1]
    assert [u.dilation for u in plan] == [1, 1, 1, 1, 1, 2, 2, 4]


@pytest.mark.parametrize(("depth", "channels"), [(18, 32), (50, 128)])
def test_features_are_at_stride_32_with_channels_proportional_to_the_width(depth, channels):
    model = build((64, 96), depth=depth)
    shapes = [tensor.shape[1:] for tensor in model.output.values()]
    assert shapes[0] == (16, 24, 4)
    assert shapes[-1] == (2, 3, channels)


def test_slim_form_takes_pictures_of_any_size_and_rounds_up():
    model = build((None, None), **SLIM)
    odd = np.zeros((1, 33, 45, 3), np.float32)
    assert list(model(odd).values())[-1].shape == (1, 3, 3, 128)


def test_slim_form_takes_every_second_cell_where_channels_stay():
    model = build((64, 64), **SLIM)
    names = [layer.name for layer in layers_of(model, keras.layers.MaxPooling2D)]
    assert names == [
        "resnet_v1_50.pool1",
        "resnet_v1_50.block1.unit_3.bottleneck_v1.subsample",
        "resnet_v1_50.block2.unit_4.bottleneck_v1.subsample",
    ]


def test_units_are_called_as_in_slim_and_in_torchvision():
    slim = build((32, 32), depth=50)
    assert list(slim.output)[:2] == [
        "resnet_v1_50.pool1",
        "resnet_v1_50.block1.unit_1.bottleneck_v1",
    ]
    assert slim.get_layer("resnet_v1_50.block4.unit_3.bottleneck_v1.conv3.BatchNorm")
    torch = build((32, 32), depth=18, names=TORCH_NAMES)
    assert list(torch.output) == [
        "maxpool",
        *(f"layer{block}.{unit}" for block in range(1, 5) for unit in range(2)),
    ]
    projections = [layer.name for layer in torch.layers if "downsample.0" in layer.name]
    assert projections == [f"layer{block}.0.downsample.0" for block in (2, 3, 4)]


@pytest.mark.parametrize(("stride_on", "strides"), [("3x3", (1, 2)), ("1x1", (2, 1))])
def test_a_bottleneck_strides_on_the_chosen_convolution(stride_on, strides):
    model = build((32, 32), names=TORCH_NAMES, stride_on=stride_on)
    assert tuple(model.get_layer(f"layer2.0.conv{n}").strides[0] for n in (1, 2)) == strides


def test_strided_convolutions_look_at_even_cells():
    # Padded alike on both sides; "same" would centre them on odd cells of an even input.
    model = build((32, 32))
    stem = model.get_layer("resnet_v1_50.conv1")
    kernel = np.zeros(stem.kernel.shape, np.float32)
    kernel[3, 3, 0, 0] = 1
    stem.kernel.assign(kernel)
    images = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    seen = keras.Model(model.input, stem.output)(images)
    np.testing.assert_array_equal(seen[0, :, :, 0], images[0, ::2, ::2, 0])


def test_frozen_statistics_do_not_move_while_scales_are_trained():
    model = build((32, 32), depth=18, frozen_statistics=True)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    before = [v.numpy() for v in model.non_trainable_variables]
    training = list(model(images, training=True).values())[-1]
    np.testing.assert_array_equal(training, list(model(images).values())[-1])
    for old, variable in zip(before, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    assert any(v.path.endswith("gamma") for v in model.trainable_variables)


def test_live_statistics_move_in_training():
    model = build((32, 32), depth=18)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    moving = model.get_layer("resnet_v1_50.conv1.BatchNorm").moving_mean
    before = moving.numpy()
    model(images, training=True)
    assert np.abs(before - moving.numpy()).max() > 0


@pytest.mark.parametrize("synchronized", [False, True])
def test_batch_norm_gets_its_constants(synchronized):
    model = build((32, 32), depth=18, synchronized=synchronized)
    norms = layers_of(model, keras.layers.BatchNormalization)
    assert len(norms) == 1 + 16 + 3
    assert {(n.momentum, n.epsilon, n.synchronized) for n in norms} == {(0.9, 1e-5, synchronized)}


def test_the_same_seed_gives_the_same_weights_and_layers_differ():
    def kernels():
        keras.utils.set_random_seed(7)
        model = build((32, 32), depth=18)
        return [v.numpy() for v in model.trainable_variables if v.path.endswith("kernel")]

    first, second = kernels(), kernels()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    same_shape = [kernel for kernel in first if kernel.shape == (3, 3, 4, 4)]
    assert len(same_shape) == 4
    assert np.abs(same_shape[0] - same_shape[1]).max() > 0


@pytest.mark.parametrize(
    ("form", "stem"), [("tensorflow", "resnet_v1_18.conv1"), ("pytorch", "conv1")]
)
def test_the_backbone_of_a_form_ends_in_its_last_unit(form, stem):
    images = keras.Input((64, 32, 3))
    features = build_backbone(
        images,
        form=form,
        depth=18,
        width=2,
        output_stride=16,
        stride_on="3x3",
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
        synchronized=False,
    )
    assert features.shape == (None, 4, 2, 16)
    assert keras.Model(images, features).get_layer(stem).filters == 2


def test_layers_of_two_naming_schemes_are_paired_unit_by_unit():
    pairs = pair_layers(50, TORCH_NAMES, KERAS_NAMES)
    assert pairs["conv1"] == pairs["bn1"] == ("conv1_conv", "conv1_bn")
    assert pairs["layer1.0.downsample.1"] == ("conv2_block1_0_conv", "conv2_block1_0_bn")
    assert pairs["layer4.2.conv3"] == ("conv5_block3_3_conv", "conv5_block3_3_bn")
    slim = pair_layers(18, TORCH_NAMES, slim_names(18))
    unit = "resnet_v1_18.block2.unit_2.bottleneck_v1"
    assert slim["layer2.1.bn2"] == (f"{unit}.conv2", f"{unit}.conv2.BatchNorm")
    assert "layer2.1.conv3" not in slim
