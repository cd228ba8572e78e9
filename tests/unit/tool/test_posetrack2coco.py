"""The program around PoseTrack's converter: default layout, options, wrong input."""

import json

import cv2
import numpy as np
import pytest

import posetrack2coco


def write_sequence(folder, split, number):
    name = f"images/{split}/{number:06d}/000000.jpg"
    content = {
        "images": [{"id": number, "file_name": name}],
        "annotations": [
            {"id": number, "image_id": number, "keypoints": [1, 2, 1], "bbox": [0, 0, 2, 3]}
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
    }
    path = folder / "original_annotations" / split / f"{number:06d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    (folder / name).parent.mkdir(parents=True)
    cv2.imwrite(str(folder / name), np.zeros((30, 40, 3), np.uint8))


@pytest.fixture
def release(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "PoseTrack"
    write_sequence(folder, "train", 1)
    write_sequence(folder, "val", 2)
    write_sequence(folder, "val", 3)
    monkeypatch.setattr(posetrack2coco, "FOLDER", folder)
    return folder


def one_error(capsys, arguments=()):
    with pytest.raises(SystemExit) as caught:
        posetrack2coco.main(arguments)
    assert caught.value.code == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    return line


def test_without_options_the_splits_that_are_there_are_joined(release, capsys):
    posetrack2coco.main([])
    folder = release / "annotations"
    assert sorted(path.name for path in folder.iterdir()) == ["train2018.json", "val2018.json"]
    content = json.loads((folder / "val2018.json").read_text())
    assert [(i["id"], i["width"], i["height"]) for i in content["images"]] == [
        (2, 40, 30),
        (3, 40, 30),
    ]
    assert "val2018.json: 2 pictures, 2 people" in capsys.readouterr().out


def test_options_choose_split_and_folders(release, tmp_path):
    arguments = ["--split", "val", "--output", str(tmp_path / "out")]
    arguments += ["--annotations", str(release / "original_annotations")]
    posetrack2coco.main([*arguments, "--images", str(release / "images")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["val2018.json"]


def test_a_split_that_is_absent_is_named(release, capsys):
    assert "No PoseTrack sequences in" in one_error(capsys, ["--split", "test"])


def test_a_missing_folder_is_named(release, capsys, tmp_path):
    line = one_error(capsys, ["--annotations", str(tmp_path / "none")])
    assert "No PoseTrack labels at" in line and "--annotations DIR" in line


def test_nothing_is_written_where_a_picture_is_absent(release, capsys):
    (release / "images/val/000003/000000.jpg").unlink()
    line = one_error(capsys)
    assert "1 of the 2 pictures" in line and "000003" in line
    assert not (release / "annotations").exists()
