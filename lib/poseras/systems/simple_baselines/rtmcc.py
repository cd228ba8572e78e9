"""RTMPose's head: joints as tokens that look at each other, then one vector for each axis.

Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023; the unit is
Hua et al., "Transformer Quality in Linear Time", ICML 2022, with squared ReLU instead of a softmax.

The one convention a reader must know: tokens are (batch, joints, channels).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from ...layers import near_zero_initializer
from .vector_options import Gau

EXPANSION = 2  # width of gate and values over that of a token
_ROTARY_BASE = 10000.0


def build_rtmcc_head(
    features: keras.KerasTensor, *, joint_count: int, bins: tuple[int, int], gau: Gau, scope: str
) -> dict[str, keras.KerasTensor]:
    """Features to the logits of columns and rows.

    Args:
        features: (batch, height, width, channels), sides known.
        joint_count: tokens.
        bins: of x and of y.
        gau: the settings of the unit.
        scope: what stands before the layers' names.

    Returns:
        `x` (batch, joints, bins) and `y` (batch, joints, bins), float32.
    """
    maps = keras.layers.Conv2D(
        joint_count,
        gau.final_kernel,
        padding="same",
        kernel_initializer=near_zero_initializer(),
        name=f"{scope}final_layer",
    )(features)
    tokens = flatten_maps(maps, scope)
    tokens = ScaleNorm(name=f"{scope}mlp.0")(tokens)
    tokens = _linear(tokens, gau.width, f"{scope}mlp.1")
    tokens = _gated_attention_unit(tokens, gau, f"{scope}gau")
    return {
        axis: _linear(tokens, count, f"{scope}cls_{axis}", dtype="float32")
        for axis, count in zip("xy", bins, strict=True)
    }


def flatten_maps(maps: keras.KerasTensor, scope: str) -> keras.KerasTensor:
    """(batch, height, width, joints) to (batch, joints, height * width), row by row."""
    _, height, width, joints = maps.shape
    by_joint = keras.layers.Permute((3, 1, 2), name=f"{scope}by_joint")(maps)
    return keras.layers.Reshape((joints, height * width), name=f"{scope}tokens")(by_joint)


def rename_entries(entries: Mapping[str, np.ndarray], scope: str) -> dict[str, np.ndarray]:
    """The entries of a published state dict under the names of this head's layers.

    Names end in `weight` or `bias` by torch's habit; this head's own parameters do not.

    Args:
        entries: of the whole network, in its own axis order.
        scope: what stands before the head's names.
    """
    own = {
        f"{scope}mlp.0.g": f"{scope}mlp.0.weight",
        f"{scope}gau.ln.g": f"{scope}gau.ln.weight",
        f"{scope}gau.res_scale.scale": f"{scope}gau.res_scale.weight",
        f"{scope}gau.gamma": f"{scope}gau.query_key.weight",
        f"{scope}gau.beta": f"{scope}gau.query_key.bias",
        f"{scope}gau.w": f"{scope}gau.attention.bias",
    }
    return {own.get(name, name): array for name, array in entries.items()}


def _gated_attention_unit(tokens: keras.KerasTensor, gau: Gau, name: str) -> keras.KerasTensor:
    """O(u * (A v)) + tokens * scale, with u, v and the keys of A from one linear layer."""
    width = EXPANSION * gau.width
    normed = ScaleNorm(name=f"{name}.ln")(tokens)
    joined = _linear(normed, 2 * width + gau.key_width, f"{name}.uv")
    joined = keras.layers.Activation(gau.activation, name=f"{name}.act")(joined)
    gate, values, base = (
        joined[..., :width],
        joined[..., width : 2 * width],
        joined[..., 2 * width :],
    )
    queries_and_keys = QueryKey(gau.rotary, name=f"{name}.query_key")(base)
    mixed = JointAttention(gau.relative_bias, name=f"{name}.attention")([queries_and_keys, values])
    mixed = keras.layers.Multiply(name=f"{name}.gate")([gate, mixed])
    mixed = _linear(mixed, gau.width, f"{name}.o")
    kept = ChannelScale(name=f"{name}.res_scale")(tokens)
    return keras.layers.Add(name=f"{name}.add")([mixed, kept])


def _linear(
    x: keras.KerasTensor, units: int, name: str, dtype: Literal["float32"] | None = None
) -> keras.KerasTensor:
    return keras.layers.Dense(
        units,
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype=dtype,
        name=name,
    )(x)


@keras.saving.register_keras_serializable(package="poseras")
class ScaleNorm(keras.layers.Layer):
    """Tokens over the root mean square of their channels, times one learned number.

    Input: (..., channels). Output: the same shape.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make `gamma`, (1,)."""
        self.gamma = self.add_weight(shape=(1,), initializer="ones", name="gamma")

    def call(self, tokens: Any) -> Any:
        """See the class; the mean is taken in float32, squares do not fit into float16."""
        wide = ops.cast(tokens, "float32")
        size = ops.sqrt(ops.mean(ops.square(wide), axis=-1, keepdims=True))
        normed = wide / ops.maximum(size, 1e-5)
        return ops.cast(normed, self.compute_dtype) * self.gamma


@keras.saving.register_keras_serializable(package="poseras")
class ChannelScale(keras.layers.Layer):
    """One learned factor for each channel.

    Input: (..., channels). Output: the same shape.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make `gamma`, (channels,)."""
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")

    def call(self, tokens: Any) -> Any:
        """See the class."""
        return tokens * self.gamma


@keras.saving.register_keras_serializable(package="poseras")
class QueryKey(keras.layers.Layer):
    """Queries and keys as two scalings and shifts of the same numbers.

    Args:
        rotary: whether both are turned by their place: channel pairs (c, c + half) by the angle
            place * 10000^(c / half), which grows with c as in the original.
        **kwargs: name and the like, of `keras.layers.Layer`.

    Input: (batch, joints, channels), channels even. Output: (batch, 2, joints, channels).
    """

    def __init__(self, rotary: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.rotary = rotary

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make `gamma` and `beta`, (2, channels): of the queries and of the keys."""
        shape = (2, input_shape[-1])
        # Between 0 and 1, as the original starts.
        self.gamma = self.add_weight(shape=shape, initializer=_unit_uniform(), name="gamma")
        self.beta = self.add_weight(shape=shape, initializer=_unit_uniform(), name="beta")

    def call(self, base: Any) -> Any:
        """See the class."""
        both = base[:, None] * self.gamma[:, None, :] + self.beta[:, None, :]
        if not self.rotary:
            return both
        joints, half = both.shape[2], both.shape[3] // 2
        # Angles of up to 10,000 * joints, so float32 knows their sines to 1e-3 alone.
        speed = np.power(_ROTARY_BASE, np.arange(half) / half)
        angle = np.arange(joints)[:, None] * speed  # (joints, half)
        cosine = ops.cast(np.cos(angle), both.dtype)
        sine = ops.cast(np.sin(angle), both.dtype)
        first, second = both[..., :half], both[..., half:]
        return ops.concatenate(
            [first * cosine - second * sine, second * cosine + first * sine], axis=-1
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Two of each."""
        return (input_shape[0], 2, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        return {**super().get_config(), "rotary": self.rotary}


@keras.saving.register_keras_serializable(package="poseras")
class JointAttention(keras.layers.Layer):
    """Sums of all joints' values, weighted by the squared ReLU of query times key.

    Args:
        relative_bias: whether a learned number for each distance between two joints in their list
            is added to query times key.
        **kwargs: name and the like, of `keras.layers.Layer`.

    Input: queries and keys (batch, 2, joints, channels), values (batch, joints, width).
    Output: (batch, joints, width). The weights do not sum to 1.
    """

    def __init__(self, relative_bias: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.relative_bias = relative_bias

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Make `bias`, (2 * joints - 1,), if asked for: by distance, the most negative first."""
        self.bias = None
        if self.relative_bias:
            joints: Any = input_shape[1][1]
            self.bias = self.add_weight(
                shape=(2 * joints - 1,), initializer=_unit_uniform(), name="bias"
            )

    def call(self, inputs: Any) -> Any:
        """See the class."""
        queries_and_keys, values = inputs
        queries, keys = queries_and_keys[:, 0], queries_and_keys[:, 1]
        met = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))  # (batch, joints, joints)
        if self.bias is not None:
            joints = values.shape[1]
            # Row i holds the distances -i to joints - 1 - i.
            rows = [self.bias[joints - 1 - i : 2 * joints - 1 - i] for i in range(joints)]
            met = met + ops.stack(rows)
        weights = ops.square(ops.relu(met / sqrt(queries.shape[-1])))
        return ops.matmul(weights, values)

    def count_products(self) -> int:
        """Multiply-accumulates of one sample: queries with keys, weights with values."""
        queries_and_keys, values = self.input
        _, joints, width = values.shape
        return joints * joints * (queries_and_keys.shape[-1] + width)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """That of the values."""
        return input_shape[1]

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        return {**super().get_config(), "relative_bias": self.relative_bias}


def _unit_uniform() -> keras.Initializer:
    return keras.initializers.RandomUniform(0.0, 1.0)
