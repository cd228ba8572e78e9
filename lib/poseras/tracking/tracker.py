"""People with ids that stay the same from frame to frame.

The tracking half of Simple Baselines: remembered poses are moved to the new frame by optical flow,
their boxes are added to the detector's, and each person found takes the id of the remembered pose
that it resembles most (OKS of the moved and the found pose, "S_Flow"). Poses of several frames are
remembered, so that an id outlives an occlusion.

Source: Simple Baselines for Human Pose Estimation and Tracking, Xiao, Wu and Wei, ECCV 2018,
section 3. Constant velocity where flow is not to be had, and boxes where no joints agree, are this
project's addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..ops.overlap import Poses
from ..structures import People
from .boxes import box_areas, box_overlaps, person_boxes, pose_boxes
from .flow import FlowField, FlowMeter
from .matching import match_greedily, match_optimally
from .memory import Memory
from .options import TrackerSettings

#: Where somebody hidden will appear is less and less sure: each frame after the first adds this
#: share to the area by which OKS judges distances.
_GROWTH = 0.2


class Tracker:
    """Gives people ids, frame after frame.

    One frame is `propagate` (optional: only who can look into more boxes needs it), then `update`,
    with the same picture.

    Attributes:
        settings: how people are told apart.
        oks_sigmas: (joints,) `Skeleton.oks_sigmas`.
    """

    def __init__(self, settings: TrackerSettings, oks_sigmas: Sequence[float] | np.ndarray):
        self.settings = settings
        self.oks_sigmas = np.asarray(oks_sigmas, np.float64)
        if self.oks_sigmas.ndim != 1 or not (self.oks_sigmas > 0).all() or not len(oks_sigmas):
            raise ValueError(
                "oks_sigmas must hold one positive number per joint. Received "
                f"{self.oks_sigmas.tolist()}; dataset.yaml gives them to a skeleton."
            )
        self._flow_meter = FlowMeter(settings.flow_length_px)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids begin at 1 again."""
        self._memory = Memory.empty(len(self.oks_sigmas))
        self._next_id = 1
        self._begun = False
        self._flow_meter.reset()

    def propagate(self, image_rgb: np.ndarray | None) -> np.ndarray:
        """Begin a frame: where people are expected in it.

        Args:
            image_rgb: (height, width, 3) uint8; only `flow` needs it.

        Returns:
            (people, 4) float64, left, top, width, height in pixels, by rising track id: boxes to
            look into beside the detector's (`join_boxes`). Nobody outside the picture, nobody who
            was not found for `box_frames`, and no box without width or height.

        Raises:
            ValueError: `flow` and no picture, or not one.
        """
        self._begin(image_rgb)
        recent = self._memory.newest()
        recent = recent.take(recent.ages <= self.settings.box_frames)
        boxes = pose_boxes(recent.keypoints_px, recent.counted, self.settings.box_margin)
        wanted = (boxes[:, 2:] > 0).all(axis=1)
        if image_rgb is not None:
            height, width = image_rgb.shape[:2]
            wanted &= (boxes[:, :2] < [width, height]).all(axis=1)
            wanted &= (boxes[:, :2] + boxes[:, 2:] > 0).all(axis=1)
        return boxes[wanted]

    def update(self, image_rgb: np.ndarray | None, people: People) -> np.ndarray:
        """End a frame: give its people their ids.

        Args:
            image_rgb: the picture; not looked at again after `propagate`.
            people: everybody found in it, without duplicates (NMS comes before).

        Returns:
            (people,) int64 track ids from 1, all different.

        Raises:
            ValueError: `flow` and no picture; another number of joints; a coordinate or score that
                is not finite.
        """
        found = self._describe(people)
        if not self._begun:
            self._begin(image_rgb)
        self._begun = False
        newest = self._memory.newest()
        tracks, partner = newest.track_ids, self._match(newest, found)
        track_ids = np.zeros(len(found), np.int64)
        known = partner >= 0
        track_ids[known] = tracks[partner[known]]
        track_ids[~known] = self._next_id + np.arange(np.count_nonzero(~known))
        self._next_id += int(np.count_nonzero(~known))
        self._memory = self._memory.add(replace(found, track_ids=track_ids))
        return track_ids

    def _match(self, newest: Memory, found: Memory) -> np.ndarray:
        """(people,) the row in `newest` of who each person is, -1 for somebody new."""
        match = match_greedily if self.settings.matching == "greedy" else match_optimally
        partner = match(self._compare(newest.track_ids, found), self.settings.min_oks)
        free = newest.ages == 1
        free[partner[partner >= 0]] = False
        tracks, people = np.flatnonzero(free), np.flatnonzero(partner < 0)
        overlaps = box_overlaps(newest.boxes_xywh[tracks], found.boxes_xywh[people])
        by_box = match(overlaps, self.settings.min_box_iou)
        partner[people[by_box >= 0]] = tracks[by_box[by_box >= 0]]
        return partner

    def _begin(self, image_rgb: np.ndarray | None) -> None:
        """Move everybody to the new frame."""
        flow = None
        if self.settings.motion == "flow":
            if image_rgb is None:
                raise ValueError(
                    "Tracking by optical flow needs the picture of each frame. Received none; "
                    "choose tracker.motion=motion to track without pictures."
                )
            flow = self._flow_meter.advance(image_rgb)
        memory = self._memory.age(self.settings.memory_frames)
        if self.settings.motion != "none":
            memory = memory.move(_expect_steps(memory, flow))
        self._memory, self._begun = memory, True

    def _describe(self, people: People) -> Memory:
        """The people of a frame as poses to remember, without ids."""
        points = np.asarray(people.keypoints_px, np.float64)
        scores = np.asarray(people.keypoint_scores, np.float64)
        joints = len(self.oks_sigmas)
        if points.shape[1] != joints:
            raise ValueError(
                f"people must have the {joints} joints of oks_sigmas. Received {points.shape[1]}."
            )
        if not (np.isfinite(points).all() and np.isfinite(scores).all()):
            raise ValueError("keypoints_px and keypoint_scores must be finite. Received NaN.")
        counted = scores > self.settings.min_keypoint_score
        return Memory.of_frame(points, counted, person_boxes(people, counted))

    def _compare(self, tracks: np.ndarray, found: Memory) -> np.ndarray:
        """(tracks, people): the largest OKS of a pose of the track with the person."""
        memory = self._memory
        uncertainty = 1 + _GROWTH * (memory.ages - 1)
        poses = Poses(
            np.concatenate(
                [
                    _with_flags(memory.keypoints_px, memory.counted),
                    _with_flags(found.keypoints_px, found.counted),
                ]
            ),
            np.concatenate(
                [uncertainty * box_areas(memory.boxes_xywh), box_areas(found.boxes_xywh)]
            ),
            self.oks_sigmas,
            counted="both_visible",
        )
        rows = np.arange(len(memory))
        oks = poses.oks(rows, len(memory) + np.arange(len(found)))
        similarity = np.zeros((len(tracks), len(found)))
        np.maximum.at(similarity, np.searchsorted(tracks, memory.track_ids), oks)
        return similarity


def _expect_steps(memory: Memory, flow: FlowField | None) -> np.ndarray:
    """How far the joints of remembered people are expected to move, (poses, joints, 2).

    The poses of the last frame move with the flow. Older ones are for people who were hidden since,
    and flow at a hidden joint is that of what hides it: they move at the person's velocity.
    """
    newest = memory.newest()
    track = np.searchsorted(newest.track_ids, memory.track_ids)
    velocity = np.nan_to_num(newest.velocities_px[track])[:, None]  # unknown: at rest
    if flow is None:
        return np.broadcast_to(velocity, memory.keypoints_px.shape)
    step, sure = flow.move(memory.keypoints_px)
    sure &= (memory.ages == 1)[:, None]
    return np.where(sure[..., None], step, velocity)


def _with_flags(keypoints_px: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """(people, joints, 3)."""
    return np.concatenate([keypoints_px, counted[..., None]], axis=-1)
