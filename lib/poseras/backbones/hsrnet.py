"""HSRNet and HSR-MSNet: a ResNet that stops at stride 16 and goes on with dilated stages.

"Deep High Spatial Resolution and Multi-scale Features for Multi-Person Pose Estimation", 2021. The
last stage of a ResNet is replaced by two stages of DetNet-59 (Li et al., ECCV 2018). HSR-MSNet also
splits the channels of a block into groups that see more and more of the picture, and weighs the
channels by squeeze and excitation (Hu et al., CVPR 2018).

The one convention a reader must know: HSR-MSNet declares layers that it never uses, and its
checkpoints hold their weights. `list_unused` names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from ..batch_norm import BatchNormalization
from ..layers import convolve
from . import drop_scopes

#: Blocks of layer1, layer2 and layer3 by depth; they are those of ResNet-50, -101 and -152.
BLOCKS = {59: (3, 4, 6), 110: (3, 4, 23), 161: (3, 8, 36)}
RESNET_DEPTHS = {59: 50, 110: 101, 161: 152}
EXTRA_BLOCKS = 3  # of each dilated stage
STRIDE = 16
SQUEEZE = 16  # channels of a block per channel between the two layers of squeeze and excitation
HEAD_SCOPE = ""
rename_entries = drop_scopes


@dataclass(frozen=True)
class Block:
    """One residual block.

    Attributes:
        name: of the block in checkpoints.
        planes: channels inside; it ends in four times as many.
        stride: of its 3x3 convolution.
        kind: a ResNet's bottleneck, or DetNet's dilated A, or B, which has a convolution beside it.
    """

    name: str
    planes: int
    stride: int
    kind: Literal["bottleneck", "A", "B"]

    def split_groups(self, groups: int) -> range:
        """Which channel groups have a convolution of their own in the multi-scale form."""
        return range(0 if self.kind != "bottleneck" else 1, groups)


def plan_blocks(depth: int, width: int, extra_stages: int) -> Iterator[Block]:
    """All blocks in order.

    Args:
        depth: 59, 110 or 161.
        width: filters of the stem.
        extra_stages: dilated stages behind layer3.
    """
    for stage, count in enumerate(BLOCKS[depth]):
        for index in range(count):
            stride = 2 if stage and not index else 1
            yield Block(f"layer{stage + 1}.{index}", width * 2**stage, stride, "bottleneck")
    for stage in range(extra_stages):
        for index in range(EXTRA_BLOCKS):
            kind: Literal["A", "B"] = "A" if index else "B"
            yield Block(f"new_layer{stage + 4}.{index}", 4 * width, 1, kind)


def list_unused(block: Block, groups: int) -> dict[str, tuple[int, ...]]:
    """The weights of a multi-scale block that the original declares and never uses.

    Args:
        block: of any kind.
        groups: of channels.

    Returns:
        Variable path, `layer/leaf`, to shape in Keras' axis order.
    """
    if block.stride == 1:
        pairs = [("conv2", "bn2", block.planes)]
    else:
        share = block.planes // groups
        splits = block.split_groups(groups)
        pairs = [(f"conv_split{i}", f"bn_split{i}", share) for i in splits]
    shapes: dict[str, tuple[int, ...]] = {}
    for convolution, norm, channels in pairs:
        shapes[f"{block.name}.{convolution}/kernel"] = (3, 3, channels, channels)
        for leaf in ("gamma", "beta", "moving_mean", "moving_variance"):
            shapes[f"{block.name}.{norm}/{leaf}"] = (channels,)
    return shapes


@keras.saving.register_keras_serializable(package="poseras")
class Unused(keras.layers.Layer):
    """Weights of a layer that a checkpoint declares and the network never uses.

    They are not trained and start as zeros, those of a BatchNorm as the identity.

    Args:
        shapes: name of each weight to its shape.
        **kwargs: name and the like, of `keras.layers.Layer`.

    Input and output: the same tensor, of any shape.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], **kwargs: Any):
        super().__init__(trainable=False, **{k: v for k, v in kwargs.items() if k != "trainable"})
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """See the class."""
        for name, shape in self.shapes.items():
            start = "ones" if name in ("gamma", "moving_variance") else "zeros"
            self.add_weight(shape=shape, initializer=start, trainable=False, name=name)

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape stays."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        return {**super().get_config(), "shapes": self.shapes}


