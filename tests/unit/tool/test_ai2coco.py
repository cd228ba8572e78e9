"""The programs around AI Challenger's converter: default places, options, one line where wrong."""

import json

import cv2
import numpy as np
import pytest

import ai2coco
import ai2coco_art_neckhead_json

POSE = [0, 0, 3] * 13 + [5, 6, 1]
RECORD = {
    "image_id": "p",
    "url": "u",
    "human_annotations": {"human1": [1, 2, 11, 22]},
    "keypoint_annotations": {"human1": POSE},
}


@pytest.fixture
def release(tmp_path, monkeypatch):
    """data/AIChallenger of a project with a training file of one picture."""
    folder = tmp_path / "data" / "AIChallenger"
    name, pictures = ai2coco.SPLITS["train"]
    (folder / "images" / pictures).mkdir(parents=True)
    (folder / "original_annotations").mkdir()
    (folder / "original_annotations" / name).write_text(json.dumps([RECORD]))
    cv2.imwrite(str(folder / "images" / pictures / "p.jpg"), np.zeros((30, 40, 3), np.uint8))
    monkeypatch.setattr(ai2coco, "FOLDER", folder)
    return folder


def refuse(capsys, program, arguments):
    with pytest.raises(SystemExit) as caught:
        program.main(arguments)
    assert caught.value.code == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    return line


def test_without_options_the_release_of_the_project_is_converted(release, capsys):
    ai2coco.main([])
    content = json.loads((release / "annotations" / "train.json").read_text())
    assert content["images"][0]["file_name"] == "p.jpg" and content["images"][0]["width"] == 40
    assert content["annotations"][0]["num_keypoints"] == 1
    assert "1 pictures, 1 people" in capsys.readouterr().out
    assert not (release / "annotations" / "val.json").exists()


def test_one_file_can_be_named_and_laid_out_as_the_fork_does(release, tmp_path):
    name, pictures = ai2coco.SPLITS["train"]
    files = [release / "original_annotations" / name, release / "images" / pictures]
    output = tmp_path / "own.json"
    named = ["--annotations", str(files[0]), "--images", str(files[1]), "--output", str(output)]
    ai2coco.main([*named, "--layout", "coco17_neckhead"])
    assert json.loads(output.read_text())["neck"] == []


def test_the_command_of_the_fork_writes_beside_its_input(release):
    name, pictures = ai2coco.SPLITS["train"]
    keypoints = release / "original_annotations" / name
    images = release / "images" / pictures
    ai2coco_art_neckhead_json.main(["--keypoint_json", str(keypoints), "--img_dir", str(images)])
    text = keypoints.with_name(f"coco_art_neckhead_{name}").read_text()
    assert text.startswith('{"info": {"description": "AI challenger keypoint in mscoco format"}, ')
    assert json.loads(text)["annotations"][0]["num_keypoints"] == 0


def test_options_that_do_not_go_together_are_one_line(release, capsys):
    assert "given together" in refuse(capsys, ai2coco, ["--output", "a.json"])
    assert "keypoint_validation_annotations" in refuse(capsys, ai2coco, ["--split", "val"])


def test_absent_files_are_one_line(release, capsys, tmp_path, monkeypatch):
    (release / "images" / ai2coco.SPLITS["train"][1] / "p.jpg").unlink()
    assert "1 of the 1 pictures" in refuse(capsys, ai2coco, [])
    assert not (release / "annotations").exists()
    monkeypatch.setattr(ai2coco, "FOLDER", tmp_path / "elsewhere")
    assert "name a file with --annotations" in refuse(capsys, ai2coco, [])
    lines = refuse(capsys, ai2coco_art_neckhead_json, ["--keypoint_json", str(tmp_path / "no")])
    assert "no" in lines
