"""Simple Baselines, top-down 2D pose: one person box in, one heatmap per joint out.

Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018
(arXiv 1804.06208), in the two published forms: TF-SimpleHumanPose (the default) and the authors'
PyTorch code. A backbone, three transposed convolutions and a 1x1 convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import SAMPLE, Options, default_view

if TYPE_CHECKING:
    from .system import System

__all__ = ["SAMPLE", "Options", "System", "default_view"]


def __getattr__(name: str) -> Any:
    """`System`, imported when asked for: it brings Keras, which takes seconds."""
    if name == "System":
        from .system import System

        return System
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
