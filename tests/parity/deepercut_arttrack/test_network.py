"""pose-tensorflow's network with stand-in weights: maps, end points, names of the checkpoint."""

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


def list_variables(golden, config, options):
    """Names and shapes: the backbone's as listed, the heads' that the case has."""
    manifest = dict(golden.manifest(f"{FOLDER}network_{config['net_type']}_variables.json"))
    joints = config["num_joints"]
    heads = {
        "part_pred": (joints, 2048),
        "intermediate_supervision": (joints, 1024) if options.intermediate_supervision else None,
        "locref_pred": (2 * joints, 2048) if options.location_refinement else None,
        "pairwise_pred": (2 * joints * (joints - 1), 2048) if options.pairwise else None,
    }
    listed = {n: tuple(shape) for n, shape in manifest.items() if not n.startswith("pose/")}
    for name, channels in heads.items():
        if channels:
            listed[f"pose/{name}/block4/weights"] = (3, 3, *channels)
            listed[f"pose/{name}/block4/biases"] = channels[:1]
    return listed


def make_options(config, case):
    """The network of a case; heads that its notes do not mention are those whose maps it holds."""
    supervised = config.get("intermediate_supervision", "out_part_pred_interm" in case)
    return Options(
        depth=int(config["net_type"].removeprefix("resnet_")),
        location_refinement=config.get("location_refinement", "out_locref" in case),
        pairwise=config["pairwise_predict"],
        intermediate_supervision=supervised,
        intermediate_unit=config["intermediate_supervision_layer"] if supervised else 0,
    )


def flat_channels(maps):
    """(batch, height, width, channels), x and y side by side."""
    maps = keras.ops.convert_to_numpy(maps)
    return maps.reshape(*maps.shape[:3], -1)


def test_maps_and_end_points_equal_the_original(golden, network_case):
    case, notes = (golden.load(f"{FOLDER}{network_case}.{kind}") for kind in ("npz", "json"))
    options = make_options(notes, case)
    model = build_model(options, notes["num_joints"])
    entries = {n: golden.fill(n, s) for n, s in list_variables(golden, notes, options).items()}
    report = assign_checkpoint(model, entries, "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    scope = f"resnet_v1_{options.depth}"
    ends = {"conv1": f"{scope}.conv1.relu"} | {
        f"block{block}": f"{scope}.block{block}.unit_{count}.bottleneck_v1"
        for block, count in enumerate(UNITS[options.depth], start=1)
    }
    stages = {name: model.get_layer(layer).output for name, layer in ends.items()}
    outputs = keras.Model(model.input, {**model.output, **stages})(case["in_image"])
    compared = {key: wanted for key, wanted in case.items() if key.startswith("out_")}
    for key, wanted in compared.items():
        if key.startswith("out_endpoint_"):
            found = flat_channels(outputs[key.removeprefix("out_endpoint_")])[:, ::2, ::2, ::32]
        elif key == "out_features":
            found = flat_channels(outputs["block4"])[..., ::64]
        else:
            name, step = OUTPUTS[key]
            found = flat_channels(outputs[name])[..., ::step]
        worst = np.abs(found - wanted).max()
        assert found.shape == wanted.shape and worst <= TOLERANCE * wanted.std(), key
    assert {name for key, (name, _) in OUTPUTS.items() if key in compared} == set(model.output)


@pytest.mark.parametrize("net", ["resnet_50", "resnet_101"])
def test_variables_of_the_network_are_those_of_the_published_checkpoints(golden, net):
    shapes = dict(golden.manifest(f"{FOLDER}network_{net}_variables.json"))
    joints = shapes["pose/part_pred/block4/biases"][0]
    heads = {name.split("/")[1] for name in shapes if name.startswith("pose/")}
    options = Options(
        depth=int(net.removeprefix("resnet_")),
        location_refinement="locref_pred" in heads,
        pairwise="pairwise_pred" in heads,
        intermediate_supervision="intermediate_supervision" in heads,
    )
    model = build_model(options, joints)
    variables = {v.path: tuple(v.shape) for v in model.variables}
    entries = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    report = convert_checkpoint(variables, entries, "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
