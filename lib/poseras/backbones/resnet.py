"""ResNet v1, in the arrangements of three published code bases.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. The forms differ in where
a block strides, how its layers are called and how they start:

* TF-SimpleHumanPose: first unit of a block, on its 3x3 convolution, slim's layer names;
* PyTorch (torchvision; `stride_on="1x1"` is the Caffe arrangement): the same with torch's names;
* tf-slim itself: last unit of a block, dilation from `output_stride` on.

A strided convolution pads explicitly by half its kernel on every side: "same" would pad even
inputs at the bottom and right only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import keras

from ..batch_norm import BatchNormalization
from ..layers import (
    FrozenBatchNormalization,
    convolve,
    slim_initializer,
    torch_initializer,
)
from . import drop_scopes

StrideUnit = Literal["first", "last"]
StrideOn = Literal["3x3", "1x1"]

#: Units of each of the four blocks, by depth. Below 50 a unit is two 3x3 convolutions, from 50 on
#: a bottleneck of three.
UNITS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
FIRST_BOTTLENECK_DEPTH = 50
STEM_STRIDE = 4
HEAD_SCOPE = ""
rename_entries = drop_scopes


@dataclass(frozen=True)
class LayerNames:
    """The names of the layers, so that checkpoints can be loaded by name.

    The fields are templates. `{block}` and `{number}` count from 1, `{index}` from 0, `{stage}` is
    the block with the stem as stage 1; `{unit}` is the name of the unit and `{n}` the convolution
    in it, from 1.
    """

    stem: str
    stem_norm: str
    pool: str
    unit: str
    convolution: str
    norm: str
    shortcut: str
    shortcut_norm: str

    def of_convolution(self, unit: str, n: int) -> tuple[str, str]:
        """The n-th convolution of a unit and its BatchNorm."""
        return self.convolution.format(unit=unit, n=n), self.norm.format(unit=unit, n=n)

    def of_shortcut(self, unit: str) -> tuple[str, str]:
        """The projection beside a unit and its BatchNorm."""
        return self.shortcut.format(unit=unit), self.shortcut_norm.format(unit=unit)

    def of_unit(self, block: int, index: int) -> str:
        """A unit, block and index counted from 0."""
        return self.unit.format(block=block + 1, stage=block + 2, index=index, number=index + 1)


def slim_names(depth: int) -> LayerNames:
    """The names in tf-slim's and TF-SimpleHumanPose's checkpoints, "/" written as "."."""
    scope = f"resnet_v1_{depth}"
    return LayerNames(
        stem=f"{scope}.conv1",
        stem_norm=f"{scope}.conv1.BatchNorm",
        pool=f"{scope}.pool1",
        unit=scope + ".block{block}.unit_{number}.bottleneck_v1",
        convolution="{unit}.conv{n}",
        norm="{unit}.conv{n}.BatchNorm",
        shortcut="{unit}.shortcut",
        shortcut_norm="{unit}.shortcut.BatchNorm",
    )


#: The names in torchvision's and Microsoft's state dicts.
TORCH_NAMES = LayerNames(
    stem="conv1",
    stem_norm="bn1",
    pool="maxpool",
    unit="layer{block}.{index}",
    convolution="{unit}.conv{n}",
    norm="{unit}.bn{n}",
    shortcut="{unit}.downsample.0",
    shortcut_norm="{unit}.downsample.1",
)

#: The names in keras.applications' ResNets, whose convolutions also have a bias.
KERAS_NAMES = LayerNames(
    stem="conv1_conv",
    stem_norm="conv1_bn",
    pool="pool1_pool",
    unit="conv{stage}_block{number}",
    convolution="{unit}_{n}_conv",
    norm="{unit}_{n}_bn",
    shortcut="{unit}_0_conv",
    shortcut_norm="{unit}_0_bn",
)


def pair_layers(depth: int, first: LayerNames, second: LayerNames) -> dict[str, tuple[str, str]]:
    """The layers of a ResNet that hold weights, under two naming schemes.

    Args:
        depth: 18, 34, 50, 101 or 152.
        first: a scheme, whose names are the keys.
        second: another one.

    Returns:
        Every convolution of `first` to (the same convolution, its BatchNorm) of `second`, and
        every BatchNorm of `first` likewise. Shortcuts that a network lacks are named too.
    """
    pairs = [((first.stem, first.stem_norm), (second.stem, second.stem_norm))]
    for block, count in enumerate(UNITS[depth]):
        for index in range(count):
            units = first.of_unit(block, index), second.of_unit(block, index)
            pairs.append((first.of_shortcut(units[0]), second.of_shortcut(units[1])))
            for n in (1, 2, 3) if depth >= FIRST_BOTTLENECK_DEPTH else (1, 2):
                own = first.of_convolution(units[0], n)
                pairs.append((own, second.of_convolution(units[1], n)))
    return {name: theirs for ours, theirs in pairs for name in ours}


@dataclass(frozen=True)
class Unit:
    """One residual unit: block 0..3, index in the block, stride and dilation of its kernels."""

    block: int
    index: int
    stride: int
    dilation: int


def plan_units(depth: int, stride_unit: StrideUnit, output_stride: int) -> Iterator[Unit]:
    """Where a ResNet strides, and where it dilates instead.

    Once `output_stride` is reached, a unit that would stride does not, and the units after it
    are dilated by what it left out.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stride_unit: which unit of a block strides. `first` strides blocks 2, 3 and 4, `last`
            blocks 1, 2 and 3.
        output_stride: input pixels per cell of the features: 4, 8, 16 or 32.
    """
    block_strides = (1, 2, 2, 2) if stride_unit == "first" else (2, 2, 2, 1)
    reached, dilation = STEM_STRIDE, 1
    for block, (count, block_stride) in enumerate(zip(UNITS[depth], block_strides, strict=True)):
        striding = 0 if stride_unit == "first" else count - 1
        for index in range(count):
            stride = block_stride if index == striding else 1
            if reached * stride > output_stride:
                yield Unit(block, index, 1, dilation)
                dilation *= stride
            else:
                yield Unit(block, index, stride, dilation)
                reached *= stride


def build_resnet(
    images: keras.KerasTensor,
    *,
    depth: int,
    width: int,
    names: LayerNames,
    stride_unit: StrideUnit,
    stride_on: StrideOn,
    output_stride: int,
    pool_padding: Literal["symmetric", "same"],
    make_initializer: Callable[[], keras.Initializer],
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
    frozen_statistics: bool,
) -> dict[str, keras.KerasTensor]:
    """A ResNet v1 without its classifier.

    Args:
        images: (batch, height, width, 3), normalised; the sides may be unknown.
        depth: 18, 34, 50, 101 or 152.
        width: filters of the stem; the blocks have 1, 2, 4 and 8 times as many, and four times
            that behind a bottleneck.
        names: of the layers.
        stride_unit: which unit of a block strides.
        stride_on: which convolution of a bottleneck strides; no meaning below depth 50.
        output_stride: input pixels per cell of the last features, see `plan_units`.
        pool_padding: `symmetric` pads one cell on every side, `same` is TensorFlow's rule (even
            sides at the bottom and right only).
        make_initializer: gives each convolution an initialiser of its own.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics (TensorFlow backend only).
        frozen_statistics: whether BatchNorm uses its moving statistics in training too, and
            leaves them; scale and offset are still trained.

    Returns:
        Name to features, in order: the pooled stem at stride 4, then every unit by its name. The
        last entry is the output, (batch, height / output_stride, width / output_stride, channels)
        with sides rounded up.
    """
    builder = _Builder(
        names=names,
        stride_on=stride_on,
        make_initializer=make_initializer,
        batch_norm_momentum=batch_norm_momentum,
        batch_norm_epsilon=batch_norm_epsilon,
        synchronized=synchronized,
        frozen_statistics=frozen_statistics,
    )
    features = builder.stem(images, width, pool_padding)
    stages = {names.pool: features}
    build_unit = builder.bottleneck if depth >= FIRST_BOTTLENECK_DEPTH else builder.basic
    for unit in plan_units(depth, stride_unit, output_stride):
        name = names.of_unit(unit.block, unit.index)
        features = build_unit(features, width * 2**unit.block, unit, name)
        stages[name] = features
    return stages


def build_backbone(
    images: keras.KerasTensor,
    *,
    form: Literal["tensorflow", "pytorch"],
    depth: int,
    width: int,
    output_stride: int,
    stride_on: StrideOn,
    batch_norm_momentum: float,
    batch_norm_epsilon: float,
    synchronized: bool,
) -> keras.KerasTensor:
    """The last features of a ResNet in one of the two published top-down forms.

    Args:
        images: (batch, height, width, 3), normalised.
        form: `tensorflow` has slim's names and initialisation, `pytorch` torchvision's.
        depth: 18, 34, 50, 101 or 152.
        width: filters of the stem, 64 in every published network.
        output_stride: input pixels per cell of the features.
        stride_on: which convolution of a bottleneck strides.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to the variances.
        synchronized: whether devices share batch statistics.

    Returns:
        (batch, height / output_stride, width / output_stride, channels).
    """
    stages = build_resnet(
        images,
        depth=depth,
        width=width,
        names=slim_names(depth) if form == "tensorflow" else TORCH_NAMES,
        stride_unit="first",
        stride_on=stride_on,
        output_stride=output_stride,
        pool_padding="symmetric",
        make_initializer=slim_initializer if form == "tensorflow" else torch_initializer,
        batch_norm_momentum=batch_norm_momentum,
        batch_norm_epsilon=batch_norm_epsilon,
        synchronized=synchronized,
        frozen_statistics=False,
    )
    return list(stages.values())[-1]


@dataclass(frozen=True)
class _Builder:
    """The layers of one network, with the settings that all of them share."""

    names: LayerNames
    stride_on: StrideOn
    make_initializer: Callable[[], keras.Initializer]
    batch_norm_momentum: float
    batch_norm_epsilon: float
    synchronized: bool
    frozen_statistics: bool

    def stem(self, images: keras.KerasTensor, width: int, pool_padding: str) -> keras.KerasTensor:
        """Images to features at stride 4."""
        names = self.names
        x = self.convolve(images, width, 7, (names.stem, names.stem_norm), stride=2)
        x = keras.layers.ReLU(name=f"{names.stem}.relu")(x)
        if pool_padding == "symmetric":
            # Zeros do as well as minus infinity: nothing is below zero behind a ReLU.
            x = keras.layers.ZeroPadding2D(1, name=f"{names.pool}.pad")(x)
            return keras.layers.MaxPooling2D(3, strides=2, name=names.pool)(x)
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=names.pool)(x)

    def basic(self, x: keras.KerasTensor, width: int, unit: Unit, name: str) -> keras.KerasTensor:
        """Two 3x3 convolutions; the first one strides."""
        first, second = (self.names.of_convolution(name, n) for n in (1, 2))
        shortcut = self.shortcut(x, width, unit.stride, name)
        x = self.convolve(x, width, 3, first, stride=unit.stride, dilation=unit.dilation)
        x = keras.layers.ReLU(name=f"{name}.relu1")(x)
        x = self.convolve(x, width, 3, second, dilation=unit.dilation)
        return self.join(shortcut, x, name)

    def bottleneck(
        self, x: keras.KerasTensor, width: int, unit: Unit, name: str
    ) -> keras.KerasTensor:
        """1x1 to `width`, 3x3, 1x1 to four times `width`."""
        first, second, third = (self.names.of_convolution(name, n) for n in (1, 2, 3))
        on_first, on_second = (unit.stride, 1) if self.stride_on == "1x1" else (1, unit.stride)
        shortcut = self.shortcut(x, 4 * width, unit.stride, name)
        x = self.convolve(x, width, 1, first, stride=on_first)
        x = keras.layers.ReLU(name=f"{name}.relu1")(x)
        x = self.convolve(x, width, 3, second, stride=on_second, dilation=unit.dilation)
        x = keras.layers.ReLU(name=f"{name}.relu2")(x)
        x = self.convolve(x, 4 * width, 1, third)
        return self.join(shortcut, x, name)

    def shortcut(
        self, x: keras.KerasTensor, filters: int, stride: int, name: str
    ) -> keras.KerasTensor:
        """The input itself, every second cell of it, or its projection to other channels."""
        if x.shape[-1] != filters:
            return self.convolve(x, filters, 1, self.names.of_shortcut(name), stride=stride)
        if stride == 1:
            return x
        return keras.layers.MaxPooling2D(1, strides=stride, name=f"{name}.subsample")(x)

    def join(
        self, shortcut: keras.KerasTensor, x: keras.KerasTensor, name: str
    ) -> keras.KerasTensor:
        """The end of a unit. Its ReLU has the unit's name, as slim's end points do."""
        return keras.layers.ReLU(name=name)(keras.layers.Add(name=f"{name}.add")([shortcut, x]))

    def convolve(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        names: tuple[str, str],
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> keras.KerasTensor:
        """A convolution without bias, padded by half its kernel on every side, and BatchNorm."""
        name, norm = names
        x = convolve(
            x,
            filters,
            kernel,
            stride=stride,
            dilation=dilation,
            initializer=self.make_initializer(),
            name=name,
        )
        batch_norm = FrozenBatchNormalization if self.frozen_statistics else BatchNormalization
        return batch_norm(
            momentum=self.batch_norm_momentum,
            epsilon=self.batch_norm_epsilon,
            synchronized=self.synchronized,
            name=norm,
        )(x)
