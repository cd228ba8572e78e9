"""Checkpoints of HSRNet and HSR-MSNet, and the ImageNet networks that they start from.

Their state dicts have the names of our layers. An HSR-MSNet's also hold layers that nothing uses:
an import leaves them out of the network, an export writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...backbones.hsrnet import BLOCKS, RESNET_DEPTHS, list_unused, plan_blocks
from ...checkpoints.names import Recognised, Shape, export_checkpoint
from .conventions import CONVENTIONS
from .options import Options

_PREPROCESSING = "BGR pictures / 255, minus the ImageNet means of RGB, divided by their deviation"
#: Only DetNet has a convolution beside the first block of a stage called so.
_DETNET_SIGN = "layer4.0.extra_conv.0.weight"
_STAGE = re.compile(r"^layer(?=[45]\.)")
_SPLIT = re.compile(r"(.+)\.(conv|bn)_split(\d+)$")


def recognise(shapes: Mapping[str, Shape]) -> Recognised | None:
    """Tell an HSRNet, an HSR-MSNet or DetNet-59 by the names and shapes of its entries.

    The dilation is in no shape and taken as published.

    Args:
        shapes: entry of the checkpoint to shape, in its own axis order, without `module.`.

    Returns:
        The network and its conventions; None for one of another family.

    Raises:
        ValueError: the names are known, but no HSRNet has so many blocks.
    """
    detnet = _DETNET_SIGN in shapes
    if not detnet and "new_layer4.0.conv1.weight" not in shapes:
        return None
    splits = {name for name in shapes if name.startswith("layer1.0.conv_split")}
    options: dict[str, Any] = {
        **CONVENTIONS["pytorch"],
        "backbone": "hsrnet",
        "depth": _find_depth(shapes),
        "backbone_width": shapes["conv1.weight"][0],
        "backbone_stride": 16,
        "hsr.multi_scale": bool(splits),
    }
    if detnet:
        preprocessing = "RGB pictures, normalised by ImageNet's statistics"
        return Recognised("DetNet-59 (ImageNet)", preprocessing, options)
    if splits:
        options["hsr.groups"] = len(splits) + 1
    options["hsr.use_se"] = "layer1.0.se.fc1.weight" in shapes
    options["hsr.extra_stages"] = len({n.split(".")[0] for n in shapes if n[:9] == "new_layer"})
    kind = f"{'HSR-MSNet' if splits else 'HSRNet'}-{options['depth']}"
    final = shapes.get("final_layer.weight")
    if final is None:
        return Recognised(f"{kind} without a head", _PREPROCESSING, options)
    options |= _describe_head(shapes)
    return Recognised(kind, _PREPROCESSING, options, {"outside_joints": "keep"}, final[0])


def _find_depth(shapes: Mapping[str, Shape]) -> int:
    """The depth whose first three stages have as many blocks."""
    counts = tuple(
        len({n.split(".")[1] for n in shapes if n.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3)
    )
    for depth, blocks in BLOCKS.items():
        if counts == blocks:
            return depth
    raise ValueError(
        f"its first stages have {', '.join(map(str, counts))} blocks, as no HSRNet of depth "
        f"{', '.join(map(str, BLOCKS))} has"
    )


def _describe_head(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    names = [f"deconv_layers.{3 * index}.weight" for index in range(len(shapes))]
    head = [shapes[name] for name in names if name in shapes]
    return {
        "head_filters": [shape[1] for shape in head],
        "head_kernels": [shape[2] for shape in head],
        "head_bias": "deconv_layers.0.bias" in shapes,
        "final_kernel": shapes["final_layer.weight"][-1],
    }


def fits_as_start(recognised: Recognised, options: Options) -> bool:
    """Whether a network without a head has the first stages of an HSRNet, which can start there.

    Raises:
        ValueError: it is an ImageNet network of another depth or with other names.
    """
    if options.backbone != "hsrnet" or recognised.joint_count is not None:
        return False
    own = recognised.options
    resnet = RESNET_DEPTHS.get(options.depth)
    depth = options.depth if own["backbone"] == "hsrnet" else resnet
    if (own["form"], own["depth"]) != ("pytorch", depth):
        detnet = " or DetNet-59" if options.depth == 59 else ""
        raise ValueError(
            f"An HSRNet-{options.depth} starts from ResNet-{resnet}{detnet} with PyTorch's names. "
            f"Received a {recognised.kind}."
        )
    return True


def imagenet_files(options: Options, resnet_files: Mapping[int, str]) -> tuple[str, ...]:
    """What an HSRNet starts from, the published file first.

    Args:
        options: of the network.
        resnet_files: torchvision's file of each depth.
    """
    own = ("detnet59.pth",) if options.depth == 59 else ()
    resnet = RESNET_DEPTHS.get(options.depth)
    return (*own, *((resnet_files[resnet], f"resnet{resnet}.pth") if resnet else ()))


def prepare_start(
    entries: Mapping[str, np.ndarray], paths: Mapping[str, Shape], options: Options
) -> dict[str, np.ndarray]:
    """The entries of an ImageNet network under the names of an HSRNet.

    Args:
        entries: of a state dict, without `module.`.
        paths: the network's variables, path to shape.
        options: of the network.

    Returns:
        The same arrays; those of DetNet's last stages are renamed, and what split convolutions
        take from the whole ones is added, as the options say.
    """
    renamed = dict(entries)
    if _DETNET_SIGN in entries and options.hsr.rename_extra_stages:
        renamed = {_STAGE.sub("new_layer", name): array for name, array in entries.items()}
    if options.hsr.split_init == "from_conv2":
        renamed |= _split_entries(renamed, paths)
    return renamed


def _split_entries(
    entries: Mapping[str, np.ndarray], paths: Mapping[str, Shape]
) -> dict[str, np.ndarray]:
    """The i-th diagonal block of a 3x3 kernel, and that slice of its BatchNorm, for each split."""
    added: dict[str, np.ndarray] = {}
    for layer in {path.rpartition("/")[0]: None for path in paths}:
        match = _SPLIT.fullmatch(layer)
        if match is None:
            continue
        block, kind, index = match[1], match[2], int(match[3])
        source = f"{block}.{kind}2."
        for name in [n for n in entries if n.startswith(source)]:
            leaf = name.removeprefix(source)
            if f"{layer}.{leaf}" not in entries and entries[name].ndim:
                share = paths[f"{block}.conv_split{index}/kernel"][-1]
                part = slice(index * share, (index + 1) * share)
                cut = (part, part) if kind == "conv" else (part,)
                added[f"{layer}.{leaf}"] = entries[name][cut]
    return added


def export(arrays: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The weights of a network as the original's state dict, whole, so that a strict load succeeds.

    Args:
        arrays: variable path to array.
        options: of the network.

    Returns:
        Name to array; layers that nothing uses are zeros, their BatchNorms the identity, unless
        the network has them.

    Raises:
        ValueError: the original cannot build such a network.
    """
    if not options.hsr.is_published:
        raise ValueError(
            "The original's HSRNets have hsr.groups 4, hsr.dilation 2, hsr.extra_stages 2, and "
            "squeeze and excitation where multi_scale is. "
            f"Received {options.hsr.groups}, {options.hsr.dilation}, {options.hsr.extra_stages} "
            f"and use_se {options.hsr.squeezes} with multi_scale {options.hsr.multi_scale}."
        )
    unused: dict[str, np.ndarray] = {}
    if options.hsr.multi_scale:
        blocks = plan_blocks(options.depth, options.backbone_width, options.hsr.extra_stages)
        for block in blocks:
            for path, shape in list_unused(block, options.hsr.groups).items():
                identity = path.endswith(("/gamma", "/moving_variance"))
                unused[path] = (np.ones if identity else np.zeros)(shape, np.float32)
    return export_checkpoint({**unused, **arrays}, "pytorch")
