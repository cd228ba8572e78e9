"""How wrong an answer is: cross-entropy of part scores, Huber or squared error of vectors.

Each is divided by the number of the values that count, and not by the batch. There is no weight
decay: the published setting of that name never reached the loss.

Source: pose-tensorflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from .options import Options

Tensors = Mapping[str, Any]


def compute_loss(targets: Tensors, outputs: Tensors, options: Options) -> dict[str, Any]:
    """All parts of the loss and their sum.

    Args:
        targets: of `targets.encode`.
        outputs: of the network.
        options: of the system.

    Returns:
        `parts` and, if the network has them, `parts_intermediate`, `refinement` and `pairwise`, the
        last two times their weights; `total`. Float32 scalars.
    """
    parts, weights = targets["parts"], targets["part_weights"]
    losses = {
        name: cross_entropy(parts, outputs[name], weights)
        for name in ("parts", "parts_intermediate")
        if name in outputs
    }
    if "refinement" in outputs:
        losses["refinement"] = options.refinement_weight * vector_error(
            targets["refinement"],
            outputs["refinement"],
            targets["refinement_known"],
            options.huber,
        )
    if "pairwise" in outputs:
        losses["pairwise"] = options.pairwise_weight * vector_error(
            targets["pairwise"],
            outputs["pairwise"],
            targets["pairwise_known"],
            options.pairwise_huber,
        )
    terms = list(losses.values())
    return {"total": sum(terms[1:], start=terms[0]), **losses}


def cross_entropy(targets: Any, logits: Any, weights: Any) -> Any:
    """Weighted sigmoid cross-entropy over the number of weights that are not 0.

    Args:
        targets: (batch, height, width, joints), 0..1.
        logits: the same shape.
        weights: the same shape.
    """
    logits = ops.cast(logits, "float32")
    # log(1 + exp(x)) - target x, without overflow at either end.
    terms = ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))
    return _mean_where(terms * weights, weights)


def vector_error(targets: Any, outputs: Any, known: Any, huber: bool) -> Any:
    """The mean error of the components that are known, 0 where none is.

    Args:
        targets: (..., vectors, 2).
        outputs: the same shape.
        known: bool, (..., vectors), or (..., vectors, 2) for each component.
        huber: 0.5 d^2 up to 1, and linear from there; otherwise d^2.
    """
    difference = ops.cast(outputs, "float32") - targets
    size = ops.abs(difference)
    square = ops.square(difference)
    terms = ops.where(size < 1, 0.5 * square, size - 0.5) if huber else square
    if len(known.shape) < len(terms.shape):
        known = known[..., None]
    mask = ops.broadcast_to(ops.cast(known, "float32"), ops.shape(terms))
    return _mean_where(terms * mask, mask)


def _mean_where(terms: Any, weights: Any) -> Any:
    """The sum of the terms over the number of weights that are not 0."""
    count = ops.sum(ops.cast(weights != 0, "float32"))
    return ops.sum(terms) / ops.maximum(count, 1.0)
