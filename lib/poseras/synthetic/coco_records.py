"""Scenes as COCO entries: pictures, annotations, and the boxes a detector might have found."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .body import COCO_17
from .scene import Scene
from .truth import PersonTruth

#: People of whom fewer pixels are seen are not annotated.
MIN_AREA_PX = 64
#: Annotation ids are the picture's id times this plus the person's number.
PEOPLE_PER_IMAGE = 100
CATEGORY: dict[str, Any] = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(COCO_17),
    "skeleton": [],
}


def annotated_people(scene: Scene) -> list[PersonTruth]:
    """Those of whom enough is seen."""
    return [person for person in scene.people if person.area >= MIN_AREA_PX]


def image_entry(scene: Scene, image_id: int, file_name: str) -> dict[str, Any]:
    """The entry of a picture, with its camera {R, T, f, c, k, p}, world to camera in mm."""
    height, width = scene.image_rgb.shape[:2]
    return {
        "id": image_id,
        "file_name": file_name,
        "height": height,
        "width": width,
        "camera": scene.camera.to_record(),
    }


def annotation_entries(scene: Scene, image_id: int) -> list[dict[str, Any]]:
    """One entry a person.

    Beside COCO's own fields: `keypoints_h36m_18` (x, y, v of 18 joints), `joints_camera_mm` (17 of
    [x, y, z]), `joints_camera_mm_h36m_18` (18), `track_id`, `activity`. The segmentation is a
    run-length code of the pixels that show the person; box and area are those of the same pixels.
    """
    return [_annotation(person, image_id) for person in annotated_people(scene)]


def _annotation(person: PersonTruth, image_id: int) -> dict[str, Any]:
    code = coco_mask.encode(np.asfortranarray(person.mask, np.uint8))
    return {
        "id": image_id * PEOPLE_PER_IMAGE + person.track,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": list(person.box_xywh),
        "area": person.area,
        "segmentation": {"size": list(person.mask.shape), "counts": code["counts"].decode("ascii")},
        "num_keypoints": int(np.count_nonzero(person.keypoints[:, 2])),
        "keypoints": _flatten(person.keypoints),
        "keypoints_h36m_18": _flatten(person.keypoints_h36m),
        "joints_camera_mm": person.joints_camera_mm.round(3).tolist(),
        "joints_camera_mm_h36m_18": person.joints_camera_mm_h36m.round(3).tolist(),
        "track_id": person.track,
        "activity": person.activity,
    }


def _flatten(keypoints: np.ndarray) -> list[float]:
    """x, y, v one after the other; the visibility as a whole number, as COCO writes it."""
    return [value for x, y, v in keypoints.tolist() for value in (round(x, 3), round(y, 3), int(v))]


def detection_entries(
    rng: np.random.Generator, scene: Scene, image_id: int
) -> list[dict[str, Any]]:
    """Person boxes as a fair detector gives them, in COCO's result format.

    Boxes are moved and scaled by some percent. People of whom little is seen are missed more often
    and score less; some are found twice, and some boxes hold nobody.
    """
    boxes, scores = [], []
    height, width = scene.image_rgb.shape[:2]
    for person in annotated_people(scene):
        seen = np.count_nonzero(person.keypoints[:, 2] == 2) / len(COCO_17)
        small = person.area < 32**2
        if rng.random() < 0.02 + 0.2 * (seen < 0.25) + 0.1 * small:
            continue
        for spread in (0.035, *([0.12] if rng.random() < 0.06 else [])):
            box, moved = _jitter(rng, np.array(person.box_xywh, float), spread)
            boxes.append(box)
            expected = 0.97 - 1.1 * moved - 0.3 * max(0.4 - seen, 0) - 0.15 * small
            scores.append(expected - abs(rng.normal(0, 0.05)))
    for _ in range(rng.poisson(0.3)):
        size = np.exp(rng.uniform(np.log(20), np.log(height * 0.8), 2))
        boxes.append(np.array([*(rng.random(2) * np.maximum([width, height] - size, 1)), *size]))
        scores.append(rng.beta(1.3, 6))
    return [
        {
            "image_id": image_id,
            "category_id": 1,
            "bbox": _clip_box(box, width, height),
            "score": round(float(np.clip(score, 0.01, 0.999)), 4),
        }
        for box, score in zip(boxes, scores, strict=True)
    ]


def _jitter(rng: np.random.Generator, box: np.ndarray, spread: float) -> tuple[np.ndarray, float]:
    """A box moved and scaled, and by how much."""
    steps = rng.normal(0, spread, 4)
    size = box[2:] * np.exp(steps[2:])
    centre = box[:2] + box[2:] / 2 + steps[:2] * box[2:]
    return np.concatenate([centre - size / 2, size]), float(np.abs(steps).mean())


def _clip_box(box: np.ndarray, width: int, height: int) -> list[float]:
    """Inside the picture, at least one pixel each way, in tenths of a pixel."""
    limit = np.array([width, height], float)
    low = np.clip(box[:2], 0, limit - 1)
    high = np.clip(box[:2] + box[2:], low + 1, limit)
    return [round(float(v), 1) for v in (*low, *(high - low))]
