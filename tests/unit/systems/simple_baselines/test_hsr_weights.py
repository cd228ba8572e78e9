"""Checkpoints of HSRNet: which network they are, the way in and back, and ImageNet starts."""

import re

import numpy as np
import pytest

from poseras import foreign
from poseras.backbones.hsrnet import list_unused, plan_blocks
from poseras.checkpoints.names import export_checkpoint
from poseras.checkpoints.pytorch import read_pytorch_file
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.settings import apply_differences
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines import Options, default_view
from poseras.systems.simple_baselines.conventions import CONVENTIONS
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.weights import convert, export, imagenet_files, recognise

SKELETON = Skeleton("Test/five", tuple(f"joint_{n}" for n in range(5)))
PLAIN = {
    **CONVENTIONS["pytorch"],
    "input_shape": [32, 32],
    "backbone": "hsrnet",
    "depth": 59,
    "backbone_width": 4,
    "backbone_stride": 16,
    "head_filters": [2, 3],
    "head_kernels": [4, 2],
}
MULTI = {**PLAIN, "hsr.multi_scale": True}


def options_of(differences, **more):
    return apply_differences(Options(), {**differences, **more})


def shapes_of(options, joints=5):
    return {v.path: tuple(v.shape) for v in build_model(options, joints).weights}


def random_entries(options, seed=0):
    """A whole state dict of the original, every number random, counters included."""
    random = np.random.default_rng(seed)
    zeros = export({path: np.zeros(shape) for path, shape in shapes_of(options).items()}, options)
    return {
        name: (
            np.array(random.integers(1, 1000))
            if name.endswith("num_batches_tracked")
            else random.uniform(0.5, 1.5, array.shape).astype(np.float32)
        )
        for name, array in zeros.items()
    }


@pytest.fixture(scope="module", params=["plain", "multi_scale"])
def network(request):
    """Differences of the options, and a state dict."""
    differences = {"plain": PLAIN, "multi_scale": MULTI}[request.param]
    return differences, random_entries(options_of(differences))


def test_a_state_dict_is_known_with_its_head_and_conventions(network):
    differences, entries = network
    found = recognise({f"module.{name}": a.shape for name, a in entries.items()})
    multi_scale = "hsr.multi_scale" in differences
    assert found.kind == ("HSR-MSNet-59" if multi_scale else "HSRNet-59")
    assert found.joint_count == 5 and found.view == {"outside_joints": "keep"}
    assert "BGR" in found.preprocessing
    told = options_of({**found.options, "input_shape": [32, 32]})
    assert (told.hsr.multi_scale, told.hsr.squeezes, told.hsr.is_published) == (
        multi_scale,
        multi_scale,
        True,
    )
    for name in PLAIN:
        assert getattr(told, name) == getattr(options_of(PLAIN), name), name


def test_the_way_through_a_snapshot_keeps_every_tensor_bit_for_bit(network, tmp_path):
    differences, entries = network
    path = tmp_path / "pose_hsrnet_59_256x192.pth.tar"
    write_pytorch_file(path, {f"module.{name}": array for name, array in entries.items()})
    options = options_of(differences)
    network = foreign.Network("simple_baselines", options, default_view(options))
    imported = foreign.import_checkpoint(path, network, SKELETON)
    kept = imported.snapshot.part("foreign")
    counters = {name for name in entries if name.endswith("num_batches_tracked")}
    assert counters <= set(kept) and (set(kept) == counters) == (differences is PLAIN)
    assert "foreign/" not in "".join(imported.snapshot.part("weights"))
    written = foreign.export_entries(imported.snapshot)
    write_pytorch_file(tmp_path / "again.pth", written)
    again = read_pytorch_file(tmp_path / "again.pth")
    assert set(again) == set(entries)
    for name, array in entries.items():
        assert again[name].dtype == array.dtype, name
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_what_a_network_of_ours_never_had_is_exported_as_zeros_and_ones():
    options = options_of(MULTI)
    shapes = shapes_of(options)
    entries = export({path: np.full(s, 7, np.float32) for path, s in shapes.items()}, options)
    first = next(plan_blocks(59, 4, 2))
    names = {p.replace("/", ".") for p in list_unused(first, 4)}
    assert names == {
        "layer1.0.conv2.kernel",
        *(f"layer1.0.bn2.{n}" for n in ("gamma", "beta", "moving_mean", "moving_variance")),
    }
    values = {name: np.unique(entries[name]).tolist() for name in entries if ".0.bn2." in name}
    assert values["layer1.0.bn2.weight"] == values["layer1.0.bn2.running_var"] == [1]
    assert values["layer1.0.bn2.bias"] == values["layer1.0.bn2.running_mean"] == [0]
    assert np.unique(entries["layer1.0.conv2.weight"]).tolist() == [0]
    assert np.unique(entries["layer2.0.conv2.weight"]).tolist() == [7], "the stride needs it"
    assert entries["layer1.0.bn2.num_batches_tracked"] == 0


def test_a_network_that_declares_them_imports_the_unused_layers_too():
    options = options_of(MULTI, **{"hsr.declare_unused": True})
    entries = random_entries(options_of(MULTI))
    report = convert(shapes_of(options), entries, options)
    assert (report.unused, report.missing, report.mismatched) == ((), (), {})
    np.testing.assert_array_equal(
        report.arrays["layer1.0.bn2/gamma"], entries["layer1.0.bn2.weight"]
    )
    again = export(report.arrays, options)
    np.testing.assert_array_equal(again["layer1.0.bn2.weight"], entries["layer1.0.bn2.weight"])


