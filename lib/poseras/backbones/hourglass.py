"""Stacked hourglasses of residual units: Hourglass-104 and lighter ones.

Law, Deng, "CornerNet: Detecting Objects as Paired Keypoints", ECCV 2018, whose network Zhou et al.,
"Objects as Points", 2019 (CenterNet), trained for poses. Layers are named as in their PyTorch code,
under a scope.

The one convention a reader must know: every convolution pads by half its kernel on all sides, so
that a strided one looks at cells 2i - 1, 2i and 2i + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from ..batch_norm import BatchNormalization

#: Channels of each level as multiples of the finest one's, from fine to coarse; a lighter
#: hourglass with fewer levels ends at the coarsest of them.
LEVEL_FACTORS = (1.0, 1.0, 1.5, 1.5, 1.5, 2.0)
STRIDE = 4
PRE_KERNEL = 7


def level_widths(width: int, levels: int) -> tuple[int, ...]:
    """Channels of each level, from fine to coarse.

    Args:
        width: of the finest level.
        levels: how many, at least two.
    """
    inner = [LEVEL_FACTORS[min(level, len(LEVEL_FACTORS) - 2)] for level in range(levels - 1)]
    return tuple(round(width * factor) for factor in (*inner, LEVEL_FACTORS[-1]))


def build_hourglasses(
    images: keras.KerasTensor,
    *,
    width: int,
    units: Sequence[int],
    stacks: int,
    scope: str,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
    make_initializer: Callable[[], keras.Initializer],
) -> list[dict[str, keras.KerasTensor]]:
    """A stem and hourglasses one after the other.

    Args:
        images: (batch, height, width, 3), normalised; both sides are multiples of
            2^(len(units) + 1), or unknown.
        width: channels of the finest level; Hourglass-104 has 256.
        units: residual units of each level, from fine to coarse; Hourglass-104 has (2, 2, 2, 2, 2,
            4). Each level but the first has half the resolution of the one before.
        stacks: how many hourglasses.
        scope: of the layers' names, such as `basenet.`.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.
        make_initializer: called once for each kernel.

    Returns:
        For each hourglass `input` (the stem's output for the first), `hourglass` and `features`,
        what heads read; all (batch, height / 4, width / 4, `width`).
    """
    builder = _Builder(
        scope=scope,
        units=tuple(units),
        widths=level_widths(width, len(units)),
        batch_norm_momentum=batch_norm_momentum,
        batch_norm_epsilon=batch_norm_epsilon,
        synchronized=synchronized,
        make_initializer=make_initializer,
    )
    x = builder.stem(images)
    stages = []
    for stack in range(stacks):
        inner = builder.level(x, f"kps.{stack}", 0)
        features = builder.convolve(
            inner, width, 3, (f"cnvs.{stack}.conv", f"cnvs.{stack}.bn"), relu=True
        )
        stages.append({"input": x, "hourglass": inner, "features": features})
        if stack + 1 < stacks:
            x = builder.join(x, features, stack)
    return stages


@dataclass(frozen=True)
class _Builder:
    """The layers of one network, with the settings that all of them share."""

    scope: str
    units: tuple[int, ...]
    widths: tuple[int, ...]
    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool
    make_initializer: Callable[[], keras.Initializer]

    def stem(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """A convolution and a residual unit, both strided."""
        width = self.widths[0]
        x = self.convolve(
            images, width // 2, PRE_KERNEL, ("pre.0.conv", "pre.0.bn"), stride=2, relu=True
        )
        return self.residual(x, width, "pre.1", stride=2)

    def join(
        self, x: keras.KerasTensor, features: keras.KerasTensor, stack: int
    ) -> keras.KerasTensor:
        """The input of the next hourglass: that of this one, plus what it found."""
        width = self.widths[0]
        ways = [
            self.convolve(tensor, width, 1, (f"{name}.{stack}.0", f"{name}.{stack}.1"))
            for name, tensor in (("inters_", x), ("cnvs_", features))
        ]
        x = self._add(ways, f"inters_.{stack}", relu=True)
        return self.residual(x, width, f"inters.{stack}")

    def level(self, x: keras.KerasTensor, name: str, level: int) -> keras.KerasTensor:
        """One level of an hourglass and all coarser ones; the resolution stays."""
        width, inner = self.widths[level : level + 2]
        count = self.units[level]
        up = self._chain(x, [width] * count, f"{name}.up1")
        low = self.residual(x, inner, f"{name}.low1.0", stride=2)
        low = self._chain(low, [inner] * (count - 1), f"{name}.low1", first=1)
        if level + 2 < len(self.units):
            low = self.level(low, f"{name}.low2", level + 1)
        else:
            low = self._chain(low, [inner] * self.units[-1], f"{name}.low2")
        low = self._chain(low, [inner] * (count - 1) + [width], f"{name}.low3")
        low = keras.layers.UpSampling2D(2, interpolation="nearest", name=f"{self.scope}{name}.up2")(
            low
        )
        return self._add([up, low], name)

    def residual(
        self, x: keras.KerasTensor, width: int, name: str, stride: int = 1
    ) -> keras.KerasTensor:
        """Two convolutions beside a shortcut, which is a convolution where the shape changes."""
        shortcut = x
        if stride != 1 or x.shape[-1] != width:
            shortcut = self.convolve(
                x, width, 1, (f"{name}.skip.0", f"{name}.skip.1"), stride=stride
            )
        y = self.convolve(x, width, 3, (f"{name}.conv1", f"{name}.bn1"), stride=stride, relu=True)
        y = self.convolve(y, width, 3, (f"{name}.conv2", f"{name}.bn2"))
        return self._add([y, shortcut], name, relu=True)

    def convolve(
        self,
        x: keras.KerasTensor,
        width: int,
        kernel: int,
        names: tuple[str, str],
        *,
        stride: int = 1,
        relu: bool = False,
    ) -> keras.KerasTensor:
        """Convolution without bias, BatchNorm, and ReLU where asked for."""
        convolution, norm = (self.scope + name for name in names)
        if kernel == 1 and stride > 1:
            # The gradient of a strided 1x1 convolution of one picture writes out of bounds in
            # TensorFlow 2.21 on CPUs (oneDNN); taking every second cell first is the same.
            x = keras.layers.MaxPooling2D(1, strides=stride, name=f"{convolution}.stride")(x)
            stride = 1
        # "same" pads a strided convolution elsewhere.
        if kernel > 1 and stride > 1:
            x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{convolution}.pad")(x)
        x = keras.layers.Conv2D(
            width,
            kernel,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            kernel_initializer=self.make_initializer(),
            name=convolution,
        )(x)
        x = BatchNormalization(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=norm,
        )(x)
        return keras.layers.ReLU(name=f"{norm}.relu")(x) if relu else x

    def _chain(
        self, x: keras.KerasTensor, widths: Sequence[int], name: str, first: int = 0
    ) -> keras.KerasTensor:
        for number, width in enumerate(widths, start=first):
            x = self.residual(x, width, f"{name}.{number}")
        return x

    def _add(
        self, tensors: Sequence[keras.KerasTensor], name: str, relu: bool = False
    ) -> keras.KerasTensor:
        total = keras.layers.Add(name=f"{self.scope}{name}.add")(list(tensors))
        return keras.layers.ReLU(name=f"{self.scope}{name}.relu")(total) if relu else total
