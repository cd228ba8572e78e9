"""HSRNet's blocks, its start, and the layers that nothing uses."""

import keras
import numpy as np
import pytest

from poseras.backbones.hsrnet import (
    BLOCKS,
    Block,
    Builder,
    Unused,
    build_backbone,
    list_unused,
    plan_blocks,
)

SETTINGS = {
    "use_se": True,
    "dilation": 2,
    "declare_unused": False,
    "batch_norm_momentum": 0.9,
    "batch_norm_epsilon": 1e-5,
    "synchronized": False,
}


def make_block(kind="bottleneck", stride=1, planes=8, channels=32, **settings):
    builder = Builder(**{"groups": 4, **SETTINGS, **settings})
    inputs = keras.Input((8, 6, channels))
    return keras.Model(inputs, builder.block(inputs, Block("block", planes, stride, kind)))


def make_network(width=4, sides=(32, 32), extra_stages=0, **settings):
    images = keras.Input((*sides, 3))
    arguments = {"multi_scale": True, "groups": 4, "depth": 59, **SETTINGS, **settings}
    return build_backbone(images, width=width, extra_stages=extra_stages, **arguments)


@pytest.mark.parametrize(("depth", "count"), [(59, 19), (110, 36), (161, 53)])
def test_a_network_has_the_blocks_of_a_resnet_and_six_dilated_ones(depth, count):
    blocks = list(plan_blocks(depth, 64, 2))
    assert len(blocks) == count == sum(BLOCKS[depth]) + 6
    assert [b.name for b in blocks if b.stride == 2] == ["layer2.0", "layer3.0"]
    assert "".join(b.kind for b in blocks if b.name.startswith("new_")) == "BAABAA"
    assert {b.planes for b in blocks[-6:]} == {256}


def test_features_have_stride_16_with_and_without_the_dilated_stages():
    assert make_network().shape == (None, 2, 2, 64)
    assert make_network(sides=(48, 16), extra_stages=1).shape == (None, 3, 1, 64)


def test_groups_are_passed_on_before_any_relu():
    model = make_block(use_se=False)
    for variable in model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    values = {v.path.removeprefix("block."): v for v in model.variables}
    for path, variable in values.items():
        if path.endswith(("gamma", "moving_variance")):
            variable.assign(keras.ops.ones_like(variable))
    values["conv1/kernel"].assign(np.eye(32, 8).reshape(1, 1, 32, 8))
    identity = np.zeros((3, 3, 2, 2), np.float32)
    identity[1, 1] = np.eye(2)
    for index, sign in ((1, -1), (2, 1), (3, 1)):
        values[f"conv_split{index}/kernel"].assign(sign * identity)
    values["conv3/kernel"].assign(np.eye(8, 32).reshape(1, 1, 8, 32))
    x = np.zeros((1, 8, 6, 32), np.float32)
    x[..., :8] = [1, 2, 3, 4, 5, 6, 7, 8]
    # Groups 1 2 | 3 4 | 5 6 | 7 8: the second is negated, the next two add what comes before.
    groups = np.array([1, 2, 0, 0, 5 - 3, 6 - 4, 7 + 2, 8 + 2])
    found = np.asarray(model(x, training=False))[0, 4, 3, :8]
    np.testing.assert_allclose(found - x[0, 4, 3, :8], groups, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "stride", "names"),
    [
        ("bottleneck", 1, {"conv2", "bn2"}),
        ("A", 1, {"conv2", "bn2"}),
        ("bottleneck", 2, {f"{n}_split{i}" for n in ("conv", "bn") for i in (1, 2, 3)}),
    ],
)
def test_layers_that_nothing_uses_are_declared_on_demand_and_change_nothing(kind, stride, names):
    plain = make_block(kind, stride)
    whole = make_block(kind, stride, declare_unused=True)
    unused = {p: v for v in whole.weights if (p := v.path) not in {w.path for w in plain.weights}}
    assert {path.split("/")[0].removeprefix("block.") for path in unused} == names
    shapes = list_unused(Block("block", 8, stride, kind), 4)
    assert {path: tuple(v.shape) for path, v in unused.items()} == shapes
    assert len(whole.trainable_weights) == len(plain.trainable_weights)
    for variable in plain.weights:
        next(v for v in whole.weights if v.path == variable.path).assign(variable)
    x = np.random.default_rng(0).normal(size=(2, 8, 6, 32)).astype(np.float32)
    np.testing.assert_array_equal(whole(x), plain(x))


def test_an_unused_layer_starts_as_the_identity_and_stays_untrained():
    layer = Unused({"gamma": (2,), "beta": (2,), "kernel": (3, 3, 2, 2)}, name="bn2")
    assert layer(np.ones((1, 2, 2, 2), np.float32)).shape == (1, 2, 2, 2)
    assert [float(keras.ops.mean(w)) for w in layer.weights] == [1, 0, 0]
    assert layer.trainable_weights == []
    again = Unused.from_config(layer.get_config())
    assert again.shapes == layer.shapes and again.name == "bn2"


def test_weights_start_as_pytorch_starts_them_but_for_the_split_convolutions():
    keras.utils.set_random_seed(3)
    starts = {}
    for kind in ("bottleneck", "A"):
        model = make_block(kind, planes=64, channels=256)
        starts[kind] = {v.path.removeprefix("block."): np.asarray(v) for v in model.weights}
    values = starts["bottleneck"]
    for name, fan_in in (("conv1/kernel", 256), ("conv3/kernel", 64), ("se.fc1/kernel", 256)):
        bound = fan_in**-0.5
        assert 0.95 * bound < np.abs(values[name]).max() <= bound, name
        # The deviation of a uniform distribution.
        assert values[name].std() == pytest.approx(bound / 3**0.5, rel=0.05), name
    assert 0 < np.abs(values["se.fc2/bias"]).max() <= 16**-0.5
    assert values["conv_split1/kernel"].std() == pytest.approx(0.001, rel=0.05)
    bound = (9 * 16) ** -0.5
    assert np.abs(starts["A"]["conv_split0/kernel"]).max() == pytest.approx(bound, rel=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 50}, r"An HSRNet has a depth of 59, 110, 161\. Received depth 50"),
        ({"sides": (40, 32)}, r"halves its input four times.* multiples of 16\. .*40, 32"),
        ({"groups": 3}, "groups of an HSR-MSNet must divide its width. Received 3 groups"),
        ({"width": 2, "groups": 2}, "needs a width of at least 4. Received 2"),
    ],
)
def test_networks_that_cannot_be_built_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        make_network(**settings)
