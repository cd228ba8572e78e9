"""HSRNet and HSR-MSNet with stand-in weights: blocks, stages, maps and lists of names."""

import re

import keras
import numpy as np
import pytest

from poseras.backbones.hsrnet import Block, Builder, squeeze_and_excite
from poseras.checkpoints.names import assign_checkpoint
from poseras.layers import deconvolve, near_zero_initializer
from poseras.settings import apply_differences
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.weights import convert, export, recognise

FOLDER = "hsrnet/"
FORWARD, BLOCKS, STATES = (FOLDER + n for n in ("forward.npz", "blocks.npz", "state_dicts.json"))
STATS, BLOCK_NAMES = FOLDER + "forward_stats.json", FOLDER + "blocks.json"

#: Trained weights, as the original's have them that its forward pass uses.
PARAMETERS = {
    "hsrnet59": 22_595_921,
    "hsrnet110": 41_588_049,
    "hsrnet161": 57_231_697,
    "hsr_msnet59": 18_839_905,
    "hsr_msnet110": 31_929_633,
    "hsr_msnet161": 42_713_441,
}

# In standard deviations of the map: float32 sums in another order. The cases' own check against a
# second implementation saw 1e-5, and so do we.
TOLERANCE = 5e-5
STRIDE = 4  # of every heatmap


def read_names(golden, tag):
    """The state dict of a case: of that name, or of the longest one that its name begins with."""
    lists = golden.manifest(STATES)
    fitting = [name for name in lists if tag.startswith(name)]
    assert fitting, f"{STATES} lists no network for {tag}"
    return lists[max(fitting, key=len)]


def read_options(names, input_shape):
    recognised = recognise({name: tuple(shape) for name, shape in names})
    differences = {**recognised.options, "input_shape": list(input_shape)}
    return apply_differences(Options(), differences), recognised.joint_count


def fill_model(golden, names, options, joints):
    """The network with the stand-ins of a state dict, as an import makes it."""
    model = build_model(options, joints)
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    entries = {name: golden.fill(name, tuple(shape)) for name, shape in names}
    conversion = convert(shapes, entries, options)
    assert (conversion.missing, conversion.mismatched) == ((), {})
    assert set(conversion.used) | set(conversion.foreign) == set(entries)
    for variable in model.weights:
        variable.assign(conversion.arrays[variable.path])
    return model, conversion


def channels_first(array):
    return np.moveaxis(np.array(array), -1, 1)


