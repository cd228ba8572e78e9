"""Joints as expectations: coordinates in the cells of a map or volume, and what they stand for.

A *cell coordinate* counts cells from 0, x before y before z. The one convention a reader must know:
view pixel = cell * view size / map size, without a half-cell term, as in every published network;
cell z of `depth_bins` lies (2 z / depth_bins - 1) * box depth / 2 behind the root. Volumes are kept
as the network makes them, (batch, height, width, joints * depth_bins), joint by joint.

Source: Integral Human Pose Regression, Sun et al., ECCV 2018.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from keras import ops

Tensor = Any  # a tensor of whichever backend Keras runs on
OutsideDepth = Literal["drop", "keep"]
FlipAlignment = Literal["exact", "published"]


def soft_argmax_2d(logits: Tensor) -> Tensor:
    """The mean cell of each map under the softmax of its logits.

    Args:
        logits: (batch, height, width, joints), of any float type; computed in float32.

    Returns:
        (batch, joints, 2) float32, x before y, in cells.
    """
    _check_rank(logits)
    return _mean_cells(ops.cast(logits, "float32")[..., None])[..., :2]


def soft_argmax_3d(logits: Tensor, depth_bins: int) -> Tensor:
    """The mean cell of each volume under the softmax of its logits.

    The volume is exponentiated once and summed to its margins; it is neither transposed nor
    divided, only the three means are.

    Args:
        logits: (batch, height, width, joints * depth_bins), of any float type; computed in float32,
            finite for logits of any size.
        depth_bins: cells in depth.

    Returns:
        (batch, joints, 3) float32, x, y, z in cells.

    Raises:
        ValueError: the channels are not a multiple of depth_bins.
    """
    return _mean_cells(split_volumes(ops.cast(logits, "float32"), depth_bins))


def peak_3d(logits: Tensor, depth_bins: int) -> Tensor:
    """The highest cell of each volume, the first one of several equal ones.

    Args:
        logits: (batch, height, width, joints * depth_bins).
        depth_bins: cells in depth.

    Returns:
        (batch, joints, 3) float32, x, y, z in cells.
    """
    volumes = split_volumes(logits, depth_bins)  # (batch, height, width, joints, depth)
    _, height, width, joints, depth = volumes.shape
    flat = ops.reshape(
        ops.transpose(volumes, (0, 3, 1, 2, 4)), (-1, joints, height * width * depth)
    )
    place = ops.argmax(flat, axis=-1)  # (batch, joints)
    cells = (place // depth % width, place // (depth * width), place % depth)
    return ops.cast(ops.stack(cells, axis=-1), "float32")


def split_volumes(logits: Tensor, depth_bins: int) -> Tensor:
    """(batch, height, width, joints * depth_bins) as (batch, height, width, joints, depth_bins).

    Raises:
        ValueError: the channels are not a multiple of depth_bins.
    """
    _check_rank(logits)
    height, width, channels = (int(side) for side in logits.shape[1:])
    if channels % depth_bins:
        raise ValueError(
            f"The channels of logits must be a multiple of depth_bins ({depth_bins}), joint by "
            f"joint. Received {channels}."
        )
    return ops.reshape(logits, (-1, height, width, channels // depth_bins, depth_bins))


def _mean_cells(volumes: Tensor) -> Tensor:
    """(batch, height, width, joints, depth) float32 logits to (batch, joints, 3)."""
    highest = ops.stop_gradient(ops.max(volumes, axis=(1, 2, 4), keepdims=True))
    mass = ops.exp(volumes - highest)
    over_depth = ops.sum(mass, axis=4)  # (batch, height, width, joints)
    margins = (
        ops.sum(over_depth, axis=1),  # (batch, width, joints)
        ops.sum(over_depth, axis=2),  # (batch, height, joints)
        ops.transpose(ops.sum(mass, axis=(1, 2)), (0, 2, 1)),  # (batch, depth, joints)
    )
    total = ops.sum(margins[0], axis=1)  # (batch, joints)
    moments = [
        ops.sum(margin * ops.arange(margin.shape[1], dtype="float32")[:, None], axis=1)
        for margin in margins
    ]
    return ops.stack(moments, axis=-1) / total[..., None]


def encode_coordinates(
    keypoints: Tensor,
    depths_mm: Tensor,
    depth_known: Tensor,
    view_scale: Tensor,
    *,
    input_hw: tuple[int, int],
    volume_dhw: tuple[int, int, int],
    box_depth_mm: float,
    outside_depth: OutsideDepth = "drop",
) -> tuple[Tensor, Tensor]:
    """What a network should answer: cell coordinates and which of them count.

    A view that shows `view_scale` times its box also holds that times the depth, so that the volume
    stays a cube.

    Args:
        keypoints: (batch, joints, 3): x px, y px in the view, visibility 0, 1, 2.
        depths_mm: (batch, joints) behind the root; ignored where unknown.
        depth_known: (batch, joints) 0 or 1.
        view_scale: (batch,) the augmentation factor on the box.
        input_hw: height and width of the view in pixels.
        volume_dhw: depth, height and width of a volume in cells.
        box_depth_mm: of the box that the volume stands for; another unit will do if depths have
            it, too.
        outside_depth: a joint whose known depth lies outside the box counts for nothing (`drop`,
            x and y included) or like any other (`keep`).

    Returns:
        coordinates: (batch, joints, 3) float32, x, y, z in cells; z is the middle where unknown.
        weights: (batch, joints, 3) float32, 0 or 1.

    Source: Moon's PyTorch code; `keep` is the authors' code.
    """
    depth_bins, height, width = volume_dhw
    known = ops.cast(depth_known, "float32")
    half = box_depth_mm / 2 * ops.cast(view_scale, "float32")[:, None]  # (batch, 1)
    share = (ops.cast(depths_mm, "float32") * known / half + 1) / 2  # (batch, joints), 0..1 inside
    coordinates = ops.stack(
        [
            keypoints[..., 0] * (width / input_hw[1]),
            keypoints[..., 1] * (height / input_hw[0]),
            share * depth_bins,
        ],
        axis=-1,
    )
    seen = ops.cast(keypoints[..., 2] > 0, "float32")
    if outside_depth == "drop":
        seen = seen * ops.cast(ops.logical_and(share >= 0, share < 1), "float32")
    return coordinates, ops.stack([seen, seen, seen * known], axis=-1)


def merge_flipped_coordinates(
    coordinates: Tensor,
    flipped: Tensor,
    flip_permutation: np.ndarray,
    *,
    map_width: int,
    input_width: int,
    alignment: FlipAlignment = "exact",
) -> Tensor:
    """Average coordinates with those of the mirrored view.

    The mirror takes view pixel x to input_width - 1 - x, which in cells is
    (input_width - 1) * map_width / input_width - x: 63.75 - x for 256 pixels and 64 cells. The
    published programs use map_width - 1 - x (kept as `published`), which moves the average 3/8 cell
    to the left; aligned at the root nothing of it is left.

    Args:
        coordinates: (batch, joints, 2 or 3) in cells.
        flipped: the same, of the mirrored views, as the network gave them.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        map_width: of maps or volumes in cells.
        input_width: of views in pixels.
        alignment: `exact` or `published`.

    Returns:
        (batch, joints, 2 or 3).
    """
    last = (input_width - 1) * map_width / input_width if alignment == "exact" else map_width - 1.0
    swapped = ops.take(flipped, np.asarray(flip_permutation), axis=1)
    mirrored = ops.concatenate([last - swapped[..., :1], swapped[..., 1:]], axis=-1)
    return (coordinates + mirrored) / 2


def decode_coordinates(
    coordinates: Tensor,
    *,
    input_hw: tuple[int, int],
    volume_dhw: tuple[int, int, int],
    box_depth_mm: float,
) -> tuple[Tensor, Tensor]:
    """Cell coordinates to view pixels and to millimetres behind the root, at view scale 1.

    Args:
        coordinates: (batch, joints, 3), x, y, z in cells.
        input_hw: height and width of the view in pixels.
        volume_dhw: depth, height and width of a volume in cells.
        box_depth_mm: of the box that the volume stands for.

    Returns:
        keypoints_px: (batch, joints, 2), x before y, in the view.
        depths_mm: (batch, joints), negative before the root.
    """
    depth_bins, height, width = volume_dhw
    x = coordinates[..., 0] * (input_hw[1] / width)
    y = coordinates[..., 1] * (input_hw[0] / height)
    depths = (coordinates[..., 2] * (2 / depth_bins) - 1) * (box_depth_mm / 2)
    return ops.stack([x, y], axis=-1), depths


def _check_rank(logits: Tensor) -> None:
    if len(logits.shape) != 4:
        raise ValueError(
            "logits must have shape (batch, height, width, channels). "
            f"Received {tuple(logits.shape)}."
        )
