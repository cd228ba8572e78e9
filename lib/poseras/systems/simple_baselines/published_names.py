"""Published checkpoints of HRNet, ViTPose and RTMPose: which network, and under which names.

Names decide; what no entry shows is left at what the published networks of that kind have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...backbones import cspnext, hrnet, vit
from . import rtmcc
from .model import backbone_module
from .options import Options

Shape = tuple[int, ...]

_PREPROCESSING = "RGB pictures, normalised by ImageNet's statistics"
#: What all of them share, in values of JSON.
_CONVENTIONS: dict[str, Any] = {
    "form": "pytorch",
    "channel_order": "rgb",
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
    "batch_norm_momentum": 0.9,
    "batch_norm_epsilon": 1e-5,
    "target_peak": 1.0,
}
#: Names that only one of the families has, in any spelling.
_SIGNS = {
    "hrnet": re.compile(r"(backbone\.)?stage4\.\d+\.branches\."),
    "vit": re.compile(r"(backbone\.(blocks|layers|encoder\.layer)|blocks)\.\d+\."),
    "cspnext": re.compile(r"backbone\.stage4\.\d+\.main_conv\."),
}


class Published(NamedTuple):
    """A network that was recognised.

    Attributes:
        kind: for people.
        preprocessing: what its pictures went through, for people.
        options: settings of `Options` that the checkpoint fixes, in values of JSON.
        view: the same of `View`.
        joint_count: maps or vectors; None for a backbone without a head.
    """

    kind: str
    preprocessing: str
    options: dict[str, Any]
    view: dict[str, Any]
    joint_count: int | None


def recognise(shapes: Mapping[str, Shape]) -> Published | None:
    """Tell a published network by the names and shapes of its entries.

    The input size is in no shape, nor is the codec of an HRNet, which is taken as the authors'.

    Args:
        shapes: entry of the checkpoint to shape, in its own axis order.

    Returns:
        The network and its conventions; None for one of another family.

    Raises:
        ValueError: the names are known, but no published network has such shapes.
    """
    plain = {name.removeprefix("module."): shape for name, shape in shapes.items()}
    readers: dict[str, Callable[[Mapping[str, Shape]], Published]] = {
        "hrnet": _recognise_hrnet,
        "vit": _recognise_vit,
        "cspnext": _recognise_cspnext,
    }
    for family, sign in _SIGNS.items():
        if any(sign.match(name) for name in plain):
            return readers[family](plain)
    return None


def rename_entries(entries: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The entries of a published state dict, ready for the rules of names and axes.

    Args:
        entries: the checkpoint, name to array in its own axis order.
        options: of the network that shall have them.

    Returns:
        The same arrays under the names that follow from the paths of our variables; a few are
        joined or have their axes changed, as the backbone's file tells.

    Raises:
        ValueError: a kind of checkpoint that the backbone cannot read.
    """
    module = backbone_module(options.backbone)
    renamed = module.rename_entries(entries, options.input_shape)
    if options.head == "rtmcc":
        renamed = rtmcc.rename_entries(renamed, module.HEAD_SCOPE)
    return renamed


def _recognise_hrnet(shapes: Mapping[str, Shape]) -> Published:
    shapes = _rename_shapes(shapes, hrnet)
    width = shapes["stage4.0.branches.0.0.conv1.weight"][0]
    options = {
        "backbone": "hrnet",
        "backbone_width": width,
        "backbone_stride": 4,
        "head_filters": [],
        "head_kernels": [],
        "target_window": "three_sigma",
        "zero_nonpositive": True,
    }
    joints = shapes["final_layer.bias"][0] if "final_layer.bias" in shapes else None
    options = {**_CONVENTIONS, **options}
    return Published(f"HRNet-W{width}", _PREPROCESSING, options, {"outside_joints": "keep"}, joints)


def _recognise_vit(shapes: Mapping[str, Shape]) -> Published:
    own = "backbone.patch_embed.proj.weight" in shapes  # ViTPose's own files, or MMPose 0.x'
    shapes = _rename_shapes(shapes, vit)
    width = shapes["backbone.blocks.0.norm1.weight"][0]
    blocks = {name.split(".")[2] for name in shapes if name.startswith("backbone.blocks.")}
    simple = "keypoint_head.deconv_layers.0.weight" not in shapes
    final = shapes.get("keypoint_head.final_layer.weight")
    options = {
        "backbone": "vit",
        "depth": len(blocks),
        "backbone_width": width,
        "backbone_stride": 16,
        # In no shape: S has as many heads as B.
        "backbone_heads": 16 if width >= 1024 else 12,
        "head": "upsampling" if simple else "deconvolution",
        "head_filters": [] if simple else [256, 256],
        "head_kernels": [] if simple else [4, 4],
        "final_kernel": 3 if simple else 1,
        "codec": "udp",
        "decoder": "dark",
        "blur_kernel": 11,
        "blur_border": "reflect" if own else "zero",
    }
    kind = f"ViT of width {width} and depth {len(blocks)}"
    options = {**_CONVENTIONS, **options}
    return Published(kind, _PREPROCESSING, options, {}, final[0] if final else None)


def _recognise_cspnext(shapes: Mapping[str, Shape]) -> Published:
    depth = len({n.split(".blocks.")[0] + n.split(".")[4] for n in shapes if ".blocks." in n})
    if depth not in cspnext.BLOCKS:
        raise ValueError(f"it has {depth} residual blocks, as no CSPNeXt has")
    options = {
        **_CONVENTIONS,
        "backbone": "cspnext",
        "depth": depth,
        "backbone_width": shapes["backbone.stem.2.conv.weight"][0],
        "head_filters": [],
        "head_kernels": [],
    }
    if "head.gau.gamma" not in shapes:
        return Published("CSPNeXt", _PREPROCESSING, options, {}, None)
    final = shapes["head.final_layer.weight"]
    options |= {
        "head": "rtmcc",
        "codec": "simcc",
        "loss": "divergence",
        "decoder": "none",
        "gau.final_kernel": final[-1],
        "gau.width": shapes["head.gau.o.weight"][0],
        "gau.key_width": shapes["head.gau.gamma"][1],
        "gau.relative_bias": "head.gau.w" in shapes,
    }
    return Published("RTMPose", _PREPROCESSING, options, {}, final[0])


def _rename_shapes(shapes: Mapping[str, Shape], module: Any) -> dict[str, Shape]:
    """Shapes by the names of the layers."""
    # Arrays of nothing but a shape, of one byte a number where two must be joined.
    arrays = {name: np.broadcast_to(np.False_, shape) for name, shape in shapes.items()}
    return {name: array.shape for name, array in module.rename_entries(arrays, (0, 0)).items()}
