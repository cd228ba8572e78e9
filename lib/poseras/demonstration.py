"""Poses in a user's own pictures: a drawing of each, and all coordinates in one file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .data import pipeline
from .data.images import read_image
from .data.pictures import Boxes
from .engine import files, tester
from .image_prediction import find_in_pictures
from .predictor import Predictor
from .structures import People
from .visualize import Style, draw_people

log = logging.getLogger("poseras")

# Pictures in memory at a time: enough people for a full batch, little memory.
_PICTURES_AT_A_TIME = 8


def demonstrate(
    predictor: Predictor,
    pictures: Sequence[Path],
    boxes: Sequence[Boxes] | None,
    output: Path,
    *,
    flip_test: bool = True,
    batch_size: int = 32,
    keypoint_threshold: float = 0.2,
    oks_nms_threshold: float = 0.9,
    style: Style = "house",
    draw_threshold: float = 0.4,
) -> None:
    """Find and draw the people of some pictures.

    A picture that cannot be read is named and passed over.

    Args:
        predictor: the network.
        pictures: files; their EXIF orientation is honoured.
        boxes: of each picture; None takes each whole picture as one box. A bottom-up network finds
            everybody and takes none.
        output: folder for one JPEG per picture, and for `poses.json`.
        flip_test: also look at the mirrored views and average.
        batch_size: views per forward pass and device, at most.
        keypoint_threshold: keypoints above it make a person's score.
        oks_nms_threshold: of two people with a larger OKS the lower goes; 0 is off.
        style: of the drawing.
        draw_threshold: joints with a higher score are drawn as seen.

    Raises:
        ValueError: not one of the pictures can be read, or a bottom-up network is given boxes.
    """
    if predictor.sees_whole_pictures and boxes is not None:
        raise ValueError("A bottom-up network finds everybody. Received --detections; drop it.")
    selection = predictor.make_selection(
        keypoint_threshold=keypoint_threshold,
        oks_nms_threshold=oks_nms_threshold if predictor.skeleton.oks_sigmas else 0.0,
    )
    found: list[dict[str, Any]] = []
    with tqdm(total=len(pictures), unit="picture", desc="demo") as bar:
        for start in range(0, len(pictures), _PICTURES_AT_A_TIME):
            part = slice(start, start + _PICTURES_AT_A_TIME)
            readable = _read_all(pictures[part], None if boxes is None else boxes[part])
            people = _find_people(predictor, readable, selection, flip_test, batch_size)
            for (path, image, _), members in zip(readable, people, strict=True):
                drawn = draw_people(
                    image, members, predictor.skeleton, style=style, threshold=draw_threshold
                )
                files.write_image_atomically(output / f"{path.stem}.jpg", drawn)
                found.append(_describe(path, image, members))
            bar.update(len(pictures[part]))
    if not found:
        raise ValueError(f"Not one of {len(pictures)} pictures can be read; see the lines above.")
    files.write_json_atomically(
        output / "poses.json",
        {
            "keypoints": predictor.skeleton.keypoints,
            "snapshot": str(predictor.snapshot.path),
            "snapshot_sha256": predictor.snapshot.sha256,
            "boxes": "whole pictures" if boxes is None else "detections",
            "pictures": found,
        },
    )
    total = sum(len(entry["people"]) for entry in found)
    log.info("%d people on %d pictures: drawings and poses.json in %s", total, len(found), output)


def _read_all(
    paths: Sequence[Path], boxes: Sequence[Boxes] | None
) -> list[tuple[Path, np.ndarray, Boxes]]:
    """The pictures that can be read, each with its boxes."""
    readable = []
    for number, path in enumerate(paths):
        try:
            image = read_image(path, honour_orientation=True)
        except (OSError, ValueError) as error:
            log.warning("%s", error)
            continue
        whole = Boxes(np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32), np.ones(1))
        readable.append((path, image, whole if boxes is None else boxes[number]))
    return readable


def _find_people(
    predictor: Predictor,
    readable: Sequence[tuple[Path, np.ndarray, Boxes]],
    selection: tester.Selection,
    flip_test: bool,
    batch_size: int,
) -> list[People]:
    """The people of each picture, best first; none where it has no box."""
    pictures = [image for _, image, _ in readable]
    if predictor.sees_whole_pictures:
        return find_in_pictures(predictor, pictures, flip_test=flip_test, batch_size=batch_size)
    joints = predictor.skeleton.joint_count
    records = pipeline.records_of_boxes(pictures, [b.boxes_xywh for _, _, b in readable], joints)
    if len(records):
        records.scores[:] = np.concatenate([b.scores for _, _, b in readable])
    found = predictor.predict_pictures(
        pictures, records, flip_test=flip_test, batch_size=batch_size
    )
    people = tester.select_people(records, found, selection)
    nobody = People(np.zeros((0, joints, 2)), np.zeros((0, joints)), np.zeros(0))
    return [people.get(number, nobody) for number in range(len(pictures))]


def _describe(path: Path, image: np.ndarray, people: People) -> dict[str, Any]:
    """One picture of `poses.json`; keypoints are x, y, score in pixels of the upright picture."""
    triples = np.concatenate([people.keypoints_px, people.keypoint_scores[..., None]], axis=-1)
    boxes = people.boxes_xywh if people.boxes_xywh is not None else _enclose(people)
    return {
        "file_name": path.name,
        "height": image.shape[0],
        "width": image.shape[1],
        "people": [
            {
                "score": round(float(score), 4),
                "bbox": np.round(box, 2).tolist(),
                "keypoints": np.round(keypoints, 3).tolist(),
            }
            for score, box, keypoints in zip(people.person_scores, boxes, triples, strict=True)
        ],
    }


def _enclose(people: People) -> np.ndarray:
    """(people, 4) left, top, width, height around the joints that were found."""
    seen = (people.keypoint_scores > 0)[..., None]
    low = np.where(seen, people.keypoints_px, np.inf).min(axis=1)
    high = np.where(seen, people.keypoints_px, -np.inf).max(axis=1)
    return np.concatenate([low, high - low], axis=1)
