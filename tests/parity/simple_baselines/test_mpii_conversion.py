"""MPII's release to COCO format, against TF-SimpleHumanPose's mpii2coco."""

import json

import cv2
import numpy as np
import pytest

import mpii2coco
from poseras.data.mpii_conversion import convert_release
from poseras.data.mpii_release import read_release

FOLDER = "simple_baselines/"
MAT, SIZES = FOLDER + "mpii_human_pose_v1_u12_1.mat", FOLDER + "mpii_image_sizes.json"


def assert_same(ours, theirs) -> None:
    """Equal but for the rounding of floats: 1e-9 is the golden README's tolerance."""
    assert type(ours) is type(theirs) or isinstance(ours, int | float)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=0, abs=1e-9)
    else:
        assert ours == theirs


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_release_becomes_the_published_file(golden, split):
    expected = golden.load(f"{FOLDER}mpii_expected_{split}.json")
    sizes = golden.load(SIZES)["size_of_image_width_height"]
    sizes_hw = {name: (height, width) for name, (width, height) in sizes.items()}
    conversion = convert_release(read_release(golden.path(MAT)), sizes_hw, split)
    assert_same(conversion.content, expected)


def test_pictures_of_the_release_are_known_by_place_and_split(golden):
    expected = golden.load(SIZES)
    release = read_release(golden.path(MAT))
    assert list(release.names) == expected["names"]
    assert release.is_train.astype(int).tolist() == expected["img_train"]


def test_the_program_reads_sizes_from_pictures_and_writes_both_files(golden, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    sizes = golden.load(SIZES)["size_of_image_width_height"]
    for name, (width, height) in sizes.items():
        cv2.imwrite(str(images / name), np.zeros((height, width, 3), np.uint8))
    arguments = ["--mat", str(golden.path(MAT)), "--images", str(images)]
    for folder in ("one", "two"):
        mpii2coco.main([*arguments, "--output", str(tmp_path / folder)])
    for split in ("train", "test"):
        written = (tmp_path / "one" / f"{split}.json").read_bytes()
        if golden.find(f"{FOLDER}mpii_expected_{split}.json"):
            assert_same(json.loads(written), golden.load(f"{FOLDER}mpii_expected_{split}.json"))
        assert (tmp_path / "two" / f"{split}.json").read_bytes() == written


def test_the_real_sample_becomes_the_published_files(samples):
    folder = samples / "MPII"
    release = read_release(folder / "original_annotations" / "mpii_human_pose_v1_u12_1.mat")
    for split in ("train", "test"):
        expected = json.loads((folder / "annotations" / f"{split}.json").read_text())
        sizes_hw = {
            image["file_name"].removeprefix("images/"): (image["height"], image["width"])
            for image in expected["images"]
        }
        assert_same(convert_release(release, sizes_hw, split).content, expected)
