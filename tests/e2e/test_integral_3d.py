"""Human3.6M's way through the programs: convert, train on mixed sets, resume, test."""

import json
import shutil

import cv2
import numpy as np
import pytest
from scipy.io import savemat

import human36m2coco
from poseras.checkpoints.names import export_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.data.human36m_sequences import SequenceName
from poseras.engine.snapshot import read_snapshot
from poseras.settings import apply_differences
from poseras.systems.integral_3d.model import build_model
from poseras.systems.integral_3d.options import Options

CONFIG = "integral_3d_human36m_resnet50_256x256"
RUN = f"Human36M/{CONFIG}"
NETWORK = {
    "options.input_shape": "[64,64]",
    "options.depth": 18,
    "options.backbone_width": 8,
    "options.head_filters": "[8,8,8]",
    "options.depth_bins": 8,
}
SMALL = [f"{key}={value}" for key, value in NETWORK.items()]
TRAIN = [*SMALL, "data.trainset=Human36M,COCO", "train.batch_size=4"]
TRAIN += ["train.initial_weights=none"]
TWO_EPOCHS = "train.end_epoch=2"


def write_sequences(root):
    """Two frames of each training subject and sixty-five of a test subject, in front of a wall."""
    rng = np.random.default_rng(0)
    camera = {
        "R": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
        "T": np.array([[0.0, -5000, 1000]]),
        "f": np.array([[120.0, 119]]),
        "c": np.array([[64.0, 60]]),
    }
    for subject, frames in ((1, 6), (5, 6), (6, 1), (7, 1), (8, 1), (9, 65), (11, 1)):
        name = SequenceName(subject, 2 + subject % 3, 1, 1)
        (root / name.folder).mkdir(parents=True)
        pose = rng.normal(0, 200, (frames, 17, 3)) + [0, 0, 900]
        savemat(root / name.folder / "h36m_meta.mat", {"pose3d_world": pose, **camera})
        for frame in range(frames):
            picture = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            path = str(root / name.frame_file(frame))
            cv2.imwrite(path, cv2.resize(picture, (128, 120)))


@pytest.fixture
def human36m(project, project_root):
    folder = project.root / "data" / "Human36M"
    folder.mkdir()
    shutil.copy(project_root / "data" / "Human36M" / "dataset.yaml", folder)
    write_sequences(folder / "data")
    human36m2coco.main(
        [
            *("--preprocessed", str(folder / "data"), "--allow-missing"),
            *("--output", str(folder / "annotations")),
        ]
    )
    return project


def assert_done(done):
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_mixed_training_and_a_3d_test_write_errors_in_millimetres(human36m):
    settings = [*TRAIN, TWO_EPOCHS, "train.validate_every_epochs=2"]
    done = assert_done(
        human36m.run("train.py", "--gpu", "cpu", "--config", CONFIG, "--set", *settings)
    )
    # Seven frames and six people of COCO: twice seven samples, four at a time.
    assert "Human36M: 7 people" in done.stderr and "2 epochs of 4 steps" in done.stderr
    assert "validation: AUC" in done.stderr
    done = assert_done(
        human36m.run("test.py", "--gpu", "cpu", "--config", CONFIG, "--test_epoch", "2")
    )
    folder = human36m.root / "output/result" / RUN
    content = json.loads((folder / "metrics.json").read_text())
    assert 0 < content["metrics"]["MPJPE"] < 5000
    assert content["metrics"]["PA-MPJPE with scale"] <= content["metrics"]["PA-MPJPE"] + 1
    protocol = content["protocol"]
    assert protocol["boxes"] == "around the annotated root in space"
    assert protocol["more_annotations"] == ["s_11_every_64.json"]
    assert protocol["evaluation"]["poses"] == 3
    # Subjects 9 and 11 do the actions 2 and 4.
    assert set(protocol["evaluation"]["per_action_mm"]["MPJPE"]) == {"Directions", "Eating"}
    poses = json.loads((folder / "poses_3d.json").read_text())
    assert len(poses["people"]) == 3 and len(poses["people"][0]["joints_camera_mm"]) == 18
    assert len((folder / "pred_3d_kpt.txt").read_text().splitlines()) == 3
    assert "Discussion: n/a" in (folder / "eval_result.txt").read_text()
    drawings = list((human36m.root / "output/vis" / RUN).rglob("*.jpg"))
    # The picture and two views beside it.
    assert len(drawings) == 3 and cv2.imread(str(drawings[0])).shape[1] > 128 + 100
    assert "Protocol" not in done.stdout
    assert_a_snapshot_averaged_with_itself_scores_the_same(human36m, content)


