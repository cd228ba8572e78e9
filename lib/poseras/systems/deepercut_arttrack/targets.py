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

#: Half of Pillow's 1, which has 22 binary digits behind the point.
_PILLOW_HALF = 2.0**21


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
        weights = weights * ops.cast(_learned_cells(batch, parts), "float32")
    return weights


def _learned_cells(batch: Tensors, parts: Any) -> Any:
    """(batch, height, width, 1) bool: what the mask leaves when it is resized to the map.

    The published rule: Pillow's bilinear resizing of a mask of 0 and 1, columns first, each pass
    rounded, bit for bit as `data.pillow_resize`. A picture's padding has no part in it.
    """
    mask = ops.cast(batch["ignore_mask"], "float64")
    height, width = ops.shape(mask)[1:3]
    rows, columns = ops.shape(parts)[1:3]
    if "shown_hw" in batch:
        shown_height, shown_width = batch["shown_hw"][:, 0], batch["shown_hw"][:, 1]
    else:
        shown_height, shown_width = (ops.reshape(side, (1,)) for side in (height, width))
    across = _pillow_weights(shown_width, width, columns)
    mask = ops.cast(ops.matmul(mask, across) >= _PILLOW_HALF, "float64")  # (batch, height, columns)
    down = ops.transpose(_pillow_weights(shown_height, height, rows), (0, 2, 1))
    return ops.logical_not(ops.matmul(down, mask) >= _PILLOW_HALF)[..., None]


def _pillow_weights(shown: Any, length: Any, cells: Any) -> Any:
    """What each pixel of a side counts in each cell, whole numbers; 0 in cells of padding.

    Args:
        shown: (batch,) pixels of the side without padding.
        length: pixels of the side.
        cells: of the map.

    Returns:
        (batch, length, cells) float64.
    """
    size = ops.cast(shown, "float64")[:, None, None]
    own_cells, _ = _map_size((shown, shown))
    ratio = size / ops.cast(own_cells, "float64")[:, None, None]
    reach = ops.maximum(ratio, 1.0)
    centres = (ops.arange(cells, dtype="float64") + 0.5) * ratio  # (batch, 1, cells)
    pixels = ops.arange(length, dtype="float64")[:, None]
    taken = ops.logical_and(
        pixels >= ops.floor(centres - reach + 0.5),
        pixels < ops.minimum(ops.floor(centres + reach + 0.5), size),
    )
    shares = ops.maximum(1 - ops.abs((pixels - centres + 0.5) / reach), 0.0)
    shares = shares * ops.cast(taken, "float64")
    total = ops.sum(shares, axis=1, keepdims=True)
    shares = shares / ops.where(total > 0, total, 1.0)
    return ops.floor(shares * (2 * _PILLOW_HALF) + 0.5)
