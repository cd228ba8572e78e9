"""Published checkpoints, by their lists of names: recognised, renamed, and every name placed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from poseras.settings import apply_differences
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines import Options, System
from poseras.systems.simple_baselines.published_names import recognise
from poseras.systems.simple_baselines.weights import convert

pytestmark = pytest.mark.usefixtures("shapes_alone")

LISTS = Path(__file__).resolve().parents[3] / "golden" / "backbones"


def read_list(family, net):
    """Name to an array of its shape that takes no memory, in the authors' spelling."""
    names = json.loads((LISTS / f"{family}_state_dicts.json").read_text(encoding="utf-8"))[net]
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in names}


def to_mmpose_hrnet(name):
    return f"head.{name}" if name.startswith("final") else f"backbone.{name}"


def to_mmpose_vit(name):
    for pattern, replacement in (
        (r"keypoint_head\.", "head."),
        (r"backbone\.patch_embed\.proj\.", "backbone.patch_embed.projection."),
        (r"backbone\.blocks\.(\d+)\.norm", r"backbone.layers.\1.ln"),
        (r"backbone\.blocks\.(\d+)\.mlp\.fc1", r"backbone.layers.\1.ffn.layers.0.0"),
        (r"backbone\.blocks\.(\d+)\.mlp\.fc2", r"backbone.layers.\1.ffn.layers.1"),
        (r"backbone\.blocks\.", "backbone.layers."),
        (r"backbone\.last_norm", "backbone.ln1"),
    ):
        name = re.sub(pattern, replacement, name)
    return name


def check_import(entries, hw=(256, 192)):
    """The options that an import takes from the names give a network in which all are used."""
    recognised = recognise({name: array.shape for name, array in entries.items()})
    options = apply_differences(Options(), {**recognised.options, "input_shape": list(hw)})
    joints = tuple(f"joint_{i}" for i in range(recognised.joint_count))
    model = System(options, Skeleton(name="Test/many", keypoints=joints)).build_model()
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    report = convert(shapes, entries, options)
    assert (report.missing, report.unused, report.mismatched) == ((), (), {})
    assert len(report.arrays) == len(model.weights)
    return options


@pytest.mark.parametrize("spelling", [str, to_mmpose_hrnet])
def test_an_hrnet_is_told_by_its_branches_and_not_taken_for_a_resnet(spelling):
    entries = {spelling(name): array for name, array in read_list("hrnet", "hrnet_w32").items()}
    options = check_import(entries)
    assert (options.backbone, options.backbone_width, options.heatmap_stride) == ("hrnet", 32, 4)
    assert options.channel_order == "rgb" and options.target_window == "three_sigma"


@pytest.mark.parametrize("net", ["vitpose_s", "vitpose_b_simple"])
@pytest.mark.parametrize("spelling", [str, to_mmpose_vit])
def test_a_vit_tells_its_size_its_decoder_and_whose_smoothing_it_wants(net, spelling):
    entries = {spelling(name): array for name, array in read_list("vit", net).items()}
    options = check_import(entries)
    assert (options.depth, options.backbone_heads) == (12, 12)
    assert options.backbone_width == (384 if "_s" in net[:10] else 768)
    assert options.head == ("upsampling" if "simple" in net else "deconvolution")
    assert options.blur_border == ("reflect" if spelling is str else "zero")
    assert options.codec == "udp"


def test_a_vit_from_hugging_face_is_read_with_queries_keys_and_values_apart():
    entries = {}
    for name, array in read_list("vit", "vitpose_s").items():
        for pattern, replacement in (
            (r"backbone\.pos_embed", "backbone.embeddings.position_embeddings"),
            (r"backbone\.patch_embed\.proj", "backbone.embeddings.patch_embeddings.projection"),
            (r"backbone\.blocks\.(\d+)\.norm1", r"backbone.encoder.layer.\1.layernorm_before"),
            (r"backbone\.blocks\.(\d+)\.norm2", r"backbone.encoder.layer.\1.layernorm_after"),
            (
                r"backbone\.blocks\.(\d+)\.attn\.proj",
                r"backbone.encoder.layer.\1.attention.output.dense",
            ),
            (r"backbone\.blocks\.(\d+)\.attn", r"backbone.encoder.layer.\1.attention.attention"),
            (r"backbone\.blocks\.", "backbone.encoder.layer."),
            (r"backbone\.last_norm", "backbone.layernorm"),
            (r"keypoint_head\.deconv_layers\.0", "head.deconv1"),
            (r"keypoint_head\.deconv_layers\.1", "head.batchnorm1"),
            (r"keypoint_head\.deconv_layers\.3", "head.deconv2"),
            (r"keypoint_head\.deconv_layers\.4", "head.batchnorm2"),
            (r"keypoint_head\.final_layer", "head.conv"),
        ):
            name = re.sub(pattern, replacement, name)
        if ".qkv." not in name:
            entries[name] = array
            continue
        for part in ("query", "key", "value"):
            entries[name.replace("qkv", part)] = array[: len(array) // 3]
    assert check_import(entries).depth == 12


@pytest.mark.parametrize(("net", "depth", "width"), [("rtmpose_t", 4, 24), ("rtmpose_m", 12, 48)])
def test_an_rtmpose_tells_its_size_and_its_head(net, depth, width):
    entries = {f"module.{name}": array for name, array in read_list("rtm", net).items()}
    options = check_import(entries)
    assert (options.backbone, options.depth, options.backbone_width) == ("cspnext", depth, width)
    assert (options.head, options.gau.width, options.gau.key_width) == ("rtmcc", 256, 128)
    assert not options.gau.relative_bias


def test_an_imagenet_hrnet_has_no_joints():
    entries = read_list("hrnet", "hrnet_w32")
    backbone = {name: array.shape for name, array in entries.items() if "final" not in name}
    assert recognise(backbone).joint_count is None


def test_other_networks_are_left_to_other_readers():
    assert (
        recognise({"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 1, 1)}) is None
    )


def test_a_checkpoint_of_another_backbone_or_depth_is_named():
    entries = read_list("vit", "vitpose_s")
    options = {"backbone": "vit", "form": "pytorch", "depth": 24}
    with pytest.raises(ValueError, match=r"width 384 and depth 12.*--set options\.depth=12"):
        convert({}, entries, apply_differences(Options(), options))
    with pytest.raises(ValueError, match=r"options\.backbone=vit"):
        convert({}, entries, Options())
