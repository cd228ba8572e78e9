"""PCK on the heatmap itself: a number to watch while training, not one to publish.

Peaks come as `decode_heatmaps` gives them with `decoder="none"`, `zero_nonpositive=True` and the
map's own size as `input_hw`. All but `heatmap_accuracy` is `keras.ops` and runs in a graph.

Source: human-pose-estimation.pytorch (Microsoft), after Newell's stacked hourglass code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops


@dataclass(frozen=True)
class HeatmapAccuracy:
    """How many joints were found near their target cell.

    Attributes:
        mean: over the joints that were counted at least once; 0 if none was.
        per_joint: (joints,) share found, 0..1, and -1 for a joint that was never counted.
        counted_joints: how many joints the mean is over.
    """

    mean: float
    per_joint: np.ndarray
    counted_joints: int


def heatmap_accuracy(
    output_cells: np.ndarray,
    target_cells: np.ndarray,
    heatmap_hw: tuple[int, int],
    *,
    threshold: float = 0.5,
) -> HeatmapAccuracy:
    """Compare the peaks of outputs and targets, as `count_found` does, joint by joint.

    Args:
        output_cells: (batch, joints, 2), x before y, peaks of the network's maps in cells.
        target_cells: the same shape, peaks of the target maps.
        heatmap_hw: height and width of a map in cells.
        threshold: in tenths of the map.

    Raises:
        ValueError: the two are not (batch, joints, 2) of one shape.
    """
    outputs, targets = np.asarray(output_cells, np.float64), np.asarray(target_cells, np.float64)
    if outputs.shape != targets.shape or outputs.ndim != 3 or outputs.shape[-1] != 2:
        raise ValueError(
            "output_cells and target_cells must both have shape (batch, joints, 2). "
            f"Received {outputs.shape} and {targets.shape}."
        )
    found, total = map(np.array, count_found(outputs, targets, heatmap_hw, threshold=threshold))
    per_joint = np.where(total > 0, found / np.maximum(total, 1).astype(np.float64), -1.0)
    counted = per_joint[total > 0]
    return HeatmapAccuracy(
        mean=float(counted.mean()) if len(counted) else 0.0,
        per_joint=per_joint,
        counted_joints=len(counted),
    )


def mean_accuracy(
    output_cells: Any, target_cells: Any, heatmap_hw: tuple[int, int], *, threshold: float = 0.5
) -> Any:
    """The mean of `heatmap_accuracy` as a float32 scalar, in the graph; arguments as there."""
    found, total = count_found(output_cells, target_cells, heatmap_hw, threshold=threshold)
    counted = ops.cast(total > 0, "float32")
    shares = found / ops.maximum(total, 1.0)
    return ops.sum(shares) / ops.maximum(ops.sum(counted), 1.0)


def count_found(
    output_cells: Any, target_cells: Any, heatmap_hw: tuple[int, int], *, threshold: float
) -> tuple[Any, Any]:
    """How often each joint was found, and how often it was there to be found.

    A joint is found when its distance, each axis measured in tenths of the map, is below
    `threshold`. It is counted where both target coordinates exceed 1, which also leaves out joints
    without a target (their peak is at 0).

    Returns:
        Two times (joints,) float32, whole numbers.
    """
    # Kept: x is divided by the height and y by the width, as in every published log.
    unit = np.asarray(heatmap_hw, np.float32) / 10
    outputs, targets = ops.cast(output_cells, "float32"), ops.cast(target_cells, "float32")
    squared = ops.sum(ops.square((outputs - targets) / unit), axis=-1)  # (batch, joints)
    counts = ops.all(targets > 1, axis=-1)
    near = ops.logical_and(counts, ops.sqrt(squared) < threshold)
    return tuple(ops.sum(ops.cast(which, "float32"), axis=0) for which in (near, counts))
