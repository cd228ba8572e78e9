from dataclasses import replace

import numpy as np
import pytest

from poseras.systems.integral_3d.model import build_model
from poseras.systems.integral_3d.options import Options
from poseras.systems.integral_3d.weights import (
    assign_checkpoint,
    convert,
    export,
    imagenet_files,
    recognise,
)

SMALL = Options(
    input_shape=(64, 64),
    depth=18,
    backbone_width=4,
    head_filters=(8, 6, 4),
    head_kernels=(4, 2, 3),
    depth_bins=3,
)


def entries_of(options, joints):
    model = build_model(options, joints)
    return model, export({v.path: v.numpy() for v in model.variables}, options)


def shapes_of(entries):
    return {name: array.shape for name, array in entries.items()}


def authors_names(entries):
    return {
        name.replace("deconv_layers", "features").replace("final_layer", "features.9"): array
        for name, array in entries.items()
    }


def test_moons_snapshot_is_known_with_its_slip_and_its_flip_test():
    _, entries = entries_of(SMALL, 18)
    found = recognise(shapes_of(entries))
    assert found.kind == "integral regression of Moon" and found.joint_count == 18
    assert found.options == {
        "depth": 18,
        "backbone_width": 4,
        "head_filters": [8, 6, 4],
        "head_kernels": [4, 2, 3],
        "final_kernel": 1,
        "depth_bins": 3,
        "input_normalisation": "raw255",
        "flip_alignment": "published",
    }


def test_the_authors_network_is_known_by_the_numbers_of_its_head():
    model, entries = entries_of(SMALL, 17)
    renamed = authors_names(entries)
    found = recognise(shapes_of(renamed))
    assert found.kind == "integral regression of its authors" and found.joint_count == 17
    assert found.options["input_normalisation"] == "imagenet"
    other = build_model(SMALL, 17)
    report = assign_checkpoint(other, renamed)
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    for old, new in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_direct_regression_is_known():
    options = Options(input_shape=(64, 64), depth=18, backbone_width=4, head="direct")
    _, entries = entries_of(options, 18)
    found = recognise(shapes_of(entries))
    assert found.options["head"] == "direct" and found.joint_count == 18
    with pytest.raises(ValueError, match="--set options.head=direct fits"):
        convert({}, entries, SMALL)


def test_a_backbone_of_torchvision_has_no_joints():
    _, entries = entries_of(SMALL, 18)
    plain = {
        name.removeprefix("module.backbone."): array
        for name, array in entries.items()
        if "backbone" in name
    }
    found = recognise(shapes_of(plain))
    assert found.joint_count is None and found.options["depth"] == 18


def test_files_of_other_systems_are_not_claimed():
    assert recognise({"resnet_v1_50/conv1/weights": (7, 7, 3, 64)}) is None
    flat = {"conv1.weight": (4, 3, 7, 7), "layer1.0.conv1.weight": (4, 4, 3, 3)}
    assert recognise({**flat, "deconv_layers.0.weight": (4, 4, 4, 4)}) is None


def test_a_strange_network_is_named():
    _, entries = entries_of(SMALL, 18)
    extra = {**shapes_of(entries), "module.backbone.layer1.2.conv1.weight": (4, 4, 3, 3)}
    with pytest.raises(ValueError, match="its blocks have 3, 2, 2, 2 units"):
        recognise(extra)


@pytest.mark.parametrize(
    ("channels", "joints", "bins"),
    [
        (18 * 64, 18, 64),
        (17 * 72, 17, 72),
        (18 * 17 * 8, 18, 136),
        (17 * 3, 17, 3),
        (1024, 0, None),
    ],
)
def test_the_product_of_joints_and_bins_is_taken_apart(channels, joints, bins):
    _, entries = entries_of(SMALL, 18)
    last = {"module.head.final_layer.weight": (channels, 4, 1, 1)}
    found = recognise({**shapes_of(entries), **last})
    assert (found.joint_count, found.options.get("depth_bins")) == (joints, bins)


def test_sixteen_joints_fit_a_network_of_sixteen():
    model, entries = entries_of(replace(SMALL, depth_bins=2), 16)
    conversion = convert({v.path: tuple(v.shape) for v in model.variables}, entries, SMALL)
    assert not conversion.missing and not conversion.mismatched


def test_a_network_of_another_depth_is_refused():
    _, entries = entries_of(SMALL, 18)
    with pytest.raises(ValueError, match="has depth 18. Received a network of depth 34"):
        convert({}, entries, Options(depth=34))


def test_imagenet_files_are_those_of_torchvision():
    assert imagenet_files(Options()) == ("resnet50-19c8e357.pth", "resnet50.pth")
