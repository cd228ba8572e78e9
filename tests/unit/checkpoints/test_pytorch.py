"""Files are written here as torch.save writes them, with stand-ins for torch's names."""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

from poseras.checkpoints import read_pytorch_file

CODES = {"Float": "<f4", "Half": "<f2", "BFloat16": "<u2", "Long": "<i8", "Double": "<f8"}


class Tensor:
    """What a file says of a tensor: its storage, and the window on it."""

    def __init__(self, kind, elements, shape, strides, offset=0, key="0"):
        self.storage = (kind, np.asarray(elements, CODES[kind]), key)
        self.window = (offset, tuple(shape), tuple(strides))


@pytest.fixture
def fake_torch(monkeypatch):
    """Modules that give the pickle its names; nothing of them is called."""
    torch, utilities = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2():
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utilities._rebuild_tensor_v2 = _rebuild_tensor_v2
    for kind in CODES:
        name = f"{kind}Storage"
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    torch._utils = utilities
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utilities)
    return torch


class StorageReference:
    def __init__(self, kind, elements, key):
        self.kind, self.elements, self.key = kind, elements, key


def make_pickler(torch, storages, legacy):
    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, StorageReference):
                return None
            storages[value.key] = value.elements
            kind = getattr(torch, f"{value.kind}Storage")
            pointer = ("storage", kind, value.key, "cpu", len(value.elements))
            return (*pointer, None) if legacy else pointer

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            reference = StorageReference(*value.storage)
            window = (*value.window, False, collections.OrderedDict())
            return torch._utils._rebuild_tensor_v2, (reference, *window)

    return Writer


def save_zip(torch, path, value, protocol=2):
    storages, content = {}, io.BytesIO()
    make_pickler(torch, storages, legacy=False)(content, protocol).dump(value)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, elements in storages.items():
            archive.writestr(f"archive/data/{key}", elements.tobytes())
        archive.writestr("archive/version", "3\n")


def save_legacy(torch, path, value):
    storages = {}
    with open(path, "wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, 2)
        make_pickler(torch, storages, legacy=True)(file, 2).dump(value)
        pickle.dump(sorted(storages), file, 2)
        for key in sorted(storages):
            file.write(struct.pack("<q", len(storages[key])) + storages[key].tobytes())


@pytest.fixture(params=[save_zip, save_legacy])
def save(request, fake_torch):
    return lambda path, value: request.param(fake_torch, path, value)


def test_a_state_dict_comes_back_in_order_with_its_values(save, tmp_path):
    state = collections.OrderedDict(
        [
            ("conv.weight", Tensor("Float", range(6), (2, 3), (3, 1))),
            ("steps", Tensor("Long", [7], (), (), key="1")),
        ]
    )
    save(tmp_path / "a.pth", {"epoch": 3, "state_dict": state})
    read = read_pytorch_file(tmp_path / "a.pth")
    assert read["epoch"] == 3 and list(read["state_dict"]) == ["conv.weight", "steps"]
    np.testing.assert_array_equal(read["state_dict"]["conv.weight"], [[0, 1, 2], [3, 4, 5]])
    assert read["state_dict"]["conv.weight"].dtype == np.float32
    assert read["state_dict"]["steps"].shape == () and int(read["state_dict"]["steps"]) == 7


def test_half_and_bfloat16_tensors_keep_their_values(save, tmp_path):
    bfloat16 = (np.array([1.5, -2.0, 0.0078125], np.float32).view(np.uint32) >> 16).astype("<u2")
    save(
        tmp_path / "a.pth",
        {
            "half": Tensor("Half", [0.5, -3], (2,), (1,)),
            "brain": Tensor("BFloat16", bfloat16, (3,), (1,), key="1"),
        },
    )
    read = read_pytorch_file(tmp_path / "a.pth")
    np.testing.assert_array_equal(read["half"], np.array([0.5, -3], np.float16))
    assert read["half"].dtype == np.float16
    np.testing.assert_array_equal(read["brain"], np.array([1.5, -2.0, 0.0078125], np.float32))
    assert read["brain"].dtype == np.float32


def test_shared_and_transposed_storages_become_separate_plain_arrays(save, tmp_path):
    save(
        tmp_path / "a.pth",
        {
            "whole": Tensor("Float", range(6), (2, 3), (3, 1)),
            "turned": Tensor("Float", range(6), (3, 2), (1, 3)),
            "tail": Tensor("Float", range(6), (2,), (1,), offset=4),
        },
    )
    read = read_pytorch_file(tmp_path / "a.pth")
    np.testing.assert_array_equal(read["turned"], read["whole"].T)
    np.testing.assert_array_equal(read["tail"], [4, 5])
    assert read["turned"].flags.c_contiguous and read["turned"].flags.owndata
    read["whole"][:] = -1
    np.testing.assert_array_equal(read["tail"], [4, 5])


def test_a_training_checkpoint_with_optimizer_and_numpy_score_is_read(save, tmp_path):
    optimizer = {
        "state": {0: {"step": 10, "exp_avg": Tensor("Float", [1, 2], (2,), (1,))}},
        "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0]}],
    }
    record = {"perf": np.float64(0.712), "history": np.arange(4), "optimizer": optimizer}
    save(tmp_path / "a.pth", record)
    read = read_pytorch_file(tmp_path / "a.pth")
    assert read["perf"] == 0.712 and isinstance(read["perf"], np.float64)
    np.testing.assert_array_equal(read["history"], np.arange(4))
    assert type(read["history"]) is np.ndarray
    np.testing.assert_array_equal(read["optimizer"]["state"][0]["exp_avg"], [1, 2])
    assert read["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)


class Bomb:
    def __reduce__(self):
        return (print, ("the bomb went off",))


def test_code_in_a_file_is_named_and_not_run(save, tmp_path, capsys):
    save(tmp_path / "a.pth", {"weights": [1.0], "extra": Bomb()})
    with pytest.raises(ValueError, match=r"names (builtins|__builtin__)\.print.*was not run"):
        read_pytorch_file(tmp_path / "a.pth")
    assert "bomb" not in capsys.readouterr().out


def test_numpy_itself_cannot_be_called_by_a_file(tmp_path, fake_torch):
    content = b"cnumpy\nndarray\n(I5\ntR."
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    with pytest.raises(ValueError, match=r"a call of numpy\.ndarray"):
        read_pytorch_file(tmp_path / "a.pth")


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(save, tmp_path):
    save(tmp_path / "a.pth", {"w": Tensor("Float", range(6), (4, 3), (3, 1))})
    with pytest.raises(ValueError, match="reaches beyond its storage of 6"):
        read_pytorch_file(tmp_path / "a.pth")


@pytest.mark.parametrize("kept", [0.15, 0.5, 0.9])
def test_a_file_cut_short_is_an_error_in_one_line(save, tmp_path, kept):
    path = tmp_path / "a.pth"
    save(path, {"w": Tensor("Float", range(3000), (3000,), (1,))})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=r"a\.pth cannot be read as a PyTorch file: ") as caught:
        read_pytorch_file(path)
    assert "\n" not in str(caught.value)


def test_something_else_is_an_error(tmp_path):
    (tmp_path / "a.pth").write_text("no checkpoint")
    with pytest.raises(ValueError, match="cannot be read as a PyTorch file"):
        read_pytorch_file(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError, match=r"no PyTorch file .*b\.pth"):
        read_pytorch_file(tmp_path / "b.pth")
