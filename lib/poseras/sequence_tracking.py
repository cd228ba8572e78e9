"""Who is who in the sequences of a test on PoseTrack: ids for the people found, and their scores.

People keep the boxes that the test found them in. The paper also looks into boxes that flow expects
from the frame before, which only a network that sees the frames in turn can do (`demo.py --track`).

Source: Simple Baselines for Human Pose Estimation and Tracking, Xiao et al., ECCV 2018, section 3.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .data.coco_format import OnBadSample
from .data.evaluation_set import EvaluationFiles, EvaluationSet
from .data.images import read_image
from .engine import posetrack_results
from .engine.progress import progress_bar
from .engine.read_ahead import read_ahead
from .outcome_scores import sequence_skeleton
from .skeleton import Skeleton
from .structures import People
from .tracking import Tracker, TrackerSettings

if TYPE_CHECKING:
    from .evaluation import Outcome

log = logging.getLogger("poseras")


def require_sequences(files: EvaluationFiles) -> None:
    """See that people can be followed from frame to frame.

    Raises:
        ValueError: the data set has pictures, not sequences of frames.
    """
    if files.sequences is None:
        raise ValueError(
            "test.track follows people through sequences of frames, as PoseTrack has them. "
            f"Received {files.dataset.name}, whose evaluation is {files.dataset.evaluation}; "
            "leave test.track at none."
        )


def require_sigmas(skeleton: Skeleton, track: str) -> None:
    """See that poses can be compared, which tells people apart.

    Args:
        skeleton: of the network.
        track: the setting `test.track`; `none` asks for nothing.

    Raises:
        ValueError: the skeleton has no OKS sigmas.
    """
    if track != "none" and not skeleton.oks_sigmas:
        raise ValueError(
            "test.track compares poses by OKS, so the network's keypoint set must have oks_sigmas. "
            f"Received {skeleton.name}, which has none; leave test.track at none."
        )


def track_by_settings(outcome: Outcome, *, data: Any, test: Any) -> Outcome:
    """A test on PoseTrack with track ids, scored anew: AP and MOTA of the joints that are written.

    Args:
        outcome: of a test; duplicates are suppressed already.
        data: a record with the setting `on_bad_sample`: `stop` at an unreadable picture, or `skip`
            it, in which nobody was found.
        test: a record with the settings `track`, `track_motion` and `track_threshold`.

    Raises:
        ValueError: there are no sequences, or the skeleton has no OKS sigmas.
    """
    settings = TrackerSettings(matching=test.track, motion=test.track_motion)
    track_ids = track_sequences(
        outcome.people, outcome.test, outcome.skeleton, settings, on_bad_sample=data.on_bad_sample
    )
    scores = posetrack_results.score_people(
        outcome.people,
        outcome.test.sequences or {},
        outcome.skeleton,
        sequence_skeleton(outcome.test),
        track_ids_of_image=track_ids,
        joint_threshold=test.track_threshold,
    )
    return replace(
        outcome,
        evaluation=scores,
        protocol={
            **outcome.protocol,
            "tracking": {**asdict(settings), "track_threshold": test.track_threshold},
            **({"evaluation": scores.protocol()} if scores else {}),
        },
        track_ids=track_ids,
        joint_threshold=test.track_threshold,
    )


def track_sequences(
    people: Mapping[int, People],
    test: EvaluationSet,
    skeleton: Skeleton,
    settings: TrackerSettings,
    *,
    on_bad_sample: OnBadSample = "stop",
) -> dict[int, np.ndarray]:
    """Give the people of each sequence ids, frame after frame in the order of its file.

    Args:
        people: image id -> people, without duplicates.
        test: with sequences; frames that its annotations lack are passed over.
        skeleton: of the people.
        settings: how people are told apart; the pictures are read for `flow` alone.
        on_bad_sample: as `track_by_settings`.

    Returns:
        Image id -> (people,) int64, for each frame. Ids begin at 1 in each sequence.

    Raises:
        ValueError: there are no sequences, or the skeleton has no OKS sigmas.
    """
    require_sequences(test.files)
    require_sigmas(skeleton, settings.matching)
    images = test.table.images
    path_of_image = dict(zip(images.ids.tolist(), images.paths, strict=True))
    sequences = [
        [image["id"] for image in content["images"] if image["id"] in path_of_image]
        for content in (test.sequences or {}).values()
    ]
    tracker = Tracker(settings, skeleton.oks_sigmas)
    track_ids: dict[int, np.ndarray] = {}
    with progress_bar(total=sum(map(len, sequences)), unit="frame", desc="track") as bar:
        for frames in sequences:
            tracker.reset()
            paths = {image_id: path_of_image[image_id] for image_id in frames}
            with read_ahead(_read_pictures(paths, settings, on_bad_sample)) as pictures:
                for image_id, picture in pictures:
                    found = people.get(image_id, _nobody(skeleton))
                    track_ids[image_id] = tracker.update(picture, found)
                    bar.update()
    return track_ids


def _nobody(skeleton: Skeleton) -> People:
    joints = skeleton.joint_count
    return People(np.zeros((0, joints, 2)), np.zeros((0, joints)), np.zeros(0), np.zeros((0, 4)))


def _read_pictures(
    path_of_image: Mapping[int, str], settings: TrackerSettings, on_bad_sample: OnBadSample
) -> Iterator[tuple[int, np.ndarray | None]]:
    """The frames of a sequence, one at a time; no pictures where nobody asks for them."""
    for image_id, path in path_of_image.items():
        if settings.motion != "flow":
            yield image_id, None
            continue
        try:
            picture = read_image(path)
        except (OSError, ValueError) as error:
            if on_bad_sample == "stop":
                raise
            log.warning("Skipped while tracking: %s", error)
            continue
        yield image_id, picture
