"""SimplePose V2, bottom-up 2D pose: whole pictures in, heatmaps and guiding offsets out, people.

Li, Xiang, Chen, Wang, "Greedy Offset-Guided Keypoint Grouping for Human Pose Estimation"
(arXiv 2107.03098, 2021), in the authors' OffsetGuided code. A stacked hourglass or HRNet finds the
peaks of every joint and, around the start of every limb, the vector to its end; the limbs that
follow are joined to people greedily.
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
