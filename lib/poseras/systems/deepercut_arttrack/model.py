"""The network: a ResNet at stride 16, and transposed convolutions to maps at stride 8.

Layers are called as in the original's checkpoints, "/" written as ".".
"""

from __future__ import annotations

import keras

from ...backbones.resnet import build_resnet, slim_initializer, slim_names
from ...layers import Normalise, VectorChannels
from .options import FEATURE_STRIDE, Options


def build_model(options: Options, joint_count: int) -> keras.Model:
    """The whole network.

    Args:
        options: of the system.
        joint_count: joints of the skeleton.

    Returns:
        A flat functional model from RGB pictures (batch, height, width, 3), 0..255, of any size, to
        the outputs that `System` describes. Maps have 2 * ceil(height / 16) rows.
    """
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    x = Normalise("rgb", options.pixel_mean, (1.0, 1.0, 1.0), name="normalise")(images)
    names = slim_names(options.depth)
    stages = build_resnet(
        x,
        depth=options.depth,
        width=options.backbone_width,
        names=names,
        stride_unit="last",
        stride_on="3x3",
        output_stride=FEATURE_STRIDE,
        pool_padding="same",
        make_initializer=slim_initializer,
        batch_norm_momentum=options.batch_norm_momentum,
        batch_norm_epsilon=options.batch_norm_epsilon,
        synchronized=options.batch_norm == "trained",
        frozen_statistics=options.batch_norm == "frozen",
    )
    features = list(stages.values())[-1]
    outputs = {"parts": _head(features, joint_count, "part_pred")}
    if options.location_refinement:
        refinement = _head(features, 2 * joint_count, "locref_pred")
        outputs["refinement"] = VectorChannels(name="refinement")(refinement)
    if options.pairwise:
        vectors = _head(features, 2 * joint_count * (joint_count - 1), "pairwise_pred")
        outputs["pairwise"] = VectorChannels(name="pairwise")(vectors)
    if options.intermediate_supervision:
        inner = stages[names.of_unit(2, options.supervised_unit - 1)]
        outputs["parts_intermediate"] = _head(inner, joint_count, "intermediate_supervision")
    return keras.Model(images, outputs, name="deepercut_arttrack")


def _head(features: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """A transposed convolution of 3x3 to twice the resolution."""
    return keras.layers.Conv2DTranspose(
        channels,
        3,
        strides=2,
        padding="same",
        dtype="float32",
        name=f"pose.{name}.block4",
    )(features)
