"""What the network should answer, rendered from padded people on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from ...codecs.location_refinement import claim_cells, encode_location_refinement
from ...codecs.pairwise import encode_pairwise
from .options import FEATURE_STRIDE, STRIDE, Options

Tensors = Mapping[str, Any]


def encode(batch: Tensors, resources: Mapping[str, np.ndarray], options: Options) -> dict[str, Any]:
    """The targets of all parts that the network has.

    Args:
        batch: of image samples, see `System.encode`. Cells of padding are learned by nothing.
        resources: the pairwise statistics, where the network has pairwise maps.
        options: of the system.

    Returns:
        `parts` and `part_weights` (batch, height, width, joints); where the network has them
        `refinement` (batch, height, width, joints, 2) and `pairwise` (batch, height, width, pairs,
        2), and where these are known, `refinement_known` and `pairwise_known`, bool without the
        last axis.
    """
    keypoints = ops.cast(batch["keypoints"], "float32")
    claims = claim_cells(
        keypoints,
        map_hw=_map_size(ops.shape(batch["ignore_mask"])[1:3]),
        stride=STRIDE,
        radius_px=options.part_radius * picture_scale(batch["image_to_network"]),
        nearest=options.location_refinement,
        keep_partners=options.stale_pairwise,
    )
    parts, refinement = encode_location_refinement(
        keypoints, claims.owners, stride=STRIDE, deviation_px=options.refinement_deviation
    )
    real = _real_cells(batch, parts)
    weights = _weigh(parts, keypoints, batch, options) * ops.cast(real, "float32")
    targets = {"parts": parts, "part_weights": weights}
    if options.location_refinement:
        targets |= {"refinement": refinement, "refinement_known": ops.logical_and(parts > 0, real)}
    if options.pairwise:
        targets["pairwise"], targets["pairwise_known"] = encode_pairwise(
            keypoints,
            claims,
            stride=STRIDE,
            means_px=resources["means_px"],
            deviations_px=resources["deviations_px"],
        )
        targets["pairwise_known"] = ops.logical_and(targets["pairwise_known"], real)
    return targets


def picture_scale(image_to_network: Any) -> Any:
    """(batch,) float32: pixels of the view per pixel of the picture, of (batch, 2, 3)."""
    matrix = ops.cast(image_to_network, "float32")
    return ops.sqrt(ops.abs(matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]))


def _map_size(input_hw: Any) -> tuple[Any, Any]:
    """Height and width of the maps: every step of the backbone rounds up."""
    height, width = (-(-side // FEATURE_STRIDE) * (FEATURE_STRIDE // STRIDE) for side in input_hw)
    return height, width


def _real_cells(batch: Tensors, parts: Any) -> Any:
    """(batch, height, width, 1) bool: the cells that each picture has without its padding."""
    height, width = ops.shape(parts)[1:3]
    if "shown_hw" not in batch:
        return ops.ones((1, 1, 1, 1), "bool")
    rows, columns = _map_size((batch["shown_hw"][:, 0], batch["shown_hw"][:, 1]))
    down = ops.arange(height, dtype="int32")[None, :, None] < rows[:, None, None]
    across = ops.arange(width, dtype="int32")[None, None] < columns[:, None, None]
    return ops.logical_and(down, across)[..., None]


def _weigh(parts: Any, keypoints: Any, batch: Tensors, options: Options) -> Any:
    """(batch, height, width, joints) float32: which part scores learn."""
    weights = ops.ones_like(parts)
    if options.part_weights == "present":
        present = ops.any(keypoints[..., 2] > 0, axis=1)  # (batch, joints)
        weights = weights * ops.cast(present, "float32")[:, None, None]
    if options.use_ignore_mask:
        weights = weights * ops.cast(_learned_cells(batch["ignore_mask"], parts), "float32")
    return weights


def _learned_cells(ignore_mask: Any, parts: Any) -> Any:
    """(batch, height, width, 1) bool: cells whose centre is not to be ignored."""
    height, width = ops.shape(parts)[1:3]
    rows, columns = (
        ops.minimum(ops.arange(cells, dtype="int32") * STRIDE + STRIDE // 2, side - 1)
        for cells, side in zip((height, width), ops.shape(ignore_mask)[1:3], strict=True)
    )
    ignored = ops.take(ops.take(ignore_mask, rows, axis=1), columns, axis=2)
    return ops.logical_not(ignored)[..., None]
