"""How wrong an answer is: heatmaps as a sum over cells, vectors and sizes as a mean of terms.

The losses of jitter, offsets and scales are divided by the number of their terms and once more by
the batch; the published weights count on that. With several devices each divides by its own
number, and the trainer takes the mean of the results.

Source: the OffsetGuided code; the focal factor is that of Lin et al., "Focal Loss for Dense Object
Detection", ICCV 2017, on squared differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras import ops

from .options import PARTS, Options

Tensors = Mapping[str, Any]

#: px; nearer scales are right.
SCALE_MARGIN = 0.1

#: Answers of heatmaps, distances in px and logarithms beyond these count as these. Their loss is
#: above any sensible limit, and their slopes are finite: an infinite one times 0 would be NaN.
_HIGHEST, _FARTHEST, _SUREST = 1e5, 1e18, 40.0


def compute_loss(targets: Tensors, outputs: Tensors, options: Options) -> dict[str, Any]:
    """All parts of the loss and their weighted sum.

    Args:
        targets: of `targets.encode`.
        outputs: of the network, all stacks.
        options: of the system.

    Returns:
        `heatmaps`, `offsets` and, if the network has them, `background`, `jitter` and `scales`,
        each without its weight; `total`, which is 0 where it would be above `loss_limit`, as are
        its gradients then. Float32 scalars.
    """
    shares = [weight / sum(options.stack_weights) for weight in options.stack_weights]
    parts = {}
    for part in PARTS:
        if f"{part}.0" in outputs:
            losses = [
                share * _part_loss(part, targets, outputs, stack, options)
                for stack, share in enumerate(shares[: options.stacks])
            ]
            parts[part] = sum(losses[1:], start=losses[0])
    weighted = [options.weight_of[part] * value for part, value in parts.items()]
    total = sum(weighted[1:], start=weighted[0])
    return {"total": ops.where(total > options.loss_limit, 0.0, total), **parts}


def _part_loss(part: str, targets: Tensors, outputs: Tensors, stack: int, options: Options) -> Any:
    found = ops.cast(outputs[f"{part}.{stack}"], "float32")
    target, mask = targets[part], targets["mask"]
    batch = ops.cast(ops.shape(found)[0], "float32")
    if part in ("heatmaps", "background"):
        found = ops.clip(found, -_HIGHEST, _HIGHEST)
        if options.heatmap_loss == "l2":
            terms = squared_terms(target, found)
        else:
            terms = focal_terms(target, found, options.focal_tau, options.focal_gamma)
        return ops.sum(ops.where(mask[..., None], terms, 0.0)) / batch
    if part == "scales":
        known = ops.logical_and(targets["scales_known"], mask[..., None])
        terms, margin = ops.abs(found - target), SCALE_MARGIN
    elif part == "jitter":
        known = ops.logical_and(targets["jitter_known"], mask)
        terms, margin = vector_terms(target, found, options.jitter_loss), options.loss_margin
    else:
        known = ops.logical_and(targets["offsets_known"], mask[..., None])
        if options.offset_loss == "instance_l1":  # a person of unknown size gives no term
            known = ops.logical_and(known, targets["instance_scales"] > 0)
        margin = options.loss_margin
        terms = vector_terms(
            target,
            found,
            options.offset_loss,
            instance_scales=targets["instance_scales"],
            spread=outputs.get(f"spread.{stack}"),
        )
    if len(terms.shape) > len(known.shape):
        known = known[..., None]
    return mean_of_terms(terms, known, margin, options.sqrt_regression) / batch


def squared_terms(target: Any, found: Any) -> Any:
    """Half the squared difference of each cell."""
    return 0.5 * ops.square(found - target)


def focal_terms(target: Any, found: Any, tau: float, gamma: float) -> Any:
    """`squared_terms` x |1 - certainty|^gamma, which pays less heed to cells that are nearly right.

    Args:
        target: heatmaps.
        found: the same shape.
        tau: the certainty is the value found where the target is at least this, else 1 minus it.
        gamma: 0 makes it `squared_terms`. The factor has a part in the gradient.
    """
    doubt = ops.abs(ops.where(target >= tau, 1 - found, found))
    if gamma == 0:
        return squared_terms(target, found)
    # A power's slope at 0 is infinite or undefined below 1.
    factor = doubt if gamma == 1 else ops.power(ops.maximum(doubt, 1e-12), gamma)
    return squared_terms(target, found) * factor


def vector_terms(
    target: Any, found: Any, kind: str, *, instance_scales: Any = None, spread: Any = None
) -> Any:
    """Differences of vectors.

    Args:
        target: (..., 2).
        found: the same shape.
        kind: `l1` of each component, `instance_l1` that over `instance_scales`, `vector_l1` the
            length, `laplace` the negative logarithm of a likelihood, without its constant: spread +
            length x exp(-spread). Kept: terms of it below the margin are left out, too.
        instance_scales: (...), px; by one that is 0 nothing is divided.
        spread: (...), logarithm of the Laplace distribution's width.

    Returns:
        (..., 2) for the first two, else (...).
    """
    difference = ops.abs(found - target)
    if kind == "l1":
        return difference
    if kind == "instance_l1":
        return difference / ops.where(instance_scales > 0, instance_scales, 1.0)[..., None]
    square = ops.sum(ops.square(ops.minimum(difference, _FARTHEST)), axis=-1)
    positive = square > 0  # the root's slope at 0 is infinite
    length = ops.where(positive, ops.sqrt(ops.where(positive, square, 1.0)), 0.0)
    if kind == "vector_l1":
        return length
    spread = ops.clip(spread, -_SUREST, _SUREST)
    return spread + length * ops.exp(-spread)


def mean_of_terms(terms: Any, known: Any, margin: float, root: bool) -> Any:
    """Sum of the terms that count over their number plus 1.

    Args:
        terms: of any shape.
        known: bool, of that shape or one that broadcasts to it; elsewhere terms do not count.
        margin: lower terms do not count.
        root: sum the roots of the terms.
    """
    counts = ops.logical_and(known, terms >= margin)
    # Set aside before the root, whose slope is infinite at 0.
    kept = ops.where(counts, terms, 1.0)
    values = ops.where(counts, ops.sqrt(kept) if root else kept, 0.0)
    return ops.sum(values) / (1 + ops.sum(ops.cast(counts, "float32")))
