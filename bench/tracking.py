"""Track and steady the people of synthetic clips: MOTA, id switches, jitter, time.

    python bench/tracking.py

Clips of moving people are made from a seed, into --clips FOLDER or a temporary one. Their true
boxes and poses go through the tracker in random order, as they are and spoiled; where the shipped
weights are there, so do the poses of that network in detected boxes. Scores are PoseTrack's, MOTA
as the mean of the 13 joints that COCO and PoseTrack share; a clip's last frame does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from clips import COCO, FRAMES_PER_SECOND, POSETRACK, Clips, Frame, load_clips

from poseras import ops
from poseras.engine.posetrack_results import score_people
from poseras.metrics.posetrack_columns import JOINTS
from poseras.shipped import shipped_weights
from poseras.structures import People
from poseras.tracking import (
    OneEuroSmoother,
    Tracker,
    TrackerSettings,
    jitter_px,
    join_boxes,
    smooth_tracks,
)
from poseras.tracking.flow import FlowMeter

DIFFICULTIES = ("easy", "standard", "crowd")
#: The tracker's defaults were chosen on clips of the seeds 0 and 1.
SEED = 2
#: Spoiled poses: errors of each coordinate as a share of the root of the box's area, and misses.
NOISE, MISSES = 0.03, 0.1
#: Of the network: people and joints must score more to be kept; more similar people are one.
PERSON_SCORE, JOINT_SCORE, SAME_OKS, SAME_IOU = 0.2, 0.3, 0.6, 0.6
WAYS = {
    "flow, greedy, 30 frames": TrackerSettings(),
    "flow, optimal, 30 frames": TrackerSettings(matching="optimal"),
    "flow, greedy, 1 frame": TrackerSettings(memory_frames=1),
    "motion, greedy, 30 frames": TrackerSettings(motion="motion"),
    "motion, greedy, 1 frame": TrackerSettings(motion="motion", memory_frames=1),
    "none, greedy, 30 frames": TrackerSettings(motion="none"),
    "none, greedy, 1 frame": TrackerSettings(motion="none", memory_frames=1),
}


@dataclass(frozen=True)
class Outcome:
    """Everybody found in a clip, frame by frame.

    Attributes:
        people: of each frame.
        track_ids: (people,) of each frame.
        rows: (people,) of each frame, whom of the truth they were made from; none for networks.
    """

    people: list[People]
    track_ids: list[np.ndarray]
    rows: list[np.ndarray]


def spoil_clip(clip: Sequence[Frame], noise: float, misses: float, seed: int) -> Outcome:
    """The true people of a clip in random order, moved and missed, without ids."""
    rng = np.random.default_rng(seed)
    outcome = Outcome([], [], [])
    for frame in clip:
        truth = frame.truth
        rows = rng.permutation(np.flatnonzero(rng.random(len(truth)) >= misses))
        boxes = np.asarray(truth.boxes_xywh)[rows]
        points = truth.keypoints_px[rows]
        sizes = np.sqrt(np.prod(boxes[:, 2:], axis=1))[:, None, None]
        moved = points + noise * sizes * rng.normal(size=points.shape)
        outcome.people.append(
            People(moved, truth.keypoint_scores[rows], truth.person_scores[rows], boxes)
        )
        outcome.rows.append(rows)
    return outcome


def give_ids(outcome: Outcome, clip: Sequence[Frame], settings: TrackerSettings) -> Outcome:
    """The same people, tracked."""
    tracker = Tracker(settings, COCO.oks_sigmas)
    ids = [
        tracker.update(frame.image_rgb, people)
        for frame, people in zip(clip, outcome.people, strict=True)
    ]
    return replace(outcome, track_ids=ids)


def score(outcomes: Sequence[Outcome], clips: Clips) -> tuple[float, float, int]:
    """MOTA and MOTP in percent, and id switches of joints."""
    people, ids = {}, {}
    for clip, outcome in zip(clips.frames, outcomes, strict=True):
        for number, frame in enumerate(clip):
            people[frame.image_id] = outcome.people[number]
            ids[frame.image_id] = outcome.track_ids[number]
    evaluation = score_people(
        people, clips.files, COCO, POSETRACK, track_ids_of_image=ids, joint_threshold=JOINT_SCORE
    )
    tracking = evaluation.tracking
    # poseval counts one miss of every joint in a frame where nobody is found, of neck and crown too
    joints = [name for name in JOINTS if name in COCO.keypoints]
    mota = np.mean([tracking.mota[name] for name in joints])
    motp = np.mean([tracking.motp_matched_only[name] for name in joints])
    return float(mota), float(motp), int(tracking.counts.switches.sum())


def print_tracking(sets: dict[str, Clips]) -> None:
    """True poses, as they are and spoiled, by every way of tracking."""
    harder = {name: clips for name, clips in sets.items() if name != "easy"}
    columns = [
        *((name, clips, 0.0, 0.0) for name, clips in sets.items()),
        *((f"{name}, every 3rd frame", clips.every(3), 0.0, 0.0) for name, clips in harder.items()),
        *((f"{name}, spoiled", clips, NOISE, MISSES) for name, clips in harder.items()),
    ]
    print("MOTA / id switches of joints, true boxes and poses")
    print("| tracking | " + " | ".join(name for name, *_ in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for way, settings in WAYS.items():
        cells = []
        for _, clips, noise, misses in columns:
            outcomes = [
                give_ids(spoil_clip(clip, noise, misses, number), clip, settings)
                for number, clip in enumerate(clips.frames)
            ]
            mota, _, switches = score(outcomes, clips)
            cells.append(f"{mota:.2f} / {switches}")
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def print_flow(sets: dict[str, Clips]) -> None:
    """How far joints lie from where the flow expects them, by the size it is measured at."""
    print(
        "\nmedian distance of seen joints from where they are expected, px / share of sure joints"
    )
    print("| | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    for length in (0, 160, 320, 640):
        cells = []
        for clips in sets.values():
            measured = [measure_flow(clip, length) for clip in clips.frames]
            distances, sure = (np.concatenate(parts) for parts in zip(*measured, strict=True))
            cells.append(f"{np.median(distances[sure]):.2f} / {sure.mean():.2f}")
        name = f"flow, longer side {length} px" if length else "in place"
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def measure_flow(clip: Sequence[Frame], length_px: int) -> tuple[np.ndarray, np.ndarray]:
    """(joints of all pairs of frames,) distances in px and whether both flows agree."""
    meter = FlowMeter(max(length_px, 1))
    distances, agree = [], []
    for number, frame in enumerate(clip):
        flow = meter.advance(frame.image_rgb) if length_px else None
        if number == 0:
            continue
        before = clip[number - 1]
        _, old, new = np.intersect1d(before.true_ids, frame.true_ids, return_indices=True)
        both = before.seen[old] & frame.seen[new]
        points = before.truth.keypoints_px[old]
        step, sure = flow.move(points) if flow else (np.zeros_like(points), both)
        offsets = points + step - frame.truth.keypoints_px[new]
        distances.append(np.linalg.norm(offsets, axis=2)[both])
        agree.append(sure[both])
    return np.concatenate(distances), np.concatenate(agree)


def smooth_live(outcome: Outcome) -> Outcome:
    """By the One-Euro filter, frame after frame."""
    smoother = OneEuroSmoother()
    people = [
        smoother.smooth(ids, found, number / FRAMES_PER_SECOND)
        for number, (found, ids) in enumerate(zip(outcome.people, outcome.track_ids, strict=True))
    ]
    return replace(outcome, people=people)


def smooth_file(outcome: Outcome) -> Outcome:
    """By local regression, with the whole clip at hand."""
    times = np.arange(len(outcome.people)) / FRAMES_PER_SECOND
    return replace(outcome, people=smooth_tracks(outcome.people, outcome.track_ids, times))


SMOOTHERS: dict[str, Callable[[Outcome], Outcome]] = {
    "not smoothed": lambda outcome: outcome,
    "One-Euro": smooth_live,
    "local regression": smooth_file,
}


def mean_jitter(outcomes: Sequence[Outcome]) -> float:
    """Of all clips, px."""
    return float(np.nanmean([jitter_px(o.people, o.track_ids) for o in outcomes]))


def mean_error(outcomes: Sequence[Outcome], clips: Clips) -> float:
    """Mean distance of true joints inside the picture from the found ones, px."""
    distances = []
    for clip, outcome in zip(clips.frames, outcomes, strict=True):
        for frame, people, rows in zip(clip, outcome.people, outcome.rows, strict=True):
            offsets = people.keypoints_px - frame.truth.keypoints_px[rows]
            inside = frame.truth.keypoint_scores[rows] > 0
            distances.append(np.linalg.norm(offsets, axis=2)[inside])
    return float(np.concatenate(distances).mean())


def print_smoothing(sets: dict[str, Clips]) -> None:
    """Jitter and error of spoiled poses, before and after."""
    print("\njitter / mean error of joints, px, spoiled poses with ids by flow")
    print("| | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    rows: dict[str, list[str]] = {"true poses": [], **{name: [] for name in SMOOTHERS}}
    for clips in sets.values():
        for row, noise, misses in (("true poses", 0.0, 0.0), ("", NOISE, MISSES)):
            found = [
                give_ids(spoil_clip(clip, noise, misses, number), clip, TrackerSettings())
                for number, clip in enumerate(clips.frames)
            ]
            smoothers = {row: SMOOTHERS["not smoothed"]} if row else SMOOTHERS
            for name, smooth in smoothers.items():
                steady = [smooth(outcome) for outcome in found]
                rows[name].append(f"{mean_jitter(steady):.2f} / {mean_error(steady, clips):.2f}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def look(predictor: Any, frame: Frame, expected_xywh: np.ndarray | None) -> People:
    """The network's people in detected and expected boxes, duplicates removed."""
    boxes = frame.detected_xywh
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    boxes = boxes[ops.nms(corners, -np.arange(len(boxes)), SAME_IOU)]
    if expected_xywh is not None:
        added = expected_xywh[join_boxes(boxes, expected_xywh, SAME_IOU)]
        boxes = np.concatenate([boxes, added]).astype(np.float32)
    if not len(boxes):
        return People(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0), boxes)
    found = predictor.predict(frame.image_rgb, boxes)
    kept = ops.oks_nms(
        found.keypoints_px,
        found.person_scores,
        np.prod(boxes[:, 2:], axis=1),
        SAME_OKS,
        sigmas=np.array(COCO.oks_sigmas),
    )
    kept = kept[found.person_scores[kept] > PERSON_SCORE]
    return People(
        found.keypoints_px[kept],
        found.keypoint_scores[kept],
        found.person_scores[kept],
        boxes[kept],
    )


