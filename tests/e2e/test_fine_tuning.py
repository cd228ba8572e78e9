"""--continue of a published snapshot, and where other trainings start, by train.py."""

import shutil

import numpy as np

from poseras.checkpoints.names import export_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.checkpoints.tensorflow1 import write_tf1_checkpoint
from poseras.engine.snapshot import read_snapshot
from poseras.shipped import shipped_weights

RUN = "simple_baselines_coco_resnet50_256x192"
TINY = (
    "options.input_shape=64,64",
    "options.backbone_width=8",
    "options.head_filters=8,8,8",
    "train.batch_size=2",
    "data.workers=1",
)


def test_a_published_snapshot_is_fine_tuned_by_continue(project):
    """The recipe of PoseTrack's table: lower rate, later epochs, --continue."""
    weights = read_snapshot(project.write_snapshot(1)).part("weights")
    for path in (project.data / "model_dump/COCO" / RUN).iterdir():
        path.unlink()
    entries = export_checkpoint(weights, "tensorflow")
    slots = {}
    for name, array in entries.items():
        if "moving_" not in name:
            slots |= {f"{name}/Adam": array * 0, f"{name}/Adam_1": array * 0 + 1e-3}
    slots |= {"Variable": np.float32(5e-6), "beta2_power": np.float32(0)}
    write_tf1_checkpoint(project.data / "model_dump/COCO/snapshot_140.ckpt", entries | slots)
    recipe = ("train.learning_rate=5e-5", "train.decay_epochs=150,155", "train.end_epoch=141")
    result = project.run("train.py", "--gpu", "cpu", "--continue", "--set", *TINY, *recipe)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "snapshot_140.ckpt is continued" in result.stderr
    assert "starts anew" not in result.stderr, result.stderr
    after = read_snapshot(project.data / "model_dump/COCO" / RUN / "snapshot_141.safetensors")
    assert after.metadata["counters"]["epoch"] == 141
    assert int(after.part("optimizer")["adam/iteration"]) > 99_999
    moved = np.abs(after.part("weights")["out/kernel"] - weights["out/kernel"]).max()
    assert 0 < moved < 1e-2


def test_a_torch_resnet_is_where_the_pytorch_form_starts(project):
    from poseras.systems.simple_baselines import Options
    from poseras.systems.simple_baselines.model import build_model

    options = Options(
        input_shape=(64, 64), form="pytorch", depth=18, backbone_width=8, head_filters=(8, 8, 8)
    )
    model = build_model(options, 17)
    entries = export_checkpoint({v.path: v.numpy() for v in model.weights}, "pytorch")
    entries = {n: a for n, a in entries.items() if not n.startswith(("deconv", "final"))}
    entries["fc.weight"] = np.zeros((1000, 64), np.float32)
    (project.root / "data/imagenet_weights").mkdir()
    write_pytorch_file(project.root / "data/imagenet_weights/resnet18.pth", entries)
    settings = (*TINY, "options.form=pytorch", "options.depth=18", "train.end_epoch=1")
    result = project.run("train.py", "--gpu", "cpu", "--set", *settings)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "resnet18.pth" in result.stderr and "fc.weight" in result.stderr


def test_own_pictures_are_learnt_from_the_shipped_weights(project):
    shutil.copytree(project.root / "data" / "COCO", project.root / "data" / "Mine", symlinks=True)
    own = ("data.trainset=Mine", "data.testset=Mine", "data.workers=1")
    short = ("train.end_epoch=1", "train.batch_size=2")
    named = ("--config", "finetune_own_data", "--set", *own, *short)
    result = project.run("train.py", "--gpu", "cpu", *named)
    assert result.returncode == 0, result.stderr[-3000:]
    assert shipped_weights().name in result.stderr
    path = project.data / "model_dump/Mine/finetune_own_data/snapshot_1.safetensors"
    before, after = (read_snapshot(p).part("weights") for p in (shipped_weights(), path))
    kernels = [name for name in before if name.endswith("kernel")]
    moved = {name: np.abs(after[name] - before[name].astype(np.float32)).max() for name in kernels}
    # three steps of AdamW at a rate that begins to rise to 4e-4
    assert len(moved) > 20 and all(0 < step < 1e-3 for step in moved.values()), moved
