"""What the original's checkpoints tell of their network, and the way there and back."""

import numpy as np
import pytest

from poseras.systems.deepercut_arttrack.model import build_model
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.weights import convert, export, imagenet_files, recognise

SMALL = {"depth": 50, "backbone_width": 4}


@pytest.fixture(scope="module")
def model():
    return build_model(Options(pairwise=True, **SMALL), 3)


@pytest.fixture(scope="module")
def entries(model):
    return export({v.path: v.numpy() for v in model.variables}, Options())


def shapes_of(entries):
    return {name: array.shape for name, array in entries.items()}


def test_a_snapshot_tells_its_depth_its_heads_and_its_joints(entries):
    found = recognise(shapes_of(entries))
    assert found.options == {
        **SMALL,
        "location_refinement": True,
        "pairwise": True,
        "intermediate_supervision": True,
    }
    assert found.joint_count == 3 and "pose-tensorflow" in found.kind


def test_heads_that_are_not_there_are_off(entries):
    kept = {n: a for n, a in entries.items() if "pairwise" not in n and "intermediate" not in n}
    found = recognise(shapes_of(kept)).options
    assert not found["pairwise"] and not found["intermediate_supervision"]


def test_an_imagenet_network_has_no_joints_and_other_systems_are_left_alone(entries):
    slim = {name: array for name, array in entries.items() if not name.startswith("pose/")}
    found = recognise(shapes_of(slim))
    assert found.joint_count is None and found.options == SMALL
    assert recognise({**shapes_of(slim), "out/weights": (1, 1, 4, 3)}) is None
    assert recognise({"conv1.weight": (64, 3, 7, 7)}) is None


def test_exported_weights_come_back_as_they_were(model, entries):
    assert "pose/part_pred/block4/weights" in entries
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    conversion = convert(shapes, entries, Options())
    assert not conversion.missing and not conversion.unused and not conversion.mismatched
    for variable in model.variables:
        np.testing.assert_array_equal(conversion.arrays[variable.path], variable.numpy())


def test_training_starts_from_the_slim_network_of_its_depth():
    assert imagenet_files(Options(depth=50)) == ("resnet_v1_50.ckpt",)
