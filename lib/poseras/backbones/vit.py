"""ViT, the plain vision transformer of ViTPose: patches, position, equal blocks, one resolution.

Xu et al., "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation", NeurIPS 2022;
Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021. Published are

    size   width   depth   heads   drop path
    S        384      12      12       0.1
    B        768      12      12       0.3
    L       1024      24      16       0.5
    H       1280      32      16       0.55

The one convention a reader must know: tokens are patches row by row. There is no class token, but
its slot of the position embedding is left and is added to every token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import keras
import numpy as np
from keras import ops

PATCH = 16
PATCH_PADDING = 2  # on every side, as in the authors' code; it moves the patches, not their number
MLP_RATIO = 4
NORM_EPSILON = 1e-6
HEAD_SCOPE = "keypoint_head."


def build_backbone(
    images: keras.KerasTensor, *, depth: int, width: int, heads: int, drop_path: float
) -> keras.KerasTensor:
    """The features of a ViT at stride 16.

    Args:
        images: (batch, height, width, 3), normalised; both sides known and multiples of 16.
        depth: blocks.
        width: channels of a token.
        heads: of the attention; they divide the width.
        drop_path: how often the last block is left out in training; from the first block on, which
            never is, the rate rises evenly.

    Returns:
        (batch, height / 16, width / 16, `width`).

    Raises:
        ValueError: the heads do not divide the width, or there is no block.
    """
    if depth < 1 or heads < 1 or width % heads:
        raise ValueError(
            "A vit needs a depth of at least 1 and a width that its heads divide. "
            f"Received depth {depth}, width {width}, heads {heads}."
        )
    rows, columns = images.shape[1] // PATCH, images.shape[2] // PATCH
    x = keras.layers.ZeroPadding2D(PATCH_PADDING, name="backbone.patch_embed.pad")(images)
    x = keras.layers.Conv2D(width, PATCH, strides=PATCH, name="backbone.patch_embed.proj")(x)
    x = keras.layers.Reshape((rows * columns, width), name="backbone.patch_embed.tokens")(x)
    x = PositionEmbedding(name="backbone.pos_embed")(x)
    for index in range(depth):
        rate = drop_path * index / max(depth - 1, 1)
        x = _block(x, heads, rate, f"backbone.blocks.{index}")
    x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name="backbone.last_norm")(x)
    return keras.layers.Reshape((rows, columns, width), name="backbone.features")(x)


def number_layer(path: str, depth: int) -> int:
    """The layer that a variable belongs to, for learning rates that fall towards the input.

    Args:
        path: of the variable.
        depth: blocks.

    Returns:
        0 for patches and positions, 1 to `depth` for the blocks, depth + 1 for everything behind.
    """
    if path.startswith(("backbone.patch_embed", "backbone.pos_embed")):
        return 0
    block = re.match(r"backbone\.blocks\.(\d+)\.", path)
    return int(block[1]) + 1 if block else depth + 1


def _block(x: keras.KerasTensor, heads: int, drop_path: float, name: str) -> keras.KerasTensor:
    """Tokens look at each other, then each is thought over alone; both are added to what was."""
    width = x.shape[-1]
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}.norm1")(x)
    y = _dense(y, 3 * width, f"{name}.attn.qkv")
    y = SelfAttention(heads, name=f"{name}.attn")(y)
    y = _dense(y, width, f"{name}.attn.proj")
    x = _add(x, y, drop_path, f"{name}.add1")
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}.norm2")(x)
    y = _dense(y, MLP_RATIO * width, f"{name}.mlp.fc1")
    # Keras' "gelu" is the exact one, with the error function.
    y = keras.layers.Activation("gelu", name=f"{name}.mlp.act")(y)
    y = _dense(y, width, f"{name}.mlp.fc2")
    return _add(x, y, drop_path, f"{name}.add2")


def _dense(x: keras.KerasTensor, units: int, name: str) -> keras.KerasTensor:
    initializer = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Dense(units, kernel_initializer=initializer, name=name)(x)


def _add(
    x: keras.KerasTensor, branch: keras.KerasTensor, drop_path: float, name: str
) -> keras.KerasTensor:
    """A residual sum whose branch is left out as a whole for some samples (stochastic depth)."""
    if drop_path > 0:
        branch = keras.layers.Dropout(
            drop_path, noise_shape=(None, 1, 1), name=f"{name}.drop_path"
        )(branch)
    return keras.layers.Add(name=name)([x, branch])


@keras.saving.register_keras_serializable(package="poseras")
class PositionEmbedding(keras.layers.Layer):
    """Tokens plus a learned vector for each place, plus one that all of them share.

    The shared one is the class token's, which the network was pre-trained with.

    Input: (batch, tokens, channels), the number of tokens known. Output: the same shape.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make `bias`, (1, 1 + tokens, channels): the shared vector first."""
        tokens: Any = input_shape[1]
        self.bias = self.add_weight(
            shape=(1, 1 + tokens, input_shape[2]),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="bias",
        )

    def call(self, tokens: Any) -> Any:
        """See the class."""
        return tokens + self.bias[:, 1:] + self.bias[:, :1]


@keras.saving.register_keras_serializable(package="poseras")
class SelfAttention(keras.layers.Layer):
    """Every token's mean of all tokens' values, weighted by how its query meets their keys.

    Args:
        heads: groups of channels with weights of their own.
        **kwargs: name and the like, of `keras.layers.Layer`.

    Input: (batch, tokens, 3 * channels): queries, keys and values, each head by head.
    Output: (batch, tokens, channels).
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, joined: Any) -> Any:
        """See the class."""
        tokens, channels = joined.shape[1], joined.shape[2] // 3
        split = ops.reshape(joined, (-1, tokens, 3, self.heads, channels // self.heads))
        query, key, value = (split[:, :, part] for part in range(3))
        mixed = ops.dot_product_attention(query, key, value)  # scaled by 1 / sqrt(head channels)
        return ops.reshape(mixed, (-1, tokens, channels))

    def count_products(self) -> int:
        """Multiply-accumulates of one sample: queries with keys, weights with values."""
        _, tokens, channels = self.output.shape
        return 2 * tokens * tokens * channels

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """A third of the channels."""
        return (*input_shape[:-1], input_shape[-1] // 3)  # type: ignore[operator]

    def get_config(self) -> dict[str, Any]:
        """The arguments, for saved models."""
        return {**super().get_config(), "heads": self.heads}


_BLOCK = r"backbone.blocks.\1."
_MMPOSE = r"^backbone\.layers\.(\d+)\."
_HUGGING_FACE = r"^backbone\.encoder\.layer\.(\d+)\."
#: From MMPose 1.x', Hugging Face's and MAE's names to the authors', applied in this order.
_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^module\.", ""),
        # MAE: the backbone alone. Its last norm is another one, in front of other layers.
        (r"^(patch_embed|pos_embed|blocks)\b", r"backbone.\1"),
        # MMPose 1.x
        (r"^backbone\.patch_embed\.projection\.", "backbone.patch_embed.proj."),
        (rf"{_MMPOSE}ln([12])\.", rf"{_BLOCK}norm\2."),
        (rf"{_MMPOSE}ffn\.layers\.0\.0\.", rf"{_BLOCK}mlp.fc1."),
        (rf"{_MMPOSE}ffn\.layers\.1\.", rf"{_BLOCK}mlp.fc2."),
        (_MMPOSE, _BLOCK),
        (r"^backbone\.(ln1|norm1)\.", "backbone.last_norm."),
        # Hugging Face
        (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
        (r"^backbone\.embeddings\.position_embeddings$", "backbone.pos_embed"),
        (rf"{_HUGGING_FACE}layernorm_before\.", rf"{_BLOCK}norm1."),
        (rf"{_HUGGING_FACE}layernorm_after\.", rf"{_BLOCK}norm2."),
        (rf"{_HUGGING_FACE}attention\.attention\.", rf"{_BLOCK}attn."),
        (rf"{_HUGGING_FACE}attention\.output\.dense\.", rf"{_BLOCK}attn.proj."),
        (_HUGGING_FACE, _BLOCK),
        (r"^backbone\.layernorm\.", "backbone.last_norm."),
        (r"^head\.deconv1\.", "head.deconv_layers.0."),
        (r"^head\.batchnorm1\.", "head.deconv_layers.1."),
        (r"^head\.deconv2\.", "head.deconv_layers.3."),
        (r"^head\.batchnorm2\.", "head.deconv_layers.4."),
        (r"^head\.conv\.", "head.final_layer."),
        # both
        (r"^head\.", "keypoint_head."),
    )
)
_QUERY_KEY_VALUE = re.compile(r"(.+\.attn\.)(query|key|value)\.(weight|bias)")


def rename_entries(
    entries: Mapping[str, np.ndarray], input_hw: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The entries of a published state dict under the names and in the shapes of the layers.

    Read are ViTPose's own files, MMPose 1.x', Hugging Face's, and MAE's for the start of a
    training. Hugging Face's queries, keys and values are joined. MMPose's position embedding has
    lost the shared vector, which is taken as zero; one of a square grid (MAE's) is resized
    bicubically to the grid of the input, and smaller patch kernels are padded with zeros.

    Args:
        entries: a state dict, name to array.
        input_hw: height and width of the network's input.

    Raises:
        ValueError: a ViTPose+ file, whose blocks choose among experts.
    """
    experts = next((name for name in entries if ".mlp.experts." in name), None)
    if experts is not None:
        raise ValueError(
            "ViTPose+ files, whose blocks choose among experts, cannot be read; take the file of a "
            f"ViTPose that was trained on one data set. Received the entry {experts}."
        )
    renamed: dict[str, np.ndarray] = {}
    for name, array in entries.items():
        for pattern, replacement in _SPELLINGS:
            name = pattern.sub(replacement, name)
        renamed[name] = array
    renamed = _join_attention(renamed)
    if "backbone.pos_embed" in renamed:
        grid_hw = input_hw[0] // PATCH, input_hw[1] // PATCH
        embedding = _fit_positions(renamed.pop("backbone.pos_embed"), grid_hw)
        renamed["backbone.pos_embed.bias"] = embedding
    if "backbone.patch_embed.proj.weight" in renamed:
        kernel = renamed["backbone.patch_embed.proj.weight"]
        renamed["backbone.patch_embed.proj.weight"] = _pad_kernel(kernel)
    return renamed


def _join_attention(entries: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Queries, keys and values as the three equal blocks of rows of one linear layer."""
    joined: dict[str, np.ndarray] = {}
    for name, array in entries.items():
        match = _QUERY_KEY_VALUE.fullmatch(name)
        if not match:
            joined[name] = array
        elif match[2] == "query":
            parts = [f"{match[1]}{part}.{match[3]}" for part in ("query", "key", "value")]
            blocks = [entries[part] for part in parts if part in entries]
            joined[f"{match[1]}qkv.{match[3]}"] = np.concatenate(blocks)
    return joined


def _fit_positions(embedding: np.ndarray, grid_hw: tuple[int, int]) -> np.ndarray:
    """(1, 1 + tokens, channels) for a grid; another one that is not square is left as it is."""
    rows, columns = grid_hw
    tokens = embedding.shape[1]
    if tokens == rows * columns:
        return np.concatenate([np.zeros_like(embedding[:, :1]), embedding], axis=1)
    side = isqrt(tokens - 1)
    if tokens == rows * columns + 1 or side * side != tokens - 1:
        return embedding
    grid = embedding[0, 1:].reshape(side, side, -1)
    down, across = _bicubic_matrix(side, rows), _bicubic_matrix(side, columns)
    resized = np.einsum("ri,cj,ijd->rcd", down, across, grid).reshape(1, rows * columns, -1)
    return np.concatenate([embedding[:, :1], resized], axis=1).astype(embedding.dtype)


def _bicubic_matrix(size: int, new_size: int) -> np.ndarray:
    """(new_size, size): what each new value takes of the old ones along one axis.

    Keys' kernel with a = -0.75 at half-pixel centres, the border repeated: torch's and OpenCV's.
    """
    a = -0.75
    places = (np.arange(new_size) + 0.5) * size / new_size - 0.5
    matrix = np.zeros((new_size, size))
    for row, place in enumerate(places):
        first = int(np.floor(place)) - 1
        for column in range(first, first + 4):
            d = abs(place - column)
            near = ((a + 2) * d - (a + 3)) * d * d + 1
            far = a * (((d - 5) * d + 8) * d - 4)
            matrix[row, min(max(column, 0), size - 1)] += near if d <= 1 else far
    return matrix


def _pad_kernel(kernel: np.ndarray) -> np.ndarray:
    """(out, in, 16, 16): a smaller patch kernel with zeros around, the odd one below and right."""
    widths = [(0, 0), (0, 0)]
    for side in kernel.shape[2:]:
        missing = max(PATCH - side, 0)
        widths.append((missing // 2, missing - missing // 2))
    return np.pad(kernel, widths)
