"""Networks of other systems that start from what a Simple Baselines network has learned."""

from functools import partial

import keras
import numpy as np
import pytest

from poseras.engine.initial_weights import load_initial_weights
from poseras.engine.snapshot import write_snapshot
from poseras.systems.deepercut_arttrack import model as deepercut_model
from poseras.systems.deepercut_arttrack import options as deepercut_options
from poseras.systems.deepercut_arttrack import weights as deepercut_weights
from poseras.systems.integral_3d import model as integral_model
from poseras.systems.integral_3d import options as integral_options
from poseras.systems.integral_3d import weights as integral_weights
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.options import Options

LIGHT = {"depth": 18, "backbone_width": 4}
#: Odd on purpose: other means and deviations than anyone's defaults, and the channels turned.
PIXELS = {"channel_order": "bgr", "pixel_std": (2.0, 40.0, 60.0)}


def refuse(shapes, entries):
    pytest.fail("a snapshot of ours needs no conversion")


def randomise(model):
    rng = np.random.default_rng(5)
    for variable in model.weights:
        low = 0.5 if variable.path.endswith(("gamma", "moving_variance")) else -0.3
        variable.assign(rng.uniform(low, low + 0.6, variable.shape))
    return model


def snapshot_of(model, options, path, system="simple_baselines"):
    metadata = {
        "system": system,
        "options": {"channel_order": options.channel_order, "pixel_std": list(options.pixel_std)},
    }
    write_snapshot(path, {f"weights/{v.path}": v.numpy() for v in model.weights}, metadata)
    return path


def teacher(pixel_mean_rgb, head_filters=(8, 6), joints=6):
    options = Options(
        form="pytorch",
        input_shape=(64, 64),
        head_filters=head_filters,
        head_kernels=(4,) * len(head_filters),
        pixel_mean=tuple(pixel_mean_rgb[::-1]),
        **PIXELS,
        **LIGHT,
    )
    return randomise(build_model(options, joints)), options


def test_integral_regression_computes_the_same_volumes_as_heatmaps(tmp_path, images):
    own = integral_options.Options(
        input_shape=(64, 64), head_filters=(8, 6), head_kernels=(4, 4), depth_bins=2, **LIGHT
    )
    source, options = teacher(own.pixel_mean)
    path = snapshot_of(source, options, tmp_path / "s.safetensors")
    model = integral_model.build_model(own, 3)
    report = load_initial_weights(model, path, refuse, partial(integral_weights.adopt, options=own))
    assert report == [f"Initial weights: {len(model.weights)} of {len(model.weights)} from {path}."]
    volumes = keras.Model(model.input, model.get_layer("head.final_layer").output)
    (heatmaps,) = source(images).values()
    np.testing.assert_allclose(volumes(images), heatmaps, rtol=1e-3, atol=1e-3)
    assert np.ptp(heatmaps) > 1  # a network that answers alike everywhere would prove nothing


def test_deepercut_takes_the_backbone_and_sees_the_same_pictures(tmp_path, images):
    own = deepercut_options.Options(
        batch_norm="trained", intermediate_supervision=False, pixel_mean=(120.0, 110, 100), **LIGHT
    )
    source, options = teacher(own.pixel_mean)
    path = snapshot_of(source, options, tmp_path / "s.safetensors")
    model = deepercut_model.build_model(own, 3)
    report = load_initial_weights(
        model, path, refuse, partial(deepercut_weights.adopt, options=own)
    )
    heads = [v.path for v in model.weights if v.path.startswith("pose.")]
    assert report[0] == (
        f"Initial weights: {len(model.weights) - len(heads)} of {len(model.weights)} from {path}."
    )
    for ours, theirs in (
        ("block2.unit_1.bottleneck_v1.shortcut", "layer2.0.downsample.0"),
        ("block4.unit_2.bottleneck_v1.conv2.BatchNorm", "layer4.1.bn2"),
    ):
        pair = model.get_layer(f"resnet_v1_18.{ours}"), source.get_layer(theirs)
        np.testing.assert_array_equal(*(layer.weights[0].numpy() for layer in pair))
    stems = (
        keras.Model(network.input, network.get_layer(name).output)(images)
        for network, name in ((model, "resnet_v1_18.conv1.BatchNorm"), (source, "bn1"))
    )
    np.testing.assert_allclose(*stems, rtol=1e-3, atol=1e-3)


def test_snapshots_of_the_own_system_are_taken_as_they_are(tmp_path):
    own = integral_options.Options(
        input_shape=(64, 64), head_filters=(8,), head_kernels=(4,), depth_bins=2, **LIGHT
    )
    first = randomise(integral_model.build_model(own, 3))
    path = snapshot_of(first, Options(form="pytorch"), tmp_path / "s.safetensors", "integral_3d")
    second = integral_model.build_model(own, 3)
    load_initial_weights(second, path, refuse, partial(integral_weights.adopt, options=own))
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