def track_network(
    predictor: Any, clip: Sequence[Frame], settings: TrackerSettings, *, propagate: bool
) -> Outcome:
    """A clip through the network and the tracker."""
    tracker = Tracker(settings, predictor.skeleton.oks_sigmas)
    people, ids = [], []
    for frame in clip:
        expected = tracker.propagate(frame.image_rgb)
        people.append(look(predictor, frame, expected if propagate else None))
        ids.append(tracker.update(frame.image_rgb, people[-1]))
    return Outcome(people, ids, [])


def print_network(sets: dict[str, Clips], weights: Path | None) -> None:
    """A network, the shipped one by default: with and without tracking, flow, smoothing."""
    try:
        path = weights or shipped_weights()
    except FileNotFoundError as error:
        print(f"\nno table of the shipped network: {error}")
        return
    from poseras.predictor import load_predictor  # TensorFlow, which nothing else here needs

    predictor = load_predictor(path)
    print(f"\n{path.name} in detected boxes: MOTA / MOTP / id switches of joints / jitter px")
    print("| tracking | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    ways: dict[str, tuple[str, bool, Callable[[Outcome], Outcome]]] = {
        "ids by rank": ("flow", False, _rank),
        "in place": ("none", False, SMOOTHERS["not smoothed"]),
        "motion": ("motion", False, SMOOTHERS["not smoothed"]),
        "flow": ("flow", False, SMOOTHERS["not smoothed"]),
        "flow, expected boxes": ("flow", True, SMOOTHERS["not smoothed"]),
        "flow, expected boxes, One-Euro": ("flow", True, smooth_live),
        "flow, expected boxes, local regression": ("flow", True, smooth_file),
    }
    for way, (motion, propagate, after) in ways.items():
        settings = TrackerSettings(motion=motion)  # type: ignore[arg-type]
        cells = []
        for clips in sets.values():
            outcomes = [
                after(track_network(predictor, clip, settings, propagate=propagate))
                for clip in clips.frames
            ]
            mota, motp, switches = score(outcomes, clips)
            cells.append(f"{mota:.1f} / {motp:.1f} / {switches} / {mean_jitter(outcomes):.2f}")
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def _rank(outcome: Outcome) -> Outcome:
    return replace(outcome, track_ids=[np.arange(len(people)) for people in outcome.people])


