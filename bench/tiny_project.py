"""A project in miniature for the benches that start `main/train.py` as a process.

Drawn people on coloured ground, a ResNet of width 8 at 64x64 pixels, 24 people: an epoch takes a
second. The programs are copied, since a program's project is the folder above its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

MAIN = Path(__file__).resolve().parent.parent / "main"
JOINTS = ("head_top", "left_hand", "right_hand", "left_foot", "right_foot")
DATASET_YAML = """\
keypoint_sets:
  drawn_5:
    keypoints: [head_top, left_hand, right_hand, left_foot, right_foot]
    flip_pairs: [[left_hand, right_hand], [left_foot, right_foot]]
    limbs: [[head_top, left_hand], [head_top, right_hand]]
    oks_sigmas: [0.05, 0.05, 0.05, 0.05, 0.05]
evaluation: coco
splits:
  train: {annotations: data/Drawn/train.json, images: data/Drawn/images}
  val: {annotations: data/Drawn/train.json, images: data/Drawn/images}
"""
SETTINGS = (
    "data.trainset=[Drawn]",
    "data.testset=Drawn",
    "run=tiny",
    "options.form=pytorch",
    "options.depth=18",
    "options.backbone_width=8",
    "options.head_filters=[8,8,8]",
    "options.input_shape=[64,64]",
    "train.initial_weights=none",
    "train.log_every=2",
    "train.keep_snapshots=0",
)


def make_project(root: Path, *, people: int = 24, seed: int = 0) -> None:
    """Lay out `main/` and `data/Drawn/` below a folder."""
    shutil.copytree(MAIN, root / "main", ignore=shutil.ignore_patterns("__pycache__"))
    folder = root / "data" / "Drawn"
    (folder / "images").mkdir(parents=True)
    (folder / "dataset.yaml").write_text(DATASET_YAML, encoding="utf-8")
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(people):
        picture, keypoints = _draw_person(random)
        name = f"{number:03d}.jpg"
        cv2.imwrite(str(folder / "images" / name), picture)
        height, width = picture.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        low, high = keypoints.min(axis=0) - 6, keypoints.max(axis=0) + 6
        box = [*low.tolist(), *(high - low).tolist()]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": box,
                "area": box[2] * box[3] / 2,
                "num_keypoints": len(JOINTS),
                "keypoints": [value for x, y in keypoints.tolist() for value in (x, y, 2)],
            }
        )
    category = {"id": 1, "name": "person", "keypoints": list(JOINTS), "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")


def _draw_person(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture (96, 128, 3) uint8 and its joints (5, 2) in pixels."""
    picture = np.full((96, 128, 3), random.integers(60, 200, 3), np.uint8)
    centre = np.array([64, 48]) + random.uniform(-10, 10, 2)
    shape = np.array([[0, -28], [22, -4], [-22, -4], [10, 30], [-10, 30]])
    joints = centre + shape + random.uniform(-5, 5, (5, 2))
    colour = tuple(int(value) for value in random.integers(0, 255, 3))
    for x, y in joints:
        end = (int(round(x)), int(round(y)))
        cv2.line(picture, (int(centre[0]), int(centre[1])), end, colour, 3)
        cv2.circle(picture, end, 4, colour, -1)
    return picture, joints


def start_training(
    root: Path,
    arguments: Sequence[str] = (),
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start `main/train.py` of a project on the CPU; its output goes through pipes."""
    command = [sys.executable, "main/train.py", "--gpu", "cpu", *arguments]
    command += ["--set", *SETTINGS, *settings]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, **quiet, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def snapshot_folder(root: Path) -> Path:
    """Where the snapshots of a project's run lie."""
    return root / "output" / "model_dump" / "Drawn" / "tiny"


def values_file(root: Path) -> Path:
    """The logged values of a project's run."""
    return root / "output" / "log" / "Drawn" / "tiny" / "values.jsonl"
