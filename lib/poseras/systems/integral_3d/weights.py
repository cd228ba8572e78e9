"""The published checkpoints: which one a file is, what it was trained on, how it fits a network.

Our layers are called as in Moon's state dict, so only two things differ elsewhere: the authors
number the layers of the head `head.features.0 ... 9`, the last one our `head.final_layer`, and
torchvision's ImageNet networks lack `backbone.`. A leading `module.` is no part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...backbones.resnet import FIRST_BOTTLENECK_DEPTH, UNITS
from ...checkpoints.adoption import adopt_from_simple_baselines
from ...checkpoints.names import (
    Conversion,
    Form,
    Recognised,
    Shape,
    Source,
    belongs_to_training,
    convert_entries,
    export_checkpoint,
    locate_variable,
)
from .options import Options

Shapes = Mapping[str, Shape]

_AUTHORS_LAYER = re.compile(r"head\.features\.(\d+)\.(.+)")
#: The layers behind the backbone, without `head.`.
_HEAD = ("deconv_layers.", "final_layer/")
_UNIT = re.compile(r"backbone\.layer(\d)\.(\d+)\.conv1\.weight")
#: What a file does not show: its joints. Human3.6M's sets with and without thorax, in this order;
#: the one that leaves a multiple of so many depth bins first.
_JOINT_COUNTS = (18, 17)
_ROUND_BINS = 8
#: torchvision's files, by depth.
_IMAGENET_FILES = {
    18: "resnet18-5c106cde.pth",
    34: "resnet34-333f7ec4.pth",
    50: "resnet50-19c8e357.pth",
    101: "resnet101-5d3b4d8f.pth",
    152: "resnet152-b121ed2d.pth",
}


def recognise(shapes: Shapes) -> Recognised | None:
    """Tell a published network by the names and shapes of its entries.

    The file shows the product of joints and depth bins alone: 18 or 17 joints are taken,
    whichever leaves a multiple of 8 bins or any whole number. Nor does it show the input size.

    Args:
        shapes: entry of the checkpoint to shape, in its own axis order.

    Returns:
        The network and its conventions; None for a file of another system.

    Raises:
        ValueError: the names are known, but no ResNet has such a number of units.
    """
    plain = {name.removeprefix("module."): tuple(shape) for name, shape in shapes.items()}
    if "backbone.conv1.weight" not in plain:
        if "conv1.weight" not in plain or "layer1.0.conv1.weight" not in plain:
            return None
        if any(name.startswith(("deconv_layers.", "final_layer.")) for name in plain):
            return None  # a network in two dimensions
        plain = {f"backbone.{name}": shape for name, shape in plain.items()}
    options = {
        "depth": _depth_of(plain),
        "backbone_width": plain["backbone.conv1.weight"][0],
        "input_normalisation": "imagenet",
    }
    unit = "pictures scaled to 0..1, less ImageNet's means, divided by its deviations"
    authors = any(map(_AUTHORS_LAYER.fullmatch, plain))
    if "head.fc.weight" in plain:
        joints = plain["head.fc.weight"][0] // 3
        kind = "direct regression of the authors of integral regression"
        return Recognised(kind, unit, {**options, "head": "direct"}, {}, joints)
    last = _last_layer(plain)
    named = {_canonical_name(name, last): shape for name, shape in plain.items()}
    if "head.final_layer.weight" not in named:
        return Recognised(f"ResNet-{options['depth']} of torchvision (ImageNet)", unit, options)
    head, joints = _read_head(named)
    options |= head
    if authors:
        kind = "integral regression of its authors"
        return Recognised(kind, unit, options, {}, joints)
    # Moon's program forgot the division by 255, and its batch statistics are those of such input.
    options |= {"input_normalisation": "raw255", "flip_alignment": "published"}
    unit = "pictures of 0..255 less ImageNet's means of 0..1, divided by its deviations of 0..1"
    return Recognised("integral regression of Moon", unit, options, {}, joints)


def _read_head(shapes: Shapes) -> tuple[dict[str, Any], int]:
    """Settings of the head, and how many joints it has, 0 if unknown."""
    names = [f"head.deconv_layers.{3 * index}.weight" for index in range(6)]
    layers = [shapes[name] for name in names if name in shapes]
    channels, _, kernel, _ = shapes["head.final_layer.weight"]
    head = {
        "head_filters": [layer[1] for layer in layers],
        "head_kernels": [layer[2] for layer in layers],
        "final_kernel": kernel,
    }
    fitting = [joints for joints in _JOINT_COUNTS if channels % joints == 0]
    if not fitting:
        return head, 0
    joints = min(fitting, key=lambda count: channels // count % _ROUND_BINS > 0)
    return {**head, "depth_bins": channels // joints}, joints


def _depth_of(shapes: Shapes) -> int:
    matches = [match for match in map(_UNIT.fullmatch, shapes) if match]
    counts = tuple(sum(m[1] == str(block) for m in matches) for block in range(1, 5))
    bottleneck = "backbone.layer1.0.conv3.weight" in shapes
    for depth, units in UNITS.items():
        if units == counts and (depth >= FIRST_BOTTLENECK_DEPTH) == bottleneck:
            return depth
    raise ValueError(
        f"its blocks have {', '.join(map(str, counts))} units, as no ResNet of depth "
        f"{', '.join(map(str, UNITS))} has"
    )


def convert(shapes: Shapes, entries: Mapping[str, np.ndarray], options: Options) -> Conversion:
    """A foreign checkpoint for a network of this system.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in its own axis order.
        options: of the network.

    Returns:
        What fits, and a report of every name.

    Raises:
        ValueError: the checkpoint is of another depth, or of another head with as many channels.
    """
    recognised = recognise({name: np.shape(array) for name, array in entries.items()})
    fixed = recognised.options if recognised else {}
    for name in ("depth", "head"):
        if fixed.get(name, getattr(options, name)) != getattr(options, name):
            raise ValueError(
                f"The checkpoint has {name} {fixed[name]}. Received a network of {name} "
                f"{getattr(options, name)}; --set options.{name}={fixed[name]} fits."
            )
    return convert_checkpoint(shapes, entries, options.form)


def adopt(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], options: Options
) -> Mapping[str, np.ndarray]:
    """The snapshot of a Simple Baselines network of torch's form, in the names of this system.

    Args:
        arrays: variable path to array.
        metadata: of the snapshot; other systems' come back as they are.
        options: of the network that starts from it.
    """
    return adopt_from_simple_baselines(
        arrays,
        metadata,
        rename=lambda path: ("head." if path.startswith(_HEAD) else "backbone.") + path,
        stem="backbone.conv1/kernel",
        pixel_std=options.pixel_std,
    )


def convert_checkpoint(
    shapes: Shapes, entries: Mapping[str, np.ndarray], form: Form = "pytorch"
) -> Conversion:
    """Rename and transpose the entries of a checkpoint of Moon, of the authors or of torchvision.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in PyTorch's axis order.
        form: must be `pytorch`.

    Returns:
        Everything that fits, and a report of what does not.

    Raises:
        ValueError: another form.
    """
    if form != "pytorch":
        raise ValueError(f"Checkpoints of this system are PyTorch's. Received form {form!r}.")
    last = _last_layer(entries)
    names = {_canonical_name(name, last): name for name in entries}

    def locate(path: str, rank: int) -> Source:
        name, axes = locate_variable(path, rank, form)
        return Source(names.get(name, name), axes)

    return convert_entries(shapes, entries, locate, partial(belongs_to_training, form=form))


def assign_checkpoint(model: Any, entries: Mapping[str, np.ndarray]) -> Conversion:
    """Put an original checkpoint into a model, as far as it fits.

    Args:
        model: a Keras model with flat variable paths.
        entries: the checkpoint, see `convert_checkpoint`.

    Returns:
        The report; variables that it calls missing or mismatched keep their values.
    """
    variables = {variable.path: variable for variable in model.variables}
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    conversion = convert_checkpoint(shapes, entries)
    for path, array in conversion.arrays.items():
        variables[path].assign(array)
    return conversion


def export(arrays: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The weights of a network under the names of Moon's state dict.

    Args:
        arrays: variable path to array.
        options: of the network; a direct regression has the authors' names.
    """
    return {f"module.{name}": array for name, array in export_checkpoint(arrays, "pytorch").items()}


def imagenet_files(options: Options) -> tuple[str, ...]:
    """The ImageNet networks of `data/imagenet_weights/` that fit, the published one first."""
    return _IMAGENET_FILES[options.depth], f"resnet{options.depth}.pth"


def _last_layer(names: Mapping[str, Any]) -> int:
    """The number of the last layer of the authors' head; 0 where there is none."""
    return max((int(m[1]) for n in names if (m := _AUTHORS_LAYER.search(n))), default=0)


def _canonical_name(name: str, last: int) -> str:
    """An entry's name in Moon's state dict; `last` numbers the last layer of the authors' head."""
    name = name.removeprefix("module.")
    match = _AUTHORS_LAYER.fullmatch(name)
    if match:
        number = int(match[1])
        layer = "final_layer" if number == last else f"deconv_layers.{number}"
        return f"head.{layer}.{match[2]}"
    return name if name.startswith(("backbone.", "head.")) else f"backbone.{name}"
