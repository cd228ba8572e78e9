"""The published checkpoints: which one a file is, and how it fits a network.

pose-tensorflow's snapshots (TensorFlow 1) hold `resnet_v1_50/...` or `resnet_v1_101/...` and the
heads `pose/<head>/block4/...`; tf-slim's ImageNet networks hold the first alone. Layers have these
names, "/" written as ".".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...backbones.resnet import TORCH_NAMES, pair_layers, slim_names
from ...checkpoints.adoption import adopt_from_simple_baselines
from ...checkpoints.names import (
    Conversion,
    Recognised,
    Shape,
    convert_checkpoint,
    export_checkpoint,
)
from .options import Options

Shapes = Mapping[str, Shape]

#: In which the original's checkpoints are.
FORM = "tensorflow"

_STEM = re.compile(r"resnet_v1_(\d+)/conv1/weights")
_PARTS = "pose/part_pred/block4/biases"
#: Setting -> the entry that is there where it is on.
_HEADS = {
    "location_refinement": "pose/locref_pred/block4/weights",
    "pairwise": "pose/pairwise_pred/block4/weights",
    "intermediate_supervision": "pose/intermediate_supervision/block4/weights",
}
_PREPROCESSING = "RGB pictures less their mean"


def recognise(shapes: Shapes) -> Recognised | None:
    """Tell a published network by the names and shapes of its entries.

    From which unit the intermediate part scores were learned no shape tells; it is taken to be the
    published one, and `options.intermediate_unit` says otherwise.

    Args:
        shapes: entry of the checkpoint to shape, in TensorFlow's axis order.

    Returns:
        The network and its settings; None for a file of another system.
    """
    stem = next((match for match in map(_STEM.fullmatch, shapes) if match), None)
    if stem is None or "out/weights" in shapes:  # the latter are TF-SimpleHumanPose's
        return None
    options = {"depth": int(stem[1]), "backbone_width": int(shapes[stem[0]][-1])}
    network = f"ResNet-{stem[1]}"
    if _PARTS not in shapes:
        kind = f"{network} of tf-slim without a head"
        return Recognised(kind=kind, preprocessing=_PREPROCESSING, options=options)
    heads = {setting: entry in shapes for setting, entry in _HEADS.items()}
    return Recognised(
        kind=f"{network} of pose-tensorflow",
        preprocessing=_PREPROCESSING,
        options={**options, **heads},
        joint_count=int(shapes[_PARTS][0]),
    )


def imagenet_files(options: Options) -> tuple[str, ...]:
    """The file of tf-slim's ImageNet network, whose strides lie where this one's do."""
    return (f"resnet_v1_{options.depth}.ckpt",)


def convert(shapes: Shapes, entries: Mapping[str, np.ndarray], options: Options) -> Conversion:
    """A foreign checkpoint for a network of this system.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in TensorFlow's axis order.
        options: of the network; the names are the same for all.

    Returns:
        What fits, and a report of every name.
    """
    del options
    return convert_checkpoint(shapes, entries, "tensorflow")


def adopt(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], options: Options
) -> Mapping[str, np.ndarray]:
    """The backbone of a Simple Baselines network, in the names of this system.

    Its units stride elsewhere, see `backbones.resnet`, so it is a start and not the same function.

    Args:
        arrays: variable path to array.
        metadata: of the snapshot; other systems' come back as they are.
        options: of the network that starts from it.
    """
    names = slim_names(options.depth)
    layers = pair_layers(options.depth, TORCH_NAMES, names)
    return adopt_from_simple_baselines(
        arrays,
        metadata,
        rename=partial(_rename_layer, layers),
        stem=f"{names.stem}/kernel",
        pixel_std=(1.0, 1.0, 1.0),
    )


def _rename_layer(layers: Mapping[str, tuple[str, str]], path: str) -> str:
    """The path of a variable; a layer without partner keeps its name."""
    layer, _, variable = path.rpartition("/")
    convolution, norm = layers.get(layer, (layer, layer))
    return f"{convolution if variable == 'kernel' else norm}/{variable}"


def export(arrays: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The weights of a network under the names of pose-tensorflow.

    Args:
        arrays: variable path to array.
        options: of the network; the names are the same for all.
    """
    del options
    return export_checkpoint(arrays, "tensorflow")
