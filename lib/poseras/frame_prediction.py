"""The people of frames, one frame after the other: pictures, videos, cameras.

Decoding, person boxes and views of the next frames are made in a thread of their own while the
network looks at these. With tracking the boxes of a frame depend on the frame before, so frames
then go one by one and only decoding runs ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from .data import pipeline
from .data.frames import Frame
from .data.pictures import Boxes
from .engine import tester
from .engine.read_ahead import read_ahead
from .image_prediction import find_in_pictures
from .person_boxes import BoxSource, WholePictures
from .picture_space import PictureCamera, attach_camera, can_place, express_joints
from .poses import Poses
from .structures import People, PersonRecords
from .tracking import Tracker, TrackerSettings
from .tracking.boxes import join_boxes
from .tracking.options import Matching, Motion

if TYPE_CHECKING:
    from .predictor import Predictor


@dataclass(frozen=True)
class Looking:
    """How frames are looked at.

    Attributes:
        boxes: where the person boxes come from; a bottom-up network takes none.
        flip_test: also look at the mirrored views and average.
        batch_size: views per forward pass and device, at most.
        frames_at_a_time: that share forward passes; more of them fill batches, fewer of them make
            results come sooner.
        keypoint_threshold: keypoints above it make a person's score.
        oks_nms_threshold: of two people with a larger OKS the lower goes; 0 is off, as it is for
            skeletons without OKS sigmas.
        camera: what is known of it, for networks of 3D poses.
        tracking: None gives no ids.
    """

    boxes: BoxSource = WholePictures()
    flip_test: bool = True
    batch_size: int = 32
    frames_at_a_time: int = 8
    keypoint_threshold: float = 0.2
    oks_nms_threshold: float = 0.9
    camera: PictureCamera | None = None
    tracking: TrackerSettings | None = None


def tracking_of(
    matching: Matching | None, motion: Motion | None, *, smooth: bool
) -> TrackerSettings | None:
    """How to track, of what a user asked for; smoothing joints needs to know whose they are.

    Raises:
        ValueError: motion is named and nobody is tracked.
    """
    if matching is None and not smooth:
        if motion is not None:
            raise ValueError(
                "--motion says where tracked people are expected. Received it without --track or "
                "--smooth; add one of them."
            )
        return None
    return TrackerSettings(matching=matching or "greedy", motion=motion or "flow")


@dataclass(frozen=True)
class _Group:
    """Some frames, the people to look for in them, and batches of their views."""

    frames: list[Frame]
    records: PersonRecords | None
    views: Iterable[Any]


def find_in_frames(
    predictor: Predictor, frames: Iterable[Frame], looking: Looking
) -> Iterator[tuple[Frame, Poses]]:
    """Find the people of each frame, in the order of the frames.

    Args:
        predictor: the network.
        frames: may be endless; only a few are in memory at a time.
        looking: how.

    Yields:
        A frame and who was found in it, the surest first.
    """
    if looking.tracking is not None:
        yield from _track(predictor, frames, looking)
        return
    groups = _in_groups(frames, looking.frames_at_a_time)
    made = (_with_views(_prepare(predictor, group, looking)) for group in groups)
    with read_ahead(made, depth=2) as prepared:
        for group in prepared:
            yield from zip(group.frames, _look(predictor, group, looking), strict=True)


def look_into_boxes(
    predictor: Predictor, frames: list[Frame], boxes: list[Boxes] | None, looking: Looking
) -> list[Poses]:
    """The person in each box, nobody suppressed; of a bottom-up network everybody.

    Args:
        predictor: the network.
        frames: pictures of any sizes.
        boxes: of each of them; None takes what `looking.boxes` finds.
        looking: how; thresholds do not count.

    Returns:
        One record per frame, one row per box in its order, scored by the mean of its joints.
    """
    group = _prepare(predictor, frames, looking, boxes)
    if group.records is None:
        return _look(predictor, group, looking)
    found = predictor.predict_batches(
        group.views, group.records, flip_test=looking.flip_test, progress=False
    )
    result = []
    for number, frame in enumerate(frames):
        rows = np.flatnonzero(group.records.image_index == number)
        people = People(
            keypoints_px=found.keypoints_px[rows],
            keypoint_scores=found.keypoint_scores[rows],
            person_scores=found.keypoint_scores[rows].mean(axis=-1),
            boxes_xywh=group.records.boxes_xywh[rows],
            annotation_ids=rows,
        )
        result.append(describe(people, predictor, frame, found, looking.camera))
    return result


def _track(
    predictor: Predictor, frames: Iterable[Frame], looking: Looking
) -> Iterator[tuple[Frame, Poses]]:
    """Find the people of each frame and give them ids."""
    settings = looking.tracking or TrackerSettings()
    sigmas = predictor.skeleton.oks_sigmas
    if not sigmas:
        raise ValueError(
            f"Tracking compares poses by OKS and needs oks_sigmas of {predictor.skeleton.name} in "
            "its dataset.yaml. Received none; leave tracking out."
        )
    tracker = Tracker(settings, sigmas)
    adds_boxes = looking.boxes.finds_people and not predictor.sees_whole_pictures
    with read_ahead(frames, depth=2) as ahead:
        for frame in ahead:
            expected = tracker.propagate(frame.image_rgb)
            found = None if predictor.sees_whole_pictures else looking.boxes.find([frame])
            if found and adds_boxes:
                found = [_join(found[0], expected, settings.box_nms_iou)]
            group = _prepare(predictor, [frame], looking, found)
            (poses,) = _look(predictor, group, looking)
            ids = tracker.update(frame.image_rgb, poses)
            yield frame, replace(poses, track_ids=ids)


def _join(detected: Boxes, expected_xywh: np.ndarray, max_iou: float) -> Boxes:
    """The detector's boxes, and after them those where people are expected and none was found."""
    added = expected_xywh[join_boxes(detected.boxes_xywh, expected_xywh, max_iou)]
    lowest = detected.scores.min(initial=1.0)
    return Boxes(
        np.concatenate([detected.boxes_xywh, added.astype(np.float32)]),
        np.concatenate([detected.scores, np.full(len(added), lowest)]),
    )


