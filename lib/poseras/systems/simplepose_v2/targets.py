"""What the network should answer, rendered from padded people on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from ...codecs.centred_heatmap import encode_centred_heatmaps
from ...codecs.guiding_offset import encode_guiding_offsets, encode_jitter
from .limbs import Pairs
from .options import STRIDE, Options

Tensors = Mapping[str, Any]

#: Cubic weights (A = -0.75) of a point halfway between the second and the third of four values.
_HALFWAY = np.array([-0.09375, 0.59375, 0.59375, -0.09375], np.float32)


def encode(
    batch: Tensors, limbs: Pairs, sigmas: Sequence[float], options: Options
) -> dict[str, Any]:
    """The targets of all parts that the network has.

    Args:
        batch: of image samples, see `System.encode`.
        limbs: of the network.
        sigmas: of the skeleton's joints; they are read where the network learns scales.
        options: of the system.

    Returns:
        `heatmaps` (batch, height, width, joints), `offsets` (batch, height, width, limbs, 2) px,
        `offsets_known` and `instance_scales` (batch, height, width, limbs), `mask` (batch, height,
        width) bool, True where cells learn, and, if the network has them, `background`, `jitter`,
        `jitter_known`, `scales` and `scales_known`. Where a vector or scale is unknown it is 0.

    Raises:
        ValueError: scales are learned, and the skeleton has no OKS sigmas.
    """
    keypoints = ops.cast(batch["keypoints"], "float32")
    if options.scales and not len(sigmas):
        raise ValueError(
            "options.scales=true needs oks_sigmas in the keypoint set of dataset.yaml. Received "
            "none."
        )
    size = {"input_hw": ops.shape(batch["ignore_mask"])[1:3], "stride": STRIDE}
    heatmaps = encode_centred_heatmaps(
        keypoints, **size, sigma_px=options.sigma, clip=options.heatmap_clip
    )
    found = encode_guiding_offsets(
        keypoints,
        person_scales(batch["boxes_xywh"], batch["image_to_network"]),
        **size,
        limbs=limbs,
        sigmas=sigmas or [1.0] * keypoints.shape[2],
        window_cells=options.offset_window,
        min_scale=options.min_scale,
        label_ends=options.label_scale_ends,
    )
    targets = {
        "heatmaps": heatmaps,
        "offsets": found.offsets,
        "offsets_known": found.known,
        "instance_scales": found.instance_scales,
        "mask": learned_cells(batch["ignore_mask"], options.mask_threshold),
    }
    if options.background:
        targets["background"] = 1 - ops.max(heatmaps, axis=-1, keepdims=True)
    if options.scales:
        targets |= {"scales": found.scales, "scales_known": found.scales_known}
    if options.jitter:
        vectors, known = encode_jitter(keypoints, **size, window_cells=options.jitter_window)
        targets |= {"jitter": vectors, "jitter_known": known}
    return targets


def person_scales(boxes_xywh: Any, image_to_network: Any) -> Any:
    """sqrt(area of the box) of each person, in px of the view.

    Args:
        boxes_xywh: (batch, people, 4) px of the picture.
        image_to_network: (batch, 2, 3).

    Returns:
        (batch, people) float32, 0 for padding and for boxes without a width or a height.
    """
    matrix = ops.cast(image_to_network, "float32")
    boxes = ops.cast(boxes_xywh, "float32")
    factor = ops.abs(matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0])
    sides = ops.maximum(boxes[..., 2:], 0.0)
    return ops.sqrt(sides[..., 0] * sides[..., 1] * factor[:, None])


def learned_cells(ignore_mask: Any, threshold: float) -> Any:
    """Which cells learn: those of which enough pixels are not to be ignored.

    Pixels count as in a bicubic resize by a quarter, OpenCV's, which reads the four pixels of a
    cell along each axis.

    Args:
        ignore_mask: (batch, height, width) bool.
        threshold: share of pixels.

    Returns:
        (batch, height / 4, width / 4) bool.
    """
    batch, height, width = ops.shape(ignore_mask)
    share = ops.reshape(
        1 - ops.cast(ignore_mask, "float32"),
        (batch, height // STRIDE, STRIDE, width // STRIDE, STRIDE),
    )
    share = ops.sum(share * _HALFWAY[:, None, None], axis=2)
    share = ops.sum(share * _HALFWAY, axis=-1)  # (batch, rows, columns)
    return share > threshold