def build_backbone(
    images: keras.KerasTensor,
    *,
    depth: int,
    width: int,
    multi_scale: bool,
    groups: int,
    use_se: bool,
    dilation: int,
    extra_stages: int,
    declare_unused: bool,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
) -> keras.KerasTensor:
    """The last features of an HSRNet.

    Args:
        images: (batch, height, width, 3), normalised; both sides are multiples of 16, or unknown.
        depth: 59, 110 or 161.
        width: filters of the stem, 64 in every published network.
        multi_scale: whether it is an HSR-MSNet.
        groups: of channels in a multi-scale block, at least 2; they divide `width`.
        use_se: whether each block ends in squeeze and excitation.
        dilation: of the 3x3 convolutions behind layer3.
        extra_stages: dilated stages; 0 gives a ResNet of stride 16.
        declare_unused: whether the layers that an HSR-MSNet never uses hold weights here too.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.

    Returns:
        (batch, height / 16, width / 16, 16 * `width`).

    Raises:
        ValueError: no such depth, sides that cannot be halved four times, or groups that do not
            divide the channels.
    """
    if depth not in BLOCKS:
        raise ValueError(
            f"An HSRNet has a depth of {', '.join(map(str, BLOCKS))}. Received depth {depth}."
        )
    if any(side is not None and side % STRIDE for side in images.shape[1:3]):
        raise ValueError(
            f"An HSRNet halves its input four times, so both sides must be multiples of {STRIDE}. "
            f"Received {tuple(images.shape[1:3])}."
        )
    if multi_scale and width % groups:
        raise ValueError(
            f"The groups of an HSR-MSNet must divide its width. Received {groups} groups and "
            f"width {width}."
        )
    if use_se and 4 * width < SQUEEZE:
        raise ValueError(
            f"Squeeze and excitation needs a width of at least {SQUEEZE // 4}. Received {width}."
        )
    builder = Builder(
        groups=groups if multi_scale else 0,
        use_se=use_se,
        dilation=dilation,
        declare_unused=declare_unused,
        batch_norm_momentum=batch_norm_momentum,
        batch_norm_epsilon=batch_norm_epsilon,
        synchronized=synchronized,
    )
    x = builder.stem(images, width)
    for block in plan_blocks(depth, width, extra_stages):
        x = builder.block(x, block)
    return x


