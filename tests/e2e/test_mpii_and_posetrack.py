"""Real releases of MPII and PoseTrack: convert, train, test, score, draw, as a user does it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

import config as main_config
from poseras.metrics.posetrack import evaluate_posetrack

SETTINGS = (
    "data.trainset=PoseTrack,MPII",
    "run=tiny",
    "train.initial_weights=none",
    "train.batch_size=10",
    "train.end_epoch=1",
    "options.input_shape=64,64",
    "options.backbone_width=8",
    "options.head_filters=8,8,8",
)


def run(root: Path, program: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a program of a project on the CPU, from inside its own folder."""
    path = root / program
    return subprocess.run(
        [sys.executable, path.name, *arguments],
        cwd=path.parent,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        timeout=300,
    )


def read_json(path: Path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory, request):
    """A project with both samples linked, converted, and a network trained on them together."""
    here = Path(__file__).resolve().parents[2]
    samples = here.parent / "shared" / "samples"
    if not samples.is_dir():
        pytest.skip("the real sample data (../shared/samples) is not beside the project")
    root = tmp_path_factory.mktemp("project")
    for folder in ("main", "tool"):
        shutil.copytree(here / folder, root / folder, ignore=shutil.ignore_patterns("__*"))
    for name in ("MPII", "PoseTrack"):
        (root / "data" / name).mkdir(parents=True)
        shutil.copy(here / "data" / name / "dataset.yaml", root / "data" / name)
        for linked in ("images", "dets", "original_annotations"):
            (root / "data" / name / linked).symlink_to(samples / name / linked)
    for program in ("tool/mpii2coco.py", "tool/posetrack2coco.py"):
        done = run(root, program)
        assert done.returncode == 0, done.stderr
    done = run(root, "main/train.py", "--gpu", "cpu", "--set", *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "13 people to train on" in done.stderr and "7 people to train on" in done.stderr
    return root


def test_the_log_of_a_training_holds_its_settings(trained):
    folder = trained / "output" / "log" / "PoseTrack" / "tiny"
    again = main_config.load_config(str(folder / "config.yaml"))
    assert again == main_config.load_config(assignments=SETTINGS)
    lines = (folder / "train.log").read_text().splitlines()
    assert 'train.initial_weights="none"' in lines[0] and "train.momentum" not in lines[0]
    assert "Versions: poseras" in lines[1] and "commit" not in lines[1]
    assert any(" accuracy 0." in line for line in lines)


def run_test(root: Path, *settings: str) -> subprocess.CompletedProcess:
    arguments = ("--gpu", "cpu", "--test_epoch", "1", "--set", *SETTINGS[:2], *settings)
    return run(root, "main/test.py", *arguments)


def test_conversion_gives_the_published_files(trained, samples):
    for name, files in (
        ("MPII", ("train", "test")),
        ("PoseTrack", ("train2018", "val2018", "test2018")),
    ):
        for file in files:
            ours = read_json(trained / "data" / name / "annotations" / f"{file}.json")
            assert ours == read_json(samples / name / "annotations" / f"{file}.json")


def test_mpii_is_scored_by_pckh_on_annotated_boxes(trained):
    choice = ("data.testset=MPII", "test.split=train", "test.use_gt_box=true")
    done = run_test(trained, *choice)
    assert done.returncode == 0, done.stderr
    assert "Mean@0.1 (true)" in done.stderr, "the table is printed"
    assert "lacks pelvis, thorax, upper_neck of MPII/mpii_16" in done.stderr
    folder = trained / "output" / "result" / "MPII" / "tiny"
    content = read_json(folder / "metrics.json")
    assert {"Head", "Shoulder", "Mean", "Mean@0.1"} <= content["metrics"].keys()
    evaluation = content["protocol"]["evaluation"]
    assert evaluation["metric"] == "PCKh" and evaluation["annotated_people"]["head_top"] == 7
    assert sorted(evaluation["head_size"].values()) == [0, 0, 7]
    assert "no OKS NMS" in content["protocol"]["rescoring"]
    records = read_json(folder / "result.json")
    assert len(records) == 7 and all(len(r["keypoints"]) == 48 for r in records)
    predictions = loadmat(folder / "pred.mat")["preds"]
    # The rows of pred.mat are those of the annotation file, and so are the records of one picture,
    # which are rounded to 3 decimals.
    first = np.reshape(records[0]["keypoints"], (16, 3))[:, :2]
    np.testing.assert_allclose(predictions[0], first, rtol=0, atol=5.1e-4)
    assert predictions.shape == (7, 16, 2)
    pictures = trained / "output" / "vis" / "MPII" / "tiny" / "images"
    assert len(list(pictures.glob("*.jpg"))) == 5


def test_mpii_detections_give_a_submission_without_scores(trained):
    choice = ("data.testset=MPII", "test.split=test", "test.draw_count=0")
    done = run_test(trained, *choice)
    assert done.returncode == 0, done.stderr
    assert "no annotations" in done.stderr
    folder = trained / "output" / "result" / "MPII" / "tiny"
    assert read_json(folder / "metrics.json")["metrics"] == {}
    pred = loadmat(folder / "pred_keypoints_mpii_multi.mat", squeeze_me=True)["pred"]
    assert str(pred["image"].item()["name"]) == "059865848.jpg"


def test_posetrack_gives_files_that_poseval_reads_and_its_ap(trained):
    done = run_test(trained, "data.testset=PoseTrack", "test.split=val")
    assert done.returncode == 0, done.stderr
    assert "AP Total" in done.stderr, "the table is printed"
    folder = trained / "output" / "result" / "PoseTrack" / "tiny"
    content = read_json(folder / "metrics.json")
    assert content["protocol"]["rescoring"] == "mean of all keypoint scores"
    originals = trained / "data" / "PoseTrack" / "original_annotations" / "val"
    truth = {path.name: read_json(path) for path in sorted(originals.glob("*.json"))}
    results = {path.name: read_json(path) for path in (folder / "val").iterdir()}
    assert results.keys() == truth.keys()
    for name, file in results.items():
        assert file["images"] == truth[name]["images"]
        tracks = [(p["image_id"], p["track_id"]) for p in file["annotations"]]
        assert tracks and len(set(tracks)) == len(tracks), "poseval stops at a doubled track_id"
    evaluation = evaluate_posetrack(truth, results, tracking=False)
    assert evaluation.stats == content["metrics"], "the written files give the printed numbers"
    assert len(list((trained / "output/vis/PoseTrack/tiny").rglob("*.jpg"))) == 3


@pytest.mark.slow
def test_posetrack_people_are_tracked_on_the_real_pictures(trained):
    frames = read_json(trained / "data" / "PoseTrack" / "annotations" / "test2018.json")["images"]
    boxes = [
        {"image_id": frame["id"], "category_id": 1, "bbox": [20, 20, 200, 200], "score": 0.9}
        for frame in frames
    ]
    (trained / "boxes.json").write_text(json.dumps(boxes))
    tracked = ("data.testset=PoseTrack", "test.track=greedy", "test.track_threshold=-1e9")
    done = run_test(trained, *tracked, "test.split=test", "test.detections=boxes.json")
    assert done.returncode == 0, done.stderr
    folder = trained / "output" / "result" / "PoseTrack" / "tiny"
    (film,) = (folder / "test").iterdir()
    people = read_json(film)["annotations"]
    assert len(people) == len(frames) == 5
    assert {person["track_id"] for person in people} == {1}, "one box in place is one person"
    assert read_json(folder / "metrics.json")["metrics"] == {}
    done = run_test(trained, *tracked, "test.split=val", "test.draw_count=0")
    assert done.returncode == 0, done.stderr
    content = read_json(folder / "metrics.json")
    assert content["protocol"]["tracking"]["matching"] == "greedy"
    # The sample has one frame of each sequence, of which poseval leaves out the last one.
    assert "AP Total" in content["metrics"] and "MOTA Total" not in content["metrics"]


def test_tracking_is_refused_for_pictures_in_one_line(trained):
    choice = ("data.testset=MPII", "test.split=train", "test.use_gt_box=true")
    done = run_test(trained, *choice, "test.track=greedy")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if "error:" in line]
    assert "test.track follows people through sequences" in line and "Received MPII" in line
