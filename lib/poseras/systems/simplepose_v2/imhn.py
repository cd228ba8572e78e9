"""The identity-mapping hourglass network, this system's predecessor: every stack feeds back maps.

Li, Su, Wang, "Simple Pose: Rethinking and Improving a Bottom-up Approach for Multi-Person Pose
Estimation", AAAI 2020. Layers are named as in the authors' PyTorch code. Its own maps (limbs and
keypoints at five scales) are not those of this system: here it answers with heatmaps and offsets.

The one convention a reader must know: maps of scale j have stride 4 x 2^j; what a stack answers at
all scales is added, with its features, to what the next one finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from ...batch_norm import BatchNormalization

SCALES = 5
DILATIONS = (3, 3, 4, 4, 5, 5)
SLOPE = 0.01
SQUEEZE = 16


def build_imhn(
    images: keras.KerasTensor,
    *,
    width: int,
    stacks: int,
    channels: int,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
    make_initializer: Callable[[], keras.Initializer],
    coarse_ends: bool = False,
) -> list[list[keras.KerasTensor]]:
    """A stem and stacks of hourglasses with their answers.

    Args:
        images: (batch, height, width, 3), normalised; both sides are multiples of 64, or unknown.
        width: channels of the finest features, 256 as published.
        stacks: how many hourglasses, 4 as published.
        channels: of the answers.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.
        make_initializer: called once for each kernel.
        coarse_ends: let the last stack answer at all scales, too.

    Returns:
        For each stack its answers from fine to coarse, float32; of the last stack the finest alone
        unless `coarse_ends`, since nothing reads the others.
    """
    builder = _Builder(
        width, channels, batch_norm_momentum, batch_norm_epsilon, synchronized, make_initializer
    )
    x = builder.stem(images)
    caches: list[keras.KerasTensor] = []
    answers = []
    for stack in range(stacks):
        maps = builder.hourglass(x, f"hourglass.{stack}.hg", 0)
        last = stack + 1 == stacks
        if last and not coarse_ends:
            maps = maps[:1]
        if caches:
            maps = [
                keras.layers.Add(name=f"features.{stack}.{j}.add")([found, cache])
                for j, (found, cache) in enumerate(zip(maps, caches, strict=False))
            ]
        features = [builder.regress(found, stack, j) for j, found in enumerate(maps)]
        answers.append([builder.answer(found, stack, j) for j, found in enumerate(features)])
        if not last:
            caches = [
                builder.cache(feature, answer, stack, j)
                for j, (feature, answer) in enumerate(zip(features, answers[-1], strict=True))
            ]
            x = keras.layers.Add(name=f"hourglass.{stack}.out")([x, caches[0]])
    return answers


@dataclass(frozen=True)
class _Builder:
    """The layers of one network, with the settings that all of them share."""

    width: int
    channels: int
    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool
    make_initializer: Callable[[], keras.Initializer]

    def level_width(self, level: int) -> int:
        """Channels of the features of one scale."""
        return self.width + self.width // 2 * level

    def stem(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """To stride 4, half of the channels with a wide field of view."""
        half = self.width // 2
        x = self.convolve(images, half // 2, 7, ("pre.conv1", "pre.bn1"), stride=2)
        x = self.residual(x, half, "pre.res1")
        x = keras.layers.MaxPooling2D(2, name="pre.pool")(x)
        near = wide = self.residual(x, half, "pre.res2")
        for number, dilation in enumerate(DILATIONS):
            name = f"pre.dilation.{number}"
            wide = self.convolve(wide, half, 3, (f"{name}.conv", f"{name}.bn"), dilation=dilation)
        return keras.layers.Concatenate(name="pre.concat")([near, wide])

    def hourglass(self, x: keras.KerasTensor, name: str, level: int) -> list[keras.KerasTensor]:
        """All scales from one on, from fine to coarse."""
        own, inner = self.level_width(level), self.level_width(level + 1)
        up = self.residual(x, own, f"{name}.{level}.0")
        low = keras.layers.MaxPooling2D(2, name=f"{name}.{level}.pool")(x)
        low = self.residual(low, inner, f"{name}.{level}.1")
        if level + 2 < SCALES:
            coarser = self.hourglass(low, name, level + 1)
        else:
            coarser = [self.residual(low, inner, f"{name}.{level}.4")]
        low = self.residual(coarser[0], own, f"{name}.{level}.2")
        low = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{name}.{level}.up")(low)
        low = self.convolve(low, own, 3, (f"{name}.{level}.3.conv", f"{name}.{level}.3.bn"))
        return [keras.layers.Add(name=f"{name}.{level}.add")([up, low]), *coarser]

    def regress(self, x: keras.KerasTensor, stack: int, scale: int) -> keras.KerasTensor:
        """Two convolutions and a squeeze-and-excitation, in front of an answer."""
        name = f"features.{stack}.before_regress.{scale}"
        for number in range(2):
            names = (f"{name}.{number}.conv", f"{name}.{number}.bn")
            x = self.convolve(x, self.width, 3, names)
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.2.mean")(x)
        gate = keras.layers.Dense(max(self.width // SQUEEZE, 1), name=f"{name}.2.fc.0")(gate)
        gate = keras.layers.LeakyReLU(SLOPE, name=f"{name}.2.fc.1")(gate)
        gate = keras.layers.Dense(self.width, activation="sigmoid", name=f"{name}.2.fc.2")(gate)
        return keras.layers.Multiply(name=f"{name}.2")([x, gate])

    def answer(self, features: keras.KerasTensor, stack: int, scale: int) -> keras.KerasTensor:
        """A 1x1 convolution with a bias."""
        return keras.layers.Conv2D(
            self.channels,
            1,
            kernel_initializer=self.make_initializer(),
            dtype="float32",
            name=f"outs.{stack}.{scale}.conv",
        )(features)

    def cache(
        self, features: keras.KerasTensor, answer: keras.KerasTensor, stack: int, scale: int
    ) -> keras.KerasTensor:
        """What the next stack gets of one scale."""
        ways = []
        for kind, tensor in (("merge_preds", answer), ("merge_features", features)):
            name = f"{kind}.{stack}.{scale}.conv"
            names = (f"{name}.conv", f"{name}.bn")
            ways.append(self.convolve(tensor, self.level_width(scale), 1, names, rectify=False))
        return keras.layers.Add(name=f"merge.{stack}.{scale}")(ways)

    def residual(self, x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
        """A bottleneck beside a shortcut."""
        shortcut, block = x, f"{name}.convBlock"
        if x.shape[-1] != width:
            names = (f"{name}.skipConv.0", f"{name}.skipConv.1")
            shortcut = self.convolve(x, width, 1, names, rectify=False)
        y = self.convolve(x, width // 2, 1, (f"{block}.0", f"{block}.1"))
        y = self.convolve(y, width // 2, 3, (f"{block}.3", f"{block}.4"))
        y = self.convolve(y, width, 1, (f"{block}.6", f"{block}.7"), rectify=False)
        total = keras.layers.Add(name=f"{name}.add")([y, shortcut])
        return keras.layers.LeakyReLU(SLOPE, name=f"{name}.relu")(total)

    def convolve(
        self,
        x: keras.KerasTensor,
        width: int,
        kernel: int,
        names: tuple[str, str],
        *,
        stride: int = 1,
        dilation: int = 1,
        rectify: bool = True,
    ) -> keras.KerasTensor:
        """Convolution without bias, BatchNorm and, unless told otherwise, a leaky ReLU."""
        name, norm = names
        # "same" pads a strided convolution elsewhere.
        if kernel > 1 and stride > 1:
            x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
        x = keras.layers.Conv2D(
            width,
            kernel,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            dilation_rate=dilation,
            use_bias=False,
            kernel_initializer=self.make_initializer(),
            name=name,
        )(x)
        x = BatchNormalization(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=norm,
        )(x)
        return keras.layers.LeakyReLU(SLOPE, name=f"{norm}.relu")(x) if rectify else x
