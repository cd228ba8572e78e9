"""HRNet, ViTPose, RTMPose and the vector heads with stand-in weights, against the originals."""

import re

import keras
import numpy as np
import pytest

from poseras.backbones.cspnext import BLOCKS
from poseras.checkpoints.names import convert_checkpoint
from poseras.layers import count_multiply_accumulates
from poseras.settings import apply_differences
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.heads import build_head
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.published_names import rename_entries
from poseras.systems.simple_baselines.rtmcc import rename_entries as rename_head_entries

HRNET, VIT, RTM = ("backbones/hrnet.npz", "backbones/vit.npz", "backbones/rtm.npz")

PYTORCH = {"form": "pytorch", "batch_norm_momentum": 0.9, "batch_norm_epsilon": 1e-5}
NO_DECONVOLUTION = {"head_filters": (), "head_kernels": ()}
SIMCC = {"codec": "simcc", "loss": "divergence", "decoder": "none"}


def read_names(golden, family, net):
    """(name, shape) of the original's entries, in the order of its checkpoint."""
    return golden.manifest(f"backbones/{family}_state_dicts.json")[net]


def make_input(golden, net, height=None):
    """The input of a case: its file tells the seed, its name and its height which one."""
    for record in golden.manifest("backbones/inputs.json").values():
        _, _, rows, _ = record["shape"]
        if re.match(rf"{net}(?![a-z0-9])", record["used_for"]) and height in (None, rows):
            noise = np.random.RandomState(record["seed"]).standard_normal(record["shape"])
            array = noise.astype(np.float32)
            np.testing.assert_allclose(array.ravel()[:4], record["first4"], rtol=1e-6)
            return np.moveaxis(array, 1, 3)  # (batch, height, width, channels)
    return pytest.fail(f"inputs.json has no input for {net} of {height} rows")


def load(model, entries, options):
    """Put renamed entries into a model; every one must find its place."""
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    report = convert_checkpoint(shapes, rename_entries(entries, options), "pytorch")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    for variable in model.variables:
        variable.assign(report.arrays[variable.path])


def run(model, images, stages=None):
    """The outputs of a model fed behind its normalisation, and of some layers, channels first."""
    outputs = {**model.output, **(stages or {})}
    network = keras.Model(model.get_layer("normalise").output, outputs)
    found = {name: np.array(value) for name, value in network(images, training=False).items()}
    return {n: np.moveaxis(v, 3, 1) if v.ndim == 4 else v for n, v in found.items()}


