"""PyTorch's files without PyTorch: both containers as torch 2.13 wrote them, and bad ones."""

import collections
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from poseras.checkpoints import read_checkpoint, read_pytorch_file
from poseras.checkpoints.files import detect_format, find_state_dict
from poseras.checkpoints.pytorch_writer import write_pytorch_file

FILES = Path(__file__).parent / "files"
CONTAINERS = ("zip", "legacy")
COUNT = np.arange(24, dtype=np.float32)
#: What the files hold; `transposed`, `shared_tail` and `every_second` are views of one storage.
EXPECTED = {
    "conv": COUNT.reshape(2, 3, 4) / 8,
    "transposed": COUNT.reshape(4, 6).T,
    "shared_tail": COUNT[20:],
    "every_second": COUNT[1::2],
    "half": (COUNT[:6] / 4).astype(np.float16),
    "brain": COUNT[:6] * np.float32(1.5),
    "double": np.arange(3.0) / 3,
    "counter": np.array(7),
    "flags": np.array([True, False]),
    "bytes": np.arange(3, dtype=np.uint8),
    "empty": np.zeros((0, 3), np.float32),
    "parameter": np.ones(2, np.float32),
}


def assert_equal_arrays(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_state_dict_is_read_with_views_halves_and_shared_storages(container):
    found = read_pytorch_file(FILES / f"state_dict_{container}.pth")
    assert isinstance(found, collections.OrderedDict)
    assert_equal_arrays(found, EXPECTED)


@pytest.mark.parametrize("container", CONTAINERS)
def test_arrays_own_their_memory_although_the_tensors_shared_it(container):
    found = read_pytorch_file(FILES / f"state_dict_{container}.pth")
    assert all(a.flags.c_contiguous and a.flags.writeable for a in found.values())
    found["transposed"][:] = -1
    np.testing.assert_array_equal(found["shared_tail"], EXPECTED["shared_tail"])


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_training_checkpoint_is_read_with_optimizer_and_numpy_numbers(container):
    found = read_pytorch_file(FILES / f"training_{container}.pth.tar")
    assert found["epoch"] == 140 and found["model"] == "pose_resnet"
    assert isinstance(found["perf"], np.float64) and found["perf"] == 0.704
    assert isinstance(found["count"], np.int64) and found["count"] == 3
    np.testing.assert_array_equal(found["table"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert type(found["table"]) is np.ndarray
    moments = found["optimizer"]["state"][0]
    np.testing.assert_allclose(moments["exp_avg"], [[0.1, 0.1]], rtol=1e-6)
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert_equal_arrays(found["state_dict"], EXPECTED)


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_weights_of_a_training_checkpoint_are_found_inside_it(container):
    path = FILES / f"training_{container}.pth.tar"
    assert detect_format(path) == "pytorch"
    assert_equal_arrays(read_checkpoint(path), EXPECTED)


def test_a_file_without_weights_names_what_it_holds():
    with pytest.raises(ValueError, match=r"a\.pth must hold a state dict.*Received epoch, lr"):
        find_state_dict({"epoch": 1, "lr": 0.1}, "a.pth")
    with pytest.raises(ValueError, match="Received list"):
        find_state_dict([1], "a.pth")


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_where_torch_is_installed_the_arrays_equal_its_own(name):
    torch = pytest.importorskip("torch")
    theirs = torch.load(FILES / name, weights_only=False)  # our own files; two hold a NumPy number
    theirs = theirs.get("state_dict", theirs)
    for key, array in read_checkpoint(FILES / name).items():
        tensor = theirs[key].detach()
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor  # unknown to NumPy
        np.testing.assert_array_equal(array, tensor.numpy(), err_msg=key)


class Trap:
    """An object whose pickle asks for a folder to be made."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def write_container(path: Path, container: str, value: object) -> None:
    """A file as torch's, around any pickle."""
    text = pickle.dumps(value, protocol=2)
    if container == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", text)
        return
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    path.write_bytes(b"".join(pickle.dumps(p, protocol=2) for p in parts) + text)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_pickle_that_carries_code_is_refused_by_name_and_nothing_runs(tmp_path, container):
    path, trap = tmp_path / "a.pth", tmp_path / "made"
    write_container(path, container, {"state_dict": Trap(trap)})
    with pytest.raises(
        ValueError, match=r"it names (posix|nt)\.mkdir, which is not part of .* not"
    ):
        read_pytorch_file(path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Trap(trap)))  # the trap does work
    assert trap.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "builtins\ngetattr",
        "numpy\nload",
        "torch\nload",
        "torch.hub\nload",
        "torch._utils\n__builtins__",
        "collections\nnamedtuple",
        "copyreg\n_reconstructor",
    ],
)
def test_every_other_name_is_refused(tmp_path, name):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", f"c{name}\n)R.".encode())
    with pytest.raises(ValueError, match=f"it names {name.replace(chr(10), '.')}, which is not"):
        read_pytorch_file(path)


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_a_file_cut_short_anywhere_is_one_clear_line(tmp_path, name):
    whole, path = (FILES / name).read_bytes(), tmp_path / name
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot be read as a PyTorch file") as caught:
            read_pytorch_file(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_a_flipped_byte_gives_an_array_or_one_clear_line(tmp_path, name):
    whole, path = bytearray((FILES / name).read_bytes()), tmp_path / name
    refused = 0
    for position in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_pytorch_file(path)
        except ValueError as error:
            assert "cannot be read as a PyTorch file" in str(error)
            refused += 1
    assert refused


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no PyTorch file .*a\.pth"):
        read_pytorch_file(tmp_path / "a.pth")


@pytest.mark.parametrize("wrapper", ["", "state_dict"])
def test_what_is_written_without_torch_is_read_again(tmp_path, wrapper):
    path = tmp_path / "a.pth"
    write_pytorch_file(path, EXPECTED, wrapper=wrapper)
    found = read_pytorch_file(path)
    assert (list(found) == [wrapper]) == bool(wrapper)
    assert_equal_arrays(read_checkpoint(path), EXPECTED)


def test_storages_of_a_written_file_begin_where_torch_can_map_them(tmp_path):
    path = tmp_path / "a.pth"
    write_pytorch_file(path, EXPECTED)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name_length, extra_length = np.frombuffer(content, "<u2", 2, info.header_offset + 26)
            assert (info.header_offset + 30 + int(name_length) + int(extra_length)) % 64 == 0
            assert info.compress_type == zipfile.ZIP_STORED


def test_texts_cannot_be_written_as_tensors(tmp_path):
    with pytest.raises(ValueError, match="Received a of <U1"):
        write_pytorch_file(tmp_path / "a.pth", {"a": np.array(["b"])})


@pytest.mark.parametrize("wrapper", ["", "state_dict"])
def test_where_torch_is_installed_it_reads_what_is_written_here(tmp_path, wrapper):
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pth"
    write_pytorch_file(path, EXPECTED, wrapper=wrapper)
    loaded = torch.load(path, weights_only=True)
    loaded = loaded[wrapper] if wrapper else loaded
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(loaded[name].numpy(), array, err_msg=name)
