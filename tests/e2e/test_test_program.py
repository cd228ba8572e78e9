"""test.py as a user runs it, on a made-up data set."""

import json

import cv2
import pytest

from poseras.engine.tests_log import read_tests

RUN = "simple_baselines_coco_resnet50_256x192"
TEST = ("--gpu", "cpu", "--test_epoch", "1")


def one_line(result):
    """What the program said on its way out, which must be one line."""
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if ".py: error:" in line]
    assert len(lines) == 1 and "Traceback" not in result.stderr
    return lines[0]


def result_of(project, dataset="COCO"):
    folder = project.root / "output" / "result" / dataset / RUN
    return json.loads((folder / "result.json").read_text()), json.loads(
        (folder / "metrics.json").read_text()
    )


def test_a_test_inside_main_with_linked_data_and_output(project):
    project.write_snapshot()
    result = project.run("test.py", *TEST, folder="main")
    assert result.returncode == 0, result.stderr
    records, content = result_of(project)
    assert len(records) == 6
    assert {r["image_id"] for r in records} == {1, 2, 3}
    assert all(len(r["keypoints"]) == 51 and r["keypoints"][2] == 1 for r in records)
    assert len(content["metrics"]) == 10
    protocol = content["protocol"]
    assert protocol["boxes"] == "detected"
    assert protocol["detections"] == "data/COCO/dets/human_detection.json"
    assert len(protocol["detections_sha256"]) == len(protocol["snapshot_sha256"]) == 64
    assert protocol["options"]["decoder"] == "quarter"
    assert protocol["evaluation"]["evaluator"] == "pycocotools"
    (test,) = read_tests(project.root / "output" / "result" / "COCO" / RUN)
    assert test["epoch"] == 1 and test["metrics"].keys() == content["metrics"].keys()
    assert test["settings"]["options.backbone_width"] == 8
    assert "options.depth" not in test["settings"], "it has its default"
    pictures = sorted((project.root / "output" / "vis" / "COCO" / RUN).glob("*.jpg"))
    assert [cv2.imread(str(p)).shape for p in pictures] == [
        (72, 96, 3),
        (84, 112, 3),
        (96, 128, 3),
    ]


def test_settings_change_the_test_and_its_protocol(project):
    project.write_snapshot()
    changes = ("test.use_gt_box=true", "test.evaluator=both", "options.decoder=dark")
    result = project.run("test.py", *TEST, "--set", *changes, "test.draw_count=0")
    assert result.returncode == 0, result.stderr
    _, content = result_of(project)
    assert content["protocol"]["boxes"] == "annotated"
    assert content["protocol"]["options"]["decoder"] == "dark"
    assert content["protocol"]["evaluation"]["evaluator"] == "both"
    assert not list((project.root / "output" / "vis").rglob("*.jpg"))


def test_pictures_without_annotations_give_results_without_scores(project):
    project.write_snapshot()
    boxes = "data/COCO/dets/human_detection.json"
    result = project.run("test.py", *TEST, "--set", "test.split=test", f"test.detections={boxes}")
    assert result.returncode == 0, result.stderr
    assert "no annotations" in result.stderr
    records, content = result_of(project)
    assert len(records) == 6 and content["metrics"] == {}


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("annotations", "No annotations at .*person_keypoints_val2017.json.*data/README.md"),
        ("dets", "No person boxes at .*human_detection.json.*test.use_gt_box=true"),
    ],
)
def test_a_missing_file_is_named_with_the_way_to_get_it(project, missing, line):
    import re

    (project.root / "data" / "COCO" / missing).unlink()
    assert re.search(line, one_line(project.run("test.py", "--gpu", "0-1", "--test_epoch", "140")))


def test_a_missing_snapshot_is_named(project):
    line = one_line(project.run("test.py", *TEST))
    assert "snapshot_1" in line and "main/train.py" in line


def test_a_damaged_picture_stops_the_test_or_is_skipped_and_listed(project):
    project.write_snapshot()
    picture = project.data / "images" / "val2017" / "000000000002.jpg"
    picture.write_bytes(picture.read_bytes()[:500])
    line = one_line(project.run("test.py", *TEST))
    assert "000000000002.jpg" in line and "cut off" in line
    assert not list((project.data / "result").rglob("*.json"))
    result = project.run("test.py", *TEST, "--set", "data.on_bad_sample=skip")
    assert result.returncode == 0, result.stderr
    assert "Skipped 2" in result.stderr and "000000000002.jpg" in result.stderr
    records, content = result_of(project)
    assert {r["image_id"] for r in records} == {1, 3}
    assert content["protocol"]["people_skipped"] == 2


def test_detections_of_other_pictures_say_how_many_match(project):
    project.write_snapshot()
    boxes = [{"image_id": 77, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 1.0}]
    (project.data / "dets" / "human_detection.json").write_text(json.dumps(boxes))
    assert "0 of 1 boxes" in one_line(project.run("test.py", *TEST))


def test_a_snapshot_of_another_network_names_the_differences(project):
    project.write_snapshot()
    line = one_line(project.run("test.py", *TEST, "--set", "options.backbone_width=16"))
    assert "does not fit" in line and "conv1" in line


def test_a_snapshot_placed_by_hand_is_used_and_said(project):
    path = project.write_snapshot()
    path.rename(path.parent.parent / path.name)
    result = project.run("test.py", *TEST)
    assert result.returncode == 0, result.stderr
    assert "is used: the run" in result.stderr