@pytest.mark.parametrize(
    ("own", "other", "settings"),
    [
        (PLAIN, {**PLAIN, "depth": 110}, r"options\.depth=110"),
        (PLAIN, MULTI, r"options\.hsr\.multi_scale=True"),
        ({**CONVENTIONS["pytorch"], "input_shape": [32, 32]}, PLAIN, "options.backbone=hsrnet"),
    ],
)
def test_a_checkpoint_of_another_network_names_the_settings_that_fit(own, other, settings):
    entries = random_entries(options_of(other))
    with pytest.raises(ValueError, match=f"does not fit; --set .*{settings}"):
        convert({}, entries, options_of(own))


def test_blocks_that_no_hsrnet_has_are_an_error():
    entries = random_entries(options_of(PLAIN))
    lacking = {n: a.shape for n, a in entries.items() if not n.startswith("layer3.5.")}
    with pytest.raises(ValueError, match="first stages have 3, 4, 5 blocks, as no HSRNet of depth"):
        recognise(lacking)


@pytest.mark.parametrize(
    "setting",
    [{"hsr.groups": 2}, {"hsr.dilation": 1}, {"hsr.extra_stages": 1}, {"hsr.use_se": False}],
)
def test_a_network_that_the_original_cannot_build_is_not_exported(setting):
    with pytest.raises(ValueError, match="original's HSRNets have hsr.groups 4, hsr.dilation 2"):
        export({}, options_of(MULTI, **setting))


def resnet_entries(depth=50):
    options = options_of(
        {**CONVENTIONS["pytorch"], "input_shape": [32, 32], "backbone_width": 4, "depth": depth}
    )
    model = build_model(options, 5)
    random = np.random.default_rng(1)
    arrays = {v.path: random.uniform(0.5, 1.5, v.shape).astype(np.float32) for v in model.weights}
    entries = export_checkpoint(arrays, "pytorch")
    return {n: a for n, a in entries.items() if not n.startswith(("deconv", "final"))}


def detnet_entries():
    """DetNet-59 as an HSRNet's first and last stages under DetNet's names, with a classifier."""
    entries = random_entries(options_of(PLAIN))
    renamed = {
        name.replace("new_layer", "layer"): array
        for name, array in entries.items()
        if not name.startswith(("deconv", "final")) and not name.endswith("num_batches_tracked")
    }
    return {**renamed, "fc.weight": np.ones((1000, 64), np.float32)}


def test_the_first_stages_start_from_a_resnet():
    options = options_of(PLAIN)
    entries = resnet_entries()
    report = convert(shapes_of(options), entries, options)
    assert report.mismatched == {} and report.foreign == {}
    fresh = {re.split("[./]", path)[0] for path in report.missing}
    assert fresh == {"new_layer4", "new_layer5", "deconv_layers", "final_layer"}
    assert all(name.startswith("layer4.") for name in report.unused)


@pytest.mark.parametrize(("depth", "wanted"), [(59, "ResNet-50 or DetNet-59"), (161, "ResNet-152")])
def test_an_imagenet_network_of_another_depth_is_refused(depth, wanted):
    message = f"HSRNet-{depth} starts from {wanted} with PyTorch's names. Received a ResNet-101"
    with pytest.raises(ValueError, match=message):
        convert({}, resnet_entries(101), options_of(PLAIN, depth=depth))


def test_the_dilated_stages_start_from_detnet_unless_the_original_rule_is_asked_for():
    entries = detnet_entries()
    found = recognise({name: array.shape for name, array in entries.items()})
    assert found.kind == "DetNet-59 (ImageNet)" and found.joint_count is None
    options = options_of(PLAIN)
    report = convert(shapes_of(options), entries, options)
    assert report.unused == ("fc.weight",) and report.mismatched == {}
    np.testing.assert_array_equal(
        report.arrays["new_layer4.0.extra_conv.1/gamma"], entries["layer4.0.extra_conv.1.weight"]
    )
    options = options_of(PLAIN, **{"hsr.rename_extra_stages": False})
    report = convert(shapes_of(options), entries, options)
    assert not any(path.startswith("new_layer") for path in report.arrays)


def test_split_convolutions_start_at_random_or_from_the_diagonal_of_the_whole_one():
    entries = resnet_entries()
    options = options_of(MULTI)
    report = convert(shapes_of(options), entries, options)
    assert not any("_split" in path for path in report.arrays)
    assert "layer2.0.conv2/kernel" in report.arrays, "a block that strides is not split"
    assert "layer1.0.conv2.weight" in report.unused
    options = options_of(MULTI, **{"hsr.split_init": "from_conv2"})
    report = convert(shapes_of(options), entries, options)
    kernel = entries["layer2.1.conv2.weight"]  # (out, in, 3, 3), 8 channels in 4 groups
    np.testing.assert_array_equal(
        report.arrays["layer2.1.conv_split3/kernel"], kernel[6:, 6:].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        report.arrays["layer2.1.bn_split1/moving_mean"],
        entries["layer2.1.bn2.running_mean"][2:4],
    )
    # DetNet's dilated blocks have a convolution for the first group too.
    report = convert(shapes_of(options), detnet_entries(), options)
    assert "new_layer5.2.conv_split0/kernel" in report.arrays


def test_the_imagenet_file_follows_the_depth():
    files = [imagenet_files(options_of(PLAIN, depth=depth)) for depth in (59, 110, 161)]
    assert files[0] == ("detnet59.pth", "resnet50-19c8e357.pth", "resnet50.pth")
    assert [names[0] for names in files[1:]] == [
        "resnet101-5d3b4d8f.pth",
        "resnet152-b121ed2d.pth",
    ]
