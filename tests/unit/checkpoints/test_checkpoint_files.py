"""Formats told by content, TensorFlow 1 bundles written and read, Keras' old HDF5 layout."""

from pathlib import Path

import numpy as np
import pytest

from poseras.checkpoints import checkpoint_sha256, detect_format, read_checkpoint
from poseras.checkpoints.files import checkpoint_files, checkpoint_name
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.checkpoints.tensorflow1 import read_tf1_shapes, write_tf1_checkpoint

ENTRIES = {
    "up1/weights": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "up1/weights/Adam": np.ones((1, 2, 3), np.float32),
    "global_step": np.array(7, np.int64),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_tf1_checkpoint(tmp_path / "snapshot_3.ckpt", ENTRIES)
    return tmp_path / "snapshot_3.ckpt"


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_bundle_is_named_by_any_of_its_files(bundle, ending):
    path = bundle.with_name(bundle.name + ending)
    assert checkpoint_name(path) == bundle
    assert detect_format(path) == "tensorflow1"
    read = read_checkpoint(path)
    assert read.keys() == ENTRIES.keys()
    for name, array in ENTRIES.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def test_shapes_of_a_bundle_are_read_without_its_arrays(bundle):
    bundle.with_name(f"{bundle.name}.data-00000-of-00001").write_bytes(b"")
    assert read_tf1_shapes(bundle) == {n: ENTRIES[n].shape for n in sorted(ENTRIES)}
    with pytest.raises(ValueError, match="must be a TensorFlow 1 checkpoint"):
        read_checkpoint(bundle)


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
def test_a_bundle_cut_short_is_one_clear_line(bundle, part):
    path = bundle.with_name(bundle.name + part)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged, incomplete or of another kind") as caught:
        read_checkpoint(bundle)
    assert "\n" not in str(caught.value)


def test_the_format_is_told_by_the_first_bytes_not_by_the_name(tmp_path):
    write_pytorch_file(tmp_path / "a.ckpt", {"a": np.zeros(2)})
    assert detect_format(tmp_path / "a.ckpt") == "pytorch"
    (tmp_path / "b.pth").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert detect_format(tmp_path / "b.pth") == "keras"
    (tmp_path / "c.pth").write_bytes(b"")
    assert detect_format(tmp_path / "c.pth") == "pytorch"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*d\.ckpt"):
        detect_format(tmp_path / "d.ckpt")


def test_the_digest_is_over_all_files_of_a_bundle(bundle):
    assert [path.name for path in checkpoint_files(bundle)] == [
        "snapshot_3.ckpt.data-00000-of-00001",
        "snapshot_3.ckpt.index",
    ]
    before = checkpoint_sha256(bundle)
    data = bundle.with_name(f"{bundle.name}.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    assert checkpoint_sha256(bundle) != before


def test_a_bundle_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Cannot write"):
        write_tf1_checkpoint(tmp_path / "file" / "snapshot_1.ckpt", ENTRIES)


def write_keras_file(path: Path, layers: dict[str, dict[str, np.ndarray]], group: str = "") -> None:
    """The layout of keras.applications' weight files."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        for layer, variables in layers.items():
            for leaf, array in variables.items():
                root[f"{layer}/{layer}/{leaf}:0"] = array


@pytest.mark.parametrize("group", ["", "model_weights"])
def test_weight_files_of_keras_are_read_by_layer_and_variable(tmp_path, group):
    layers = {"conv1_conv": {"kernel": np.ones((1, 1, 2, 3)), "bias": np.arange(3.0)}}
    write_keras_file(tmp_path / "a.h5", layers, group)
    entries = read_checkpoint(tmp_path / "a.h5")
    assert entries.keys() == {"conv1_conv/kernel", "conv1_conv/bias"}
    np.testing.assert_array_equal(entries["conv1_conv/bias"], [0, 1, 2])


def test_a_weight_file_without_names_says_which_one_to_take(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(3)
    with pytest.raises(ValueError, match="does not name its layers. Take the published"):
        read_checkpoint(tmp_path / "a.weights.h5")


def test_a_weight_file_cut_short_is_one_clear_line(tmp_path):
    path = tmp_path / "a.h5"
    write_keras_file(path, {"conv1_conv": {"kernel": np.ones((64, 64))}})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="must be an HDF5 file") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
