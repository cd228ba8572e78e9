"""SimplePose V2 through the programs: train, go on, test with scores and pictures, whole photos."""

import json
import shutil

import pytest

TINY = (
    "system=simplepose_v2",
    "run=tiny",
    "options.input_shape=64,64",
    "options.backbone_width=8",
    "options.units=1,1",
    "options.heatmap_threshold=1e-9",
    "options.person_threshold=0",
    "view.length=64",
    "train.initial_weights=none",
    "train.batch_size=2",
    "test.batch_size=2",
    "train.weight_decay=0",
)


def check(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.slow
def test_a_network_is_trained_tested_and_shown_without_any_boxes(project):
    shutil.rmtree(project.data / "dets")  # a bottom-up system needs none
    settings = ("--gpu", "cpu", "--set", *TINY)
    check(project.run("train.py", *settings, "train.end_epoch=1"))
    validated = ("train.end_epoch=2", "train.validate_every_epochs=1", "test.most_pictures=2")
    done = check(project.run("train.py", *settings, *validated, "--continue"))
    assert "epoch 2 validation on the first 2 pictures: AP" in done.stderr
    dump = project.root / "output" / "model_dump" / "COCO" / "tiny"
    assert (dump / "snapshot_1.safetensors").exists() and (dump / "snapshot_2.safetensors").exists()

    named = ("--gpu", "cpu", "--test_epoch", "2", "--set", "run=tiny", "system=simplepose_v2")
    check(project.run("test.py", *named, "test.scales=1,0.5", "test.most_pictures=0"))
    result = project.root / "output" / "result" / "COCO" / "tiny"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["scales"] == [1.0, 0.5]
    assert metrics["protocol"]["boxes"] == "none, whole pictures"
    assert metrics["protocol"]["pictures_looked_at"] == 3
    people = json.loads((result / "result.json").read_text())
    assert people and {len(row["keypoints"]) for row in people} == {51}
    for row in people:
        for x, y, flag in zip(*[iter(row["keypoints"])] * 3, strict=True):
            assert flag in (0, 1) and (flag or (x, y) == (0, 0))
    assert "AP" in metrics["metrics"]
    assert list((project.root / "output" / "vis" / "COCO" / "tiny").rglob("*.jpg"))

    photos, shown = project.data / "images" / "val2017", project.root / "shown"
    given = ("--input", str(photos), "--output", str(shown))
    check(project.run("demo.py", *given, *named))
    poses = json.loads((shown / "poses.json").read_text())
    assert len(poses["images"]) == 3 and len(list(shown.glob("*.jpg"))) == 3


@pytest.mark.slow
def test_crowdpose_is_scored_by_its_own_protocol(project, project_root, samples):
    target = project.root / "data" / "CrowdPose"
    target.mkdir()
    shutil.copy(project_root / "data" / "CrowdPose" / "dataset.yaml", target)
    for name in ("images", "annotations"):
        (target / name).symlink_to(samples / "CrowdPose" / name)
    sets = ("data.trainset=CrowdPose", "data.testset=CrowdPose", "test.split=test")
    settings = ("--gpu", "cpu", "--set", *TINY, *sets)
    check(project.run("train.py", *settings, "train.end_epoch=1"))
    check(project.run("test.py", *settings, "--test_epoch", "1"))
    path = project.root / "output" / "result" / "CrowdPose" / "tiny" / "metrics.json"
    metrics = json.loads(path.read_text())
    assert set(metrics["metrics"]) >= {"AP", "AP (easy)", "AP (medium)", "AP (hard)"}
    evaluation = metrics["protocol"]["evaluation"]
    assert evaluation["crowd_index_boundaries"] == {"tools": [0.2, 0.8]}
    assert evaluation["levels_of_the_paper"]["crowd_index_boundaries"] == {"paper": [0.1, 0.8]}
