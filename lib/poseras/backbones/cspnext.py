"""CSPNeXt, the backbone of RTMPose: few large depthwise kernels in cross-stage partial layers.

Lyu et al., "RTMDet: An Empirical Study of Designing Real-Time Object Detectors", 2022; Jiang et
al., "RTMPose", 2023. Published are

    size   width (stem output)   depth (residual blocks of the four stages)
    t                       24    4: 1, 1, 1, 1
    s                       32    6: 1, 2, 2, 1
    m                       48   12: 2, 4, 4, 2
    l                       64   18: 3, 6, 6, 3

The one convention a reader must know: every convolution pads by half its kernel on all sides and
is followed by BatchNorm and SiLU; it has no bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import keras
import numpy as np

from ..batch_norm import BatchNormalization

#: Residual blocks of each stage, by their sum.
BLOCKS = {4: (1, 1, 1, 1), 6: (1, 2, 2, 1), 12: (2, 4, 4, 2), 18: (3, 6, 6, 3)}
POOLS = (5, 9, 13)  # windows of the last stage's spatial pyramid
LAST_STAGE = 4  # its blocks have no residual sum, as published
HEAD_SCOPE = "head."


def build_backbone(
    images: keras.KerasTensor,
    *,
    depth: int,
    width: int,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
) -> keras.KerasTensor:
    """The features of a CSPNeXt at stride 32.

    Args:
        images: (batch, height, width, 3), normalised; both sides are multiples of 32, or unknown.
        depth: 4, 6, 12 or 18, the number of its residual blocks.
        width: channels behind the stem, an even number; the stages have 2, 4, 8 and 16 times as
            many.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.

    Returns:
        (batch, height / 32, width / 32, 16 * `width`).

    Raises:
        ValueError: an unknown depth, or an odd width.
    """
    if depth not in BLOCKS or width < 2 or width % 2:
        raise ValueError(
            f"A cspnext needs a depth of {', '.join(map(str, BLOCKS))} and an even width. "
            f"Received depth {depth}, width {width}."
        )
    builder = _Builder(batch_norm_momentum, batch_norm_epsilon, synchronized)
    x = builder.convolve(images, width // 2, 3, "backbone.stem.0", stride=2)
    x = builder.convolve(x, width // 2, 3, "backbone.stem.1")
    x = builder.convolve(x, width, 3, "backbone.stem.2")
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        name, filters, last = f"backbone.stage{stage}", width * 2**stage, stage == LAST_STAGE
        x = builder.convolve(x, filters, 3, f"{name}.0", stride=2)
        if last:
            x = builder.pool_pyramid(x, f"{name}.1")
        x = builder.partial_layer(x, blocks, f"{name}.{2 if last else 1}", residual=not last)
    return x


def rename_entries(
    entries: Mapping[str, np.ndarray], input_hw: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The entries of MMPose's state dict under the names and axes of the layers.

    Depthwise kernels are (channels, 1, height, width) there and (1, channels, height, width) here,
    so that the permutation of every other kernel fits them too.

    Args:
        entries: a state dict, name to array.
        input_hw: height and width of the network's input; nothing here depends on it.
    """
    del input_hw
    renamed = {}
    for name, array in entries.items():
        name = name.removeprefix("module.")
        depthwise = name.endswith(".depthwise_conv.conv.weight")
        renamed[name] = np.swapaxes(array, 0, 1) if depthwise else array
    return renamed


@dataclass(frozen=True)
class _Builder:
    """The layers of one network, with the settings that all of them share."""

    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool

    def partial_layer(
        self, x: keras.KerasTensor, blocks: int, name: str, *, residual: bool
    ) -> keras.KerasTensor:
        """Half of the channels through residual blocks, half past them; then channel attention."""
        filters = x.shape[-1]
        main = self.convolve(x, filters // 2, 1, f"{name}.main_conv")
        for index in range(blocks):
            main = self.block(main, f"{name}.blocks.{index}", residual=residual)
        short = self.convolve(x, filters // 2, 1, f"{name}.short_conv")
        x = keras.layers.Concatenate(name=f"{name}.join")([main, short])
        x = self.attend_to_channels(x, f"{name}.attention")
        return self.convolve(x, filters, 1, f"{name}.final_conv")

    def block(self, x: keras.KerasTensor, name: str, *, residual: bool) -> keras.KerasTensor:
        """A 3x3 convolution and a separable 5x5 one."""
        filters = x.shape[-1]
        y = self.convolve(x, filters, 3, f"{name}.conv1")
        # Bounded as torch does it: by the cells that one output sees, 25 of its own channel.
        bound = sqrt(1 / 25)
        y = keras.layers.DepthwiseConv2D(
            5,
            padding="same",
            use_bias=False,
            depthwise_initializer=keras.initializers.RandomUniform(-bound, bound),
            name=f"{name}.conv2.depthwise_conv.conv",
        )(y)
        y = self.normalise(y, f"{name}.conv2.depthwise_conv")
        y = self.convolve(y, filters, 1, f"{name}.conv2.pointwise_conv")
        return keras.layers.Add(name=f"{name}.add")([x, y]) if residual else y

    def attend_to_channels(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Each channel scaled by a share that follows from the means of all."""
        means = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.pool")(x)
        shares = keras.layers.Conv2D(
            x.shape[-1], 1, kernel_initializer=_torch_convolution(), name=f"{name}.fc"
        )(means)
        # Keras' hard sigmoid is clip(z / 6 + 1 / 2, 0, 1), as torch's.
        shares = keras.layers.Activation("hard_sigmoid", name=f"{name}.act")(shares)
        return keras.layers.Multiply(name=f"{name}.scale")([x, shares])

    def pool_pyramid(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Maxima over three windows beside the features themselves."""
        filters = x.shape[-1]
        x = self.convolve(x, filters // 2, 1, f"{name}.conv1")
        pools = [
            keras.layers.MaxPooling2D(
                window, strides=1, padding="same", name=f"{name}.pool{window}"
            )
            for window in POOLS
        ]
        joined = keras.layers.Concatenate(name=f"{name}.join")([x, *(pool(x) for pool in pools)])
        return self.convolve(joined, filters, 1, f"{name}.conv2")

    def convolve(
        self, x: keras.KerasTensor, filters: int, kernel: int, name: str, *, stride: int = 1
    ) -> keras.KerasTensor:
        """A convolution without bias, BatchNorm, SiLU."""
        if stride > 1:
            x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
        x = keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            kernel_initializer=_torch_convolution(),
            name=f"{name}.conv",
        )(x)
        return self.normalise(x, name)

    def normalise(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """BatchNorm and SiLU."""
        x = BatchNormalization(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=f"{name}.bn",
        )(x)
        return keras.layers.Activation("silu", name=f"{name}.act")(x)


def _torch_convolution() -> keras.Initializer:
    """Torch's own start of a convolution: uniform in +-1 / sqrt(fan in)."""
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")
