"""Every network of the system with stand-in weights against the original."""

import json
import re

import keras
import numpy as np
import pytest

from poseras.layers import near_zero_initializer
from poseras.systems.simplepose_v2.imhn import build_imhn
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System
from poseras.systems.simplepose_v2.weights import convert, recognise

KEYS = {
    "hmp": "heatmaps",
    "bghmp": "background",
    "jitter": "jitter",
    "offset": "offsets",
    "spread": "spread",
    "scale": "scales",
}
# Sums of thousands of float32 in another order, in networks of a hundred layers whose outputs reach
# 30; float64 differs by 2e-5.
TOLERANCE = 2e-3


def read_names(golden, name):
    """The pairs of a network: a list of heads follows the backbone of net_coco."""
    pairs = golden.manifest(f"simplepose_v2/{name}")
    if not name.endswith("_head_names.json"):
        return [(name, tuple(shape)) for name, shape in pairs]
    backbone = golden.manifest("simplepose_v2/net_coco_names.json")
    return [(n, tuple(s)) for n, s in [*backbone, *pairs] if n.startswith("basenet.")] + [
        (n, tuple(s)) for n, s in pairs
    ]


def fill_entries(golden, pairs, conv_factor=1.0):
    return {
        name: golden.fill(name, shape) * (conv_factor if len(shape) == 4 else 1)
        for name, shape in pairs
        if not name.endswith("num_batches_tracked")
    }


def load(model, entries, options):
    variables = {variable.path: variable for variable in model.variables}
    conversion = convert({p: tuple(v.shape) for p, v in variables.items()}, entries, options)
    assert not (conversion.missing or conversion.unused or conversion.mismatched)
    for path, array in conversion.arrays.items():
        variables[path].assign(array)


def to_first(tensor):
    """(batch, height, width, ...) to the original's (batch, channels, height, width)."""
    array = np.asarray(tensor)
    return np.moveaxis(array.reshape(*array.shape[:3], -1), -1, 1)


def check_outputs(case, outputs):
    statistics = json.loads(str(case["stats_json"]))
    checked = 0
    for key, expected in case.items():
        match = re.fullmatch(r"([a-z]+?)(?:_stack(\d))?(?:_every(\d))?", key)
        if not match or match[1] not in KEYS or not isinstance(expected, np.ndarray):
            continue
        step = int(match[3] or 1)
        full = to_first(outputs[f"{KEYS[match[1]]}.{int(match[2] or 1) - 1}"])
        np.testing.assert_allclose(full[:, :, ::step, ::step], expected, rtol=0, atol=TOLERANCE)
        name = match[1] + (f"_stack{match[2]}" if match[2] else "")
        ours = [full.mean(), full.std(), full.min(), full.max()]
        np.testing.assert_allclose(ours, statistics[name], rtol=0, atol=TOLERANCE)
        checked += 1
    assert checked


@pytest.mark.slow
@pytest.mark.parametrize("network", ["allheads", "crowdpose", "hrnet48"])
def test_the_network_gives_the_originals_outputs(golden, original, network):
    check_network(golden, original, network)


def test_the_published_network_gives_the_originals_outputs(golden, original):
    check_network(golden, original, "coco")


def check_network(golden, original, network):
    case = golden.load(f"simplepose_v2/net_{network}.npz")
    whole = f"net_{network}_names.json"
    heads = f"net_{network}_head_names.json"
    known = golden.find(f"simplepose_v2/{whole}") is not None
    pairs = read_names(golden, whole if known or network in ("coco", "hrnet48") else heads)
    entries = fill_entries(golden, pairs, float(case.get("conv_factor", 1.0)))
    recognised = recognise({name: array.shape for name, array in entries.items()})
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in recognised.options.items()}
    options = Options(**settings)
    limbs = original.coco_limbs if recognised.joint_count == 17 else original.crowdpose_limbs
    system = System(options, original.make_skeleton(recognised.joint_count, limbs))
    model = system.build_model()
    load(model, entries, options)
    check_outputs(case, model(case["image"][None], training=False))
    if "feat_pre" in case:
        check_features(case, model)


def check_features(case, model):
    """The stations on the way: the layers that end the parts of the backbone."""
    layers = {
        "feat_pre": "basenet.pre.1.relu",
        "feat_kp0": "basenet.kps.0.add",
        "feat_cnv0": "basenet.cnvs.0.bn.relu",
        "feat_inter1": "basenet.inters.0.relu",
        "feat_kp1": "basenet.kps.1.add",
        "feat_cnv1": "basenet.cnvs.1.bn.relu",
    }
    stations = keras.Model(model.input, {k: model.get_layer(n).output for k, n in layers.items()})
    for key, value in stations(case["image"][None], training=False).items():
        part = to_first(value)[:, ::37, ::5, ::5]
        np.testing.assert_allclose(part, case[key], rtol=0, atol=TOLERANCE)


@pytest.mark.slow
def test_the_predecessors_network_gives_its_outputs(golden):
    case = golden.load("simplepose_v2/net_imhn4.npz")
    pairs = [(n, tuple(s)) for n, s in golden.manifest("simplepose_v2/net_imhn4_names.json")]
    entries = fill_entries(golden, pairs)
    images = keras.Input((None, None, 3))
    answers = build_imhn(
        images,
        width=256,
        stacks=4,
        channels=50,
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
        synchronized=False,
        make_initializer=near_zero_initializer,
        coarse_ends=True,
    )
    model = keras.Model(images, answers)
    load(model, entries, Options(backbone="imhn", stacks=4, stack_weights=(1,) * 4))
    found = model(case["image"][None].astype(np.float32) / 255, training=False)
    checked = 0
    for key, expected in case.items():
        match = re.fullmatch(r"stack(\d)_scale(\d)(?:_every(\d))?", key)
        if match:
            maps = to_first(found[int(match[1]) - 1][int(match[2])])
            step = int(match[3] or (2 if key == "stack4_scale0" else 1))
            # Outputs stay below 1.
            np.testing.assert_allclose(maps[:, :, ::step, ::step], expected, rtol=0, atol=1e-4)
            checked += 1
    assert checked
