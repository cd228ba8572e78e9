"""A small project: the programs, a made-up COCO data set behind links, a tiny network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import config as main_config
from poseras.data.dataset import choose_skeleton
from poseras.engine import snapshot
from poseras.settings import flatten
from poseras.systems import system_class

TINY = {
    "options.input_shape": "64,64",
    "options.backbone_width": 8,
    "options.head_filters": "8,8,8",
    "test.batch_size": 2,
}


TINY_BOTTOM_UP = {
    "system": "simplepose_v2",
    "options.input_shape": "64,64",
    "options.backbone_width": 8,
    "options.units": "1,1",
    "options.heatmap_threshold": 1e-9,
    "options.person_threshold": 0,
    "view.length": 64,
}


class Project:
    """A folder with main/, data/ and output/, whose data and output are links.

    Attributes:
        root: the folder.
        data: where the links of data/COCO lead to.
    """

    def __init__(self, root: Path, data: Path):
        self.root, self.data = root, data

    def run(self, program: str, *arguments: str, folder: str = "") -> subprocess.CompletedProcess:
        """Run a program of main/ from a folder of the project, on the CPU."""
        path = self.root / "main" / program
        return subprocess.run(
            [sys.executable, os.path.relpath(path, self.root / folder), *arguments],
            cwd=self.root / folder,
            capture_output=True,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            timeout=300,
        )

    def write_snapshot(self, number: int = 1, seed: int = 0) -> Path:
        """A snapshot of the tiny network with weights drawn by seed, for the default run."""
        return self._write_snapshot(TINY, number, seed)

    def write_bottom_up_snapshot(self, run: str, number: int = 1) -> Path:
        """A snapshot of a tiny bottom-up network with random weights."""
        return self._write_snapshot({**TINY_BOTTOM_UP, "run": run}, number, 0)

    def _write_snapshot(self, settings: dict, number: int, seed: int) -> Path:
        import keras

        config = main_config.build_config(settings)
        skeleton = choose_skeleton(self.root, config.data.trainset)
        keras.utils.set_random_seed(seed)
        model = system_class(config.system)(config.options, skeleton, {}).build_model()
        folder = self.root / "output/model_dump/COCO" / config.run
        path = snapshot.snapshot_path(folder, number)
        metadata = {
            "system": config.system,
            "options": flatten(config.options),
            "skeleton": skeleton.to_dict(),
            "view": flatten(config.view),
            "config": flatten(config),
            "versions": {},
            "counters": {"epoch": number, "step": number},
        }
        snapshot.write_snapshot(path, snapshot.collect_weights(model), metadata)
        return path


def write_pictures(folder: Path, count: int) -> list[dict]:
    """JPEGs of noise in blocks; rows of a COCO file's `images`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    rows = []
    for number in range(1, count + 1):
        blocks = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        picture = cv2.resize(blocks, (80 + 16 * number, 60 + 12 * number))
        cv2.imwrite(str(folder / f"{number:012d}.jpg"), picture)
        height, width = picture.shape[:2]
        rows.append(
            {"id": number, "file_name": f"{number:012d}.jpg", "height": height, "width": width}
        )
    return rows


def make_people(images: list[dict], joints: int) -> list[dict]:
    """Two people on each picture."""
    random = np.random.default_rng(6)
    rows = []
    for image in images:
        for half in (0, 1):
            left, top = 4 + half * image["width"] / 2, 6.0
            width, height = image["width"] / 2 - 8, image["height"] - 12
            points = random.random((joints, 2)) * (width, height) + (left, top)
            flags = random.integers(1, 3, joints)
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "bbox": [left, top, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "num_keypoints": joints,
                    "keypoints": np.column_stack([points.round(1), flags]).ravel().tolist(),
                }
            )
    return rows


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Project:
    root, data = tmp_path / "project", tmp_path / "elsewhere"
    shutil.copytree(project_root / "main", root / "main", ignore=shutil.ignore_patterns("__*"))
    (root / "data" / "COCO").mkdir(parents=True)
    shutil.copy(project_root / "data" / "COCO" / "dataset.yaml", root / "data" / "COCO")
    skeleton = choose_skeleton(root, ["COCO"])
    for split in ("train", "val", "test"):
        images = write_pictures(data / "images" / f"{split}2017", 3)
        people = make_people(images, skeleton.joint_count)
        category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}
        content = {"images": images, "annotations": people, "categories": [category]}
        name = f"person_keypoints_{split}2017.json"
        if split == "test":
            content, name = {"images": images, "categories": []}, "image_info_test-dev2017.json"
        (data / "annotations").mkdir(exist_ok=True)
        (data / "annotations" / name).write_text(json.dumps(content))
        if split == "val":
            boxes = [{**p, "score": 0.9 - 0.1 * (p["id"] % 2)} for p in people]
            kept = ("image_id", "category_id", "bbox", "score")
            (data / "dets").mkdir()
            (data / "dets" / "human_detection.json").write_text(
                json.dumps([{key: box[key] for key in kept} for box in boxes])
            )
    for name in ("images", "annotations", "dets"):
        (root / "data" / "COCO" / name).symlink_to(data / name)
    (root / "output").mkdir()
    for name in ("log", "model_dump", "result", "vis"):
        (data / name).mkdir()
        (root / "output" / name).symlink_to(data / name)
    return Project(root, data)
