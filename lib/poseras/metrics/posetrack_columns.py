"""PoseTrack files as columns: the people of all evaluated frames, annotated and predicted.

Here everything is decided that comes before the comparison: which frames count, which joints exist,
and what lies in a region that the annotators left out.

Source: PoseTrack: A Benchmark for Human Pose Estimation and Tracking, Andriluka et al., CVPR 2018;
rules as in poseval (leonid-pishchulin/poseval).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

#: Name in tables: name in files, in poseval's order. The ears of the files are never evaluated.
JOINTS = {
    "right_ankle": "right_ankle",
    "right_knee": "right_knee",
    "right_hip": "right_hip",
    "left_hip": "left_hip",
    "left_knee": "left_knee",
    "left_ankle": "left_ankle",
    "right_wrist": "right_wrist",
    "right_elbow": "right_elbow",
    "right_shoulder": "right_shoulder",
    "left_shoulder": "left_shoulder",
    "left_elbow": "left_elbow",
    "left_wrist": "left_wrist",
    "neck": "head_bottom",
    "nose": "nose",
    "head_top": "head_top",
}

#: Head size over the diagonal of `bbox_head`.
HEAD_FACTOR = 0.6

#: The score of a joint that a file gives no score.
NO_SCORE = -9999.0


@dataclass(frozen=True)
class FramePeople:
    """People of the evaluated frames, frame by frame, in file order within a frame.

    Attributes:
        frames: (people,) int64, rising, index of the evaluated frame.
        track_ids: (people,) int64, -1 where a file has none.
        keypoints_px: (people, 15, 2) float64, x px, y px, in the order of `JOINTS`.
        present: (people, 15) bool, False where a joint is not annotated or not predicted.
        scores: (people, 15) float64, of predictions; 0 for annotated people.
        head_sizes_px: (people,) float64, of annotated people; 0 for predictions.
    """

    frames: np.ndarray
    track_ids: np.ndarray
    keypoints_px: np.ndarray
    present: np.ndarray
    scores: np.ndarray
    head_sizes_px: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, rows: np.ndarray) -> FramePeople:
        """Some people, as indices or as a bool mask."""
        return FramePeople(
            self.frames[rows],
            self.track_ids[rows],
            self.keypoints_px[rows],
            self.present[rows],
            self.scores[rows],
            self.head_sizes_px[rows],
        )


@dataclass(frozen=True)
class PoseTrackSet:
    """What is compared.

    Attributes:
        sequences: names of the files.
        sequence_of_frame: (frames,) int64, rising, index of the sequence of an evaluated frame.
        truth: annotated people.
        predictions: predicted people.
    """

    sequences: tuple[str, ...]
    sequence_of_frame: np.ndarray
    truth: FramePeople
    predictions: FramePeople


def read_sequences(folder: str | Path) -> dict[str, dict[str, Any]]:
    """The parsed JSON files of a folder, one a sequence, by their names without `.json`.

    Raises:
        FileNotFoundError: there is no such folder, or no such file in it.
        ValueError: a file is not JSON.
    """
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"No PoseTrack files at {folder}: it must hold one .json file for each sequence."
        )
    sequences = {}
    for path in paths:
        try:
            sequences[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} must be a JSON file: {error}.") from None
    return sequences


def compare_files(
    truth: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]
) -> PoseTrackSet:
    """Read the columns of annotation files and of the result files of the same names.

    Frames whose annotation has no people are left out, predictions included. In frames with ignore
    regions the joints inside them are removed on both sides, and people left without joints too.

    Args:
        truth: name of the sequence -> parsed PoseTrack 2018 file.
        results: likewise; a sequence without people has an empty list of annotations.

    Raises:
        ValueError: a result file is missing or unknown, stands on other pictures, or a row lacks
            what is read here.
    """
    _check_names(truth, results)
    sequence_of_frame: list[int] = []
    annotated, predicted = [], []
    for number, (name, file) in enumerate(truth.items()):
        regions = _frames_with_people(name, file)
        first = len(sequence_of_frame)
        sequence_of_frame.extend([number] * len(regions))
        _check_images(name, file, results[name])
        result = {"categories": file.get("categories", ()), **results[name]}
        frame_of_image = {image: first + index for index, image in enumerate(regions)}
        ignored = {first + index: polygons for index, polygons in enumerate(regions.values())}
        people = _read_people(name, file, frame_of_image, annotated=True)
        annotated.append(_remove_ignored(people, ignored))
        people = _read_people(name, result, frame_of_image, annotated=False)
        predicted.append(_remove_ignored(people, ignored))
    return PoseTrackSet(
        sequences=tuple(truth),
        sequence_of_frame=np.array(sequence_of_frame, np.int64),
        truth=_concatenate(annotated),
        predictions=_concatenate(predicted),
    )


def find_inside(points: np.ndarray, polygons: Sequence[np.ndarray]) -> np.ndarray:
    """Which points lie inside one of several polygons.

    A ray from the point crosses the outline an odd number of times. Points on an outline are not
    inside, and a polygon of fewer than three corners has no inside.

    Args:
        points: (points, 2), x before y.
        polygons: each (corners, 2), closed or not.

    Returns:
        (points,) bool.
    """
    polygons = [np.asarray(polygon, np.float64) for polygon in polygons if len(polygon) >= 3]
    if not polygons or not len(points):
        return np.zeros(len(points), bool)
    begins = np.concatenate(polygons)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    first_edge = np.cumsum([0, *map(len, polygons[:-1])])
    x, y = (np.asarray(points, np.float64)[:, None, axis] for axis in (0, 1))  # (points, 1)
    (x1, y1), (x2, y2) = begins.T, ends.T
    turn = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)  # (points, edges), 0 on the edge's line
    crossed = ((y1 > y) != (y2 > y)) & ((turn > 0) == (y2 > y1))
    touched = (turn == 0) & (np.minimum(x1, x2) <= x) & (x <= np.maximum(x1, x2))
    touched &= (np.minimum(y1, y2) <= y) & (y <= np.maximum(y1, y2))
    odd = np.add.reduceat(crossed, first_edge, axis=1, dtype=np.int64) % 2 == 1
    on_outline = np.add.reduceat(touched, first_edge, axis=1, dtype=np.int64) > 0
    return (odd & ~on_outline).any(axis=1)


def _check_names(
    truth: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]
) -> None:
    if not truth:
        raise ValueError("PoseTrack evaluation needs annotated sequences. Received none.")
    for what, names in (
        ("miss", sorted(set(truth) - set(results))),
        ("have unknown", sorted(set(results) - set(truth))),
    ):
        if names:
            raise ValueError(
                "There must be one result file for each annotation file, of the same name. The "
                f"results {what} {len(names)} of {len(truth)}, the first is {names[0]}; are the "
                "detections those of another label version or split?"
            )


def _check_images(name: str, file: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    wanted = _read_ids(name, file, "images", "id")
    if "images" in result and _read_ids(name, result, "images", "id") != wanted:
        raise ValueError(
            f"The result file {name} must list the {len(wanted)} images of its annotation file, in "
            f"the same order. It lists {len(result['images'])}, or others; copy the list."
        )
    unknown = sorted(set(_read_ids(name, result, "annotations", "image_id")) - set(wanted))
    if unknown:
        raise ValueError(
            f"Results of {name} must stand on its images. Received {len(unknown)} unknown "
            f"image_id, the first is {unknown[0]}."
        )


def _frames_with_people(name: str, file: Mapping[str, Any]) -> dict[int, list[np.ndarray]]:
    """Image id -> ignore polygons, of the frames that are evaluated, in file order."""
    annotated = set(_read_ids(name, file, "annotations", "image_id"))
    images = zip(_read_ids(name, file, "images", "id"), file.get("images", ()), strict=True)
    return {image: _read_regions(name, entry) for image, entry in images if image in annotated}


def _read_regions(name: str, image: Mapping[str, Any]) -> list[np.ndarray]:
    xs, ys = (image.get(key) or [] for key in ("ignore_regions_x", "ignore_regions_y"))
    if list(map(len, xs)) != list(map(len, ys)):
        raise ValueError(
            f"ignore_regions_x and ignore_regions_y of {name} must have equal lengths. Image "
            f"{image['id']} has {list(map(len, xs))} and {list(map(len, ys))} corners."
        )
    return [np.array([x, y], np.float64).T for x, y in zip(xs, ys, strict=True)]


def _read_ids(name: str, file: Mapping[str, Any], part: str, key: str) -> list[int]:
    rows = file.get(part, ())
    if not isinstance(rows, Sequence) or not all(
        isinstance(row, Mapping) and isinstance(row.get(key), int) for row in rows
    ):
        raise ValueError(
            f"{name} must be a PoseTrack 2018 file: a list {part!r}, a whole number {key!r} in "
            "each of its rows."
        )
    return [row[key] for row in rows]


def _read_people(
    name: str, file: Mapping[str, Any], frame_of_image: Mapping[int, int], *, annotated: bool
) -> FramePeople:
    """The people of the evaluated frames of one file.

    Args:
        name: of the sequence.
        file: parsed.
        frame_of_image: image id -> index of the evaluated frame.
        annotated: ground truth, which has head boxes, or predictions, which have scores.
    """
    rows = [row for row in file.get("annotations", ()) if row["image_id"] in frame_of_image]
    rows.sort(key=lambda row: frame_of_image[row["image_id"]])
    names = _keypoint_names(name, file)
    order = [names.index(source) for source in JOINTS.values()]
    keypoints = _read_lists(name, rows, "keypoints", 3 * len(names)).reshape(-1, len(names), 3)
    keypoints = keypoints[:, order]
    # An annotated joint of visibility 0 counts; only 0, 0, 0 stands for none.
    present = (keypoints != 0).any(axis=2)
    return FramePeople(
        frames=np.array([frame_of_image[row["image_id"]] for row in rows], np.int64),
        track_ids=np.array([row.get("track_id", -1) for row in rows], np.int64),
        keypoints_px=keypoints[..., :2],
        present=present,
        scores=np.zeros(present.shape) if annotated else _read_scores(name, rows, names)[:, order],
        head_sizes_px=_read_head_sizes(name, rows, present) if annotated else np.zeros(len(rows)),
    )


def _keypoint_names(name: str, file: Mapping[str, Any]) -> list[str]:
    categories = file.get("categories", ())
    names = list(categories[0].get("keypoints", ())) if categories else []
    lacking = [source for source in JOINTS.values() if source not in names]
    if lacking:
        raise ValueError(
            f"The category of {name} must name the joints of PoseTrack 2018. It lacks "
            f"{', '.join(lacking)}; copy 'categories' from the annotation file."
        )
    return names


def _read_scores(name: str, rows: list[Mapping[str, Any]], names: list[str]) -> np.ndarray:
    """(rows, joints) float64; a row without scores ranks behind all others."""
    none = [NO_SCORE] * len(names)
    scored = [{"scores": row.get("scores") or none} for row in rows]
    return _read_lists(name, scored, "scores", len(names))


def _read_head_sizes(name: str, rows: list[Mapping[str, Any]], present: np.ndarray) -> np.ndarray:
    """(rows,) float64 px; a person without joints needs no head."""
    joints = np.count_nonzero(present, axis=1)
    boxed = [
        row if "bbox_head" in row or count else {"bbox_head": [0.0] * 4}
        for row, count in zip(rows, joints, strict=True)
    ]
    boxes_xywh = _read_lists(name, boxed, "bbox_head", 4)
    corners = boxes_xywh[:, :2] + boxes_xywh[:, 2:]
    # kept: the far corner is computed first, as poseval does, so that rounding is the same.
    return HEAD_FACTOR * np.linalg.norm(corners - boxes_xywh[:, :2], axis=1)


def _read_lists(name: str, rows: Sequence[Mapping[str, Any]], key: str, width: int) -> np.ndarray:
    """Lists of one key as (rows, width) float64."""
    odd = next((i for i, row in enumerate(rows) if len(row.get(key, ())) != width), None)
    if odd is not None:
        raise ValueError(
            f"{key!r} of {name} must be a list of {width} numbers. A person of image "
            f"{rows[odd].get('image_id')} has {rows[odd].get(key)!r}."
        )
    values = np.array([row[key] for row in rows], np.float64).reshape(len(rows), width)
    if not np.isfinite(values).all():
        raise ValueError(f"{key!r} of {name} must hold finite numbers. Received NaN or infinity.")
    return values


def _remove_ignored(
    people: FramePeople, regions: Mapping[int, Sequence[np.ndarray]]
) -> FramePeople:
    """People without the joints inside ignore regions, and without those who lose them all.

    Args:
        people: of one sequence.
        regions: index of the frame -> its polygons.
    """
    present = people.present.copy()
    kept = np.ones(len(people), bool)
    begins = np.searchsorted(people.frames, list(regions), side="left")
    ends = np.searchsorted(people.frames, list(regions), side="right")
    for begin, end, polygons in zip(begins, ends, regions.values(), strict=True):
        if polygons and end > begin:
            there = present[begin:end]  # a view: (people of the frame, joints)
            there[there] = ~find_inside(people.keypoints_px[begin:end][there], polygons)
            kept[begin:end] = there.any(axis=1)
    return replace(people, present=present).take(kept)


def _concatenate(parts: Sequence[FramePeople]) -> FramePeople:
    names = FramePeople.__dataclass_fields__
    return FramePeople(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))
