"""How each original treats pictures, targets and statistics: its settings of `Options`.

Kept: both were trained on BGR pictures with the statistics of RGB, and their weights expect it.
"""

from __future__ import annotations

from typing import Any

_NETWORK = {"backbone": "resnet", "backbone_stride": 32, "codec": "heatmap"}

#: Form to settings, in values of JSON.
CONVENTIONS: dict[str, dict[str, Any]] = {
    "tensorflow": {
        **_NETWORK,
        "form": "tensorflow",
        "channel_order": "bgr",
        "pixel_mean": [123.68, 116.78, 103.94],
        "pixel_std": [1.0, 1.0, 1.0],
        "batch_norm_momentum": 0.99,
        "batch_norm_epsilon": 1.001e-5,
        "target_peak": 255.0,
        "target_window": "full",
        "loss": "mean_squared",
        "zero_nonpositive": False,
    },
    "pytorch": {
        **_NETWORK,
        "form": "pytorch",
        "channel_order": "bgr",
        "pixel_mean": [123.675, 116.28, 103.53],
        "pixel_std": [58.395, 57.12, 57.375],
        "batch_norm_momentum": 0.9,
        "batch_norm_epsilon": 1e-5,
        "target_peak": 1.0,
        "target_window": "three_sigma",
        "loss": "per_joint",
        "zero_nonpositive": True,
    },
}
