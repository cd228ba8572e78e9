"""Integral regression, 3D pose of one person: a volume of logits per joint, read by its mean.

Sun, Xiao, Wei, Liang, Wei, "Integral Human Pose Regression", ECCV 2018 (arXiv 1711.08229): a
ResNet, three transposed convolutions and one volume per joint, whose softmax gives the joint as an
expectation that can be learned by L1. The recipe is that of Moon's PyTorch code, the variants are
those of the paper and of its authors' code.
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
