"""What the network should answer, and how wrong an answer is, by codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ...codecs import heatmap, simcc, udp
from ...losses import (
    disc_and_offset_error,
    discrete_divergence,
    masked_mean_squared_error,
    mean_squared_error_per_joint,
)
from ...metrics.heatmap_accuracy import mean_accuracy
from .options import Options

Tensors = Mapping[str, Any]


def encode(keypoints: Any, options: Options) -> dict[str, Any]:
    """Targets by the names of the outputs, and `weights`.

    Args:
        keypoints: (batch, joints, 3), x px, y px in the view, visibility.
        options: of the system.

    Returns:
        `weights` (batch, joints), 0 or 1, beside what `heads.build_head` says about the codec. All
        float32.
    """
    if options.codec == "simcc":
        x, y, weights = simcc.encode_simcc(
            keypoints,
            input_hw=options.input_shape,
            bins_per_pixel=options.simcc.bins_per_pixel,
            label=options.simcc.label,
            sigma=options.simcc.sigma,
            smoothing=options.simcc.smoothing,
        )
        return {"x": x, "y": y, "weights": weights}
    sizes = {"input_hw": options.input_shape, "heatmap_hw": options.heatmap_hw}
    if options.codec == "udp_discs":
        discs, offsets, weights = udp.encode_discs(keypoints, **sizes)
        return {"heatmaps": discs, "offsets": offsets, "weights": weights}
    if options.codec == "udp":
        maps, weights = udp.encode_udp(
            keypoints, **sizes, sigma=options.sigma_cells, peak=options.target_peak
        )
        return {"heatmaps": maps, "weights": weights}
    maps, weights = heatmap.encode_heatmaps(
        keypoints,
        **sizes,
        sigma=options.sigma_cells,
        peak=options.target_peak,
        window=options.target_window,
    )
    return {"heatmaps": maps, "weights": weights}


def compute_loss(targets: Tensors, outputs: Tensors, options: Options) -> Any:
    """A float32 scalar, for the targets of `encode` and the outputs of the network."""
    weights = targets["weights"]
    if not options.use_target_weight:
        weights = keras.ops.ones_like(weights)
    if options.loss == "divergence":
        return sum(
            discrete_divergence(
                targets[axis],
                outputs[axis],
                weights,
                beta=options.simcc.beta,
                soft_targets=options.simcc.soft_targets,
            )
            for axis in "xy"
        )
    if options.loss == "disc_and_offset":
        found = outputs["heatmaps"], outputs["offsets"]
        return disc_and_offset_error(targets["heatmaps"], targets["offsets"], found, weights)
    compute = (
        masked_mean_squared_error
        if options.loss == "mean_squared"
        else mean_squared_error_per_joint
    )
    return compute(targets["heatmaps"], outputs["heatmaps"], weights)


def measure(targets: Tensors, outputs: Tensors, options: Options) -> dict[str, Any]:
    """Numbers to watch while training, not to learn from: `accuracy` of peaks, 0..1, float32.

    Joints that are not learned do not count. Only targets with one peak a joint have it. It takes
    0.2 % of a step of ResNet-50 at 256 x 192, about 1 % of those of the smallest networks.
    """
    if options.codec not in ("heatmap", "udp"):
        return {}
    found, wanted = (
        heatmap.decode_heatmaps(
            maps["heatmaps"],
            input_hw=options.heatmap_hw,
            decoder="none",
            zero_nonpositive=True,
        )[0]
        for maps in (outputs, targets)
    )
    wanted = wanted * targets["weights"][..., None]  # (batch, joints, 2)
    return {"accuracy": mean_accuracy(found, wanted, options.heatmap_hw)}