def thin_out(array, stored):
    """Every k-th value along each axis, k a power of 2, as the file's `_sub` arrays were cut."""
    steps = [
        next(k for k in (2**n for n in range(have.bit_length())) if -(-have // k) == kept)
        for have, kept in zip(array.shape, stored.shape, strict=True)
    ]
    return array[tuple(slice(None, None, step) for step in steps)]


def read_input(golden, name, height):
    """The input of a case, whose file tells seed, place in the order of draws, and a sum.

    A file without an input of that name has one of that height for all networks.
    """
    records = golden.load(STATS)["inputs"]
    if name not in records:
        name = next((key for key, r in records.items() if r["shape"][2] == height), name)
    random = {}
    for key, record in sorted(records.items(), key=lambda item: item[1].get("draw", 1)):
        generator = random.setdefault(record["seed"], np.random.RandomState(record["seed"]))
        array = generator.standard_normal(record["shape"]).astype(np.float32)
        np.testing.assert_allclose(array.ravel()[:4], record["first4"], rtol=1e-6)
        assert array.sum(dtype=np.float64) == pytest.approx(record["sum"], abs=1e-3)
        if key == name:
            return np.moveaxis(array, 1, -1)  # (batch, height, width, channels)
    return pytest.fail(f"{STATS} has no input {name}")


def name_stages(model, names):
    """Stages of the original to the outputs that end them here."""
    ends = {"maxpool": "maxpool"}
    for layer in model.layers:
        match = re.fullmatch(r"((?:new_)?layer\d)\.\d+|(deconv_layers)\.\d+", layer.name)
        if match:
            ends[match[1] or match[2]] = layer.name
    return {name: model.get_layer(ends[name]).output for name in names}


def check(found, stored, deviation):
    part = thin_out(found, stored)
    np.testing.assert_allclose(part, stored, rtol=0, atol=TOLERANCE * deviation)


def check_stats(found, expected, name):
    """Mean, deviation, least and largest value of a whole map."""
    slack = TOLERANCE * expected["std"]
    assert list(found.shape) == expected["shape"], name
    for function in ("mean", "std", "min", "max"):
        assert getattr(found, function)() == pytest.approx(expected[function], abs=slack), name


@pytest.mark.golden(FORWARD, keys=r"(?P<tag>.+)_heatmap")
def test_every_stage_and_the_heatmaps_are_the_original_ones(golden, tag):
    assert tag, f"{FORWARD} holds no network"
    cases, stats = golden.load(FORWARD), golden.load(STATS).get(tag, {})
    names = read_names(golden, tag)
    images = read_input(golden, "x", STRIDE * cases[f"{tag}_heatmap"].shape[2])
    options, joints = read_options(names, images.shape[1:3])
    model, _ = fill_model(golden, names, options, joints)
    stored = {
        match[1]: cases[key]
        for key in cases
        if (match := re.fullmatch(rf"{re.escape(tag)}_(?!heatmap)(\w+)_sub", key))
    }
    stages = dict.fromkeys([*stored, *(name for name in stats if "heatmap" not in name)])
    outputs = {**name_stages(model, stages), **model.output}
    network = keras.Model(model.get_layer("normalise").output, outputs)
    found = {n: channels_first(v) for n, v in network(images, training=False).items()}
    for name, value in stored.items():
        check(found[name], value, found[name].std())
    check(found["heatmaps"], cases[f"{tag}_heatmap"], cases[f"{tag}_heatmap"].std())
    found["heatmap"] = found.pop("heatmaps")
    for name in stats.keys() & found.keys():  # the file also tells of larger inputs
        check_stats(found[name], stats[name], name)


@pytest.mark.golden(FORWARD, keys=r"(?P<tag>.+_heatmap\d+)_sub")
def test_heatmaps_of_a_larger_input_are_the_original_ones(golden, tag):
    assert tag, f"{FORWARD} holds no larger input"
    net, _, height = tag.rpartition("_heatmap")
    names = read_names(golden, net)
    images = read_input(golden, f"x{height}", int(height))
    options, joints = read_options(names, images.shape[1:3])
    model, _ = fill_model(golden, names, options, joints)
    network = keras.Model(model.get_layer("normalise").output, model.output["heatmaps"])
    stored = golden.load(FORWARD)[f"{tag}_sub"]
    found = channels_first(network(images, training=False))
    check(found, stored, stored.std())
    expected = golden.load(STATS).get(net, {}).get(f"heatmap{height}")
    if expected:
        check_stats(found, expected, tag)


@pytest.mark.golden(STATES, keys=r"(?P<tag>.+)")
def test_an_export_has_every_name_and_shape_and_the_network_as_many_weights(
    golden, tag, shapes_alone
):
    assert tag, f"{STATES} holds no network"
    names = {name: tuple(shape) for name, shape in golden.load(STATES)[tag]}
    options, joints = read_options(list(names.items()), (32, 32))
    model = build_model(options, joints)
    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_weights)
    assert count == PARAMETERS.get(tag, count)
    # Arrays of nothing but a shape: the values of all six networks would take seconds.
    arrays = {v.path: np.broadcast_to(np.float32(1), tuple(v.shape)) for v in model.weights}
    entries = export(arrays, options)
    assert {name: array.shape for name, array in entries.items()} == names


def build_piece(case, names, size):
    """One block, squeeze and excitation, or a transposed convolution; `size` is (h, w, in)."""
    shapes = dict(names)
    inputs = keras.Input(size)
    if case.startswith("deconv"):
        (weight,) = shapes.values()
        outputs = deconvolve(
            inputs,
            filters=weight[1],
            kernel=weight[-1],
            use_bias=False,
            kernel_initializer=near_zero_initializer(),
            name="block",
        )
        return keras.Model(inputs, outputs)
    if case.startswith("se"):
        return keras.Model(inputs, squeeze_and_excite(inputs, "block"))
    multi_scale = case.startswith("ms_")
    builder = Builder(
        groups=4 if multi_scale else 0,
        use_se="se.fc1.weight" in shapes,
        dilation=2,
        declare_unused=multi_scale,
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
        synchronized=False,
    )
    kind = case.partition("bottleneck")[2][:1]
    block = Block(
        name="block",
        planes=shapes["conv1.weight"][0],
        stride=2 if "_s2" in case else 1,
        kind=kind if kind in ("A", "B") else "bottleneck",
    )
    return keras.Model(inputs, builder.block(inputs, block))


@pytest.mark.golden(BLOCKS, keys=r"(?P<tag>.+)_in")
def test_a_block_gives_the_original_features(golden, tag):
    assert tag, f"{BLOCKS} holds no block"
    cases = golden.load(BLOCKS)
    names = [(name, tuple(shape)) for name, shape in golden.manifest(BLOCK_NAMES)[tag]]
    features = np.moveaxis(cases[f"{tag}_in"], 1, -1)
    model = build_piece(tag, names, features.shape[1:])
    entries = {f"block.{name}": golden.fill(name, shape) for name, shape in names}
    report = assign_checkpoint(model, entries, "pytorch")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    # float32 sums in another order.
    found = channels_first(model(features, training=False))
    np.testing.assert_allclose(found, cases[f"{tag}_out"], rtol=0, atol=1e-5)
