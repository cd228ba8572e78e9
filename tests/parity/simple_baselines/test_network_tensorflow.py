"""TF-SimpleHumanPose's network, stage by stage, with stand-in weights."""

import re

import keras
import numpy as np
import pytest

from poseras.backbones.resnet import UNITS
from poseras.checkpoints.names import assign_checkpoint, convert_checkpoint
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model

FORWARD = "simple_baselines/tf1_forward.npz"
VARIABLES = "simple_baselines/tf1_variables.json"

# In standard deviations of the map. The same float32 sums in another order: a hundred and more
# layers deep they were seen to differ by 1e-5; a wrong epsilon, padding or stride gives over 1e-2.
TOLERANCE = 5e-4


def fill_variables(golden, tag, depth, shapes):
    """The case's checkpoint; an `eps` case makes one variance so small that epsilon matters."""
    entries = {name: golden.fill(name, shape) for name, shape in shapes.items()}
    if "eps" in tag:
        norm = f"resnet_v1_{depth}/conv1/BatchNorm"
        entries[f"{norm}/moving_variance"] = entries[f"{norm}/moving_variance"] * np.float32(1e-5)
        entries[f"{norm}/gamma"] = entries[f"{norm}/gamma"] * np.float32(4e-3)
    return entries


def name_stages(depth):
    """Stages of the original and the layers that end them here."""
    scope = f"resnet_v1_{depth}"
    blocks = {
        f"block{block}": f"{scope}.block{block}.unit_{count}.bottleneck_v1"
        for block, count in enumerate(UNITS[depth], start=1)
    }
    return {"pool1": f"{scope}.pool1", **blocks, **{f"up{n}": f"up{n}.relu" for n in (1, 2, 3)}}


def check_stage(cases, tag, stage, features):
    mean, deviation = cases[f"{tag}_{stage}_mean_std"]
    assert abs(features.mean() - mean) <= TOLERANCE * deviation, stage
    assert abs(features.std() - deviation) <= TOLERANCE * deviation, stage
    step = 4 if features.shape[1] > 16 else 1
    part = features[0, ::step, ::step, :4]
    np.testing.assert_allclose(
        part, cases[f"{tag}_{stage}_slice"], rtol=0, atol=TOLERANCE * deviation, err_msg=stage
    )


@pytest.mark.golden(FORWARD, keys=r"(?P<tag>.+)_image_u8")
def test_every_stage_and_the_heatmaps_are_the_original_ones(golden, tag, variables_of):
    assert tag, f"{FORWARD} holds no case"
    cases = golden.load(FORWARD)
    images, heatmaps = cases[f"{tag}_image_u8"], cases[f"{tag}_heatmap"]
    depth, shapes = variables_of(tag, heatmaps.shape[-1])
    model = build_model(Options(input_shape=images.shape[1:3], depth=depth), heatmaps.shape[-1])
    report = assign_checkpoint(model, fill_variables(golden, tag, depth, shapes), "tensorflow")
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})

    stages = {s: model.get_layer(n).output for s, n in name_stages(depth).items()}
    network = keras.Model(model.get_layer("normalise").output, {**stages, **model.output})
    outputs = network((images - np.array([123.68, 116.78, 103.94])).astype(np.float32))
    outputs = {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}
    for stage in stages:
        check_stage(cases, tag, stage, outputs[stage])
    worst = np.abs(outputs["heatmaps"] - heatmaps).max()
    assert worst <= TOLERANCE * heatmaps.std()


def test_a_training_snapshot_is_the_network_and_what_belongs_to_training(name_lists):
    lists = name_lists(VARIABLES).values()
    snapshots = [dict(entries) for entries in lists if ["Variable", []] in entries]
    assert snapshots, f"{VARIABLES} holds no snapshot"
    for shapes in snapshots:
        depth = int(re.search(r"resnet_v1_(\d+)/", " ".join(shapes))[1])
        model = build_model(Options(input_shape=(32, 32), depth=depth), shapes["out/biases"][0])
        variables = {v.path: tuple(v.shape) for v in model.variables}
        entries = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
        report = convert_checkpoint(variables, entries, "tensorflow")
        assert (report.unused, report.missing, report.mismatched) == ((), (), {})
        # Two Adam slots per trainable variable, the learning rate and two powers of beta.
        assert len(report.training) == 2 * len(model.trainable_variables) + 3
