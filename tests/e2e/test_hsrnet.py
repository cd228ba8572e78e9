"""HSRNet's own way: its experiment file, its checkpoint, its flags; trained a step, and back."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from poseras.backbones.hsrnet import BLOCKS
from poseras.checkpoints import read_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.data.dataset import choose_skeleton
from poseras.settings import apply_differences
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.weights import export

EXPERIMENT = {
    "MODEL": {
        "NAME": "pose_hsr_msnet",
        "NUM_JOINTS": 17,
        "IMAGE_SIZE": [64, 64],
        "EXTRA": {
            "NUM_LAYERS": 59,
            "HEATMAP_SIZE": [16, 16],
            "NUM_DECONV_LAYERS": 2,
            "NUM_DECONV_FILTERS": [8, 8],
            "NUM_DECONV_KERNELS": [4, 4],
        },
    },
    "DATASET": {"DATASET": "coco", "TRAIN_SET": "train2017", "TEST_SET": "val2017"},
    "TEST": {"USE_GT_BBOX": True, "OKS_THRE": 0.9, "IN_VIS_THRE": 0.2},
}


def write_checkpoint(project, name):
    """A small HSR-MSNet as the original's state dict, with the layers that nothing uses."""
    differences = {
        "form": "pytorch",
        "input_shape": [64, 64],
        "backbone": "hsrnet",
        "depth": 59,
        "backbone_width": 4,
        "backbone_stride": 16,
        "head_filters": [8, 8],
        "head_kernels": [4, 4],
        "hsr.multi_scale": True,
    }
    options = apply_differences(Options(), differences)
    model = build_model(options, choose_skeleton(project.root, ["COCO"]).joint_count)
    entries = export({v.path: v.numpy() for v in model.weights}, options)
    path = project.data / name
    write_pytorch_file(path, {f"module.{n}": a for n, a in entries.items()})
    return path


def test_its_flags_file_and_checkpoint_give_a_test_that_says_which_boxes_were_used(project):
    model_file = write_checkpoint(project, "pose_hsr_msnet_59_64x64.pth.tar")
    (project.root / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    flags = ("--cfg", "tiny.yaml", "--model-file", str(model_file), "--flip-test")
    result = project.run("test.py", "--gpu", "cpu", *flags)
    assert result.returncode == 0, result.stderr
    folder = project.root / "output/result/COCO/pose_hsr_msnet_59_tiny"
    protocol = json.loads((folder / "metrics.json").read_text())["protocol"]
    assert protocol["boxes"] == "annotated" and protocol["flip_test"] is True
    assert protocol["imported"]["kind"] == "HSR-MSNet-59"
    assert protocol["options"]["hsr.multi_scale"] is True
    assert protocol["options"]["backbone_width"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("depth", BLOCKS)
@pytest.mark.parametrize("own", ["hsrnet", "hsr_msnet"])
def test_each_of_the_six_trains_an_epoch_and_is_tested(project, own, depth):
    config = ("--config", f"{own}_coco_{depth}_256x192")
    tiny = [
        "options.input_shape=64,64",
        "options.backbone_width=4",
        "options.head_filters=8,8",
        "train.batch_size=2",
        "train.end_epoch=1",
        "train.decay_epochs=1",
        "train.initial_weights=none",
        "test.batch_size=2",
    ]
    trained = project.run("train.py", "--gpu", "cpu", *config, "--set", *tiny)
    assert trained.returncode == 0, trained.stderr
    tested = project.run("test.py", "--gpu", "cpu", *config, "--test_epoch", "1")
    assert tested.returncode == 0, tested.stderr
    folder = project.root / "output/result/COCO" / config[1]
    protocol = json.loads((folder / "metrics.json").read_text())["protocol"]
    assert protocol["boxes"] == "detected"
    assert protocol["options"]["depth"] == depth


@pytest.mark.slow
def test_a_converted_checkpoint_goes_back_with_every_tensor(project, project_root):
    model_file = write_checkpoint(project, "pose_hsr_msnet_59_64x64.pth.tar")
    entries = read_checkpoint(model_file)
    ours, back = project.data / "snapshot_1.safetensors", project.data / "back.pth.tar"
    program = [sys.executable, project_root / "tool" / "convert_weights.py"]
    for arguments in ((model_file, ours, "--set", "options.input_shape=64,64"), (ours, back)):
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    again = read_checkpoint(back)
    assert set(again) == {name.removeprefix("module.") for name in entries}
    for name, array in entries.items():
        np.testing.assert_array_equal(again[name.removeprefix("module.")], array, err_msg=name)
