"""Layers that several networks share: normalisations, aligned upsampling, initialisers.

Axes are (batch, height, width, channels). Everything here uses `keras` and `keras.ops` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import keras

ChannelOrder = Literal["bgr", "rgb"]

#: Standard deviation of a unit normal cut at two standard deviations. Keras divides by it, slim
#: does not.
TRUNCATED_NORMAL_STD = 0.87962566103423978


@keras.saving.register_keras_serializable(package="poseras")
class Normalise(keras.layers.Layer):
    """From RGB pictures to what a network was trained on: (picture in its order - mean) / std.

    It computes in float32 under every dtype policy, because 8-bit pictures minus their mean do
    not fit into the 8 significant bits of bfloat16; a `dtype` handed in is overruled.

    Args:
        channel_order: of the output; the input is RGB.
        mean: one value per channel of the output, on the 0..255 scale.
        std: the same, all positive.
        **kwargs: name and the like, of `keras.layers.Layer`.

    Input: (batch, height, width, 3), 0..255, of any dtype; integers are cast exactly.
    Output: the same shape, float32.
    """

    def __init__(
        self,
        channel_order: ChannelOrder,
        mean: Sequence[float],
        std: Sequence[float],
        **kwargs: Any,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.channel_order = channel_order
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)

    def call(self, images: Any) -> Any:
        """See the class."""
        images = keras.ops.cast(images, "float32")
        if self.channel_order == "bgr":
            images = keras.ops.flip(images, axis=-1)
        mean = keras.ops.convert_to_tensor(self.mean, dtype="float32")
        std = keras.ops.convert_to_tensor(self.std, dtype="float32")
        return (images - mean) / std

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape stays."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        own = {"channel_order": self.channel_order, "mean": self.mean, "std": self.std}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="poseras")
class FrozenBatchNormalization(keras.layers.BatchNormalization):
    """BatchNorm by its moving statistics in training too; scale and offset are still trained.

    Neither of Keras' own ways does this: `trainable=False` freezes scale and offset as well, and
    a layer that was called with `training=False` in a functional graph is overruled by
    `model(x, training=True)`.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """See the class; `training` has no effect."""
        return super().call(inputs, training=False, mask=mask)


@keras.saving.register_keras_serializable(package="poseras")
class VectorChannels(keras.layers.Layer):
    """From (..., 2 n) channels x0 y0 x1 y1 ... to (..., n, 2), float32 under every policy."""

    def __init__(self, **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)

    def call(self, channels: Any) -> Any:
        """See the class."""
        return keras.ops.stack([channels[..., 0::2], channels[..., 1::2]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See the class."""
        channels = input_shape[-1]
        return (*input_shape[:-1], None if channels is None else channels // 2, 2)


def convolve(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    initializer: keras.Initializer,
    name: str,
) -> keras.KerasTensor:
    """A convolution without bias, padded by half its kernel on every side, as in PyTorch.

    Keras' own `same` pads a strided kernel on the right and below alone.

    Args:
        x: (batch, height, width, channels).
        filters: of the output.
        kernel: side in cells, odd.
        stride: of both sides.
        dilation: cells between two taps; 1 with a stride.
        initializer: of the kernel.
        name: of the layer; its padding is `name.pad`.

    Returns:
        (batch, ceil(height / stride), ceil(width / stride), filters).
    """
    padded = stride > 1 and kernel > 1
    if padded:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if padded else "same",
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )(x)


def deconvolve(
    features: keras.KerasTensor,
    *,
    filters: int,
    kernel: int,
    use_bias: bool,
    kernel_initializer: keras.Initializer,
    name: str,
) -> keras.KerasTensor:
    """Double the resolution by a transposed convolution that is aligned as PyTorch's.

    Cell (0, 0) of the kernel falls on output row 2 * input row - 1 for kernels 4 and 3 and on
    2 * input row for kernel 2. For kernel 3, Keras' own "same" cuts the other end.

    Args:
        features: (batch, height, width, channels).
        filters: channels of the result.
        kernel: side of the kernel in cells: 2, 3 or 4.
        use_bias: whether a bias is added.
        kernel_initializer: of this layer alone; an initialiser used twice gives equal values.
        name: of the transposed convolution.

    Returns:
        (batch, 2 * height, 2 * width, filters).

    Source: ConvTranspose2d with (padding, output padding) 4: (1, 0), 3: (1, 1), 2: (0, 0), as in
    Simple Baselines, Xiao et al., ECCV 2018.
    """
    upsampled = keras.layers.Conv2DTranspose(
        filters,
        kernel,
        strides=2,
        padding="valid" if kernel == 3 else "same",
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        name=name,
    )(features)
    if kernel != 3:
        return upsampled
    # (batch, 2 * height + 1, 2 * width + 1, filters)
    return keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}.crop")(upsampled)


def count_multiply_accumulates(model: keras.Model) -> tuple[int, int]:
    """What one sample costs: products that are added up, by weights and between activations.

    By weights are those of convolutions, transposed convolutions (at the positions of their input,
    so nothing is counted that meets a zero between them) and dense layers. Between activations are
    those of layers that have a method `count_products()`, the attentions. Not counted
    are normalisations, activations, sums, poolings, resizings and additions of biases.

    Args:
        model: a flat functional graph whose layers' shapes are known but for the batch.

    Returns:
        Multiply-accumulates of layers with weights, and of attentions.

    Raises:
        ValueError: a side of the model's input is open.
    """
    if None in model.input.shape[1:]:
        raise ValueError(
            "Multiply-accumulates can be counted for an input of known height and width. Received "
            f"{model.input.shape}."
        )
    by_weights = between = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            by_weights += prod(layer.input.shape[1:3]) * prod(layer.kernel.shape)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            by_weights += prod(layer.output.shape[1:3]) * prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            by_weights += prod(layer.input.shape[1:]) * layer.units
        elif hasattr(layer, "count_products"):
            between += layer.count_products()
    return by_weights, between


def slim_initializer() -> keras.Initializer:
    """Kernels of TF-SimpleHumanPose: truncated normal of sd sqrt(1.3 * 2 / fan in) before the cut.

    Each call gives a new initialiser, with a seed of its own from Keras' global generator.
    """
    return keras.initializers.VarianceScaling(
        scale=1.3 * 2 * TRUNCATED_NORMAL_STD**2, mode="fan_in", distribution="truncated_normal"
    )


def torch_initializer() -> keras.Initializer:
    """Kernels of torchvision's ResNet: normal of sd sqrt(2 / fan out), He et al., ICCV 2015.

    Each call gives a new initialiser, with a seed of its own from Keras' global generator.
    """
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal"
    )


def near_zero_initializer() -> keras.Initializer:
    """Kernels of Microsoft's head, and of every head after it: normal of sd 0.001.

    Each call gives a new initialiser, with a seed of its own from Keras' global generator.
    """
    return keras.initializers.RandomNormal(stddev=0.001)