def least_ms(call: Callable[[], object], repeats: int = 20) -> float:
    """Processor time of the shortest of some calls, milliseconds; other jobs count little then."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def print_times(clip: Sequence[Frame]) -> None:
    """Milliseconds a frame of each part, on one thread."""
    height, width = clip[0].image_rgb.shape[:2]
    most = max(len(frame.truth) for frame in clip)
    print(f"\nprocessor ms a frame of {width}x{height}, one thread, up to {most} people")
    for length in (320, 640):
        meter = FlowMeter(length)
        meter.advance(clip[0].image_rgb)
        cost = least_ms(partial(meter.advance, clip[1].image_rgb))
        print(f"| flow both ways, longer side {length} px | {cost:.2f} |")
    found = spoil_clip(clip, NOISE, 0.0, 0)
    for name in ("flow, greedy, 30 frames", "motion, greedy, 30 frames"):
        cost = least_ms(partial(give_ids, found, clip, WAYS[name]), 3) / len(clip)
        print(f"| tracker: {name} | {cost:.2f} |")
    tracked = give_ids(found, clip, TrackerSettings())
    for name, smooth in SMOOTHERS.items():
        if name != "not smoothed":
            cost = least_ms(partial(smooth, tracked), 3) / len(clip)
            print(f"| {name} | {cost:.2f} |")


def count_people(clip: Sequence[Frame]) -> int:
    """People of all frames."""
    return sum(len(frame.truth) for frame in clip)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, help="folder where clips are kept (a temporary one)")
    parser.add_argument("--count", type=int, default=5, help="clips of each difficulty (5)")
    parser.add_argument("--weights", type=Path, help="snapshot of a network (the shipped one)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("tracking", "flow", "smoothing", "network", "times"),
        help="some of the tables (all)",
    )
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.clips or Path(temporary)
        sets = {name: load_clips(folder, name, given.count, SEED) for name in DIFFICULTIES}
    tables: dict[str, Callable[[], None]] = {
        "tracking": lambda: print_tracking(sets),
        "flow": lambda: print_flow(sets),
        "smoothing": lambda: print_smoothing(sets),
        "network": lambda: print_network(sets, given.weights),
        "times": lambda: print_times(max(sets["crowd"].frames, key=count_people)),
    }
    for name in given.only or tables:
        tables[name]()


if __name__ == "__main__":
    main()
