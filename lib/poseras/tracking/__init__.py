"""Stable ids for people in videos, and steady joints.

`Tracker` is the tracking half of Simple Baselines (Xiao, Wu and Wei, ECCV 2018). `OneEuroSmoother`
steadies joints while a video runs, `smooth_tracks` those of a finished one, and `jitter_px` says
how much they tremble. Importing this costs neither OpenCV nor SciPy nor TensorFlow.
"""

from .boxes import join_boxes
from .jitter import jitter_px
from .one_euro import OneEuroSmoother
from .options import OneEuroSettings, RegressionSettings, TrackerSettings
from .regression import smooth_tracks
from .tracker import Tracker

__all__ = [
    "OneEuroSettings",
    "OneEuroSmoother",
    "RegressionSettings",
    "Tracker",
    "TrackerSettings",
    "join_boxes",
    "jitter_px",
    "smooth_tracks",
]
