"""The published checkpoints: which one a file is, what it was trained on, how it fits a network.

Names follow the rules of `checkpoints.names`. These are known by their names and shapes:

* TF-SimpleHumanPose's snapshots, `resnet_v1_50/... up1/... out/...`;
* tf-slim's ImageNet networks, the same without a head;
* state dicts of Microsoft's PyTorch code, `conv1... deconv_layers... final_layer`;
* ImageNet networks with torchvision's names, and those of `keras.applications`;
* those of the other backbones, see `published_names` and `hsr_weights`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from ...backbones.resnet import KERAS_NAMES, TORCH_NAMES, UNITS, pair_layers
from ...checkpoints.names import (
    Conversion,
    Recognised,
    Shape,
    Source,
    assign_checkpoint,
    convert_checkpoint,
    convert_entries,
    export_checkpoint,
    locate_variable,
)
from . import hsr_weights, published_names
from .conventions import CONVENTIONS
from .options import Options

__all__ = [
    "Recognised",
    "assign_checkpoint",
    "convert",
    "convert_checkpoint",
    "export",
    "export_checkpoint",
    "imagenet_files",
    "locate_variable",
    "recognise",
]

Shapes = Mapping[str, Shape]

#: What the features of `keras.applications` ResNets depend on: Caffe's pictures and strides.
_KERAS_CONVENTIONS = {
    "form": "pytorch",
    "stride_on": "1x1",
    "channel_order": "bgr",
    "pixel_mean": [103.939, 116.779, 123.68],
    "pixel_std": [1.0, 1.0, 1.0],
    "batch_norm_epsilon": 1.001e-5,
}
#: What a network must have as its checkpoint has it, because no line on shapes would explain it.
_FIXED = ("backbone", "form", "depth", "hsr.multi_scale")
_IMAGENET_FILES = {
    50: "resnet50-19c8e357.pth",
    101: "resnet101-5d3b4d8f.pth",
    152: "resnet152-b121ed2d.pth",
}


def recognise(shapes: Shapes) -> Recognised | None:
    """Tell a published network by the names and shapes of its entries.

    What no entry shows is left open: the input size, and which convolution strides (Microsoft's
    STYLE).

    Args:
        shapes: entry of the checkpoint to shape, in its own axis order.

    Returns:
        The network and its conventions; None for a file of another system.

    Raises:
        ValueError: the names are known, but no published network has such a number of units.
    """
    plain = {name.removeprefix("module."): tuple(shape) for name, shape in shapes.items()}
    hsrnet = hsr_weights.recognise(plain)
    if hsrnet is not None:
        return hsrnet
    published = published_names.recognise(plain)
    if published is not None:
        return Recognised(**published._asdict())
    scope = next((m for m in map(re.compile(r"resnet_v1_(\d+)/").match, plain) if m), None)
    if scope:
        return _recognise_tensorflow(plain, int(scope[1]))
    if "conv1_conv/kernel" in plain:
        depth = _depth_of(plain, r"conv(\d)_block(\d+)_1_conv/kernel", "conv2_block1_3_conv/kernel")
        return Recognised(
            kind=f"ResNet-{depth} of keras.applications (ImageNet)",
            preprocessing="BGR pictures minus the means of BGR",
            options={**_KERAS_CONVENTIONS, "depth": depth},
        )
    if "conv1.weight" in plain and "layer1.0.conv1.weight" in plain:
        return _recognise_pytorch(plain)
    return None


def _recognise_tensorflow(shapes: Shapes, depth: int) -> Recognised:
    unit = r"resnet_v1_\d+/block(\d)/unit_(\d+)/bottleneck_v1/conv1/weights"
    found = _depth_of(shapes, unit, f"resnet_v1_{depth}/block1/unit_1/bottleneck_v1/conv3/weights")
    if found != depth:
        raise ValueError(f"its names say resnet_v1_{depth}, its units are those of depth {found}")
    stem = shapes.get(f"resnet_v1_{depth}/conv1/weights", (7, 7, 3, 64))
    options = {**CONVENTIONS["tensorflow"], "depth": depth, "backbone_width": stem[-1]}
    head = [shapes[name] for name in _numbered("up{}/weights", 1, shapes)]
    preprocessing = "BGR pictures minus the ImageNet means of RGB"
    if "out/weights" not in shapes:
        kind = f"ResNet-{depth} of tf-slim (ImageNet)"
        return Recognised(kind, "RGB pictures minus their means", options)
    options |= _head_options([s[2] for s in head], [s[0] for s in head], shapes["out/weights"][0])
    options["head_bias"] = "up1/biases" in shapes
    joints = shapes["out/weights"][-1]
    return Recognised("TF-SimpleHumanPose snapshot", preprocessing, options, {}, joints)


def _recognise_pytorch(shapes: Shapes) -> Recognised:
    depth = _depth_of(shapes, r"layer(\d)\.(\d+)\.conv1\.weight", "layer1.0.conv3.weight")
    width = shapes["conv1.weight"][0]
    options = {**CONVENTIONS["pytorch"], "depth": depth, "backbone_width": width}
    names = _numbered("deconv_layers.{}.weight", 3, shapes)
    preprocessing = (
        "BGR pictures / 255, minus the ImageNet means of RGB, divided by their deviation"
    )
    if "final_layer.weight" not in shapes:
        kind = f"ResNet-{depth} with torchvision's names (ImageNet)"
        return Recognised(kind, "RGB pictures, normalised by ImageNet's statistics", options)
    head = [shapes[name] for name in names]
    final = shapes["final_layer.weight"]
    options |= _head_options([s[1] for s in head], [s[2] for s in head], final[-1])
    options["head_bias"] = "deconv_layers.0.bias" in shapes
    view = {"outside_joints": "keep"}
    return Recognised("Microsoft's pose_resnet", preprocessing, options, view, final[0])


def _head_options(filters: list[int], kernels: list[int], final_kernel: int) -> dict[str, Any]:
    return {"head_filters": filters, "head_kernels": kernels, "final_kernel": final_kernel}


def _numbered(template: str, step: int, shapes: Shapes) -> list[str]:
    """The entries whose numbers are `step` apart, as far as they go."""
    names: list[str] = []
    while template.format(step * len(names) + (step == 1)) in shapes:
        names.append(template.format(step * len(names) + (step == 1)))
    return names


def _depth_of(shapes: Shapes, unit: str, third_convolution: str) -> int:
    """The depth of a ResNet by its units; `unit` has groups for block and number."""
    matches = [match for match in map(re.compile(unit).fullmatch, shapes) if match]
    blocks = sorted({match[1] for match in matches})
    counts = tuple(sum(match[1] == block for match in matches) for block in blocks)
    known = [depth for depth in UNITS if UNITS[depth] == counts]
    bottleneck = third_convolution in shapes
    fitting = [depth for depth in known if (depth >= 50) == bottleneck]
    if not fitting:
        raise ValueError(
            f"its blocks have {', '.join(map(str, counts)) or 'no'} units, as no ResNet of depth "
            f"{', '.join(map(str, UNITS))} has"
        )
    return fitting[0]


def convert(shapes: Shapes, entries: Mapping[str, np.ndarray], options: Options) -> Conversion:
    """A foreign checkpoint for a network of this system.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in its own axis order.
        options: of the network.

    Returns:
        What fits, and a report of every name.

    Raises:
        ValueError: the checkpoint is of another form or depth than the network, or a ResNet of
            Keras in a network that sees pictures otherwise; the line says which settings fit.
    """
    recognised = recognise({name: np.shape(array) for name, array in entries.items()})
    if recognised is None:
        return convert_checkpoint(shapes, entries, options.form)
    is_keras = "conv1_conv/kernel" in entries
    if not is_keras and hsr_weights.fits_as_start(recognised, options):
        entries = published_names.rename_entries(entries, options)
        entries = hsr_weights.prepare_start(entries, shapes, options)
        return convert_checkpoint(shapes, entries, options.form)
    fixed = {k: v for k, v in recognised.options.items() if k in _FIXED}
    if is_keras:
        fixed |= _KERAS_CONVENTIONS
    wrong = {k: v for k, v in fixed.items() if not _equals(_setting(options, k), v)}
    if wrong:
        settings = " ".join(f"options.{k}={_as_text(v)}" for k, v in wrong.items())
        raise ValueError(
            f"The checkpoint is a {recognised.kind}, which this network does not fit; "
            f"--set {settings} makes one that does."
        )
    if is_keras:
        return _convert_keras(shapes, entries, options.depth)
    if options.backbone != "resnet":
        entries = published_names.rename_entries(entries, options)
    conversion = convert_checkpoint(shapes, entries, options.form)
    if options.backbone == "hsrnet":
        names = (*conversion.unused, *conversion.training)
        return replace(conversion, foreign={name: np.asarray(entries[name]) for name in names})
    return conversion


def export(arrays: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The weights of a network under the names of the published checkpoint of its form.

    Args:
        arrays: variable path to array.
        options: of the network.

    Raises:
        ValueError: no published checkpoint has such a network.
    """
    if options.backbone not in ("resnet", "hsrnet") or options.codec != "heatmap":
        raise ValueError(
            "The original formats hold ResNets and HSRNets with heatmaps. Received the backbone "
            f"{options.backbone} and the codec {options.codec}."
        )
    if options.backbone == "hsrnet":
        return hsr_weights.export(arrays, options)
    return export_checkpoint(arrays, options.form)


