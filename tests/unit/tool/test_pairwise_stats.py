"""The program that measures pairwise statistics: one person by hand, and wrong input."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import pairwise_stats
from poseras import pairwise_training, predictor
from poseras.checkpoints.pairwise_files import read_logistic_models, read_pairwise_statistics
from poseras.codecs.pairwise_models import LogisticModels
from poseras.data.dataset import choose_skeleton

COCO_NOSE_TO_LEFT_EYE = 0  # of the ordered pairs


@pytest.fixture
def annotations(tmp_path):
    """One person of COCO with a nose and a left eye, one without, and a crowd."""
    labelled = [10, 10, 2, 14, 7, 1] + [0] * 45
    row = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 50, "width": 50}],
        "annotations": [
            {**row, "id": 1, "keypoints": labelled, "num_keypoints": 2},
            {**row, "id": 2, "keypoints": [0] * 51, "num_keypoints": 0},
            {**row, "id": 3, "keypoints": [9, 9, 1] * 17, "num_keypoints": 17, "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "people.json"
    path.write_text(json.dumps(content))
    return path


def run(annotations, output, *more):
    pairwise_stats.main(
        ["--dataset", "COCO", "--annotations", str(annotations), "--output", str(output), *more]
    )


def test_the_means_of_a_file_are_written_and_what_is_missing_is_said(annotations, tmp_path, capsys):
    output = tmp_path / "out" / "pairwise_stats.mat"
    run(annotations, output, "--no-mirror")
    means, deviations = read_pairwise_statistics(output)
    assert means.shape == (272, 2)
    assert means[COCO_NOSE_TO_LEFT_EYE].tolist() == [4, -3]
    assert deviations[COCO_NOSE_TO_LEFT_EYE].tolist() == [1, 1]  # one person has no spread
    said = capsys.readouterr().out
    assert "1 people, 2 of 272 pairs" in said
    assert "nobody shows both nose and right_eye: mean 0, deviation 1" in said


def test_people_are_counted_mirrored_too_unless_told_otherwise(annotations, tmp_path):
    run(annotations, tmp_path / "stats.mat")
    means, _ = read_pairwise_statistics(tmp_path / "stats.mat")
    # The mirrored person shows nose to right eye, (-4, -3).
    assert means[:2].tolist() == [[4, -3], [-4, -3]]


def test_people_of_all_files_of_a_split_are_measured(
    annotations, tmp_path, capsys, monkeypatch, project_root
):
    content = json.loads(annotations.read_text())
    content["images"][0]["id"] = 2
    content["annotations"] = [{**content["annotations"][0], "id": 11, "image_id": 2}]
    content["annotations"][0]["keypoints"][:2] = [12, 10]
    (tmp_path / "more.json").write_text(json.dumps(content))
    described = yaml.safe_load((project_root / "data" / "COCO" / "dataset.yaml").read_text())
    described["splits"]["train"]["annotations"] = ["people.json", "more.json"]
    (tmp_path / "data" / "COCO").mkdir(parents=True)
    (tmp_path / "data" / "COCO" / "dataset.yaml").write_text(yaml.safe_dump(described))
    monkeypatch.setattr(pairwise_stats, "ROOT", tmp_path)
    output = tmp_path / "stats.mat"
    pairwise_stats.main(["--dataset", "COCO", "--output", str(output), "--no-mirror"])
    assert "2 people" in capsys.readouterr().out
    assert read_pairwise_statistics(output)[0][COCO_NOSE_TO_LEFT_EYE].tolist() == [3, -3]


@pytest.mark.parametrize(
    ("more", "message"),
    [(["--split", "none"], "none"), (["--annotations", "no.json"], "no.json")],
)
def test_wrong_input_is_one_line(annotations, tmp_path, capsys, more, message):
    with pytest.raises(SystemExit) as caught:
        run(annotations, tmp_path / "stats.mat", *more)
    assert caught.value.code == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    assert message in line and not (tmp_path / "stats.mat").exists()


def test_pairs_without_a_model_are_named_at_the_end(annotations, tmp_path, capsys, monkeypatch):
    eyes = LogisticModels(np.array([[1, 2]]), np.zeros((1, 8)), np.ones((1, 8)), np.ones((1, 9)))
    network = SimpleNamespace(skeleton=choose_skeleton(pairwise_stats.ROOT, ["COCO"]))
    monkeypatch.setattr(predictor, "load_predictor", lambda path: network)
    found = [(eyes, [(0, 1), (15, 16)]), (eyes, [])]
    monkeypatch.setattr(pairwise_training, "train_pairwise_models", lambda *a, **k: found.pop(0))
    run(annotations, tmp_path / "models", "--model-file", "s.safetensors")
    said = capsys.readouterr().out.splitlines()
    assert "1 models of 1 pictures" in said[0] and len(said) == 2
    assert said[1].startswith("no model, as no picture has examples: nose and left_eye, left_ank")
    assert "left_ankle and right_ankle. A test does not compare these pairs; train on" in said[1]
    assert read_logistic_models(tmp_path / "models")[0].tolist() == [[1, 2]]
    run(annotations, tmp_path / "models", "--model-file", "s.safetensors")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_file_without_people_is_refused(annotations, tmp_path, capsys):
    content = json.loads(annotations.read_text())
    content["annotations"] = content["annotations"][1:]
    annotations.write_text(json.dumps(content))
    with pytest.raises(SystemExit):
        run(annotations, tmp_path / "stats.mat")
    assert "must have people with labelled joints" in capsys.readouterr().err
