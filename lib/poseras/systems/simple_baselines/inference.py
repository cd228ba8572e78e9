"""From the network's outputs to points: the flip test and the decoding, by codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...codecs import heatmap, simcc, udp
from .options import Options

Tensors = Mapping[str, Any]


def merge_flip(
    outputs: Tensors, flipped: Tensors, flip_permutation: np.ndarray, options: Options
) -> dict[str, Any]:
    """Outputs averaged with those of the mirrored views.

    Args:
        outputs: of the views.
        flipped: of the mirrored views, as the network gave them.
        flip_permutation: (joints,), `Skeleton.flip_permutation`.
        options: of the system.

    Returns:
        The names and shapes of `outputs`.
    """
    if options.codec == "simcc":
        x, y = simcc.merge_flipped_simcc(
            outputs["x"], outputs["y"], flipped["x"], flipped["y"], flip_permutation
        )
        return {"x": x, "y": y}
    maps = heatmap.merge_flipped(
        outputs["heatmaps"],
        flipped["heatmaps"],
        flip_permutation,
        # Views of the udp codecs are mirrored without an error.
        shift=options.shift_flipped and options.codec == "heatmap",
    )
    if options.codec != "udp_discs":
        return {"heatmaps": maps}
    offsets = udp.merge_flipped_offsets(outputs["offsets"], flipped["offsets"], flip_permutation)
    return {"heatmaps": maps, "offsets": offsets}


def decode(outputs: Tensors, options: Options) -> tuple[Any, Any]:
    """Outputs to points.

    Args:
        outputs: of the network or of `merge_flip`.
        options: of the system.

    Returns:
        keypoints_px (batch, joints, 2), x before y, in pixels of the view, and scores
        (batch, joints); float32, NaN where the outputs hold a NaN.
    """
    if options.codec == "simcc":
        return simcc.decode_simcc(
            outputs["x"],
            outputs["y"],
            bins_per_pixel=options.simcc.bins_per_pixel,
            decoder="dark" if options.decoder == "dark" else "none",
            sigma=options.simcc.sigma,
            zero_nonpositive=options.zero_nonpositive,
        )
    maps = outputs["heatmaps"]
    if options.codec == "udp_discs":
        return udp.decode_discs(
            maps,
            outputs["offsets"],
            input_hw=options.input_shape,
            keep_inside=options.keep_inside,
        )
    if options.codec == "udp":
        return udp.decode_udp(
            maps,
            input_hw=options.input_shape,
            peak=options.target_peak,
            decoder="dark" if options.decoder == "dark" else "none",
            sigma=options.sigma_cells,
            kernel=options.blur_kernel,
            border=options.blur_border,
            keep_inside=options.keep_inside,
            zero_nonpositive=options.zero_nonpositive,
        )
    return heatmap.decode_heatmaps(
        maps,
        input_hw=options.input_shape,
        peak=options.target_peak,
        decoder=options.decoder,
        sigma=options.sigma_cells,
        kernel=options.blur_kernel,
        zero_nonpositive=options.zero_nonpositive,
    )
