"""What turns features into answers: maps from transposed convolutions or upsampling, or vectors.

Layers are called as in the published checkpoints, behind the scope that the backbone's file names.
"""

from __future__ import annotations

import keras

from ...batch_norm import BatchNormalization
from ...codecs.simcc import bin_counts
from ...layers import deconvolve, near_zero_initializer, slim_initializer
from .options import Options
from .rtmcc import build_rtmcc_head, flatten_maps

Outputs = dict[str, keras.KerasTensor]


def build_head(
    features: keras.KerasTensor, options: Options, joint_count: int, scope: str
) -> Outputs:
    """Features to the outputs that the codec reads.

    Args:
        features: (batch, height, width, channels) of the backbone, sides known.
        options: of the system.
        joint_count: joints of the skeleton.
        scope: what stands before the layers' names.

    Returns:
        float32, by the codec: `heatmaps` (batch, height, width, joints) for heatmap and udp; the
        same and `offsets` (batch, height, width, joints, 2) for udp_discs; `x` and `y`
        (batch, joints, bins) for simcc.
    """
    bins = bin_counts(options.input_shape, options.simcc.bins_per_pixel)
    if options.head == "rtmcc":
        return build_rtmcc_head(
            features, joint_count=joint_count, bins=bins, gau=options.gau, scope=scope
        )
    if options.head == "simcc":
        maps = _final_convolution(
            _deconvolutions(features, options, scope), options, joint_count, scope
        )
        return _classify(flatten_maps(maps, scope), bins, scope)
    channels = joint_count * (3 if options.codec == "udp_discs" else 1)
    if options.head == "upsampling":
        x = keras.layers.ReLU(name=f"{scope}relu")(features)
        x = keras.layers.UpSampling2D(4, interpolation="bilinear", name=f"{scope}upsample")(x)
    else:
        x = _deconvolutions(features, options, scope)
    maps = _final_convolution(x, options, channels, scope)
    return _split_discs(maps, joint_count) if options.codec == "udp_discs" else {"heatmaps": maps}


def _deconvolutions(x: keras.KerasTensor, options: Options, scope: str) -> keras.KerasTensor:
    """One transposed convolution for each value of head_filters, with BatchNorm and ReLU."""
    tensorflow = options.form == "tensorflow"
    for index, (filters, kernel) in enumerate(
        zip(options.head_filters, options.head_kernels, strict=True)
    ):
        name, norm, relu = (scope + part for part in _deconvolution_names(options.form, index))
        x = deconvolve(
            x,
            filters=filters,
            kernel=kernel,
            use_bias=options.head_bias,
            kernel_initializer=(
                keras.initializers.TruncatedNormal(stddev=0.01)
                if tensorflow
                else near_zero_initializer()
            ),
            name=name,
        )
        x = BatchNormalization(
            momentum=options.batch_norm_momentum,
            epsilon=options.batch_norm_epsilon,
            synchronized=options.batch_norm_synchronized,
            name=norm,
        )(x)
        x = keras.layers.ReLU(name=relu)(x)
    return x


def _final_convolution(
    x: keras.KerasTensor, options: Options, channels: int, scope: str
) -> keras.KerasTensor:
    """The last convolution, with bias, in float32 under every dtype policy."""
    tensorflow = options.form == "tensorflow"
    return keras.layers.Conv2D(
        channels,
        options.final_kernel,
        padding="same",
        kernel_initializer=slim_initializer() if tensorflow else near_zero_initializer(),
        dtype="float32",
        name="out" if tensorflow else f"{scope}final_layer",
    )(x)


def _deconvolution_names(form: str, index: int) -> tuple[str, str, str]:
    """A transposed convolution, its BatchNorm and its ReLU; `index` counts from 0."""
    if form == "tensorflow":
        name = f"up{index + 1}"
        return name, f"{name}.BatchNorm", f"{name}.relu"
    # A torch Sequential numbers its layers: 0, 1, 2 are the first three, and so on.
    convolution, norm, relu = (f"deconv_layers.{3 * index + layer}" for layer in range(3))
    return convolution, norm, relu


def _split_discs(maps: keras.KerasTensor, joint_count: int) -> Outputs:
    """Three maps a joint, one behind the other: disc, offset along x, offset along y."""
    _, height, width, _ = maps.shape
    triples = keras.layers.Reshape(
        (height, width, joint_count, 3), dtype="float32", name="discs_and_offsets"
    )(maps)
    return {"heatmaps": triples[..., 0], "offsets": triples[..., 1:]}


def _classify(tokens: keras.KerasTensor, bins: tuple[int, int], scope: str) -> Outputs:
    """SimCC's two linear layers, one for each axis, shared by the joints."""
    return {
        axis: keras.layers.Dense(
            count,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name=f"{scope}mlp_head_{axis}",
        )(tokens)
        for axis, count in zip("xy", bins, strict=True)
    }
