"""A small project with a data set of three joints, two pictures, and runs that tests write."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseras.files import sha256_of_file

DATASET = """
keypoint_sets:
  three:
    keypoints: [nose, left_hand, right_hand]
    flip_pairs: [[left_hand, right_hand]]
    limbs: [[nose, left_hand], [nose, right_hand]]
    oks_sigmas: [0.5, 0.5, 0.5]
    colours: {left: [64, 196, 255], right: [255, 145, 77], centre: [186, 230, 126]}
  two:
    keypoints: [nose, left_hand]
    flip_pairs: []
    limbs: [[nose, left_hand]]
    oks_sigmas: [0.5, 0.5]
    colours: {left: [64, 196, 255], right: [255, 145, 77], centre: [186, 230, 126]}
evaluation: coco
splits:
  val:
    annotations: data/Made/val.json
    images: data/Made/images
"""
#: Of area 400 with sigma .5: ks = exp(-d^2 / 800), 0.5 at 23.5 px, 0.85 at 11.4 px.
PERSON = [[100, 40, 2], [40, 100, 2], [160, 100, 1]]


@dataclass
class Project:
    """A project folder and what makes runs in it."""

    root: Path

    @staticmethod
    def pose(x=0, y=0):
        """The joints of the person, moved."""
        return (np.array(PERSON)[:, :2] + [x, y]).tolist()

    def write_run(self, name, people, *, metrics=None, **protocol):
        """A result folder; `people` are (image id, score, joints of x, y)."""
        folder = self.root / "output" / "result" / "Made" / name
        folder.mkdir(parents=True)
        annotations = self.root / "data" / "Made" / "val.json"
        records = [
            {
                "image_id": image,
                "category_id": 1,
                "score": score,
                "keypoints": np.column_stack([joints, np.ones(3)]).ravel().tolist(),
            }
            for image, score, joints in people
        ]
        content = {
            "metrics": {"AP": 0.5, "AR": None} if metrics is None else metrics,
            "protocol": {
                "dataset": "Made",
                "split": "val",
                "annotations": "data/Made/val.json",
                "annotations_sha256": sha256_of_file(annotations),
                "boxes": "annotated",
                "skeleton": "Made/three",
                "snapshot_sha256": name,
                "options": {"depth": 18},
                "evaluation": {"evaluator": "fast", "versions": {"numpy": name}},
                **protocol,
            },
        }
        (folder / "result.json").write_text(json.dumps(records))
        (folder / "metrics.json").write_text(json.dumps(content))
        return folder


@pytest.fixture
def project(tmp_path):
    """Two pictures: one with the person and the same person 200 px to the right, one with one."""
    folder = tmp_path / "data" / "Made"
    (folder / "images").mkdir(parents=True)
    (folder / "dataset.yaml").write_text(DATASET)
    rng = np.random.default_rng(0)
    images, rows = [], []
    for number, people in ((1, [0, 200]), (2, [0])):
        picture = rng.integers(0, 256, (16, 40, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), cv2.resize(picture, (400, 160)))
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 400, "height": 160})
        for x in people:
            joints = np.array(PERSON) + [x, 0, 0]
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x + 30, 30, 140, 80],
                    "area": 400,
                    "keypoints": joints.ravel().tolist(),
                }
            )
    content = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "person"}]}
    (folder / "val.json").write_text(json.dumps(content))
    return Project(tmp_path)
