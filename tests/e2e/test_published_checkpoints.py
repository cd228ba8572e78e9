"""Published checkpoints in the original's places and with its flags; the tools around them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from poseras.checkpoints import read_checkpoint
from poseras.checkpoints.names import export_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.checkpoints.tensorflow1 import write_tf1_checkpoint
from poseras.data.dataset import choose_skeleton
from poseras.engine.snapshot import read_snapshot
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model

RUN = "simple_baselines_coco_resnet50_256x192"
SIZE = "options.input_shape=64,64"
EXPERIMENT = {
    "MODEL": {
        "NAME": "pose_resnet",
        "NUM_JOINTS": 17,
        "IMAGE_SIZE": [64, 64],
        "EXTRA": {"NUM_LAYERS": 18, "HEATMAP_SIZE": [16, 16], "NUM_DECONV_FILTERS": [8, 8, 8]},
    },
    "DATASET": {"DATASET": "coco", "TRAIN_SET": "train2017", "TEST_SET": "val2017"},
    "TEST": {"USE_GT_BBOX": True, "OKS_THRE": 0.9, "IN_VIS_THRE": 0.2, "BBOX_THRE": 1.0},
}


def read_results(folder):
    content = [json.loads((folder / name).read_text()) for name in ("result.json", "metrics.json")]
    return content[0], content[1]["protocol"]


def write_microsoft(project, name):
    """A tiny network of Microsoft's form as a state dict."""
    joints = choose_skeleton(project.root, ["COCO"]).joint_count
    options = Options(
        input_shape=(64, 64), form="pytorch", depth=18, backbone_width=8, head_filters=(8, 8, 8)
    )
    model = build_model(options, joints)
    entries = export_checkpoint({v.path: v.numpy() for v in model.weights}, "pytorch")
    path = project.data / name
    write_pytorch_file(path, {f"module.{n}": a for n, a in entries.items()})
    return path


def test_a_tensorflow_snapshot_in_the_originals_place_is_tested_directly(project):
    ours = project.write_snapshot(1)
    first = project.run("test.py", "--gpu", "cpu", "--test_epoch", "1")
    assert first.returncode == 0, first.stderr
    folder = project.root / "output/result/COCO" / RUN
    expected, _ = read_results(folder)

    weights = read_snapshot(ours).part("weights")
    published = project.data / "model_dump/COCO/snapshot_140.ckpt"
    write_tf1_checkpoint(published, export_checkpoint(weights, "tensorflow"))
    second = project.run("test.py", "--gpu", "0", "--test_epoch", "140", "--set", SIZE)
    assert second.returncode == 0, second.stderr
    assert "snapshot_140.ckpt is used: the run" in second.stderr
    assert "TF-SimpleHumanPose snapshot: BGR pictures minus the ImageNet means" in second.stderr
    found, protocol = read_results(folder)
    assert found == expected
    assert protocol["options"]["pixel_mean"] == [123.68, 116.78, 103.94]
    assert protocol["options"]["batch_norm_epsilon"] == 1.001e-5
    assert protocol["snapshot"].endswith("snapshot_140.ckpt")
    assert len(protocol["snapshot_sha256"]) == 64
    assert protocol["imported"]["kind"] == "TF-SimpleHumanPose snapshot"


def test_microsofts_flags_file_and_checkpoint_give_a_test(project):
    model_file = write_microsoft(project, "pose_resnet_18.pth.tar")
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    flags = ("--cfg", "tiny.yaml", "--model-file", str(model_file), "--flip-test")
    result = project.run("test.py", "--gpu", "cpu", *flags)
    assert result.returncode == 0, result.stderr
    assert "TEST.BBOX_THRE: 1.0 has no effect" in result.stderr
    assert result.stderr.count("TEST.BBOX_THRE") == 1
    records, protocol = read_results(project.root / "output/result/COCO/pose_resnet_18_tiny")
    assert records and protocol["boxes"] == "annotated" and protocol["flip_test"] is True
    assert protocol["options"]["pixel_std"] == [58.395, 57.12, 57.375]
    assert protocol["options"]["backbone_width"] == 8
    assert protocol["view"]["outside_joints"] == "keep"
    assert protocol["imported"]["kind"] == "Microsoft's pose_resnet"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        ("cut", "cannot be read as a PyTorch file"),
        ("joints", "has 17 joints. Received the skeleton"),
        ("depth", "--set options.depth=18 makes one that does"),
    ],
)
def test_bad_checkpoints_are_one_line_and_nothing_is_written(project, damage, line):
    path = write_microsoft(project, "a.pth.tar")
    arguments = ["--gpu", "cpu", "--model-file", str(path), "--set", SIZE]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "joints":
        data = project.root / "data/Three"
        data.mkdir()
        content = {
            "keypoint_sets": {"three": {"keypoints": ["nose", "left_hip", "right_hip"]}},
            "splits": {"train": {"annotations": "a.json", "images": "a"}},
        }
        (data / "dataset.yaml").write_text(yaml.safe_dump(content))
        arguments += ["data.skeleton=Three"]
    else:
        arguments += ["options.depth=50"]
    result = project.run("test.py", *arguments)
    assert result.returncode == 2
    errors = [text for text in result.stderr.splitlines() if "test.py: error:" in text]
    assert len(errors) == 1 and line in errors[0]
    assert "Traceback" not in result.stderr
    assert not list((project.data / "result").rglob("*.json"))


