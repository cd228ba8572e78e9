"""Every backbone in the top-down network: small ones through the whole contract."""

import importlib
import inspect
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras import backbones
from poseras.engine.train_step import StepSettings, TrainStep
from poseras.layers import count_multiply_accumulates
from poseras.settings import apply_differences, flatten
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines import Options, System, default_view
from poseras.systems.simple_baselines.hsr_options import Hsr

SKELETON = Skeleton(
    name="Test/three", keypoints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),)
)
HW = (64, 32)
PYTORCH = {
    "input_shape": HW,
    "form": "pytorch",
    "head_filters": (),
    "head_kernels": (),
    "target_peak": 1.0,
}
HRNET = {**PYTORCH, "backbone": "hrnet", "backbone_width": 2, "backbone_stride": 4}
VIT = {
    **PYTORCH,
    "backbone": "vit",
    "depth": 2,
    "backbone_width": 8,
    "backbone_heads": 2,
    "backbone_stride": 16,
    "drop_path": 0.1,
}
SIMCC = {"codec": "simcc", "loss": "divergence", "decoder": "none", "simcc.sigma": [2.0, 2.0]}
HSR_MSNET = {
    **PYTORCH,
    "backbone": "hsrnet",
    "depth": 59,
    "backbone_width": 4,
    "backbone_stride": 16,
    "head_filters": (4, 4),
    "head_kernels": (4, 4),
    "hsr.multi_scale": True,
}
CSPNEXT = {**PYTORCH, "backbone": "cspnext", "depth": 4, "backbone_width": 2}
NETWORKS = {
    "hrnet": HRNET,
    "hsr_msnet": {**HSR_MSNET, "hsr.declare_unused": True},
    "vit_discs": {
        **VIT,
        "head": "upsampling",
        "codec": "udp_discs",
        "loss": "disc_and_offset",
        "decoder": "none",
    },
    "vit_classic": {
        **VIT,
        "head_filters": (4, 4),
        "head_kernels": (4, 4),
        "codec": "udp",
        "decoder": "dark",
    },
    "vit_simple": {**VIT, "head": "upsampling", "final_kernel": 3, "decoder": "dark"},
    "rtmpose": {**CSPNEXT, **SIMCC, "head": "rtmcc", "gau.width": 8, "gau.key_width": 4},
    "rtmpose_full": {
        **CSPNEXT,
        **SIMCC,
        "head": "rtmcc",
        "gau.width": 8,
        "gau.key_width": 4,
        "gau.relative_bias": True,
        "gau.rotary": True,
        "gau.activation": "relu",
    },
    "simcc": {**CSPNEXT, **SIMCC, "head": "simcc"},
}
#: Coordinates of three joints in a view of 64 x 32, away from its border.
KEYPOINTS = np.array([[[[8, 12, 2], [20.3, 40.6, 2], [15.5, 33, 1]]]] * 2, np.float32)


def make_system(differences):
    return System(apply_differences(Options(), differences), SKELETON)


@pytest.fixture(scope="module", params=NETWORKS)
def system(request):
    return make_system(NETWORKS[request.param])


@pytest.fixture(scope="module")
def model(system):
    keras.utils.set_random_seed(0)
    return system.build_model()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (2, *HW, 3), np.uint8)


def numbers(values):
    return {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(backbones.__path__)])
def test_every_file_of_the_folder_offers_what_a_backbone_needs(name):
    module = importlib.import_module(f"poseras.backbones.{name}")
    if not hasattr(module, "build_backbone"):
        pytest.skip(f"{name} serves no top-down network")
    first, *named = inspect.signature(module.build_backbone).parameters.values()
    known = {"form", "depth", "width", "heads", "output_stride", "stride_on", "drop_path"}
    known |= set(Hsr().network_arguments())
    known |= {"batch_norm_momentum", "batch_norm_epsilon", "synchronized"}
    assert {p.name for p in named} <= known and {p.kind for p in named} <= {
        p.KEYWORD_ONLY for p in named
    }
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert isinstance(module.HEAD_SCOPE, str)
    assert isinstance(module.rename_entries({}, (64, 32)), dict)


