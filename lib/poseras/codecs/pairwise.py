"""Pairwise offsets: near a joint, the vectors to all other joints of the same person.

For each ordered pair of joints (a, b), a != b, a map of vectors from cells near joint a to joint b,
standardised by the mean and deviation of that pair. Pairs are in the order of a, then b. Maps are
(batch, height, width, pairs, 2), x before y; cells stand where `location_refinement` says.

Source: Insafutdinov et al., "DeeperCut", ECCV 2016; the numbers are those of pose-tensorflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from .location_refinement import Claims, DiscPeaks, cell_grid, gather_joints

Tensor = Any  # a tensor of whichever backend Keras runs on


def list_pairs(joints: int) -> np.ndarray:
    """(joints * (joints - 1), 2) int64: all ordered pairs, in the order of the maps."""
    first, second = np.indices((joints, joints)).reshape(2, -1)
    return np.stack([first, second], axis=1)[first != second]


def pair_index(first: Any, second: Any, joints: int) -> Any:
    """Which map belongs to an ordered pair of different joints; numbers or integer arrays."""
    return (joints - 1) * first + second - (first < second)


def encode_pairwise(
    keypoints: Tensor,
    claims: Claims,
    *,
    stride: float,
    means_px: np.ndarray,
    deviations_px: np.ndarray,
) -> tuple[Tensor, Tensor]:
    """Render the standardised vectors in the cells that people own.

    Args:
        keypoints: (batch, people, joints, 3), x px, y px, visibility.
        claims: of `claim_cells` on the same keypoints.
        stride: pixels per cell.
        means_px: (pairs, 2).
        deviations_px: (pairs, 2), above 0.

    Returns:
        (batch, height, width, pairs, 2) float32, 0 where unknown, and (batch, height, width, pairs)
        bool.
    """
    batch, height, width, joints = ops.shape(claims.owners)
    pairs = list_pairs(joints)
    flat = ops.reshape(claims.partners, (batch, height, width, joints * joints))
    owners = ops.take(flat, pairs[:, 0] * joints + pairs[:, 1], axis=-1)
    ends = gather_joints(keypoints, owners, np.asarray(pairs[:, 1], np.int32))
    vectors = ends[..., :2] - cell_grid(owners, stride)[:, :, None]
    scaled = (vectors - _float32(means_px)) / _float32(deviations_px)
    known = ops.logical_and(owners >= 0, ends[..., 2] > 0)
    return ops.where(known[..., None], scaled, 0.0), known


def decode_pairwise(
    peaks: DiscPeaks, offsets: Tensor, *, means_px: np.ndarray, deviations_px: np.ndarray
) -> Tensor:
    """The vectors from the cells of peaks to all other joints.

    Args:
        peaks: cells of the part maps.
        offsets: (batch, height, width, pairs, 2) as the network gives them.
        means_px: (pairs, 2).
        deviations_px: (pairs, 2).

    Returns:
        (batch, joints, candidates, joints - 1, 2) float32 px from the centre of the cell; the
        fourth axis is the other joints, in rising order.
    """
    batch, height, width, pairs = ops.shape(offsets)[:4]
    joints = peaks.rows.shape[1]
    image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
    joint = ops.reshape(ops.arange(joints, dtype="int32"), (1, -1, 1))
    cell = (image * height + peaks.rows) * width + peaks.columns
    # A joint's pairs lie side by side.
    flat = ops.reshape(ops.cast(offsets, "float32"), (-1, joints - 1, 2))
    found = ops.take(flat, cell * joints + joint, axis=0)
    shape = (joints, 1, joints - 1, 2)
    return found * _float32(deviations_px).reshape(shape) + _float32(means_px).reshape(shape)


def _float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)


def merge_flipped_pairwise(
    offsets: Tensor,
    flipped: Tensor,
    flip_permutation: np.ndarray,
    *,
    means_px: np.ndarray,
    deviations_px: np.ndarray,
) -> Tensor:
    """The vectors of a view and of its mirror image, averaged; see `merge_flipped_refinement`.

    Args:
        offsets: (batch, height, width, pairs, 2).
        flipped: the same shape, of the mirrored view, as the network gave them.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        means_px: (pairs, 2).
        deviations_px: (pairs, 2).
    """
    permutation = np.asarray(flip_permutation)
    first, second = list_pairs(len(permutation)).T
    pairs = pair_index(permutation[first], permutation[second], len(permutation))
    means, deviations = _float32(means_px), _float32(deviations_px)
    vectors = ops.take(ops.flip(flipped, axis=2), pairs, axis=3) * deviations[pairs] + means[pairs]
    back = vectors * np.array([-1, 1], np.float32) - np.array([1, 0], np.float32)
    return (offsets + (back - means) / deviations) * 0.5
