"""The settings of tracker and smoothers; importing them costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..check import check_at_least, check_choices, check_positive

Matching = Literal["greedy", "optimal"]
Motion = Literal["flow", "motion", "none"]


@dataclass(frozen=True)
class TrackerSettings:
    """How people are told apart from frame to frame.

    Attributes:
        matching: `greedy` takes the most similar pair that is left, as the paper does; `optimal`
            makes the sum of similarities largest.
        motion: where remembered people are expected: `flow` moves the joints of the last frame by
            optical flow (the paper), older ones and those where the flow is not sure at the
            person's velocity; `motion` moves everybody at constant velocity and needs no pictures;
            `none` leaves everybody in place.
        memory_frames: poses of that many frames are remembered, so that somebody who is hidden for
            fewer frames keeps the id, 30 are about a second; more also gives old ids to strangers.
        min_oks: the least pose similarity (OKS, 0..1) of the same person in two frames. A tenth
            still is a joint distance of two COCO standard deviations.
        min_box_iou: who resembles nobody takes the id of somebody of the last frame whom nobody
            resembles, if their boxes overlap by so much (IoU): people at the border of the picture
            show other joints in each frame. 1 is off.
        min_keypoint_score: a joint must score more to count in the similarity and in boxes; COCO
            rescoring's 0.2.
        box_frames: boxes are expected only of people who were found in one of that many last
            frames; the paper propagates those of the last frame alone.
        box_margin: factor on both sides of the box around the moved joints; the paper's 15 %.
        box_nms_iou: an expected box is given up where a detected one overlaps it by more (IoU).
        flow_length_px: pictures are shrunk to this longer side before the flow is measured, which
            takes a quarter of the time of 640 px and is sure of as many joints.
    """

    matching: Matching = "greedy"
    motion: Motion = "flow"
    memory_frames: int = 30
    min_oks: float = 0.1
    min_box_iou: float = 0.3
    min_keypoint_score: float = 0.2
    box_frames: int = 1
    box_margin: float = 1.15
    box_nms_iou: float = 0.5
    flow_length_px: int = 320

    def __post_init__(self) -> None:
        check_choices(self)
        check_at_least("tracker", self, 1, "memory_frames box_frames box_margin")
        check_at_least("tracker", self, 0, "min_keypoint_score")
        check_at_least("tracker", self, 32, "flow_length_px")
        for name in ("min_oks", "min_box_iou", "box_nms_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"tracker.{name} must be between 0 and 1. Received {getattr(self, name)}."
                )


@dataclass(frozen=True)
class OneEuroSettings:
    """The One-Euro filter of each joint, for live pictures.

    Attributes:
        min_cutoff_hz: cutoff of a joint at rest; lower is steadier and lags more.
        beta: Hz that the cutoff rises at a speed of one person size (root of the box's area) per
            second; higher follows fast movement sooner. With 8, joints of walking people that
            are off by 3 % of the size come nearer to the truth; by 1 %, lag costs more than that.
        velocity_cutoff_hz: cutoff of the velocity; the paper's 1.
        max_gap_s: a joint that was lost for longer starts afresh.
        min_keypoint_score: a joint must score more to be filtered.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 8.0
    velocity_cutoff_hz: float = 1.0
    max_gap_s: float = 0.5
    min_keypoint_score: float = 0.2

    def __post_init__(self) -> None:
        check_at_least("one_euro", self, 0, "beta min_keypoint_score")
        check_positive(self, "min_cutoff_hz velocity_cutoff_hz max_gap_s")


@dataclass(frozen=True)
class RegressionSettings:
    """Local quadratic regression of each joint, for finished videos.

    Attributes:
        half_window_s: how far before and after a frame its neighbours may be; at 25 frames a
            second 0.25 means twelve neighbours, far ones weighing little.
        outlier_passes: fits after the first one, in which outliers weigh little; 0 for none.
        min_keypoint_score: a joint must score more to be smoothed and to move others.
    """

    half_window_s: float = 0.25
    outlier_passes: int = 2
    min_keypoint_score: float = 0.2

    def __post_init__(self) -> None:
        check_at_least("regression", self, 0, "outlier_passes min_keypoint_score")
        check_positive(self, "half_window_s")
