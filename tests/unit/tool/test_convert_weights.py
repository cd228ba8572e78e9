"""Checkpoints of the originals become snapshots, and snapshots files that the originals read."""

from dataclasses import replace

import numpy as np
import pytest

import convert_weights
from poseras.checkpoints.files import read_checkpoint
from poseras.checkpoints.pytorch import read_pytorch_file
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.data.dataset import choose_skeleton
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System
from poseras.systems.simplepose_v2.weights import export

SMALL = Options(input_shape=(64, 64), backbone_width=8, units=(1, 1), stacks=1)


def write_original(path, options, skeleton):
    """A network with random weights under the names of the original's file."""
    model = System(options, skeleton).build_model()
    random = np.random.default_rng(0)
    arrays = {v.path: random.normal(size=v.shape).astype(np.float32) for v in model.variables}
    entries = export(arrays, options)
    write_pytorch_file(path, entries, wrapper="model_state_dict")
    return entries


@pytest.mark.parametrize(
    ("skeleton", "limbs"), [("COCO", "published"), ("CrowdPose", "published"), ("MPII", "skeleton")]
)
def test_a_bottom_up_network_comes_back_as_its_original_reads_it(
    tmp_path, project_root, capsys, skeleton, limbs
):
    joints = choose_skeleton(project_root, [skeleton], skeleton)
    entries = write_original(tmp_path / "in.pth", replace(SMALL, limbs=limbs), joints)
    snapshot, again = tmp_path / "snapshot_3.safetensors", tmp_path / "PoseNet_3_epoch.pth"
    told = ["--system", "simplepose_v2", "--skeleton", skeleton]
    convert_weights.main([str(tmp_path / "in.pth"), str(snapshot), *told])
    convert_weights.main([str(snapshot), str(again)])
    assert f"Written: {again}" in capsys.readouterr().out
    saved = read_pytorch_file(again)
    # Their loader reads these three by name.
    assert set(saved) == {"epoch", "train_loss", "model_state_dict"}
    assert isinstance(saved["epoch"], int) and saved["train_loss"] == np.inf
    back = read_checkpoint(again)
    assert set(back) == set(entries)
    for name, array in entries.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_a_bottom_up_network_is_written_in_no_other_form(tmp_path, project_root, capsys):
    joints = choose_skeleton(project_root, ["COCO"], "COCO")
    write_original(tmp_path / "in.pth", SMALL, joints)
    snapshot = tmp_path / "snapshot_3.safetensors"
    convert_weights.main([str(tmp_path / "in.pth"), str(snapshot), "--system", "simplepose_v2"])
    with pytest.raises(SystemExit):
        convert_weights.main([str(snapshot), str(tmp_path / "out.h5")])
    assert "A network of form pytorch is written as" in capsys.readouterr().err
