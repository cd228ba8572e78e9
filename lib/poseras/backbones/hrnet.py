"""HRNet: branches of four resolutions side by side that exchange what they see.

Sun et al., "Deep High-Resolution Representation Learning for Human Pose Estimation", CVPR 2019.
HRNet-W32 and -W48 have 32 and 48 channels in their finest branch and twice as many in each coarser
one. The features are the finest branch alone, at stride 4.

The one convention a reader must know: every convolution pads by half its kernel on all sides, so
that a strided one looks at cells 2i - 1, 2i and 2i + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from ..batch_norm import BatchNormalization
from . import drop_scopes

#: Modules of stages 2, 3 and 4, which have two, three and four branches.
MODULES = {2: 1, 3: 4, 4: 3}
BLOCKS = 4  # residual units of each branch of a module, and bottlenecks of layer 1
STEM_WIDTH = 64
HEAD_SCOPE = ""
rename_entries = drop_scopes  # MMPose 0.x and 1.x have the authors' names in scopes


def build_backbone(
    images: keras.KerasTensor,
    *,
    width: int,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
) -> keras.KerasTensor:
    """The finest branch of an HRNet.

    Args:
        images: (batch, height, width, 3), normalised; both sides are multiples of 32, or unknown.
        width: channels of the finest branch.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.

    Returns:
        (batch, height / 4, width / 4, `width`).

    Raises:
        ValueError: sides that cannot be halved five times.
    """
    stages = build_hrnet(
        images,
        width=width,
        batch_norm_momentum=batch_norm_momentum,
        batch_norm_epsilon=batch_norm_epsilon,
        synchronized=synchronized,
    )
    return stages["stage4"][0]


def build_hrnet(
    images: keras.KerasTensor,
    *,
    width: int,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
) -> dict[str, list[keras.KerasTensor]]:
    """All stages of an HRNet; the arguments are those of `build_backbone`.

    Returns:
        `layer1`, `stage2`, `stage3` and `stage4`, each a list of branches from fine to coarse.
        Branch b is (batch, height / 2^(b + 2), width / 2^(b + 2), `width` * 2^b); layer 1 has one
        branch of 256 channels, stage 4 the finest alone.

    Raises:
        ValueError: sides that cannot be halved five times.
    """
    if any(side is not None and side % 32 for side in images.shape[1:3]):
        raise ValueError(
            "An HRNet halves its input five times, so both sides must be multiples of 32. "
            f"Received {tuple(images.shape[1:3])}."
        )
    builder = _Builder(width, batch_norm_momentum, batch_norm_epsilon, synchronized)
    branches = [builder.layer1(builder.stem(images))]
    stages = {"layer1": branches}
    for stage, modules in MODULES.items():
        branches = builder.transition(branches, stage)
        for module in range(modules):
            finest_alone = stage == max(MODULES) and module == modules - 1
            branches = builder.module(branches, f"stage{stage}.{module}", finest_alone)
        stages[f"stage{stage}"] = branches
    return stages


@dataclass(frozen=True)
class _Builder:
    """The layers of one network, with the settings that all of them share."""

    width: int
    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool

    def stem(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Two strided convolutions, to stride 4."""
        x = self.convolve(images, STEM_WIDTH, 3, ("conv1", "bn1"), stride=2, relu=True)
        return self.convolve(x, STEM_WIDTH, 3, ("conv2", "bn2"), stride=2, relu=True)

    def layer1(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """ResNet bottlenecks of 64 and 256 channels."""
        for index in range(BLOCKS):
            name, shortcut = f"layer1.{index}", x
            if index == 0:
                projection = (f"{name}.downsample.0", f"{name}.downsample.1")
                shortcut = self.convolve(x, 4 * STEM_WIDTH, 1, projection)
            x = self.convolve(x, STEM_WIDTH, 1, _unit(name, 1), relu=True)
            x = self.convolve(x, STEM_WIDTH, 3, _unit(name, 2), relu=True)
            x = self.convolve(x, 4 * STEM_WIDTH, 1, _unit(name, 3))
            x = _add_and_rectify([x, shortcut], name)
        return x

    def transition(self, branches: list[keras.KerasTensor], stage: int) -> list[keras.KerasTensor]:
        """One more branch, half as fine, from the coarsest one; stage 2 makes both of its own."""
        name, coarsest = f"transition{stage - 1}", branches[-1]
        first = len(branches)
        if stage == min(MODULES):
            finest = (f"{name}.0.0", f"{name}.0.1")
            branches = [self.convolve(coarsest, self.width, 3, finest, relu=True)]
        names = (f"{name}.{first}.0.0", f"{name}.{first}.0.1")
        filters = self.width * 2**first
        return [*branches, self.convolve(coarsest, filters, 3, names, stride=2, relu=True)]

    def module(
        self, branches: list[keras.KerasTensor], name: str, finest_alone: bool
    ) -> list[keras.KerasTensor]:
        """Residual units on every branch, then each output the sum of all branches."""
        branches = [self.branch(x, f"{name}.branches.{b}") for b, x in enumerate(branches)]
        outputs = branches[:1] if finest_alone else branches
        return [
            _add_and_rectify(
                [self.fuse(x, j, i, f"{name}.fuse_layers.{i}.{j}") for j, x in enumerate(branches)],
                f"{name}.fuse_layers.{i}",
            )
            for i in range(len(outputs))
        ]

    def branch(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Residual units of two 3x3 convolutions."""
        filters = x.shape[-1]
        for index in range(BLOCKS):
            unit, shortcut = f"{name}.{index}", x
            x = self.convolve(x, filters, 3, _unit(unit, 1), relu=True)
            x = self.convolve(x, filters, 3, _unit(unit, 2))
            x = _add_and_rectify([x, shortcut], unit)
        return x

    def fuse(self, x: keras.KerasTensor, source: int, target: int, name: str) -> keras.KerasTensor:
        """One branch in the size and channels of another."""
        if source == target:
            return x
        filters = self.width * 2**target
        if source > target:
            x = self.convolve(x, filters, 1, (f"{name}.0", f"{name}.1"))
            return keras.layers.UpSampling2D(
                2 ** (source - target), interpolation="nearest", name=f"{name}.2"
            )(x)
        for step in range(target - source):
            last = step == target - source - 1
            names = (f"{name}.{step}.0", f"{name}.{step}.1")
            kept = filters if last else x.shape[-1]
            x = self.convolve(x, kept, 3, names, stride=2, relu=not last)
        return x

    def convolve(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        names: tuple[str, str],
        *,
        stride: int = 1,
        relu: bool = False,
    ) -> keras.KerasTensor:
        """A convolution without bias, BatchNorm and, if asked for, ReLU."""
        name, norm = names
        if stride > 1:
            x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x)
        x = keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            # The authors' start of every convolution; BatchNorm makes up for the scale.
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            name=name,
        )(x)
        x = BatchNormalization(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=norm,
        )(x)
        return keras.layers.ReLU(name=f"{name}.relu")(x) if relu else x


def _unit(name: str, n: int) -> tuple[str, str]:
    """The n-th convolution of a residual unit and its BatchNorm."""
    return f"{name}.conv{n}", f"{name}.bn{n}"


def _add_and_rectify(tensors: list[keras.KerasTensor], name: str) -> keras.KerasTensor:
    """ReLU of a sum; it has the name of the unit or of the output that it ends."""
    return keras.layers.ReLU(name=name)(keras.layers.Add(name=f"{name}.add")(tensors))