def test_a_test_of_nothing_says_what_it_needs(project):
    result = project.run("test.py", "--gpu", "cpu")
    assert result.returncode == 2
    assert "needs --test_epoch N, a snapshot of the run, or --model-file FILE" in result.stderr


def run_tool(project_root, name, *arguments):
    return subprocess.run(
        [sys.executable, str(project_root / "tool" / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        timeout=300,
    )


def test_weights_go_to_a_snapshot_and_back_with_a_report_of_every_name(
    project, project_root, tmp_path
):
    published = write_microsoft(project, "pose_resnet_18.pth.tar")
    snapshot, back = tmp_path / "snapshot_1.safetensors", tmp_path / "back.pth"
    result = run_tool(project_root, "convert_weights.py", published, snapshot, "--set", SIZE)
    assert result.returncode == 0, result.stderr
    entries = read_checkpoint(published)
    named = [line.split()[1] for line in result.stdout.splitlines() if line.split()[0] == "used"]
    training = [n for n in entries if "num_batches" in n]
    assert sorted(named) == sorted(set(entries) - set(training))
    assert f"{len(named)} used, {len(training)} of training alone, 0 unused" in result.stdout
    assert read_snapshot(snapshot).metadata["options"]["input_shape"] == [64, 64]

    result = run_tool(project_root, "convert_weights.py", snapshot, back)
    assert result.returncode == 0, result.stderr
    written = read_checkpoint(back)
    assert written.keys() == {name.removeprefix("module.") for name in entries}
    for name, array in written.items():
        np.testing.assert_array_equal(array, entries[f"module.{name}"], err_msg=name)

    result = run_tool(project_root, "convert_weights.py", snapshot, tmp_path / "back.ckpt")
    assert result.returncode == 2
    assert "form pytorch is written as .pth.tar or .pth or .pt. Received" in result.stderr
    assert sorted(path.name for path in tmp_path.glob("*back*")) == ["back.pth"]


def test_a_snapshot_of_tensorflows_form_becomes_a_bundle(project, project_root, tmp_path):
    snapshot = project.write_snapshot(3)
    target = tmp_path / "new" / "snapshot_3.ckpt"
    result = run_tool(project_root, "convert_weights.py", snapshot, target)
    assert result.returncode == 0, result.stderr
    assert sorted(p.name.split("ckpt")[1] for p in target.parent.iterdir()) == [
        ".data-00000-of-00001",
        ".index",
    ]
    weights = read_snapshot(snapshot).part("weights")
    entries = read_checkpoint(target)
    assert len(entries) == len(weights)
    np.testing.assert_array_equal(entries["out/weights"], weights["out/kernel"])


def test_a_snapshot_is_exported_and_compared_on_real_crops(
    project, project_root, samples, tmp_path
):
    published, snapshot = write_microsoft(project, "a.pth"), tmp_path / "snapshot_1.safetensors"
    run_tool(project_root, "convert_weights.py", published, snapshot, "--set", SIZE)
    target = tmp_path / "out" / "pose.tflite"
    arguments = ("--format", "litert", "--images", samples / "images", "--count", "2")
    result = run_tool(project_root, "export_model.py", snapshot, target, *arguments)
    assert result.returncode == 0, result.stderr
    assert "on 2 people keypoints move by" in result.stderr
    assert list(target.parent.iterdir()) == [target]
