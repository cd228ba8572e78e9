"""Losses on maps that several systems share, for one device's batch.

The one convention a reader must know: they are computed in float32 whatever the maps come in, and
the divisor is constant: a joint of weight 0 adds zeros to the mean, it does not shorten it.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any  # a tensor of whichever backend Keras runs on

#: What labels between 0 and 1 are multiplied by before the softmax of soft targets. It is a number
#: of its own, whatever multiplies the logits, as MMPose's `label_beta` of today; its first versions
#: took the beta of the logits for both. RTMPose's configs have 10 for either.
LABEL_BETA = 10.0


def masked_mean_squared_error(targets: Tensor, outputs: Tensor, weights: Tensor) -> Tensor:
    """The mean over batch, cells and joints of weight * (output - target)^2.

    Args:
        targets: (batch, height, width, joints).
        outputs: the same shape, as the network gives them.
        weights: (batch, joints), 0 where a joint is unknown.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: shapes that do not fit.

    Source: TF-SimpleHumanPose (Moon).
    """
    return ops.mean(_cell_means(targets, outputs, weights) * ops.cast(weights, "float32"))


def mean_squared_error_per_joint(
    targets: Tensor, outputs: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Half the mean squared error of each joint's weighted map, averaged over the joints.

    A weight multiplies both maps, so it counts squared: equal to
    0.5 * mean(weight^2 * (output - target)^2).

    Args:
        targets: (batch, height, width, joints).
        outputs: the same shape, as the network gives them.
        weights: (batch, joints), 0 where a joint is unknown; None counts every joint fully.

    Returns:
        A float32 scalar.

    Raises:
        ValueError: shapes that do not fit.

    Source: human-pose-estimation.pytorch (Microsoft), `JointsMSELoss`.
    """
    errors = _cell_means(targets, outputs, weights)
    if weights is not None:
        errors = errors * ops.square(ops.cast(weights, "float32"))
    return 0.5 * ops.mean(errors)


def disc_and_offset_error(
    discs: Tensor, offsets: Tensor, outputs: tuple[Tensor, Tensor], weights: Tensor
) -> Tensor:
    """Half the mean squared errors of each joint's disc and, inside it, of its two offsets.

    Args:
        discs: (batch, height, width, joints), 1 near the joint, of weight 0 nowhere.
        offsets: (batch, height, width, joints, 2).
        outputs: discs and offsets, the same shapes, as the network gives them.
        weights: (batch, joints); a weight multiplies both discs, so it counts squared.

    Returns:
        A float32 scalar, the sum of the three averaged over the joints.

    Raises:
        ValueError: shapes that do not fit.

    Source: the combined form of Huang et al., CVPR 2020, as in MMPose's `CombinedTargetMSELoss`.
    """
    found, ways = outputs
    near = ops.cast(discs, "float32") * ops.cast(weights, "float32")[:, None, None, :]
    total = mean_squared_error_per_joint(discs, found, weights)
    for axis in (0, 1):
        wanted = near * ops.cast(offsets[..., axis], "float32")
        total += mean_squared_error_per_joint(wanted, near * ops.cast(ways[..., axis], "float32"))
    return total


def discrete_divergence(
    targets: Tensor,
    outputs: Tensor,
    weights: Tensor,
    *,
    beta: float = 1.0,
    soft_targets: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence of predicted from wanted distributions over bins.

    Args:
        targets: (batch, joints, bins), not negative.
        outputs: the same shape, logits.
        weights: (batch, joints), 0 where a joint is unknown.
        beta: multiplies the logits, not the targets.
        soft_targets: whether the targets are made a distribution by a softmax over LABEL_BETA times
            their values; otherwise they count as they are.

    Returns:
        A float32 scalar: the mean over the bins, summed over the batch and averaged over the
        joints. The sum is published: a step of a larger batch is not the mean of those of its
        parts.

    Raises:
        ValueError: shapes that do not fit.

    Source: `KLDiscretLoss` of SimCC (Li et al., ECCV 2022; beta 1) and of RTMPose (Jiang et al.,
        2023; beta 10, soft targets).
    """
    if not _fits(targets.shape, outputs.shape) or len(outputs.shape) != 3:
        raise ValueError(
            "targets and outputs must both have shape (batch, joints, bins). "
            f"Received {tuple(targets.shape)} and {tuple(outputs.shape)}."
        )
    targets = ops.cast(targets, "float32")
    log_found = ops.log_softmax(beta * ops.cast(outputs, "float32"), axis=-1)
    if soft_targets:
        log_wanted = ops.log_softmax(LABEL_BETA * targets, axis=-1)
        targets = ops.exp(log_wanted)
    else:
        # 0 log 0 is 0, and so is its derivative.
        log_wanted = ops.log(ops.where(targets > 0, targets, 1.0))
    divergence = ops.mean(targets * (log_wanted - log_found), axis=-1)  # (batch, joints)
    return ops.sum(divergence * ops.cast(weights, "float32")) / outputs.shape[1]


def _cell_means(targets: Tensor, outputs: Tensor, weights: Tensor | None) -> Tensor:
    """(batch, joints) float32: mean over the cells of (output - target)^2."""
    if not _fits(targets.shape, outputs.shape) or len(outputs.shape) != 4:
        raise ValueError(
            "targets and outputs must both have shape (batch, height, width, joints). "
            f"Received {tuple(targets.shape)} and {tuple(outputs.shape)}."
        )
    batch_and_joints = (outputs.shape[0], outputs.shape[3])
    if weights is not None and not _fits(weights.shape, batch_and_joints):
        raise ValueError(
            f"weights must have shape (batch, joints), here {batch_and_joints}. "
            f"Received {tuple(weights.shape)}."
        )
    difference = ops.cast(outputs, "float32") - ops.cast(targets, "float32")
    return ops.mean(ops.square(difference), axis=(1, 2))


def _fits(shape: Any, wanted: Any) -> bool:
    """Are two static shapes equal where both are known?"""
    return len(shape) == len(wanted) and all(
        have is None or want is None or have == want
        for have, want in zip(shape, wanted, strict=True)
    )
