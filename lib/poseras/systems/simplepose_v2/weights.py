"""The published checkpoints: which one a file is, and how it fits a network.

Layers are named as in the OffsetGuided code's state dict (`PoseNet_<epoch>_epoch.pth`), but for an
HRNet, whose layers lack its `basenet.`. Files that hold an hourglass alone lack it too: the
renamed backbone of that project, and CenterNet's own `multi_pose_hg_3x.pth`, of which the parts
that belong to its detection heads are left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...checkpoints.names import (
    Conversion,
    Recognised,
    Shape,
    Source,
    belongs_to_training,
    convert_entries,
    export_checkpoint,
    locate_variable,
)
from .model import BACKBONE_SCOPE, HEADS
from .options import Options

Shapes = Mapping[str, Shape]

#: Files of the original are PyTorch's.
FORM = "pytorch"

#: Groups of CenterNet's names that are the backbone.
_BACKBONE_GROUPS = ("pre", "kps", "cnvs", "inters", "inters_", "cnvs_")
_HEAD_SCOPE = "headnets."
#: Joints and offset channels -> which limbs they are: COCO's, and CrowdPose's only list. Of any
#: other network they are those of its own skeleton.
_LIMB_SETS = {
    (17, 38): "published",
    (17, 32): "tree_16",
    (17, 62): "redundant_31",
    (17, 88): "dense_44",
    (14, 30): "published",
}
#: Weights under which a head that is there learns: the original's own defaults.
_PART_WEIGHTS = {"background": 1.0, "jitter": 100.0, "scales": 0.01}
_PREPROCESSING = "RGB pictures / 255, normalised by ImageNet's statistics"


def recognise(shapes: Shapes) -> Recognised | None:
    """Tell a published network by the names and shapes of its entries.

    Args:
        shapes: entry of the checkpoint to shape, in PyTorch's axis order.

    Returns:
        The network and its settings; None for a file of another system.
    """
    plain = {_own_name(name): tuple(shape) for name, shape in shapes.items()}
    if (
        f"{BACKBONE_SCOPE}pre.0.conv.weight" in plain
        and f"{BACKBONE_SCOPE}kps.0.up1.0.conv1.weight" in plain
    ):
        options, kind = _describe_hourglass(plain), "Hourglass network"
    elif f"{BACKBONE_SCOPE}stage4.0.branches.0.0.conv1.weight" in plain:
        width = plain[f"{BACKBONE_SCOPE}stage4.0.branches.0.0.conv1.weight"][0]
        options = {"backbone": "hrnet", "backbone_width": width, "stacks": 1}
        kind = f"HRNet-W{width}"
    else:
        return None
    heatmaps = plain.get(f"{HEADS['heatmaps']}.0.weight")
    if heatmaps is None:
        return Recognised(f"{kind} without heads (CenterNet's)", _PREPROCESSING, options)
    heads = _describe_heads(plain)
    return Recognised(
        f"{kind} of OffsetGuided", _PREPROCESSING, {**options, **heads}, {}, heatmaps[0]
    )


def _own_name(name: str) -> str:
    """The name in a whole network's checkpoint."""
    name = name.removeprefix("module.")
    in_backbone = name.partition(".")[0] in _BACKBONE_GROUPS
    return f"{BACKBONE_SCOPE}{name}" if in_backbone else name


def _describe_hourglass(shapes: Shapes) -> dict[str, Any]:
    """Width, stacks, and units of each level, by the names of the first hourglass.

    More stacks than the two of the default weights count alike.
    """
    stem = f"{BACKBONE_SCOPE}kps.0"
    units = []
    while f"{stem}.up1.0.conv1.weight" in shapes:
        units.append(_count(shapes, f"{stem}.up1.{{}}.conv1.weight"))
        stem += ".low2"
    units.append(_count(shapes, f"{stem}.{{}}.conv1.weight"))
    stacks = _count(shapes, f"{BACKBONE_SCOPE}kps.{{}}.up1.0.conv1.weight")
    weights = {"stack_weights": [1.0] * stacks} if stacks > len(Options.stack_weights) else {}
    return {
        "backbone": "hourglass",
        "backbone_width": shapes[f"{BACKBONE_SCOPE}pre.1.conv1.weight"][0],
        "stacks": stacks,
        "units": units,
        **weights,
    }


def _count(shapes: Shapes, template: str) -> int:
    number = 0
    while template.format(number) in shapes:
        number += 1
    return number


def _describe_heads(shapes: Shapes) -> dict[str, Any]:
    there = {part: f"{layer}.0.weight" in shapes for part, layer in HEADS.items()}
    joints, channels = (shapes[f"{HEADS[part]}.0.weight"][0] for part in ("heatmaps", "offsets"))
    weights = {part: weight if there[part] else 0.0 for part, weight in _PART_WEIGHTS.items()}
    return {
        "limbs": _LIMB_SETS.get((joints, channels), "skeleton"),
        **{part: there[part] for part in ("background", "jitter", "spread", "scales")},
        "offset_loss": "laplace" if there["spread"] else Options.offset_loss,
        "loss_weights": [
            1.0,
            weights["background"],
            weights["jitter"],
            Options.loss_weights[3],
            weights["scales"],
        ],
    }


def convert(shapes: Shapes, entries: Mapping[str, np.ndarray], options: Options) -> Conversion:
    """A foreign checkpoint for a network of this system.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in PyTorch's axis order.
        options: of the network.

    Returns:
        What fits, and a report of every name.
    """
    names = {_own_name(name): name for name in entries}

    def locate(path: str, rank: int) -> Source:
        name, axes = locate_variable(path, rank, "pytorch")
        if options.backbone == "hrnet" and not name.startswith(_HEAD_SCOPE):
            scoped = f"{BACKBONE_SCOPE}{name}"
            name = name if name in names and scoped not in names else scoped
        return Source(names.get(name, name), axes)

    return convert_entries(shapes, entries, locate, partial(belongs_to_training, form="pytorch"))


def export(arrays: Mapping[str, np.ndarray], options: Options) -> dict[str, np.ndarray]:
    """The weights of a network under the names of the published checkpoint.

    Args:
        arrays: variable path to array.
        options: of the network.

    Raises:
        ValueError: the predecessor's network, whose heads have no names there.
    """
    if options.backbone == "imhn":
        raise ValueError("No published checkpoint holds this system's maps on an imhn backbone.")
    entries = export_checkpoint(arrays, "pytorch")
    if options.backbone == "hourglass":
        return entries
    return {
        name if name.startswith(_HEAD_SCOPE) else f"{BACKBONE_SCOPE}{name}": array
        for name, array in entries.items()
    }


def frame(counters: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """What stands around the weights in a file that the original's loader reads.

    Args:
        counters: of the snapshot.

    Returns:
        The key of the weights, and the numbers beside them: the epoch, and a loss that any later
        one is better than, which a snapshot does not hold.
    """
    return "model_state_dict", {"epoch": counters["epoch"], "train_loss": float("inf")}