def thin_out(array, stored):
    """Every k-th value along each axis, k a power of 2, as the file's `_sub` arrays were cut."""
    steps = [
        next(k for k in (2**n for n in range(have.bit_length())) if -(-have // k) == kept)
        for have, kept in zip(array.shape, stored.shape, strict=True)
    ]
    return array[tuple(slice(None, None, step) for step in steps)]


def check_part(found, stored, tolerance):
    np.testing.assert_allclose(thin_out(found, stored), stored, rtol=0, atol=tolerance)


def read_stats(golden, family, net):
    """What is told of a network beside its arrays; nothing where the folder has no such file."""
    file = f"backbones/{family}_stats.json"
    return golden.load(file).get(net, {}) if golden.find(file) else {}


def check_stats(golden, family, net, name, found):
    """Numbers of the whole map, of which the file holds a part."""
    expected = read_stats(golden, family, net).get(name)
    if expected is None:
        return
    assert list(found.shape) == expected.get("shape", list(found.shape))
    # float32 sums in another order; of vectors, whose deviation is 30 to 45, as their own test.
    slack = max(1e-4, (1e-3 if family == "rtm" else 0) * expected["std"])
    for function in {"mean", "std", "min", "max"} & expected.keys():
        assert getattr(found, function)() == pytest.approx(expected[function], abs=slack), function


def check_cost(golden, family, net, model):
    """Weights of the network and, where the file tells it for this input, multiplications."""
    expected = read_stats(golden, family, net)
    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert count == expected.get("params", count)
    height, width = model.input.shape[1:3]
    if f"gmac{height}" in expected and 4 * width == 3 * height:
        products = count_multiply_accumulates(model)[0] / 1e9
        # Whole numbers, divided.
        assert products == pytest.approx(expected[f"gmac{height}"], rel=1e-12)


@pytest.mark.golden(HRNET, keys=r"(?P<tag>.+_out\d+)(_sub)?")
def test_hrnet_gives_the_original_maps_and_stages(golden, tag):
    assert tag, f"{HRNET} holds no network"
    cases = golden.load(HRNET)
    net, size = tag.split("_out")
    names = read_names(golden, "hrnet", net)
    shapes = dict(names)
    images = make_input(golden, net, int(size))
    options = Options(
        input_shape=images.shape[1:3],
        backbone="hrnet",
        backbone_width=shapes["final_layer.weight"][1],
        backbone_stride=4,
        **PYTORCH,
        **NO_DECONVOLUTION,
    )
    model = build_model(options, shapes["final_layer.weight"][0])
    # The repeated sums would grow without the halved scales.
    entries = {
        name: golden.fill(name, shape)
        * np.float32(0.5 if len(shape) == 1 and name.endswith(".weight") else 1)
        for name, shape in names
    }
    load(model, entries, options)
    check_cost(golden, "hrnet", net, model)
    stored = {
        key.removeprefix(f"{net}_").removesuffix("_sub"): value
        for key, value in cases.items()
        if key.startswith(f"{net}_") and "_out" not in key
    }
    # The file holds stages of one input for each network.
    stored = {n: v for n, v in stored.items() if count_stored_rows(n, int(size)) == v.shape[2]}
    found = run(model, images, {name: stage_output(model, name) for name in stored})
    for name, value in stored.items():
        # float32 sums in another order; the cases' own check saw 4e-6.
        check_part(found[name], value, 5e-5)
        check_stats(golden, "hrnet", net, name, found[name])
    check_part(found["heatmaps"], cases.get(tag, cases.get(f"{tag}_sub")), 5e-5)
    check_stats(golden, "hrnet", net, f"out{size}", found["heatmaps"])


def count_stored_rows(name, height):
    """Rows of `layer1`, every 4th, or of `stage<s>_<b>`, every 2nd, for an input of this height."""
    rows, step = (height // 4, 4) if name == "layer1" else (height // 4 >> int(name[-1]), 2)
    return -(-rows // step)


def stage_output(model, name):
    """`layer1`, or branch b of stage s from `stage<s>_<b>`: what its last module sums up."""
    if name == "layer1":
        return model.get_layer("layer1.3").output
    stage, branch = name.split("_")
    modules = {layer.name.split(".")[1] for layer in model.layers if layer.name.startswith(stage)}
    return model.get_layer(f"{stage}.{len(modules) - 1}.fuse_layers.{branch}").output


def vit_options(names, input_shape, simple):
    """Sizes from the shapes; the number of heads is in no shape, but follows from the width."""
    shapes = dict(names)
    width = shapes["backbone.pos_embed"][-1]
    head = {"head": "upsampling", "final_kernel": 3, **NO_DECONVOLUTION}
    classic = {"head_filters": (256, 256), "head_kernels": (4, 4)}
    return Options(
        input_shape=input_shape,
        backbone="vit",
        depth=len({name.split(".")[2] for name in shapes if ".blocks." in name}),
        backbone_width=width,
        backbone_stride=16,
        backbone_heads=16 if width >= 1024 else 12,
        **PYTORCH,
        **(head if simple else classic),
    )


@pytest.mark.golden(VIT, keys=r"(?P<tag>.+_out\d+)(_sub)?")
def test_vitpose_gives_the_original_maps_and_features(golden, tag):
    assert tag, f"{VIT} holds no network"
    cases = golden.load(VIT)
    net, size = tag.split("_out")
    simple = net.endswith("_simple")
    images = make_input(golden, net.removesuffix("_simple"), int(size))
    other_size = f"{net}_{images.shape[1]}x{images.shape[2]}"
    listed = golden.manifest("backbones/vit_state_dicts.json")
    key = other_size if other_size in listed else net
    names = listed[key]
    options = vit_options(names, images.shape[1:3], simple)
    model = build_model(options, dict(names)["keypoint_head.final_layer.bias"][0])
    load(model, {name: golden.fill(name, shape) for name, shape in names}, options)
    check_cost(golden, "vit", key, model)
    found = run(model, images, {"feat": model.get_layer("backbone.features").output})
    # float32 sums in another order; the cases' own check saw 4e-6.
    check_part(found["heatmaps"], cases.get(tag, cases.get(f"{tag}_sub")), 2e-5)
    check_stats(golden, "vit", key, f"out{size}", found["heatmaps"])
    check_stats(golden, "vit", key, "feat", found["feat"])
    # Both heads of a size see the same features.
    both = [f"{net}_feat_sub", f"{net.removesuffix('_simple')}_feat_sub"]
    features = next((cases[name] for name in both if name in cases), None)
    if features is not None and key == net:
        check_part(found["feat"], features, 2e-5)


def fill_rtm(golden, names):
    """Stand-ins as the cases have them: norms near 1, convolutions that keep their maps alive."""
    entries = {}
    for name, shape in names:
        array = golden.fill(name, shape)
        if name.endswith((".g", ".scale")):
            array = 1 + array
        elif name.startswith("backbone.") and name.endswith(".weight") and len(shape) == 4:
            array = array * np.float32(1.5)
        entries[name] = array
    return entries


@pytest.mark.golden(RTM, keys=r"(?P<tag>(?!rtmcc|simcc).+)_(?:feat_sub|x)")
def test_rtmpose_gives_the_original_vectors_and_features(golden, tag):
    assert tag, f"{RTM} holds no network"
    cases = golden.load(RTM)
    names = read_names(golden, "rtm", tag)
    shapes = dict(names)
    images = make_input(golden, tag)
    blocks = {".".join(name.split(".")[1:5]) for name in shapes if ".blocks." in name}
    assert len(blocks) in BLOCKS
    options = Options(
        input_shape=images.shape[1:3],
        backbone="cspnext",
        depth=len(blocks),
        backbone_width=shapes["backbone.stem.2.conv.weight"][0],
        head="rtmcc",
        **PYTORCH,
        **NO_DECONVOLUTION,
        **SIMCC,
    )
    model = build_model(options, shapes["head.final_layer.bias"][0])
    load(model, fill_rtm(golden, names), options)
    check_cost(golden, "rtm", tag, model)
    features = model.get_layer("backbone.stage4.2.final_conv.act").output
    found = run(model, images, {"feat": features})
    if f"{tag}_feat_sub" in cases:
        check_part(found["feat"], cases[f"{tag}_feat_sub"], 1e-5)
    check_stats(golden, "rtm", tag, "feat", found["feat"])
    for axis in "xy":
        stored = cases[f"{tag}_{axis}"]
        # The head divides by the size of nearly constant maps, which enlarges rounding.
        np.testing.assert_allclose(found[axis], stored, rtol=0, atol=1e-3 * stored.std())
        check_stats(golden, "rtm", tag, axis, found[axis])


def read_deconvolutions(shapes):
    """Filters and kernels of the transposed convolutions in front of a vector head."""
    names = sorted(n for n in shapes if re.fullmatch(r"deconv_layers\.\d+\.weight", n))
    found = [shapes[name] for name in names if len(shapes[name]) == 4]
    return {
        "head_filters": tuple(shape[1] for shape in found),
        "head_kernels": tuple(shape[-1] for shape in found),
    }


@pytest.mark.golden(RTM, keys=r"(?P<tag>(?:rtmcc|simcc)\w*)_x")
def test_the_vector_heads_give_the_original_vectors(golden, tag):
    assert tag, f"{RTM} holds no head"
    cases = golden.load(RTM)
    names = read_names(golden, "rtm", tag)
    shapes = dict(names)
    features = np.moveaxis(cases["head_feat"], 1, 3)
    rotary = "pos" in tag.split("_")  # in no shape, like the activation; the case is named so
    x, y = (cases[f"{tag}_{axis}"] for axis in "xy")
    settings = {
        "input_shape": (y.shape[-1] // 2, x.shape[-1] // 2),
        "backbone": "cspnext",
        "head": "rtmcc" if "gau.uv.weight" in shapes else "simcc",
    }
    options = Options(**settings, **PYTORCH, **read_deconvolutions(shapes), **SIMCC)
    if options.head == "rtmcc":
        gau = {
            "gau.final_kernel": shapes["final_layer.weight"][-1],
            "gau.width": shapes["mlp.1.weight"][0],
            "gau.key_width": shapes["gau.gamma"][1],
            "gau.relative_bias": "gau.w" in shapes,
            "gau.rotary": rotary,
            "gau.activation": "relu" if rotary else "silu",
        }
        options = apply_differences(options, gau)
    inputs = keras.Input(features.shape[1:])
    model = keras.Model(inputs, build_head(inputs, options, x.shape[1], scope=""))
    entries = {name: array for name, array in fill_rtm(golden, names).items()}
    shapes = {variable.path: tuple(variable.shape) for variable in model.variables}
    report = convert_checkpoint(shapes, rename_head_entries(entries, ""), "pytorch")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    for variable in model.variables:
        variable.assign(report.arrays[variable.path])
    outputs = model(features, training=False)
    # float32 sums in another order; angles of the rotary code reach 90,000 rad, whose sines
    # float32 knows to some thousandths alone.
    tolerance = 2e-2 if rotary else 2e-4
    for axis, stored in (("x", x), ("y", y)):
        np.testing.assert_allclose(np.array(outputs[axis]), stored, rtol=0, atol=tolerance)
        check_stats(golden, "rtm", tag, axis, np.array(outputs[axis]))
