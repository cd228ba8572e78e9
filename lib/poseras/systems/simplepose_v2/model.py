"""The network: normalisation, a backbone of one or more stacks, and 1x1 heads on each.

Layers are called as in the published checkpoint, `basenet.` and `headnets.` before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ...backbones.hourglass import build_hourglasses
from ...backbones.hrnet import build_backbone as build_hrnet
from ...layers import Normalise, VectorChannels, near_zero_initializer
from .imhn import build_imhn
from .options import Options

BACKBONE_SCOPE = "basenet."

#: Part -> the layer of the published checkpoint; a stack's number follows.
HEADS = {
    "heatmaps": "headnets.0.hp_convs",
    "background": "headnets.0.bghp_convs",
    "jitter": "headnets.0.jitter_convs",
    "offsets": "headnets.1.reg_convs",
    "spread": "headnets.1.spread_convs",
    "scales": "headnets.1.scale_convs",
}


def build_model(options: Options, joint_count: int, limb_count: int) -> keras.Model:
    """The whole network.

    Args:
        options: of the system.
        joint_count: joints of the skeleton.
        limb_count: limbs with offsets.

    Returns:
        A flat functional model from RGB pictures (batch, height, width, 3), 0..255, of sides that
        are multiples of `options.input_multiple`, to the outputs that `System` describes.
    """
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x = Normalise(options.channel_order, options.pixel_mean, options.pixel_std, name="normalise")(
        images
    )
    channels = head_channels(options, joint_count, limb_count)
    build = _build_imhn_maps if options.backbone == "imhn" else _build_maps
    outputs: dict[str, keras.KerasTensor] = {}
    for stack, maps in enumerate(build(x, options, channels)):
        for part, tensor in maps.items():
            name = f"{part}.{stack}"
            outputs[name] = VectorChannels(name=name)(tensor) if part == "offsets" else tensor
    return keras.Model(images, outputs, name="simplepose_v2")


def head_channels(options: Options, joint_count: int, limb_count: int) -> dict[str, int]:
    """Part -> channels, those that the options ask for."""
    channels = {"heatmaps": joint_count, "offsets": 2 * limb_count}
    optional = {"background": 1, "jitter": 2, "spread": limb_count, "scales": joint_count}
    asked = {part: count for part, count in optional.items() if getattr(options, part)}
    return {**channels, **asked}


def _shared_arguments(options: Options) -> dict[str, Any]:
    return {
        "batch_norm_momentum": options.batch_norm_momentum,
        "batch_norm_epsilon": options.batch_norm_epsilon,
        "synchronized": options.batch_norm_synchronized,
    }


def _build_maps(
    x: keras.KerasTensor, options: Options, channels: Mapping[str, int]
) -> list[dict[str, keras.KerasTensor]]:
    """Part -> map, of each stack of an hourglass network or an HRNet."""
    shared = _shared_arguments(options)
    if options.backbone == "hrnet":
        features = [build_hrnet(x, width=options.backbone_width, **shared)]
    else:
        stages = build_hourglasses(
            x,
            width=options.backbone_width,
            units=options.units,
            stacks=options.stacks,
            scope=BACKBONE_SCOPE,
            make_initializer=near_zero_initializer,
            **shared,
        )
        features = [stage["features"] for stage in stages]
    return [
        {
            part: keras.layers.Conv2D(
                count,
                1,
                kernel_initializer=near_zero_initializer(),
                dtype="float32",
                name=f"{HEADS[part]}.{stack}",
            )(found)
            for part, count in channels.items()
        }
        for stack, found in enumerate(features)
    ]


def _build_imhn_maps(
    x: keras.KerasTensor, options: Options, channels: Mapping[str, int]
) -> list[dict[str, keras.KerasTensor]]:
    """The same of the predecessor's network, whose stacks answer with all parts in one tensor."""
    answers = build_imhn(
        x,
        width=options.backbone_width,
        stacks=options.stacks,
        channels=sum(channels.values()),
        make_initializer=near_zero_initializer,
        **_shared_arguments(options),
    )
    ends = np.cumsum(list(channels.values())).tolist()
    return [
        {
            part: finest[..., end - count : end]
            for (part, count), end in zip(channels.items(), ends, strict=True)
        }
        for finest, *_ in answers
    ]
