"""Losses on coordinates, and the paper's three losses on volumes, for one device's batch.

The one convention a reader must know: divisors are constant. A joint that does not count adds zeros
to the mean, it does not shorten it. Volumes are (batch, height, width, joints, depth) here.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any  # a tensor of whichever backend Keras runs on


def masked_l1(targets: Tensor, outputs: Tensor, weights: Tensor) -> Tensor:
    """The mean over batch, joints and the three axes of weight * |output - target|.

    Args:
        targets: (batch, joints, 3) in cells.
        outputs: the same.
        weights: the same, 0 where an axis of a joint is unknown.

    Returns:
        A float32 scalar, in cells.

    Source: Moon's PyTorch code.
    """
    return ops.mean(ops.abs(outputs - targets) * weights)


def summed_error(targets: Tensor, outputs: Tensor, weights: Tensor, *, squared: bool) -> Tensor:
    """The sum of weight * |output - target| or its square per sample, averaged over the batch.

    Args:
        targets: (batch, joints, 3), divided by the size of the volume.
        outputs: the same.
        weights: the same.
        squared: L2 instead of L1.

    Returns:
        A float32 scalar.

    Source: the authors' code; their L1 was the better one.
    """
    difference = outputs - targets
    error = ops.square(difference) if squared else ops.abs(difference)
    return ops.mean(ops.sum(error * weights, axis=(1, 2)))


def gaussian_volume_loss(
    volumes: Tensor, coordinates: Tensor, weights: Tensor, sigma: float
) -> Tensor:
    """Mean squared difference to Gaussian blobs of height 1 (H1).

    Where the depth of a joint is unknown, the volume summed over depth is compared with the summed
    blob.

    Args:
        volumes: (batch, height, width, joints, depth), as the network gives them.
        coordinates: (batch, joints, 3) in cells.
        weights: (batch, joints, 3).
        sigma: in cells.

    Returns:
        A float32 scalar: the mean over batch, joints and cells.
    """
    distances = _squared_distances(volumes.shape, coordinates)
    across, down, deep = (ops.exp(part / (-2 * sigma**2)) for part in distances)
    flat = across * down  # (batch, height, width, joints, 1)
    solid = ops.mean(ops.square(volumes - flat * deep), axis=(1, 2, 4))
    mass = ops.sum(deep, axis=4, keepdims=True)
    summed = ops.mean(ops.square(ops.sum(volumes, axis=4, keepdims=True) - flat * mass), (1, 2, 4))
    return _average(solid, summed, weights)


def cross_entropy_volume_loss(volumes: Tensor, coordinates: Tensor, weights: Tensor) -> Tensor:
    """Minus the logarithm of the softmax at the cell next to each joint (H2).

    Where the depth of a joint is unknown, the cells of its row of depth count together.

    Args:
        volumes: (batch, height, width, joints, depth) logits.
        coordinates: (batch, joints, 3) in cells.
        weights: (batch, joints, 3).

    Returns:
        A float32 scalar: the mean over batch and joints.
    """
    distances = _squared_distances(volumes.shape, coordinates, nearest=True)
    across, down, deep = (ops.cast(part < 0.5, "float32") for part in distances)
    everything = ops.logsumexp(volumes, axis=(1, 2, 4))  # (batch, joints)
    column = ops.logsumexp(volumes, axis=4, keepdims=True)
    solid = everything - ops.sum(volumes * (across * down * deep), axis=(1, 2, 4))
    summed = everything - ops.sum(column * (across * down), axis=(1, 2, 4))
    return _average(solid, summed, weights)


def binary_volume_loss(
    volumes: Tensor, coordinates: Tensor, weights: Tensor, radius: float
) -> Tensor:
    """Binary cross-entropy of each cell with the ball around each joint (H3).

    Where the depth of a joint is unknown, the highest cell of each row of depth stands for it, and
    the ball is a disc.

    Args:
        volumes: (batch, height, width, joints, depth) logits.
        coordinates: (batch, joints, 3) in cells.
        weights: (batch, joints, 3).
        radius: in cells.

    Returns:
        A float32 scalar: the mean over batch, joints and cells.
    """
    across, down, deep = _squared_distances(volumes.shape, coordinates)
    ball = ops.cast(across + down + deep <= radius**2, "float32")
    disc = ops.cast(across + down <= radius**2, "float32")
    highest = ops.max(volumes, axis=4, keepdims=True)

    def compare(logits: Tensor, labels: Tensor) -> Tensor:
        return ops.mean(ops.softplus(logits) - logits * labels, axis=(1, 2, 4))

    return _average(compare(volumes, ball), compare(highest, disc), weights)


def _average(solid: Tensor, summed: Tensor, weights: Tensor) -> Tensor:
    """The mean over batch and joints, each joint by the loss that its weights allow."""
    return ops.mean(weights[..., 2] * solid + (weights[..., 0] - weights[..., 2]) * summed)


def _squared_distances(
    shape: Any, coordinates: Tensor, *, nearest: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Squared distances in cells along x, y and z, each of size 1 along the other two axes."""
    _, height, width, _, depth = shape
    if nearest:
        limit = ops.convert_to_tensor([width - 1.0, height - 1.0, depth - 1.0], "float32")
        coordinates = ops.minimum(ops.maximum(ops.round(coordinates), 0.0), limit)

    def along(cells: int, axis: int, place: Tensor) -> Tensor:
        grid_shape = [1, 1, 1, 1, 1]
        grid_shape[axis] = cells
        grid = ops.reshape(ops.arange(cells, dtype="float32"), grid_shape)
        return ops.square(grid - place[:, None, None, :, None])

    return (
        along(width, 2, coordinates[..., 0]),
        along(height, 1, coordinates[..., 1]),
        along(depth, 4, coordinates[..., 2]),
    )
