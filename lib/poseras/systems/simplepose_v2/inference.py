"""From the network's outputs to candidates: the flip test, peaks, and limbs from offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from ...codecs.centred_heatmap import Peaks, find_centred_peaks
from ...codecs.guiding_offset import (
    jitter_at_peaks,
    joint_scales_at,
    merge_flipped_offsets,
    pair_limbs,
    place_peaks,
)
from ...codecs.heatmap import merge_flipped
from ...codecs.resampling import average_scales, resize_maps
from .limbs import Pairs, mirror_limbs
from .options import STRIDE, Options

Tensors = Mapping[str, Any]


def merge_flip(
    outputs: Tensors,
    flipped: Tensors,
    flip_permutation: np.ndarray,
    limbs: Pairs,
    options: Options,
) -> dict[str, Any]:
    """Outputs averaged with those of the mirrored pictures.

    Cells mirror onto cells, so that nothing is shifted.

    Args:
        outputs: of the pictures.
        flipped: of the mirrored pictures, as the network gave them.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        limbs: of the network.
        options: of the system.

    Returns:
        The names of `outputs` and their shapes; with `flip_offsets=concatenate` offsets have four
        values.
    """
    permutation, kept = mirror_limbs(limbs, flip_permutation)
    merged = {}
    for name, maps in outputs.items():
        part, other = name.partition(".")[0], flipped[name]
        if part == "offsets":
            merged[name] = merge_flipped_offsets(
                maps, other, permutation, kept, concatenate=options.flip_offsets == "concatenate"
            )
        elif part == "jitter":
            back = ops.flip(other, axis=2) * np.array([-1, 1], np.float32)
            merged[name] = (maps + back) * 0.5
        else:
            order = {
                "heatmaps": flip_permutation,
                "scales": flip_permutation,
                "spread": permutation,
                "background": np.arange(1),
            }[part]
            merged[name] = merge_flipped(maps, other, order, shift=False)
    return merged


def merge_scales(outputs: Sequence[Tensors], options: Options) -> dict[str, Any]:
    """The mean of what a network says of the same pictures in several sizes.

    Maps are brought to the first one's grid, and vectors and sizes to its pixels.

    Args:
        outputs: for each size, the first of which decides.
        options: of the system.
    """
    return average_scales(
        outputs,
        lambda name, maps, target: _bring_to(maps, name.partition(".")[0], target, options),
    )


def _bring_to(maps: Any, part: str, target: Any, options: Options) -> Any:
    """Maps of one part in the grid and the pixels of a target of the same part."""
    (old_height, old_width), (height, width) = ops.shape(maps)[1:3], ops.shape(target)[1:3]
    across = ops.cast(width, "float32") / ops.cast(old_width, "float32")
    down = ops.cast(height, "float32") / ops.cast(old_height, "float32")
    # Vectors are resized linearly, as in decoding.
    mode = options.resize_mode if part in ("heatmaps", "background", "scales") else "bilinear"
    resized = resize_maps(maps, (height, width), mode)
    if part in ("offsets", "jitter"):
        return resized * ops.stack([across, down])
    if part == "scales":
        return resized * ops.sqrt(across * down)
    if part == "spread":  # a logarithm of pixels
        return resized + 0.5 * ops.log(across * down)
    return resized


def decode(outputs: Tensors, limbs: Pairs, options: Options) -> dict[str, Any]:
    """Outputs to candidates; see `System.decode`."""
    stage = options.decoded_stack
    maps = {
        part: outputs.get(f"{part}.{stage}") for part in ("heatmaps", "offsets", "jitter", "scales")
    }
    peaks = find_centred_peaks(
        maps["heatmaps"],
        stride=STRIDE,
        mode=options.resize_mode,
        threshold=options.heatmap_threshold,
        candidates=options.candidates,
        search=options.peak_search,
    )
    jitter = maps["jitter"] if options.use_jitter else None
    found = pair_limbs(
        peaks,
        maps["offsets"],
        limbs=limbs,
        stride=STRIDE,
        min_length_px=options.min_limb,
        jitter=jitter,
    )
    points = place_peaks(peaks)
    if jitter is not None:
        points = points + jitter_at_peaks(peaks, jitter, STRIDE)
    return {
        "peaks_px": points,
        "peak_scores": peaks.scores,
        "peak_scales_px": joint_scales_at(peaks, maps["scales"], STRIDE, options.resize_mode),
        "peak_ids": _number_peaks(peaks, maps["heatmaps"]),
        "peak_count": peaks.count,
        **found,
    }


def _number_peaks(peaks: Peaks, heatmaps: Any) -> Any:
    """(batch, joints, candidates) int32, one number for each pixel of each joint's map."""
    _, height, width, joints = ops.shape(heatmaps)
    pixels = height * width * STRIDE**2
    joint = ops.arange(joints, dtype="int32")[:, None]
    return joint * pixels + peaks.y * (width * STRIDE) + peaks.x