def _in_groups(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    iterator = iter(frames)
    while group := list(islice(iterator, size)):
        yield group


def _with_views(group: _Group) -> _Group:
    """The same with its views made, here and now."""
    return replace(group, views=list(group.views))


def _prepare(
    predictor: Predictor, frames: list[Frame], looking: Looking, found: list[Boxes] | None = None
) -> _Group:
    """The views of the people in some frames; none for a bottom-up network."""
    if predictor.sees_whole_pictures:
        return _Group(frames, None, [])
    found = looking.boxes.find(frames) if found is None else found
    pictures = [frame.image_rgb for frame in frames]
    boxes = [boxes.boxes_xywh for boxes in found]
    records = pipeline.records_of_boxes(pictures, boxes, predictor.skeleton.joint_count)
    records = replace(
        records,
        scores=np.concatenate([boxes.scores for boxes in found]).astype(np.float64),
        annotation_ids=np.arange(len(records)),  # by which people are found again below
    )
    if can_place(predictor.view, looking.camera):
        records = attach_camera(records, predictor.view, looking.camera)
    size = predictor.even_batch(len(records), looking.batch_size)
    views = pipeline.view_pictures(pictures, records, predictor.view, batch_size=size)
    return _Group(frames, records, views)


def _name(frame: Frame) -> str:
    """How errors and the log call a frame."""
    if frame.time_s is not None:
        return f"frame {frame.number} of {frame.name}"
    return frame.name or f"picture {frame.number}"


def _look(predictor: Predictor, group: _Group, looking: Looking) -> list[Poses]:
    """Who is in each frame of a group."""
    frames = group.frames
    if group.records is None:
        pictures = [frame.image_rgb for frame in frames]
        everybody = find_in_pictures(
            predictor,
            pictures,
            flip_test=looking.flip_test,
            batch_size=looking.batch_size,
            names=list(map(_name, frames)),
        )
        return [
            describe(people, predictor, frame)
            for people, frame in zip(everybody, frames, strict=True)
        ]
    found = predictor.predict_batches(
        group.views, group.records, flip_test=looking.flip_test, progress=False
    )
    selection = predictor.make_selection(
        keypoint_threshold=looking.keypoint_threshold,
        oks_nms_threshold=looking.oks_nms_threshold,
    )
    tester.tell_lacking_sigmas(group.records, selection)
    people = tester.select_people(group.records, found, selection)
    nobody = People(
        np.zeros((0, predictor.skeleton.joint_count, 2)),
        np.zeros((0, predictor.skeleton.joint_count)),
        np.zeros(0),
        np.zeros((0, 4)),
        np.zeros(0, np.int64),
    )
    return [
        describe(people.get(number, nobody), predictor, frame, found, looking.camera)
        for number, frame in enumerate(frames)
    ]


def describe(
    people: People,
    predictor: Predictor,
    frame: Frame,
    predictions: tester.Predictions | None = None,
    camera: PictureCamera | None = None,
) -> Poses:
    """People as a record that knows its frame.

    Args:
        people: in pixels of the frame; `annotation_ids` are rows of the predictions.
        predictor: that found them.
        frame: in which they were found.
        predictions: of a network of 3D poses.
        camera: as `picture_space.attach_camera` was given it.
    """
    joints, origin = None, None
    if predictions is not None and can_place(predictor.view, camera):
        joints = np.zeros((0, predictor.skeleton.joint_count, 3))
        if len(people) and predictions.joints_camera_mm is not None:
            joints = predictions.joints_camera_mm[np.asarray(people.annotation_ids)]
        joints, origin = express_joints(joints, predictor.skeleton, camera)
    moving = frame.time_s is not None
    return Poses(
        keypoints_px=people.keypoints_px,
        keypoint_scores=people.keypoint_scores,
        person_scores=people.person_scores,
        boxes_xywh=people.boxes_xywh,
        skeleton=predictor.skeleton,
        size_hw=(frame.image_rgb.shape[0], frame.image_rgb.shape[1]),
        image_id=frame.image_id,
        name=frame.name,
        frame=frame.number if moving else None,
        time_s=frame.time_s,
        joints_mm=joints,
        space_origin=origin,
    )
