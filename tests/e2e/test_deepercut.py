"""DeeperCut through the programs: tables, train, go on, models, test with scores and pictures."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import yaml
from scipy.io import savemat

from poseras.engine.snapshot import read_metadata, read_snapshot

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


#: On top of a recipe of main/configs: a network and a run that take seconds.
LIGHT = (
    "options.depth=18",
    "options.backbone_width=4",
    "options.batch_norm=trained",
    "options.det_min_score=0",
    "options.candidates=3",
    "options.min_joints=1",
    "train.initial_weights=none",
    "train.batch_size=2",
    "train.total_steps=3",
)


def check(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def tables(project, project_root):
    """Runs tool/pairwise_stats.py of the small project; the folder that it writes."""

    def run(*arguments):
        named = ("--dataset", "COCO", "--output", "data/COCO/pairwise")
        return run_tool(project, project_root, "pairwise_stats.py", *named, *arguments)

    return run


def run_tool(project, project_root, program, *arguments):
    """Run a program of tool/ in the small project."""
    (project.root / "tool").mkdir(exist_ok=True)
    shutil.copy(project_root / "tool" / program, project.root / "tool")
    command = [sys.executable, f"tool/{program}", *arguments]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=600)


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
    check(project.run("test.py", *told, "test.flip_test=false", "test.draw_parts=true"))
    result = project.root / "output" / "result" / "COCO" / "tiny"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 3
    assert len(metrics["protocol"]["resources_sha256"]) == 64
    people = json.loads((result / "result.json").read_text())
    assert people and {len(row["keypoints"]) for row in people} == {51}
    assert "AP" in metrics["metrics"]
    drawn = project.root / "output" / "vis" / "COCO" / "tiny"
    names = {path.stem for path in drawn.glob("*.jpg")}
    parts = {path.stem for path in (drawn / "parts").glob("*.jpg")}
    assert names and parts == {f"{n}_{k}" for n in names for k in ("people", "scores", "pairwise")}


@pytest.mark.slow
def test_a_run_that_stops_within_an_epoch_goes_on_bit_by_bit(project, tables):
    """Two padded pictures a step, three an epoch, ignored regions, rates that fall in between."""
    check(tables())
    tiny = (text for text in TINY if text != "run=tiny")
    told = ("--set", *tiny, "train.batch_size=2", "options.use_ignore_mask=true")
    check(project.run("train.py", "--gpu", "cpu", *told, "run=whole", "train.total_steps=6"))
    check(project.run("train.py", "--gpu", "cpu", *told, "run=parts", "train.total_steps=3"))
    more = (*told, "run=parts", "train.total_steps=6")
    done = check(project.run("train.py", "--gpu", "cpu", "--continue", *more))
    assert "step 3 of 6" in done.stderr
    dump = project.root / "output" / "model_dump" / "COCO"
    whole, parts = (read_snapshot(dump / r / "snapshot_3.safetensors") for r in ("whole", "parts"))
    assert whole.metadata["counters"] == parts.metadata["counters"]
    assert whole.metadata["counters"]["step"] == 6 and whole.metadata["counters"]["epoch"] == 3
    assert whole.arrays.keys() == parts.arrays.keys() and len(whole.arrays) > 100
    differ = [k for k in whole.arrays if not np.array_equal(whole.arrays[k], parts.arrays[k])]
    assert not differ
    earlier = read_snapshot(dump / "parts" / "snapshot_1.safetensors").arrays
    assert any(not np.array_equal(earlier[name], parts.arrays[name]) for name in earlier)


@pytest.mark.slow
def test_several_people_of_the_real_sample_of_coco_are_learned_tested_and_drawn(
    project, tables, samples
):
    """Four photographs show nobody's left ear and left ankle: the pair is not compared."""
    for kind in ("annotations", "images"):
        link = project.root / "data" / "COCO" / kind
        link.unlink()
        link.symlink_to(samples / "COCO" / kind)
    check(tables())
    recipe = ("--config", "deepercut_coco", "--gpu", "cpu", "--set")
    named = ("options.pairwise_statistics=data/COCO/pairwise", "options.pairwise_models=")
    check(project.run("train.py", *recipe, *LIGHT, *named))
    dump = project.root / "output" / "model_dump" / "COCO" / "deepercut_coco"
    snapshot = max(dump.glob("snapshot_*.safetensors"))
    assert read_metadata(snapshot)["counters"]["step"] == 3
    trained = check(tables("--model-file", str(snapshot), "--pictures", "4")).stdout
    assert "135 models of 4 pictures" in trained and "left_ear and left_ankle. A test" in trained

    told = ("options.pairwise_models=data/COCO/pairwise", "options.sparse_graph=all")
    file = ("--model-file", str(snapshot))
    drawing = ("test.draw_parts=true", "test.draw_count=3")
    tested = check(project.run("test.py", *recipe[:-1], *file, "--set", *told, *drawing)).stderr
    assert tested.count("No logistic model of 1 of 136 pairs") == 1
    assert "not compared: left_ear and left_ankle. They" in tested
    result = project.root / "output" / "result" / "COCO" / "deepercut_coco"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] > 1 and 0 <= metrics["metrics"]["AP"] <= 1
    people = json.loads((result / "result.json").read_text())
    assert len(people) > metrics["protocol"]["pictures_looked_at"]
    drawn = project.root / "output" / "vis" / "COCO" / "deepercut_coco"
    pictures = {path.stem: cv2.imread(str(path)) for path in drawn.glob("*.jpg")}
    originals = {p.stem: p for p in (samples / "COCO" / "images" / "val2017").glob("*.jpg")}
    assert len(pictures) == 3 and pictures.keys() <= originals.keys()
    for name, picture in pictures.items():
        original = cv2.imread(str(originals[name]))
        assert picture.shape == original.shape and (picture != original).any()
    parts = {path.stem for path in (drawn / "parts").glob("*.jpg")}
    assert parts == {f"{n}_{k}" for n in pictures for k in ("people", "scores", "pairwise")}


