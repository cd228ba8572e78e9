"""DeeperCut through the programs: tables, train, go on, models, test with scores and pictures."""

import json
import subprocess
import sys

import pytest

TINY = (
    "system=deepercut_arttrack",
    "run=tiny",
    "data.small_area=0",
    "options.depth=18",
    "options.backbone_width=4",
    "options.batch_norm=trained",
    "options.pairwise=true",
    "options.pairwise_statistics=data/COCO/pairwise",
    "options.det_min_score=0",
    "options.candidates=3",
    "train.initial_weights=none",
    "train.weight_decay=0",
    "train.optimizer=momentum",
    "train.learning_rate=0.001",
    "train.decay_steps=2",
    "train.decay_factors=0.5",
)


def check(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def tables(project, project_root):
    """Runs tool/pairwise_stats.py of the small project; the folder that it writes."""
    (project.root / "tool").mkdir()
    source = (project_root / "tool" / "pairwise_stats.py").read_text()
    (project.root / "tool" / "pairwise_stats.py").write_text(source)

    def run(*arguments):
        command = [sys.executable, "tool/pairwise_stats.py", "--dataset", "COCO", *arguments]
        command += ["--output", "data/COCO/pairwise"]
        return subprocess.run(
            command, cwd=project.root, capture_output=True, text=True, timeout=600
        )

    return run


@pytest.mark.slow
def test_people_of_pictures_of_different_sizes_are_learned_and_found(project, tables):
    check(tables())
    statistics = project.root / "data" / "COCO" / "pairwise" / "pairwise_stats.mat"
    settings = ("--gpu", "cpu", "--set", *TINY, "train.batch_size=2", "train.total_steps=3")
    check(project.run("train.py", *settings))
    statistics.unlink()  # its numbers are in the snapshot
    settings = (*settings[:-1], "train.total_steps=4")
    check(project.run("train.py", *settings, "--continue"))
    dump = project.root / "output" / "model_dump" / "COCO" / "tiny"
    snapshot = dump / "snapshot_2.safetensors"
    assert snapshot.exists()
    done = check(tables("--model-file", str(snapshot)))
    assert "136 models of 3 pictures" in done.stdout

    named = ("--gpu", "cpu", "--model-file", str(snapshot), "--set", "run=tiny")
    told = (*named, "system=deepercut_arttrack", "options.pairwise_models=data/COCO/pairwise")
    check(project.run("test.py", *told, "test.flip_test=false"))
    result = project.root / "output" / "result" / "COCO" / "tiny"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 3
    assert len(metrics["protocol"]["resources_sha256"]) == 64
    people = json.loads((result / "result.json").read_text())
    assert people and {len(row["keypoints"]) for row in people} == {51}
    assert "AP" in metrics["metrics"]
    assert list((project.root / "output" / "vis" / "COCO" / "tiny").rglob("*.jpg"))


@pytest.mark.slow
def test_what_cannot_be_trained_is_one_line(project, tables):
    settings = ("--gpu", "cpu", "--set", *TINY)
    done = project.run("train.py", *settings)
    assert done.returncode == 2 and "No pairwise files at" in done.stderr
    check(tables())
    frozen = [text.replace("norm=trained", "norm=frozen") for text in settings]
    done = project.run("train.py", *frozen)
    assert done.returncode == 2 and "frozen needs pretrained weights" in done.stderr
    images = f"data.images={project.data / 'images'}"
    done = project.run("train.py", *settings, images)
    assert done.returncode == 2 and "of the same release and phase" in done.stderr
