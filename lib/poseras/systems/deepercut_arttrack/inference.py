"""From the network's outputs to candidates: the flip test, suppression, and vectors in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from ...codecs.location_refinement import (
    DiscPeaks,
    decode_location_refinement,
    find_disc_peaks,
    find_highest,
    merge_flipped_refinement,
    place_peaks,
)
from ...codecs.pairwise import decode_pairwise, merge_flipped_pairwise
from ...codecs.resampling import average_scales, resize_maps
from .options import STRIDE, Options

Tensors = Mapping[str, Any]


def merge_flip(
    outputs: Tensors,
    flipped: Tensors,
    flip_permutation: np.ndarray,
    resources: Mapping[str, np.ndarray],
    options: Options,
) -> dict[str, Any]:
    """Outputs averaged with those of the mirrored pictures, whose width is a multiple of 16.

    Elsewhere the cells of the mirrored picture do not stand on those of the picture.

    Args:
        outputs: of the pictures.
        flipped: of the mirrored pictures, as the network gave them.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        resources: the pairwise statistics, where the network has pairwise maps.
        options: of the system.
    """
    merged = {}
    for name, maps in outputs.items():
        other = flipped[name]
        if name == "refinement":
            merged[name] = merge_flipped_refinement(
                maps, other, flip_permutation, options.refinement_deviation
            )
        elif name == "pairwise":
            means, deviations = resources["means_px"], resources["deviations_px"]
            merged[name] = merge_flipped_pairwise(
                maps, other, flip_permutation, means_px=means, deviations_px=deviations
            )
        else:
            back = ops.take(ops.flip(other, axis=2), np.asarray(flip_permutation), axis=-1)
            merged[name] = (maps + back) * 0.5
    return merged


def merge_scales(outputs: Sequence[Tensors], resources: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The mean of what a network says of the same pictures in several sizes.

    Maps are brought to the first one's grid, and vectors to its pixels.

    Args:
        outputs: for each size, the first of which decides.
        resources: the pairwise statistics, where the network has pairwise maps.
    """

    def bring_to(name: str, maps: Any, target: Any) -> Any:
        means, deviations = np.float32(0), np.float32(1)
        if name == "pairwise":
            means = np.float32(resources["means_px"])
            deviations = np.float32(resources["deviations_px"])
        return _bring_to(maps, target, means, deviations)

    return average_scales(outputs, bring_to)


def _bring_to(maps: Any, target: Any, means: Any, deviations: Any) -> Any:
    """Maps in the grid of a target, standardised vectors also in its pixels."""
    (old_height, old_width), (height, width) = ops.shape(maps)[1:3], ops.shape(target)[1:3]
    resized = resize_maps(maps, (height, width), "bilinear")
    if len(maps.shape) == 4:
        return resized
    across, down = (
        ops.cast(new, "float32") / ops.cast(old, "float32")
        for new, old in ((width, old_width), (height, old_height))
    )
    vectors = (resized * deviations + means) * ops.stack([across, down])
    return (vectors - means) / deviations


def decode(
    outputs: Tensors, resources: Mapping[str, np.ndarray], options: Options
) -> dict[str, Any]:
    """Outputs to candidates; see `System.decode`."""
    scores = ops.sigmoid(ops.cast(outputs["parts"], "float32"))
    peaks, counts = _find_peaks(scores, options)
    points = decode_location_refinement(
        peaks, outputs.get("refinement"), stride=STRIDE, deviation_px=options.refinement_deviation
    )
    found = {
        "peaks_px": points,
        "peak_centres_px": place_peaks(peaks, STRIDE),
        "peak_scores": peaks.scores,
        "peak_count": counts,
    }
    if options.pairwise:
        found["peak_vectors_px"] = decode_pairwise(
            peaks,
            outputs["pairwise"],
            means_px=resources["means_px"],
            deviations_px=resources["deviations_px"],
        )
    return found


def _find_peaks(scores: Any, options: Options) -> tuple[DiscPeaks, Any]:
    """The candidates, and how many there are; one more than fit where some found no place."""
    if not options.pairwise:
        peaks = find_highest(scores)
        return peaks, peaks.counts
    more = find_disc_peaks(
        scores,
        radius_cells=options.nms_radius,
        threshold=options.det_min_score,
        candidates=options.candidates + 1,
    )
    rows, columns, heights = (
        values[..., : options.candidates] for values in (more.rows, more.columns, more.scores)
    )
    kept = ops.minimum(more.counts, options.candidates)
    return DiscPeaks(rows, columns, heights, kept), more.counts
