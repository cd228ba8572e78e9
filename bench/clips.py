"""Clips of moving synthetic people, with their truth as PoseTrack's annotation files.

Joints are COCO's; of PoseTrack's, neck and crown are annotated for nobody. A head box is as large
as neck and crown are apart, seen from the side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from poseras.data.dataset import load_dataset
from poseras.structures import People
from poseras.synthetic.generator import Settings, generate

ROOT = Path(__file__).resolve().parent.parent
FRAMES, FRAMES_PER_SECOND = 50, 25
#: Detected boxes must score more to be looked at.
BOX_SCORE = 0.3
COCO = load_dataset(ROOT, "Synthetic").skeleton
HUMAN36M = load_dataset(ROOT, "Synthetic").skeletons["h36m_18"]
POSETRACK = load_dataset(ROOT, "PoseTrack").skeleton


@dataclass(frozen=True)
class Frame:
    """One picture of a clip.

    Attributes:
        image_id: of the annotation file.
        image_rgb: (height, width, 3) uint8.
        truth: people with a joint in the picture; score 1 of joints inside it, seen or hidden.
        true_ids: (people,) int64.
        seen: (people, joints) bool, joints inside the picture that nothing hides.
        detected_xywh: (boxes, 4) float32.
    """

    image_id: int
    image_rgb: np.ndarray
    truth: People
    true_ids: np.ndarray
    seen: np.ndarray
    detected_xywh: np.ndarray


@dataclass(frozen=True)
class Clips:
    """The clips of one difficulty.

    Attributes:
        frames: of each clip.
        files: the truth as PoseTrack's annotation files, by name of the clip.
    """

    frames: tuple[tuple[Frame, ...], ...]
    files: Mapping[str, Mapping[str, Any]]

    def every(self, step: int) -> Clips:
        """The same clips at a lower rate."""
        return replace(self, frames=tuple(clip[::step] for clip in self.frames)).trimmed()

    def trimmed(self) -> Clips:
        """The files without the pictures that no clip has."""
        ids = {frame.image_id for clip in self.frames for frame in clip}
        files = {
            name: {
                **file,
                "images": [image for image in file["images"] if image["id"] in ids],
                "annotations": [row for row in file["annotations"] if row["image_id"] in ids],
            }
            for name, file in self.files.items()
        }
        return replace(self, files=files)


def load_clips(folder: Path, difficulty: str, count: int, seed: int) -> Clips:
    """Clips of one difficulty, made in a folder where they are missing."""
    made = folder / difficulty
    generate(made, Settings(0, 0, count, FRAMES, (difficulty,), seed))
    content = json.loads((made / "annotations" / "sequences.json").read_text(encoding="utf-8"))
    detections = json.loads((made / "dets" / "human_detection.json").read_text(encoding="utf-8"))
    frames: dict[str, list[Frame]] = {}
    files: dict[str, Any] = {}
    for image in sorted(content["images"], key=lambda image: image["file_name"]):
        here = [row for row in content["annotations"] if row["image_id"] == image["id"]]
        rows = [row for row in here if row["num_keypoints"]]
        boxes = [
            row["bbox"]
            for row in detections
            if row["image_id"] == image["id"] and row["score"] > BOX_SCORE
        ]
        picture = cv2.imread(str(made / "images" / "sequences" / image["file_name"]))
        frame = Frame(
            image_id=image["id"],
            image_rgb=np.ascontiguousarray(picture[..., ::-1]),
            truth=_read_people(rows),
            true_ids=np.array([row["track_id"] for row in rows], np.int64),
            seen=np.array([row["keypoints"][2::3] for row in rows]).reshape(-1, COCO.joint_count)
            == 2,
            detected_xywh=np.array(boxes, np.float32).reshape(-1, 4),
        )
        name = Path(image["file_name"]).parent.name
        frames.setdefault(name, []).append(frame)
        file = files.setdefault(name, _empty_file())
        file["images"].append({"id": image["id"]})
        file["annotations"] += [_posetrack_row(row, image["camera"]) for row in rows]
    return Clips(tuple(map(tuple, frames.values())), files)


def _read_people(rows: list[Mapping[str, Any]]) -> People:
    keypoints = np.array([row["keypoints"] for row in rows], float)
    keypoints = keypoints.reshape(-1, COCO.joint_count, 3)
    return People(
        keypoints_px=keypoints[..., :2],
        keypoint_scores=(keypoints[..., 2] > 0).astype(float),
        person_scores=np.ones(len(rows)),
        boxes_xywh=np.array([row["bbox"] for row in rows], float).reshape(-1, 4),
    )


def _empty_file() -> dict[str, Any]:
    categories = [{"id": 1, "name": "person", "keypoints": list(POSETRACK.keypoints)}]
    return {"images": [], "annotations": [], "categories": categories}


def _posetrack_row(row: Mapping[str, Any], camera: Mapping[str, Any]) -> dict[str, Any]:
    joints = np.array(row["joints_camera_mm_h36m_18"])
    top, neck = joints[HUMAN36M.index_of("head_top")], joints[HUMAN36M.index_of("upper_neck")]
    size = float(np.linalg.norm(top - neck) / top[2] * np.mean(camera["f"]))
    keypoints = np.array(row["keypoints"], float).reshape(-1, 3)
    values: list[float] = []
    for name in POSETRACK.keypoints:
        known = name in COCO.keypoints and keypoints[COCO.index_of(name), 2] > 0
        values += [*keypoints[COCO.index_of(name), :2].tolist(), 1.0] if known else [0.0, 0.0, 0.0]
    return {
        "image_id": row["image_id"],
        "track_id": row["track_id"],
        "bbox_head": [0, 0, 0.8 * size, size],
        "keypoints": values,
    }