def assert_a_snapshot_averaged_with_itself_scores_the_same(human36m, alone):
    arguments = ("--gpu", "cpu", "--config", CONFIG, "--test_epoch", "2")
    path = f"output/model_dump/{RUN}/snapshot_2.safetensors"
    done = human36m.run("test.py", *arguments, "--set", f"test.ensemble={path},{path}")
    assert_done(done)
    content = json.loads((human36m.root / "output/result" / RUN / "metrics.json").read_text())
    assert content["metrics"] == pytest.approx(alone["metrics"])
    assert content["protocol"]["ensemble_sha256"] == [content["protocol"]["snapshot_sha256"]] * 2


@pytest.mark.slow
def test_depth_in_the_view_is_trained_and_tested_in_boxes_around_the_joints(human36m):
    frames, annotations = (human36m.root / "data/Human36M" / n for n in ("data", "annotations"))
    human36m2coco.main(
        [
            *("--preprocessed", str(frames), "--allow-missing", "--boxes", "joints"),
            *("--output", str(annotations)),
        ]
    )
    settings = [*TRAIN, "options.depth_unit=view", "train.end_epoch=1", "run=view"]
    arguments = ("--gpu", "cpu", "--config", CONFIG, "--set")
    assert_done(human36m.run("train.py", *arguments, *settings))
    tested = ("run=view", "test.draw_count=0", "--test_epoch", "1")
    assert_done(human36m.run("test.py", *arguments, *tested))
    folder = human36m.root / "output/result/Human36M/view"
    content = json.loads((folder / "metrics.json").read_text())
    assert content["protocol"]["view"]["rule"] == "person_box"
    assert content["protocol"]["evaluation"]["poses"] == 3
    assert set(content["protocol"]["evaluation"]["per_axis_mm"]) == {"x", "y", "z"}
    assert 0 < content["metrics"]["MPJPE"] < 5000


@pytest.mark.slow
def test_a_mixed_run_that_was_stopped_goes_on_bit_for_bit(human36m):
    arguments = ("--gpu", "cpu", "--config", CONFIG, "--set", *TRAIN)
    assert_done(human36m.run("train.py", *arguments, TWO_EPOCHS))
    whole = read_snapshot(human36m.root / "output/model_dump" / RUN / "snapshot_2.safetensors")
    assert_done(human36m.run("train.py", *arguments, "run=part", "train.end_epoch=1"))
    assert_done(human36m.run("train.py", *arguments, "run=part", TWO_EPOCHS, "--continue"))
    folder = human36m.root / "output/model_dump/Human36M/part"
    resumed = read_snapshot(folder / "snapshot_2.safetensors")
    assert whole.arrays.keys() == resumed.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, resumed.arrays[name], err_msg=name)


def test_a_published_snapshot_is_tested_where_it_lies(human36m):
    flat = {k: v.strip("[]").split(",") if isinstance(v, str) else v for k, v in NETWORK.items()}
    options = apply_differences(
        Options(), {key.removeprefix("options."): value for key, value in flat.items()}
    )
    model = build_model(options, 18)
    weights = export_checkpoint({v.path: v.numpy() for v in model.variables}, "pytorch")
    network = {f"module.{name}": array for name, array in weights.items()}
    path = human36m.root / "output/model_dump/snapshot_16.pth.tar"
    write_pytorch_file(path, network, wrapper="network")
    arguments = ("--gpu", "cpu", "--config", CONFIG, "--test_epoch", "16")
    done = assert_done(human36m.run("test.py", *arguments, "--set", "options.input_shape=[64,64]"))
    assert "integral regression of Moon" in done.stderr
    content = json.loads((human36m.root / "output/result" / RUN / "metrics.json").read_text())
    settings = content["protocol"]["options"]
    assert settings["input_normalisation"] == "raw255" and settings["depth_bins"] == 8
    assert content["metrics"]["MPJPE"] > 0


def test_missing_annotations_are_named(human36m):
    (human36m.root / "data/Human36M/annotations/s_07_every_5.json").unlink()
    done = human36m.run("train.py", "--gpu", "cpu", "--config", CONFIG, "--set", *TRAIN)
    assert done.returncode in (1, 2)
    assert "s_07_every_5.json" in done.stderr.splitlines()[-1]