def _setting(options: Options, key: str) -> Any:
    """A field by its dotted path."""
    return reduce(getattr, key.split("."), options)


def _equals(own: Any, wanted: Any) -> bool:
    return (list(own) if isinstance(own, tuple) else own) == wanted


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _convert_keras(shapes: Shapes, entries: Mapping[str, np.ndarray], depth: int) -> Conversion:
    """A ResNet of `keras.applications`, in PyTorch's names, without biases.

    A BatchNorm behind a convolution with a bias b and with a mean m is one with the mean m - b
    behind the convolution without it.
    """
    pairs = pair_layers(depth, TORCH_NAMES, KERAS_NAMES)
    folded = dict(entries)
    biases = []
    for convolution, norm in set(pairs.values()):
        bias, mean = f"{convolution}/bias", f"{norm}/moving_mean"
        if bias in entries and mean in entries:
            folded[mean] = entries[mean] - entries[bias]
            biases.append(bias)
            del folded[bias]

    def locate(path: str, rank: int) -> Source:
        layer, _, leaf = path.rpartition("/")
        convolution, norm = pairs.get(layer, (layer, layer))
        return Source(f"{convolution if leaf in ('kernel', 'bias') else norm}/{leaf}", ())

    conversion = convert_entries(shapes, folded, locate)
    used = (*conversion.used, *sorted(biases))
    return Conversion(**{**vars(conversion), "used": used})


def imagenet_files(options: Options) -> tuple[str, ...]:
    """The ImageNet networks of `data/imagenet_weights/` that fit, the published one first."""
    if options.backbone == "hsrnet":
        return hsr_weights.imagenet_files(options, _IMAGENET_FILES)
    if options.form == "tensorflow":
        return (f"resnet_v1_{options.depth}.ckpt",)
    if options.stride_on == "1x1":
        keras = f"resnet{options.depth}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return f"resnet{options.depth}-caffe.pth.tar", keras
    published = _IMAGENET_FILES.get(options.depth)
    return (*((published,) if published else ()), f"resnet{options.depth}.pth")