def test_outputs_have_the_names_and_shapes_of_the_targets_in_float32(system, model, images):
    outputs = numbers(model(images, training=False))
    targets = numbers(system.encode({"keypoints": KEYPOINTS}))
    assert {n: v.shape for n, v in outputs.items()} | {"weights": (2, 3)} == {
        n: v.shape for n, v in targets.items()
    }
    assert {v.dtype for v in outputs.values()} == {np.dtype(np.float32)}


def test_the_graph_is_flat_and_its_paths_are_unique(model):
    paths = [variable.path for variable in model.weights]
    assert len(set(paths)) == len(paths) and {path.count("/") for path in paths} == {1}
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.layers[1].name == "normalise"


def test_a_step_reaches_every_weight(system, model, images):
    targets = system.encode({"keypoints": KEYPOINTS})
    with tf.GradientTape() as tape:
        losses = system.compute_loss(targets, model(images, training=True))
    gradients = tape.gradient(losses["total"], model.trainable_variables)
    assert losses["total"].shape == () and np.isfinite(losses["total"])
    missing = [
        variable.path
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.isfinite(gradient).all()
    ]
    assert not missing


def test_the_flip_test_of_the_mirrored_targets_gives_the_targets(system):
    mirrored = KEYPOINTS[:, :, [0, 2, 1]].copy()
    udp = system.options.codec.startswith("udp")
    # Corner views are mirrored half a pixel off; a simcc bin b becomes bin count - 1 - b.
    off = 1.0 if udp else (0.5 if system.options.codec == "simcc" else 4.0)
    mirrored[..., 0] = HW[1] - off - mirrored[..., 0]
    batch, flipped = ({"keypoints": points} for points in (KEYPOINTS, mirrored))
    targets = numbers(system.encode(batch))
    settings = flatten(system.options)
    aligned = make_system({**settings, "shift_flipped": system.options.codec != "heatmap"})
    merged = numbers(aligned.merge_flip(targets, system.encode(flipped)))
    assert set(merged) == set(targets) - {"weights"}
    for name, value in merged.items():
        # A joint at half a cell or bin may be rounded to either side of it.
        difference = np.abs(value - targets[name])
        assert np.median(difference) < 1e-6 and (difference < 0.3 * targets[name].max()).all(), name


def test_true_targets_decode_to_the_keypoints(system):
    options = system.options
    targets = system.encode({"keypoints": KEYPOINTS})
    decoded = numbers(system.decode({n: v for n, v in targets.items() if n != "weights"}))
    error = np.abs(decoded["keypoints_px"] - KEYPOINTS[..., :2])
    # Unrounded targets come back to a small part of a cell of 4 px; the others stand on whole
    # cells, or on half pixels.
    tolerance = {"udp": 0.25, "udp_discs": 1e-4, "simcc": 0.26, "heatmap": 2.5}[options.codec]
    assert error.max() <= tolerance
    assert (decoded["keypoint_scores"] > 0).all()


def test_broken_outputs_are_nan_for_their_joint_alone(system, model, images):
    outputs = numbers(model(images, training=False))
    name = "x" if "x" in outputs else "heatmaps"
    outputs[name] = outputs[name].copy()
    joint = (0, 1) if name == "x" else (0, slice(None), slice(None), 1)
    outputs[name][joint] = np.nan
    decoded = numbers(system.decode(outputs))
    bad = np.isnan(decoded["keypoints_px"]).all(axis=-1)[:, 0]
    assert bad.tolist() == [[False, True, False], [False, False, False]]


def test_a_saved_model_answers_as_before(system, model, images, tmp_path):
    if system.options.backbone == "hrnet":
        pytest.skip("an HRNet has no layer of ours but the first, and takes long to load")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, value in numbers(model(images, training=False)).items():
        np.testing.assert_array_equal(again(images, training=False)[name], value)