@dataclass(frozen=True)
class Builder:
    """The layers of one network, with the settings that all of them share.

    The fields are arguments of `build_backbone`; `groups` is 0 for HSRNet's own blocks.
    """

    groups: int
    use_se: bool
    dilation: int
    declare_unused: bool
    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool

    def stem(self, images: keras.KerasTensor, width: int) -> keras.KerasTensor:
        """A ResNet's first convolution and pooling, to stride 4."""
        x = self.convolve(images, width, 7, ("conv1", "bn1"), stride=2)
        x = keras.layers.ReLU(name="conv1.relu")(x)
        # Zeros do as well as minus infinity: nothing is below zero behind a ReLU.
        x = keras.layers.ZeroPadding2D(1, name="maxpool.pad")(x)
        return keras.layers.MaxPooling2D(3, strides=2, name="maxpool")(x)

    def block(self, x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
        """(batch, height, width, any) to (batch, height / stride, width / stride, 4 * planes)."""
        name, planes = block.name, block.planes
        shortcut = self.shortcut(x, block)
        x = self.convolve(x, planes, 1, (f"{name}.conv1", f"{name}.bn1"))
        x = keras.layers.ReLU(name=f"{name}.relu1")(x)
        if self.groups and block.stride == 1:
            x = self.split(x, block)
        else:
            names = (f"{name}.conv2", f"{name}.bn2")
            dilation = self.dilation_of(block)
            x = self.convolve(x, planes, 3, names, stride=block.stride, dilation=dilation)
        if self.groups and self.declare_unused:
            x = _declare(x, list_unused(block, self.groups))
        x = keras.layers.ReLU(name=f"{name}.relu2")(x)
        x = self.convolve(x, 4 * planes, 1, (f"{name}.conv3", f"{name}.bn3"))
        if self.use_se:
            x = squeeze_and_excite(x, f"{name}.se")
        x = keras.layers.Add(name=f"{name}.add")([x, shortcut])
        return keras.layers.ReLU(name=name)(x)

    def shortcut(self, x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
        """The input itself, or a convolution of it where size, channels or kind ask for one."""
        filters, name = 4 * block.planes, block.name
        if block.kind == "B":
            return self.convolve(x, filters, 1, (f"{name}.extra_conv.0", f"{name}.extra_conv.1"))
        if block.stride == 1 and x.shape[-1] == filters:
            return x
        names = (f"{name}.downsample.0", f"{name}.downsample.1")
        return self.convolve(x, filters, 1, names, stride=block.stride)

    def split(self, x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
        """Channel groups, each of which but the first two also sees what the one before it made.

        Kept: a group is passed on before any ReLU, unlike in Res2Net.
        """
        convolved = block.split_groups(self.groups)
        outputs: list[keras.KerasTensor] = []
        for index, group in enumerate(keras.ops.split(x, self.groups, axis=-1)):
            if index >= 2:
                add = keras.layers.Add(name=f"{block.name}.add_split{index}")
                group = add([outputs[-1], group])
            if index in convolved:
                names = (f"{block.name}.conv_split{index}", f"{block.name}.bn_split{index}")
                # Kept: the splits of A start like every other convolution.
                start = keras.initializers.RandomNormal(stddev=0.001) if block.kind != "A" else None
                dilation = self.dilation_of(block)
                group = self.convolve(
                    group, group.shape[-1], 3, names, dilation=dilation, initializer=start
                )
            outputs.append(group)
        return keras.layers.Concatenate(name=f"{block.name}.concatenate")(outputs)

    def dilation_of(self, block: Block) -> int:
        """Of its 3x3 convolutions."""
        return 1 if block.kind == "bottleneck" else self.dilation

    def convolve(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        names: tuple[str, str],
        *,
        stride: int = 1,
        dilation: int = 1,
        initializer: keras.Initializer | None = None,
    ) -> keras.KerasTensor:
        """A convolution without bias, padded alike on every side, and BatchNorm."""
        name, norm = names
        x = convolve(
            x,
            filters,
            kernel,
            stride=stride,
            dilation=dilation,
            initializer=initializer or fan_in_initializer(),
            name=name,
        )
        return BatchNormalization(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=norm,
        )(x)


def squeeze_and_excite(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Multiply each channel by a number in 0..1 that the means of all channels decide.

    Args:
        x: (batch, height, width, channels).
        name: of the module in checkpoints.

    Returns:
        The same shape.

    Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, with 16 channels to one.
    """
    channels = x.shape[-1]
    squeezed = channels // SQUEEZE
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}.pool")(x)
    for layer, (filters, fan_in, activation) in {
        "fc1": (squeezed, channels, "relu"),
        "fc2": (channels, squeezed, "sigmoid"),
    }.items():
        bound = fan_in**-0.5  # PyTorch's own start of a bias
        weights = keras.layers.Conv2D(
            filters,
            1,
            activation=activation,
            kernel_initializer=fan_in_initializer(),
            bias_initializer=keras.initializers.RandomUniform(-bound, bound),
            name=f"{name}.{layer}",
        )(weights)
    return keras.layers.Multiply(name=f"{name}.multiply")([x, weights])


def fan_in_initializer() -> keras.Initializer:
    """PyTorch's own start of a convolution: uniform within 1 / sqrt(fan in).

    Each call gives a new initialiser, with a seed of its own from Keras' global generator.
    """
    return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")


def _declare(x: keras.KerasTensor, shapes: Mapping[str, tuple[int, ...]]) -> keras.KerasTensor:
    """One layer for each of those that nothing uses."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, shape in shapes.items():
        layer, _, leaf = path.rpartition("/")
        layers.setdefault(layer, {})[leaf] = shape
    for layer, leaves in layers.items():
        x = Unused(leaves, name=layer)(x)
    return x
