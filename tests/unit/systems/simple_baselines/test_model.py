import keras
import numpy as np
import pytest

from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model

SMALL = {
    "input_shape": (64, 32),
    "form": "pytorch",
    "depth": 18,
    "backbone_width": 4,
    "head_filters": (8, 8, 8),
}


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def small(joints=5, **differences):
    return build_model(Options(**{**SMALL, **differences}), joints)


def pictures(dtype=np.uint8, batch=2, hw=(64, 32)):
    return np.random.default_rng(0).integers(0, 256, (batch, *hw, 3)).astype(dtype)


@pytest.mark.parametrize(
    ("depth", "joints", "trainable"),
    [(50, 17, 33_999_697), (101, 16, 52_991_568), (152, 17, 68_635_473)],
)
def test_trainable_parameters_are_as_many_as_in_the_published_networks(depth, joints, trainable):
    model = build_model(Options(input_shape=(64, 64), depth=depth), joints)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == trainable


def test_heatmaps_are_a_quarter_of_the_input():
    assert small().output["heatmaps"].shape == (None, 16, 8, 5)


@pytest.mark.parametrize(
    ("differences", "hw"),
    [
        ({"head_filters": (8, 8), "head_kernels": (4, 4)}, (8, 4)),
        ({"head_filters": (8, 8), "head_kernels": (4, 4), "backbone_stride": 16}, (16, 8)),
        ({"head_filters": (), "head_kernels": (), "backbone_stride": 8}, (8, 4)),
        ({"head_kernels": (4, 3, 2), "final_kernel": 3, "head_bias": True}, (16, 8)),
    ],
)
def test_the_size_of_the_heatmaps_is_what_the_options_say(differences, hw):
    options = Options(**{**SMALL, **differences})
    assert options.heatmap_hw == hw
    assert small(**differences).output["heatmaps"].shape == (None, *hw, 5)


def test_bytes_and_floats_give_the_same_heatmaps():
    model = small()
    as_bytes = model(pictures(np.uint8))["heatmaps"]
    np.testing.assert_array_equal(as_bytes, model(pictures(np.float32))["heatmaps"])


def test_the_model_takes_rgb_and_the_network_behind_normalise_bgr():
    model = build_model(Options(**{**SMALL, "form": "tensorflow", "depth": 50}), 5)
    behind = keras.Model(model.get_layer("normalise").output, model.output)
    rgb = pictures(np.float32)
    bgr = rgb[..., ::-1] - np.array([123.68, 116.78, 103.94], np.float32)
    np.testing.assert_array_equal(model(rgb)["heatmaps"], behind(bgr)["heatmaps"])


@pytest.mark.parametrize("form", ["tensorflow", "pytorch"])
def test_the_graph_is_flat_with_unique_variable_paths(form):
    model = build_model(Options(**{**SMALL, "form": form, "depth": 50, "head_bias": True}), 5)
    paths = [variable.path for variable in model.variables]
    assert len(set(paths)) == len(paths)
    assert {path.count("/") for path in paths} == {1}
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert [layer.name for layer in model.layers[:2]] == ["images", "normalise"]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_both_ends_are_float32_under_mixed_precision(policy):
    model = small()
    outputs = model(pictures())["heatmaps"]
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert model.get_layer("normalise").output.dtype == "float32"
    assert model.get_layer("final_layer").compute_dtype == "float32"
    assert model.get_layer("layer4.1.conv2").output.dtype == policy.removeprefix("mixed_")
    # The picture itself reaches `normalise` unrounded: 0.1 is not a bfloat16 number.
    first = keras.Model(model.input, model.get_layer("normalise").output)
    picture = np.full((1, 64, 32, 3), 200.1, np.float32)
    expected = picture - np.array([123.68, 116.78, 103.94], np.float32)
    np.testing.assert_array_equal(first(picture), expected)


def test_head_layers_are_called_as_in_the_checkpoints():
    torch = {layer.name for layer in small().layers}
    assert {"deconv_layers.0", "deconv_layers.1", "deconv_layers.7", "final_layer"} <= torch
    tensorflow = {layer.name for layer in small(form="tensorflow", depth=50).layers}
    assert {"up1", "up1.BatchNorm", "up3.BatchNorm", "out"} <= tensorflow


@pytest.mark.parametrize(
    ("form", "name", "deviation"), [("tensorflow", "up2", 0.0088), ("pytorch", "final_layer", 1e-3)]
)
def test_the_head_starts_near_zero(form, name, deviation):
    # 0.01 cut at two standard deviations leaves 0.0088.
    keras.utils.set_random_seed(3)
    options = Options(input_shape=(32, 32), form=form, backbone_width=4)
    kernel = build_model(options, 64).get_layer(name).kernel.numpy()
    assert kernel.std() == pytest.approx(deviation, rel=0.03)
    assert abs(kernel.mean()) < deviation / 10


def test_transposed_convolutions_of_equal_shape_start_differently():
    model = small()
    second, third = (model.get_layer(f"deconv_layers.{n}").kernel.numpy() for n in (3, 6))
    assert second.shape == third.shape
    assert np.abs(second - third).max() > 0


def test_synchronized_batch_norm_is_an_option_of_the_whole_network():
    for asked in (False, True):
        norms = [
            layer
            for layer in small(batch_norm_synchronized=asked).layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        assert {layer.synchronized for layer in norms} == {asked}
        assert len(norms) == 20 + 3


def test_a_saved_model_answers_as_before(tmp_path):
    model = small()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = pictures()
    np.testing.assert_array_equal(again(images)["heatmaps"], model(images)["heatmaps"])


def test_an_unknown_backbone_lists_the_files_there_are():
    with pytest.raises(ValueError, match=r"poseras/backbones: .*resnet.*Received 'resnext'"):
        small(backbone="resnext")
