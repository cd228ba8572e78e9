"""Every network of the system with stand-in weights against the original."""

import json
import re

import keras
import numpy as np

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
# 37 (hourglasses; float64 differs by 2e-5) and 3 (HRNet).
TOLERANCES = {"hourglass": 2e-3, "hrnet": 1e-3}
#: Outputs of the predecessor's network, which stay below 1.
IMHN_OUTPUT, IMHN_TOLERANCE = r"stack(\d+)_scale(\d+)(?:_every(\d+))?", 1e-4
#: Part of a hourglass network -> the layer that ends it, and the number of the first one.
STATIONS = {
    "pre": ("basenet.pre.1.relu", 0),
    "kp": ("basenet.kps.{}.add", 0),
    "cnv": ("basenet.cnvs.{}.bn.relu", 0),
    "inter": ("basenet.inters.{}.relu", 1),
}


def read_names(golden, project_root, case_file):
    """The pairs of a network: a list of heads follows the backbone of net_coco.

    The list of a case is the one whose name goes furthest along with that of the case.
    """
    folders = [*golden.roots, project_root / "tests" / "golden"]
    lists = {p.name for f in folders for p in f.glob("simplepose_v2/net_*names.json")}
    stems = {re.sub("(_head)?_names.json$", "", name): name for name in sorted(lists)}
    fitting = [stem for stem in stems if case_file.startswith(stem)]
    assert fitting, f"no list of names for {case_file}"
    name = stems[max(fitting, key=len)]
    pairs = golden.manifest(f"simplepose_v2/{name}")
    if name.endswith("_head_names.json"):
        whole = golden.manifest("simplepose_v2/net_coco_names.json")
        pairs = [pair for pair in whole if pair[0].startswith("basenet.")] + pairs
    return [(name, tuple(shape)) for name, shape in pairs]


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


def as_batch(image):
    """(batch, height, width, 3) of a picture or several."""
    return image if image.ndim == 4 else image[None]


def check_outputs(case, outputs, tolerance):
    statistics = json.loads(str(case["stats_json"]))
    checked = 0
    for key, expected in case.items():
        match = re.fullmatch(r"([a-z]+?)(?:_stack(\d+))?(?:_every(\d+))?", key)
        if not match or match[1] not in KEYS or not isinstance(expected, np.ndarray):
            continue
        step = int(match[3] or 1)
        full = to_first(outputs[f"{KEYS[match[1]]}.{int(match[2] or 1) - 1}"])
        np.testing.assert_allclose(full[:, :, ::step, ::step], expected, rtol=0, atol=tolerance)
        name = match[1] + (f"_stack{match[2]}" if match[2] else "")
        ours = [full.mean(), full.std(), full.min(), full.max()]
        np.testing.assert_allclose(ours, statistics[name], rtol=0, atol=tolerance)
        checked += 1
    assert checked


def test_the_network_gives_the_originals_outputs(golden, original, project_root, case_file):
    case = golden.load(f"simplepose_v2/{case_file}")
    pairs = read_names(golden, project_root, case_file)
    entries = fill_entries(golden, pairs, float(case.get("conv_factor", 1.0)))
    if any(re.fullmatch(IMHN_OUTPUT, key) for key in case):
        check_predecessor(case, entries, original)
    else:
        check_network(case, entries, original)


test_the_network_gives_the_originals_outputs.case_files = "net_*.npz"
test_the_network_gives_the_originals_outputs.quick_files = ("net_coco.npz",)


def check_network(case, entries, original):
    recognised = recognise({name: array.shape for name, array in entries.items()})
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in recognised.options.items()}
    options = Options(**settings)
    joints, limbs = recognised.joint_count, entries["headnets.1.reg_convs.0.weight"].shape[0] // 2
    any_limbs = [(limb % joints, (limb + 1) % joints) for limb in range(limbs)]
    system = System(options, original.make_skeleton(joints, any_limbs))
    model = system.build_model()
    load(model, entries, options)
    tolerance = TOLERANCES[options.backbone]
    check_outputs(case, model(as_batch(case["image"]), training=False), tolerance)
    layers = find_stations(case)
    if layers:
        stations = keras.Model(
            model.input, {key: model.get_layer(name).output for key, name in layers.items()}
        )
        for key, value in stations(as_batch(case["image"]), training=False).items():
            part = original.thin_like(to_first(value), case[key], usual={1: 37, 2: 5, 3: 5})
            np.testing.assert_allclose(part, case[key], rtol=0, atol=tolerance)


def find_stations(case):
    """Feature maps of a case -> the layers that give them."""
    layers = {}
    for key in case:
        match = re.fullmatch(r"feat_([a-z]+)(\d*)", key)
        if match:
            layer, first = STATIONS[match[1]]
            layers[key] = layer.format(int(match[2] or 0) - first)
    return layers


def check_predecessor(case, entries, original):
    channels, width = entries["outs.0.0.conv.weight"].shape[:2]
    stacks = sum(re.fullmatch(r"outs\.\d+\.0\.conv\.weight", name) is not None for name in entries)
    images = keras.Input((None, None, 3))
    answers = build_imhn(
        images,
        width=width,
        stacks=stacks,
        channels=channels,
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
        synchronized=False,
        make_initializer=near_zero_initializer,
        coarse_ends=True,
    )
    model = keras.Model(images, answers)
    load(model, entries, Options(backbone="imhn", stacks=stacks, stack_weights=(1,) * stacks))
    found = model(as_batch(case["image"]).astype(np.float32) / 255, training=False)
    checked = 0
    for key, expected in case.items():
        match = re.fullmatch(IMHN_OUTPUT, key)
        if match:
            maps = to_first(found[int(match[1]) - 1][int(match[2])])
            step = int(match[3] or 1)
            maps = original.thin_like(maps, expected, usual={2: step, 3: step})
            np.testing.assert_allclose(maps, expected, rtol=0, atol=IMHN_TOLERANCE)
            checked += 1
    assert checked
    for name, statistics in json.loads(str(case["stats_json"])).items():
        stack, scale = map(int, re.fullmatch(r"s(\d+)_scale(\d+)", name).groups())
        maps = to_first(found[stack][scale])
        ours = [maps.mean(), maps.std(), maps.min(), maps.max()]
        np.testing.assert_allclose(ours, statistics, rtol=0, atol=IMHN_TOLERANCE)
