"""The network: normalisation, a ResNet, then volumes read by their mean, or a direct regression.

Layers are called as in Moon's state dict, `backbone.` and `head.` included.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import keras

from ...backbones.resnet import TORCH_NAMES, LayerNames, build_resnet
from ...batch_norm import BatchNormalization
from ...codecs.integral import peak_3d, soft_argmax_3d
from ...layers import Normalise, deconvolve, torch_initializer
from .options import Options

#: torchvision's names behind the prefix of the originals.
BACKBONE_NAMES = LayerNames(
    **{
        field.name: ("" if "{unit}" in getattr(TORCH_NAMES, field.name) else "backbone.")
        + getattr(TORCH_NAMES, field.name)
        for field in fields(LayerNames)
    }
)


@keras.saving.register_keras_serializable(package="poseras")
class ReadOut(keras.layers.Layer):
    """From volumes of logits to one cell per joint, in float32 under every dtype policy.

    Args:
        depth_bins: cells in depth.
        temperature: factor on the logits.
        read_out: `mean` of the softmax or its `peak`.
        **kwargs: name and the like, of `keras.layers.Layer`; a `dtype` is overruled.

    Input: (batch, height, width, joints * depth_bins).
    Output: (batch, joints, 3) float32, x, y, z in cells.
    """

    def __init__(
        self, depth_bins: int, temperature: float = 1.0, read_out: str = "mean", **kwargs: Any
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.depth_bins, self.temperature, self.read_out = depth_bins, temperature, read_out

    def call(self, volumes: Any) -> Any:
        """See the class."""
        if self.read_out == "peak":
            return peak_3d(volumes, self.depth_bins)
        if self.temperature != 1:
            volumes = volumes * self.temperature
        return soft_argmax_3d(volumes, self.depth_bins)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One triple per joint."""
        return input_shape[0], int(input_shape[-1] or 0) // self.depth_bins, 3

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        own = {name: getattr(self, name) for name in ("depth_bins", "temperature", "read_out")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="poseras")
class CellsFromShares(keras.layers.Layer):
    """From shares of the box around its centre, as a direct regression gives them, to cells.

    Args:
        volume_dhw: depth, height and width of the box in cells.
        **kwargs: name and the like, of `keras.layers.Layer`; a `dtype` is overruled.

    Input: (batch, joints * 3), x, y, z per joint, -0.5..0.5 inside the box.
    Output: (batch, joints, 3) float32, in cells.
    """

    def __init__(self, volume_dhw: tuple[int, int, int], **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.volume_dhw = tuple(volume_dhw)

    def call(self, shares: Any) -> Any:
        """See the class."""
        triples = keras.ops.reshape(shares, (-1, shares.shape[-1] // 3, 3))
        size = keras.ops.convert_to_tensor([float(n) for n in self.volume_dhw[::-1]], "float32")
        return (triples + 0.5) * size

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One triple per joint."""
        return input_shape[0], int(input_shape[-1] or 0) // 3, 3

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        return {**super().get_config(), "volume_dhw": self.volume_dhw}


def build_model(options: Options, joint_count: int) -> keras.Model:
    """The whole network, from pictures to coordinates.

    Args:
        options: of the system.
        joint_count: volumes per picture.

    Returns:
        A flat functional model from RGB pictures (batch, height, width, 3), 0..255, to a dict of
        float32: `coordinates` (batch, joints, 3), x, y, z in cells, and, where the volumes are
        learned themselves, `volumes` (batch, height, width, joints * depth_bins), logits. Its first
        layer is `normalise`; that and the outputs compute in float32 under every dtype policy.
    """
    images = keras.Input((*options.input_shape, 3), dtype="float32", name="images")
    network_input = Normalise("rgb", options.pixel_mean, options.pixel_std, name="normalise")(
        images
    )
    features = list(
        build_resnet(
            network_input,
            depth=options.depth,
            width=options.backbone_width,
            names=BACKBONE_NAMES,
            stride_unit="first",
            stride_on="3x3",
            output_stride=32,
            pool_padding="symmetric",
            # The originals start from ImageNet; their own N(0, 0.001) is too small to learn from.
            make_initializer=torch_initializer,
            batch_norm_momentum=options.batch_norm_momentum,
            batch_norm_epsilon=options.batch_norm_epsilon,
            synchronized=options.batch_norm_synchronized,
            frozen_statistics=False,
        ).values()
    )[-1]
    build_head = _regress if options.head == "direct" else _read_volumes
    outputs = build_head(features, options, joint_count)
    return keras.Model(images, outputs, name="integral_3d")


def _read_volumes(
    features: keras.KerasTensor, options: Options, joint_count: int
) -> dict[str, keras.KerasTensor]:
    """Transposed convolutions, volumes of logits, and one cell per joint."""
    x = features
    for index, (filters, kernel) in enumerate(
        zip(options.head_filters, options.head_kernels, strict=True)
    ):
        # A torch Sequential numbers its layers: 0, 1, 2 are the first three, and so on.
        name, norm, relu = (f"head.deconv_layers.{3 * index + layer}" for layer in range(3))
        x = deconvolve(
            x,
            filters=filters,
            kernel=kernel,
            use_bias=False,
            kernel_initializer=_near_zero(),
            name=name,
        )
        x = BatchNormalization(
            momentum=options.batch_norm_momentum,
            epsilon=options.batch_norm_epsilon,
            synchronized=options.batch_norm_synchronized,
            name=norm,
        )(x)
        x = keras.layers.ReLU(name=relu)(x)
    volumes = keras.layers.Conv2D(
        joint_count * options.depth_bins,
        options.final_kernel,
        padding="same",
        kernel_initializer=_near_zero(),
        name="head.final_layer",
    )(x)
    read_out = ReadOut(
        options.depth_bins, options.temperature, options.read_out, name="coordinates"
    )
    outputs = {"coordinates": read_out(volumes)}
    if options.volume_loss != "none":
        outputs["volumes"] = keras.layers.Identity(dtype="float32", name="volumes")(volumes)
    return outputs


def _regress(
    features: keras.KerasTensor, options: Options, joint_count: int
) -> dict[str, keras.KerasTensor]:
    """The mean feature, and three numbers per joint from it."""
    pooled = keras.layers.GlobalAveragePooling2D(name="head.pool")(features)
    shares = keras.layers.Dense(
        3 * joint_count, kernel_initializer=_near_zero(), dtype="float32", name="head.fc"
    )(pooled)
    return {"coordinates": CellsFromShares(options.volume_dhw, name="coordinates")(shares)}


def _near_zero() -> keras.Initializer:
    """The originals' start of the head. A new one each time: used twice it repeats itself."""
    return keras.initializers.RandomNormal(stddev=0.001)
