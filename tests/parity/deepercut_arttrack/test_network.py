"""pose-tensorflow's network with stand-in weights: maps, end points, names of the checkpoint."""

import re

import keras
import numpy as np
import pytest

from poseras.backbones.resnet import UNITS
from poseras.checkpoints.names import assign_checkpoint, convert_checkpoint
from poseras.systems.deepercut_arttrack.model import build_model
from poseras.systems.deepercut_arttrack.options import Options

FOLDER = "deepercut_arttrack/"
# In standard deviations of the map: the same float32 sums in another order, a hundred layers deep.
TOLERANCE = 1e-4
#: What the case names -> our output and every how manieth channel it holds.
OUTPUTS = {
    "out_part_pred": ("parts", 1),
    "out_locref": ("refinement", 1),
    "out_part_pred_interm": ("parts_intermediate", 1),
    "out_pairwise_pred": ("pairwise", 17),
}


def list_variables(golden, config):
    """Names and shapes; a case whose joints differ from the list's takes its own."""
    manifest = dict(golden.manifest(f"{FOLDER}network_{config['net_type']}_variables.json"))
    joints = config["num_joints"]
    channels = {
        "part_pred": joints,
        "intermediate_supervision": joints,
        "locref_pred": 2 * joints,
        "pairwise_pred": 2 * joints * (joints - 1),
    }
    listed = {}
    for name, shape in manifest.items():
        head = re.match(r"pose/(\w+)/", name)
        shape = list(shape)
        if head:
            shape[2 if len(shape) == 4 else 0] = channels[head[1]]
        listed[name] = tuple(shape)
    return listed


def make_options(config):
    return Options(
        depth=int(config["net_type"].removeprefix("resnet_")),
        pairwise=config["pairwise_predict"],
        intermediate_unit=config["intermediate_supervision_layer"],
    )


def flat_channels(maps):
    """(batch, height, width, channels), x and y side by side."""
    maps = keras.ops.convert_to_numpy(maps)
    return maps.reshape(*maps.shape[:3], -1)


def test_maps_and_end_points_equal_the_original(golden, network_case):
    case, notes = (golden.load(f"{FOLDER}{network_case}.{kind}") for kind in ("npz", "json"))
    options = make_options(notes)
    model = build_model(options, notes["num_joints"])
    entries = {n: golden.fill(n, s) for n, s in list_variables(golden, notes).items()}
    report = assign_checkpoint(model, entries, "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    scope = f"resnet_v1_{options.depth}"
    ends = {"conv1": f"{scope}.conv1.relu"} | {
        f"block{block}": f"{scope}.block{block}.unit_{count}.bottleneck_v1"
        for block, count in enumerate(UNITS[options.depth], start=1)
    }
    stages = {name: model.get_layer(layer).output for name, layer in ends.items()}
    outputs = keras.Model(model.input, {**model.output, **stages})(case["in_image"])
    compared = 0
    for key, wanted in case.items():
        if key in OUTPUTS:
            name, step = OUTPUTS[key]
            found = flat_channels(outputs[name])[..., ::step]
        elif key.startswith("out_endpoint_"):
            found = flat_channels(outputs[key.removeprefix("out_endpoint_")])[:, ::2, ::2, ::32]
        elif key == "out_features":
            found = flat_channels(outputs["block4"])[..., ::64]
        else:
            continue
        compared += 1
        worst = np.abs(found - wanted).max()
        assert found.shape == wanted.shape and worst <= TOLERANCE * wanted.std(), key
    assert compared >= 8


@pytest.mark.parametrize("net", ["resnet_50", "resnet_101"])
def test_variables_of_the_network_are_those_of_the_published_checkpoints(golden, net):
    shapes = dict(golden.manifest(f"{FOLDER}network_{net}_variables.json"))
    joints = shapes["pose/part_pred/block4/biases"][0]
    pairwise = "pose/pairwise_pred/block4/biases" in shapes
    options = Options(depth=int(net.removeprefix("resnet_")), pairwise=pairwise)
    model = build_model(options, joints)
    variables = {v.path: tuple(v.shape) for v in model.variables}
    entries = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    report = convert_checkpoint(variables, entries, "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
