"""How far each way of coding moves a joint: target from a keypoint, and the keypoint back.

    python bench/coding.py

Joints stand anywhere in a view of 256x192, also between cells; the network is taken as perfect
(its answer is the target), or as one that adds noise of 5 % of the peak. Distances are in view
pixels; a heatmap cell has about four, a bin of SimCC half a one. "Whole view" shows what the
published steps do near the border, where they have no limit. The last row is what MMPose's UDP
codec returns: it encodes by intervals, (size - 1) / (cells - 1), and decodes by size / (cells - 1),
so that joints drift to the right and downward until its crop takes that back; the codec here has
the intervals both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from poseras.settings import apply_differences
from poseras.systems.simple_baselines.inference import decode
from poseras.systems.simple_baselines.options import Options
from poseras.systems.simple_baselines.targets import encode

JOINTS, BATCHES, BATCH = 17, 8, 8
NOISE = 0.05
PLAIN = {"target_peak": 1.0, "form": "pytorch"}
SIMCC = {"codec": "simcc", "head": "rtmcc", "head_filters": [], "head_kernels": []}
CODINGS: dict[str, dict[str, Any]] = {
    "heatmap, nearest cell, argmax": {"target_window": "three_sigma", "decoder": "none"},
    "heatmap, nearest cell, quarter (published)": {"target_window": "three_sigma"},
    "heatmap, nearest cell, DARK step": {"target_window": "three_sigma", "decoder": "dark"},
    "heatmap, exact place, quarter": {"target_window": "exact"},
    "DARK: exact place, its own step": {"target_window": "exact", "decoder": "dark"},
    "UDP, argmax": {"codec": "udp", "decoder": "none"},
    "UDP": {"codec": "udp", "decoder": "dark"},
    "UDP, mirrored border (ViTPose)": {
        "codec": "udp",
        "decoder": "dark",
        "blur_border": "reflect",
    },
    "UDP, kept inside": {"codec": "udp", "decoder": "dark", "keep_inside": True},
    "UDP discs and offsets": {"codec": "udp_discs", "loss": "disc_and_offset", "decoder": "none"},
    "SimCC": {**SIMCC, "loss": "divergence", "decoder": "none"},
    "SimCC, DARK step": {**SIMCC, "loss": "divergence", "decoder": "dark"},
}


def make_batches(margin_px: float) -> Iterator[np.ndarray]:
    """(batch, joints, 2) view px, this far from the border."""
    random = np.random.default_rng(0)
    height, width = Options().input_shape
    for _ in range(BATCHES):
        low, high = (margin_px, margin_px), (width - 1 - margin_px, height - 1 - margin_px)
        yield random.uniform(low, high, (BATCH, JOINTS, 2)).astype(np.float32)


def measure(
    options: Options, noise: float, margin_px: float, finish: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(samples, 2): signed errors in view px after `finish`."""
    random = np.random.default_rng(1)
    errors = []
    for points in make_batches(margin_px):
        targets = encode(points, options)
        outputs = {
            name: np.array(value) + noise * random.normal(size=value.shape).astype(np.float32)
            for name, value in targets.items()
            if name != "weights"
        }
        found = finish(np.array(decode(outputs, options)[0]))
        errors.append((found - points).reshape(-1, 2))
    return np.concatenate(errors)


def print_row(name: str, options: Options, finish: Callable[[np.ndarray], np.ndarray]) -> None:
    """Errors inside the view, with and without noise, and near its border."""
    cells = []
    for noise, margin in ((0.0, 32.0), (NOISE, 32.0), (0.0, 0.0)):
        errors = measure(options, noise, margin, finish)
        distance = np.hypot(*errors.T)
        cells.append(f"{distance.mean():6.3f} {distance.max():7.3f}")
    bias = measure(options, 0.0, 32.0, finish).mean(axis=0)
    print(f"{name:44}{'   '.join(cells)}   {bias[0]:+.3f} {bias[1]:+.3f}")


def main() -> None:
    """Print the table."""
    titles = ("inside", f"noise {NOISE:.0%}", "whole view")
    print(f"{'mean and largest distance, px':44}{''.join(f'{t:17}' for t in titles)}bias x, y")
    for name, differences in CODINGS.items():
        print_row(name, apply_differences(Options(), {**PLAIN, **differences}), lambda found: found)
    udp = apply_differences(Options(), {**PLAIN, **CODINGS["UDP"]})
    size_wh = np.array(udp.input_shape[::-1])
    print_row(
        "UDP as MMPose's codec returns it", udp, lambda found: found * size_wh / (size_wh - 1)
    )


if __name__ == "__main__":
    main()