@pytest.mark.parametrize("network", ["vit_classic", "vit_discs", "rtmpose_full"])
def test_both_ends_are_float32_under_mixed_precision(network, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = make_system(NETWORKS[network]).build_model()
    finally:
        keras.config.set_dtype_policy("float32")
    assert "bfloat16" in {layer.compute_dtype for layer in mixed.layers}
    for value in mixed(images, training=False).values():
        assert value.dtype == tf.float32 and np.isfinite(value).all()


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({**HRNET, "depth": 101}, r"backbone hrnet has no depth; .* at 50\. Received 101"),
        ({**VIT, "backbone_stride": 8}, r"stride of the backbone, 16 for vit\. Received 8"),
        ({**CSPNEXT, "depth": 50}, "depth of 4, 6, 12, 18"),
        ({**HSR_MSNET, "depth": 50}, r"depth of 59, 110, 161\. Received depth 50"),
        ({**HSR_MSNET, "hsr.groups": 3}, "groups of an HSR-MSNet must divide its width"),
        ({**HSR_MSNET, "backbone_width": 2, "hsr.groups": 2}, "needs a width of at least 4"),
        ({**HSR_MSNET, "stride_on": "1x1"}, "backbone hsrnet has no stride_on"),
        ({**HRNET, "hsr.dilation": 1}, r"backbone hrnet has no dilation; .* at 2\. Received 1"),
        ({**VIT, "backbone_heads": 3}, "width that its heads divide"),
        ({**VIT, "stride_on": "1x1"}, "backbone vit has no stride_on"),
    ],
)
def test_a_network_that_cannot_be_built_is_named(differences, message):
    with pytest.raises(ValueError, match=message):
        make_system(differences).build_model()


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ({"backbone": "hrnet"}, r"form must be pytorch .*Received tensorflow with hrnet"),
        ({"codec": "simcc"}, "codec simcc needs a head of simcc or rtmcc"),
        ({"head": "simcc"}, "Received codec heatmap with head simcc"),
        (
            {"codec": "udp"},
            r"decoder of the codec udp must be one of dark, none\. Received quarter",
        ),
        ({"loss": "divergence"}, "loss of the codec heatmap must be one of mean_squared"),
        ({"head": "upsampling"}, "head upsampling has no transposed convolutions"),
        ({"blur_kernel": 10}, "blur_kernel must be an odd number of cells"),
        ({"drop_path": 1.0}, r"drop_path in \[0, 1\)"),
        ({**HSR_MSNET, "input_shape": (72, 32)}, r"divisible by the stride 16\. Received \(72, 32"),
        ({"hsr.groups": 1}, r"hsr\.groups must be at least 2"),
        ({"hsr.groups": 2}, r"hsr\.groups is for hsr\.multi_scale=true alone; leave it at 4"),
        ({"hsr.split_init": "from_conv2"}, r"hsr\.split_init is for hsr\.multi_scale=true"),
        ({"hsr.split_init": "conv2"}, r"split_init must be one of"),
        ({"simcc.bins_per_pixel": 0}, "simcc.bins_per_pixel and simcc.beta must be positive"),
        ({"simcc.sigma": [1, 0]}, "simcc.sigma must be positive along x and y"),
        ({"simcc.smoothing": 1}, r"simcc.smoothing must be in \[0, 1\)"),
        ({"gau.final_kernel": 4}, "gau.final_kernel must be an odd number"),
        ({"gau.key_width": 3}, "gau.key_width positive and even"),
    ],
)
def test_options_that_contradict_each_other_are_named(differences, message):
    with pytest.raises(ValueError, match=message):
        apply_differences(Options(), differences)


def test_views_of_the_udp_codecs_are_cut_by_intervals():
    views = {name: default_view(make_system(n).options) for name, n in NETWORKS.items()}
    cut = {name for name, view in views.items() if view.crop_convention == "udp"}
    assert cut == {"vit_discs", "vit_classic"}