@pytest.mark.slow
def test_what_cannot_be_trained_is_one_line(project, tables):
    settings = ("--gpu", "cpu", "--set", *TINY)
    done = project.run("train.py", *settings)
    assert done.returncode == 2 and "No pairwise files at" in done.stderr
    check(tables())
    done = project.run("train.py", *settings, "train.validate_every_epochs=1")
    assert done.returncode == 2 and "train.validate_every_epochs=0 trains without" in done.stderr
    frozen = [text.replace("norm=trained", "norm=frozen") for text in settings]
    done = project.run("train.py", *frozen)
    assert done.returncode == 2 and "frozen needs pretrained weights" in done.stderr
    images = f"data.images={project.data / 'images'}"
    done = project.run("train.py", *settings, images)
    assert done.returncode == 2 and "of the same release and phase" in done.stderr


def write_release(folder):
    """Two splits of AI Challenger's form: noise with two people a picture, and their files."""
    random = np.random.default_rng(8)
    (folder / "original_annotations").mkdir(parents=True)
    for split, date, pictures in (
        ("train", "20170909", "keypoint_train_images_20170902"),
        ("validation", "20170911", "keypoint_validation_images_20170911"),
    ):
        (folder / "images" / pictures).mkdir(parents=True)
        records = []
        for number in range(3):
            height, width = 96 + 16 * number, 128 - 16 * number
            blocks = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
            picture = cv2.resize(blocks, (width, height))
            cv2.imwrite(str(folder / "images" / pictures / f"{split}{number}.jpg"), picture)
            people = {}
            for name, left in (("human2", width // 2), ("human1", 2)):  # in any order
                points = random.integers(4, width // 2 - 4, (14, 2)) + (left, 0)
                flags = random.integers(1, 4, 14)
                points[flags == 3] = 0
                people[name] = np.column_stack([points, flags]).ravel().tolist()
            boxes = {name: [2, 2, width - 2, height - 2] for name in people}
            records.append(
                {
                    "image_id": f"{split}{number}",
                    "url": "",
                    "human_annotations": boxes,
                    "keypoint_annotations": people,
                }
            )
        name = f"keypoint_{split}_annotations_{date}.json"
        (folder / "original_annotations" / name).write_text(json.dumps(records))


def learn_ai_challenger(project, project_root):
    """Every command of the recipe, from the release's files to scores: what they said, results.

    Returns:
        What the converter and the tables' tool printed, the snapshot, and the folder of results.
    """
    folder = project.root / "data" / "AIChallenger"
    shutil.copy(project_root / "data" / "AIChallenger" / "dataset.yaml", folder)
    said = check(run_tool(project, project_root, "ai2coco.py")).stdout
    named = ("--dataset", "AIChallenger", "--output", "data/AIChallenger/data/pairwise")
    said += check(run_tool(project, project_root, "pairwise_stats.py", *named)).stdout
    recipe = ("--config", "deepercut_aichallenger", "--gpu", "cpu")
    said += check(project.run("train.py", *recipe, "--set", *LIGHT)).stderr
    dump = project.root / "output" / "model_dump" / "AIChallenger" / "deepercut_aichallenger"
    snapshot = dump / "snapshot_2.safetensors"  # three pictures, two at a time, for three steps
    model = ("--model-file", snapshot)
    said += check(run_tool(project, project_root, "pairwise_stats.py", *named, *model)).stdout
    told = ("--set", "options.pairwise_models=data/AIChallenger/data/pairwise")
    tested = (*recipe, "--test_epoch", "2", *told)
    check(project.run("test.py", *tested, folder="main"))  # paths start at the root all the same
    return said, snapshot, project.root / "output/result/AIChallenger/deepercut_aichallenger"


@pytest.mark.slow
def test_ai_challenger_is_converted_learned_and_scored_by_its_own_metric(project, project_root):
    write_release(project.root / "data" / "AIChallenger")
    said, snapshot, result = learn_ai_challenger(project, project_root)
    assert said.count("3 pictures, 6 people") == 2
    stored = read_metadata(snapshot)
    assert stored["options"]["pairwise_statistics"] == "data/AIChallenger/data/pairwise"
    assert stored["config"]["options.pairwise_statistics"] == "data/AIChallenger/data/pairwise"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 3
    assert "AP" in metrics["metrics"] and metrics["protocol"]["evaluation"]
    assert json.loads((result / "result.json").read_text())


@pytest.mark.slow
def test_the_real_sample_of_ai_challenger_is_learned_tested_and_drawn(
    project, project_root, samples
):
    """Its three photographs stand for both splits, under the names of the release."""
    sample, folder = samples / "AIChallenger", project.root / "data" / "AIChallenger"
    for kind in ("original_annotations", "images"):
        (folder / kind).mkdir(parents=True)
    for split, date in (("train", "20170909"), ("validation", "20170911")):
        name = f"keypoint_{split}_annotations_{date}.json"
        original = sample / "keypoint_train_annotations_20170909.json"
        (folder / "original_annotations" / name).symlink_to(original)
    for pictures in ("keypoint_train_images_20170902", "keypoint_validation_images_20170911"):
        (folder / "images" / pictures).symlink_to(sample / "images")

    said, snapshot, result = learn_ai_challenger(project, project_root)
    assert said.count("3 pictures, 9 people") == 2
    assert "9 people, 182 of 182 pairs" in said and "91 models of 3 pictures" in said
    assert read_metadata(snapshot)["counters"]["step"] == 3
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 3
    assert metrics["protocol"]["evaluation"]["score"] == "AI Challenger 2017"
    assert 0 <= metrics["metrics"]["AP"] <= 1
    names = {path.stem for path in (sample / "images").iterdir()}
    rows = json.loads((result / "result_ai_challenger.json").read_text())
    assert {row["image_id"] for row in rows} == names
    people = [pose for row in rows for pose in row["keypoint_annotations"].values()]
    assert people and {len(pose) for pose in people} == {42}
    drawn = project.root / "output" / "vis" / "AIChallenger" / "deepercut_aichallenger"
    assert len(list(drawn.glob("*.jpg"))) == 3


@pytest.mark.slow
def test_people_held_out_of_mpii_are_tested_after_training_on_others(
    project, project_root, samples
):
    folder = project.root / "data" / "MPII"
    (folder / "annot").mkdir(parents=True)
    shutil.copy(project_root / "data" / "MPII" / "dataset.yaml", folder)
    for kind in ("original_annotations", "images"):
        (folder / kind).symlink_to(samples / "MPII" / kind)
    people = json.loads((samples / "MPII" / "annot" / "valid.json").read_text())
    (folder / "annot" / "valid.json").write_text(json.dumps(people[:2]))
    recipe = ("--config", "deepercut_mpii", "--gpu", "cpu")
    done = project.run("test.py", *recipe, "--test_epoch", "2")
    assert done.returncode == 2 and "python tool/mpii_crops.py makes MPII's" in done.stderr

    check(run_tool(project, project_root, "mpii_crops.py"))
    done = check(project.run("train.py", *recipe, "--set", *LIGHT))
    assert "MPII: 3 pictures to train on" in done.stderr  # one person each
    check(project.run("test.py", *recipe, "--test_epoch", "2"))
    result = project.root / "output" / "result" / "MPII" / "deepercut_mpii"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 2
    assert {"PCK@0.2", "PCKh@0.5"} <= metrics["metrics"].keys()


def write_mat_set(folder):
    """A data set of pose-tensorflow: three pictures, one person each of 14 joints, one missing."""
    random = np.random.default_rng(9)
    folder.mkdir()
    entries = np.zeros((1, 3), [(name, object) for name in ("image", "size", "joints")])
    for number in range(3):
        height, width = 100 + 16 * number, 132  # smaller ones are left out by the original
        blocks = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        path = folder / f"im{number}.png"
        cv2.imwrite(str(path), cv2.resize(blocks, (width, height)))
        joints = np.delete(np.arange(14), number)
        points = random.integers(8, 92, (13, 2))
        cell = np.zeros((1, 1), object)
        cell[0, 0] = np.column_stack([joints, points]).astype(np.int32)
        entries[0, number] = (str(path), np.array([[3, height, width]], np.int32), cell)
    savemat(folder / "dataset.mat", {"dataset": entries})


@pytest.mark.slow
def test_a_pose_cfg_with_a_mat_data_set_is_trained_continued_and_tested(project, project_root):
    (project.root / "data" / "MPII").mkdir()
    shutil.copy(project_root / "data" / "MPII" / "dataset.yaml", project.root / "data" / "MPII")
    write_mat_set(project.root / "crops")
    cfg = {
        "dataset": "crops/dataset.mat",
        "dataset_type": "mpii",
        "num_joints": 14,
        "net_type": "resnet_50",
        "init_weights": "none",
        "global_scale": 0.8452830189,
        "pos_dist_thresh": 17,
        "location_refinement": True,
        "locref_loss_weight": 0.05,
        "scale_jitter_lo": 0.85,
        "scale_jitter_up": 1.15,
        "max_input_size": 850,
        "mirror": True,
        "multi_step": [[0.005, 1], [0.02, 3]],
    }
    (project.root / "pose_cfg.yaml").write_text(yaml.safe_dump(cfg))
    light = ("options.backbone_width=4", "options.batch_norm=trained")
    named = ("--cfg", str(project.root / "pose_cfg.yaml"), "--gpu", "cpu")
    done = check(project.run("train.py", *named, "--set", *light))
    assert "max_input_size: 850 has another effect" in done.stderr
    dump = project.root / "output" / "model_dump" / "MPII" / "resnet_50_pose_cfg"
    assert read_metadata(dump / "snapshot_2.safetensors")["counters"]["step"] == 4
    more = (*light, "train.batch_size=3", "train.total_steps=6")
    done = check(project.run("train.py", *named, "--continue", "--set", *more))
    assert "an epoch had 3 steps and now has 1" in done.stderr
    assert "of which 4 are made" in done.stderr and "step 4 of 6" in done.stderr
    newest = dump / "snapshot_3.safetensors"
    assert read_metadata(newest)["counters"]["step"] == 6
    check(project.run("test.py", *named, "--model-file", str(newest)))
    result = project.root / "output" / "result" / "MPII" / "resnet_50_pose_cfg"
    metrics = json.loads((result / "metrics.json").read_text())
    assert metrics["protocol"]["pictures_looked_at"] == 3
    assert "PCK@0.2" in metrics["metrics"]
