"""DeeperCut and ArtTrack, bottom-up 2D pose: part scores, refinement, pairwise offsets, multicut.

Insafutdinov et al., "DeeperCut: A Deeper, Stronger, and Faster Multi-Person Pose Estimation Model",
ECCV 2016, and "ArtTrack: Articulated Multi-person Tracking in the Wild", CVPR 2017, in the form of
pose-tensorflow. A ResNet at stride 8 tells in which cells which joint is near, where exactly, and
where the other joints of that person are; people are the solution of a graph problem.
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