PUBLISHED = {
    "hrnet_w32": ({**HRNET, "backbone_width": 32}, 28_536_113, 7.65),
    "hrnet_w48": ({**HRNET, "backbone_width": 48}, 63_595_745, 15.69),
}
_CLASSIC = {"head_filters": (256, 256), "head_kernels": (4, 4)}
_SIMPLE = {"head": "upsampling", "final_kernel": 3}
for size, width, depth, heads, classic, simple, costs in (
    ("s", 384, 12, 12, 24_290_577, 21_722_513, (5.25, 4.31)),
    ("b", 768, 12, 12, 89_994_513, 85_912_337, (17.84, 16.78)),
    ("l", 1024, 24, 16, 308_544_785, 303_453_201, (59.76, 58.6)),
    ("h", 1280, 32, 16, 637_208_849, 631_107_857, (122.8, 121.6)),
):
    sizes = {"backbone_width": width, "depth": depth, "backbone_heads": heads}
    PUBLISHED[f"vit_{size}"] = ({**VIT, **sizes, **_CLASSIC}, classic, costs[0])
    PUBLISHED[f"vit_{size}_simple"] = ({**VIT, **sizes, **_SIMPLE}, simple, costs[1])
for size, width, depth, count, cost in (
    ("t", 24, 4, 3_337_007, 0.355),
    ("s", 32, 6, 5_473_251, 0.676),
    ("m", 48, 12, 13_587_611, 1.92),
    ("l", 64, 18, 27_660_339, 4.14),
):
    sizes = {"backbone_width": width, "depth": depth, "head": "rtmcc"}
    PUBLISHED[f"rtmpose_{size}"] = ({**CSPNEXT, **SIMCC, **sizes}, count, cost)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_multiply_accumulates_are_as_many_as_published(name, shapes_alone):
    differences, published, cost = PUBLISHED[name]
    options = apply_differences(Options(), {**differences, "input_shape": (256, 192)})
    skeleton = Skeleton(name="Test/many", keypoints=tuple(f"joint_{i}" for i in range(17)))
    model = System(options, skeleton).build_model()
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == published
    # Published costs have three or four digits.
    assert count_multiply_accumulates(model)[0] / 1e9 == pytest.approx(cost, rel=1e-3, abs=0.006)


#: HSRNet's code counts so, for 256x192 and 384x288.
HSR_COSTS = {
    (59, False): (6.52, 14.67),
    (110, False): (10.16, 22.86),
    (59, True): (5.00, 11.25),
    (110, True): (7.08, 15.91),
}


@pytest.mark.parametrize(("depth", "multi_scale"), HSR_COSTS)
def test_multiply_accumulates_of_an_hsrnet_are_those_of_its_original(
    depth, multi_scale, shapes_alone
):
    differences = {**HSR_MSNET, "depth": depth, "backbone_width": 64, "head_filters": (256, 256)}
    differences |= {"input_shape": (256, 192), "hsr.multi_scale": multi_scale}
    options = apply_differences(Options(), differences)
    skeleton = Skeleton(name="Test/many", keypoints=tuple(f"joint_{i}" for i in range(17)))
    model = System(options, skeleton).build_model()
    cost = count_multiply_accumulates(model)[0] / 1e9
    small, large = HSR_COSTS[depth, multi_scale]
    assert cost == pytest.approx(small, abs=0.006)
    # Four times nine sixteenths of the places, in every layer but squeeze and excitation.
    assert 2.25 * cost == pytest.approx(large, abs=0.011)


def test_layers_of_a_vit_are_numbered_for_rates_that_fall_towards_the_input():
    system = make_system(NETWORKS["vit_classic"])
    model = system.build_model()
    layers = system.number_layers(model)
    assert set(layers) == {v.path for v in model.weights} and set(layers.values()) == {0, 1, 2, 3}
    step = TrainStep(system, model, StepSettings(layer_decay=0.75))
    shares = {w.path: s for w, s in zip(step._weights, step._shares, strict=True)}
    assert shares["backbone.patch_embed.proj/kernel"] == 0.75**3
    assert shares["backbone.blocks.1.attn.qkv/kernel"] == 0.75
    assert shares["keypoint_head.final_layer/kernel"] == 1


def test_a_backbone_that_does_not_number_its_layers_has_no_layer_decay():
    system = make_system(HRNET)
    with pytest.raises(ValueError, match="numbers its layers, vit; .*Received the backbone hrnet"):
        system.number_layers(system.build_model())
