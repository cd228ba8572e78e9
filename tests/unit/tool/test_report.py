"""The program that writes reports: where the page goes, and one line for wrong input."""

import json
import shutil

import numpy as np
import pytest

import report

DATASET = """
keypoint_sets:
  pair:
    keypoints: [head_top, left_hand]
    limbs: [[head_top, left_hand]]
    oks_sigmas: [0.5, 0.5]
evaluation: coco
splits:
  val: {annotations: data/Made/val.json, images: data/Made/images}
"""
JOINTS = [10.0, 10, 2, 40, 40, 2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A project with one annotated person and two runs that found it."""
    monkeypatch.setattr(report, "ROOT", tmp_path)
    folder = tmp_path / "data" / "Made"
    folder.mkdir(parents=True)
    (folder / "dataset.yaml").write_text(DATASET)
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 40, 40], "area": 900}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{**row, "keypoints": JOINTS}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (folder / "val.json").write_text(json.dumps(content))
    for name, shift in (("one", 3), ("two", 30)):
        run = tmp_path / "output" / "result" / "Made" / name
        run.mkdir(parents=True)
        keypoints = (np.array(JOINTS) + [shift, 0, 0] * 2).tolist()
        found = [{"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": keypoints}]
        (run / "result.json").write_text(json.dumps(found))
        protocol = {
            "dataset": "Made",
            "split": "val",
            "annotations": "data/Made/val.json",
            "skeleton": "Made/pair",
            "flip_test": name == "one",
        }
        metrics = {"metrics": {"AP": 0.5}, "protocol": protocol}
        (run / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "output" / "result" / "Made"


def refused(capsys, *arguments):
    """The one line that a wrong call ends with."""
    with pytest.raises(SystemExit) as caught:
        report.main(list(map(str, arguments)))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("report.py: error: ")
    return line


def test_a_page_lies_in_the_folder_of_its_run(results, capsys):
    report.main(["Made/one"])
    page = results / "one" / "report.html"
    assert page.read_text().startswith("<!doctype html>")
    assert str(page) in capsys.readouterr().out


def test_output_names_another_place(results, tmp_path):
    report.main([str(results / "one"), "--output", str(tmp_path / "new" / "a.html")])
    assert (tmp_path / "new" / "a.html").is_file()
    assert not (results / "one" / "report.html").exists()


def test_two_runs_of_different_protocols_need_anyway(results, capsys):
    line = refused(capsys, "Made/one", "Made/two")
    assert "flip_test: yes against no" in line and "--anyway" in line
    assert not list(results.glob("*/*.html"))
    report.main(["Made/one", "Made/two", "--anyway"])
    assert (results / "one" / "report_two.html").is_file()


def test_an_unknown_run_names_those_there_are(results, capsys):
    assert "There: Made/one, Made/two" in refused(capsys, "Made/three")


@pytest.mark.parametrize("missing", ["metrics.json", "result.json"])
def test_a_run_without_a_result_file_is_one_line_and_leaves_nothing(results, capsys, missing):
    (results / "one" / missing).unlink()
    assert f"{missing}. Run main/test.py" in refused(capsys, "Made/one")
    assert not list(results.glob("one/*.html"))


def test_a_data_set_that_is_gone_is_one_line(results, capsys, tmp_path):
    shutil.rmtree(tmp_path / "data" / "Made")
    assert "No dataset 'Made'" in refused(capsys, "Made/one")


def test_a_folder_that_cannot_be_written_leaves_the_old_page(results, capsys, tmp_path):
    (tmp_path / "file").write_text("old")
    line = refused(capsys, "Made/one", "--output", tmp_path / "file" / "a.html")
    assert "Cannot write" in line and (tmp_path / "file").read_text() == "old"
