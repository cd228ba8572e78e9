"""PyTorch's own files (`.pth`, `.pth.tar`, `.pt`), read without PyTorch.

Such a file is a pickle whose tensors lie in raw storages beside it: in a zip archive since PyTorch
1.6, one after the other behind the pickle before that. A pickle may call any function it names.
This reader builds what a checkpoint is made of (tensors, dicts, lists, numbers, texts, NumPy
numbers and arrays) and refuses every other name before anything of it is looked up or run.
"""

from __future__ import annotations

import collections
import io
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from .pickled_numpy import ArrayType, Dtype, encode_text, rebuild_empty_array, rebuild_scalar

ByteOrder = Literal["<", ">"]

_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

#: Element type by the name of the storage class. bfloat16 has no NumPy type, see `_as_array`.
_STORAGES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(np.uint16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
    "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
}

#: What a damaged pickle makes Python's unpickler raise, besides our own ValueError.
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OSError,
)


class _StorageType:
    """Stands for a storage class such as torch.FloatStorage."""

    def __init__(self, name: str):
        self.name = name


class _Storage:
    """A run of elements; in a legacy file its bytes arrive after the pickle."""

    def __init__(self, kind: str, count: int):
        self.kind = kind
        self.count = count
        self.elements = np.zeros(0, _STORAGES[kind])

    def fill(self, content: bytes, byte_order: ByteOrder) -> None:
        dtype = _STORAGES[self.kind].newbyteorder(byte_order)
        if len(content) != self.count * dtype.itemsize:
            raise ValueError(
                f"a storage of {self.count} {self.kind} needs {self.count * dtype.itemsize} bytes, "
                f"and {len(content)} are there"
            )
        elements = np.frombuffer(content, dtype)
        self.elements = elements.astype(dtype.newbyteorder("="), copy=False)


class _Tensor:
    """A view on a storage, turned into an array once the storages are filled."""

    def __init__(self, storage: _Storage, offset: int, shape: Any, strides: Any):
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor without a storage")
        self.storage, self.offset = storage, int(offset)
        self.shape, self.strides = tuple(map(int, shape)), tuple(map(int, strides))
        if len(self.shape) != len(self.strides) or min((*self.shape, *self.strides, 0)) < 0:
            raise ValueError(f"a tensor of shape {self.shape} with strides {self.strides}")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and not 0 <= self.offset <= last < storage.count:
            raise ValueError(f"a tensor that reaches beyond its storage of {storage.count}")

    def as_array(self) -> np.ndarray:
        elements = self.storage.elements
        if 0 in self.shape:
            array = np.zeros(self.shape, elements.dtype)
        else:
            steps = [stride * elements.itemsize for stride in self.strides]
            array = np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, steps)
        if self.storage.kind == "BFloat16Storage":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return np.array(array, order="C")


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


#: Everything that a pickle may name.
_GLOBALS: Mapping[tuple[str, str], Callable[..., Any]] = {
    # The milestones of a learning rate schedule.
    ("collections", "Counter"): collections.Counter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    ("numpy", "dtype"): Dtype,
    ("numpy", "ndarray"): ArrayType,
    ("numpy.core.multiarray", "scalar"): rebuild_scalar,
    ("numpy._core.multiarray", "scalar"): rebuild_scalar,
    ("numpy.core.multiarray", "_reconstruct"): rebuild_empty_array,
    ("numpy._core.multiarray", "_reconstruct"): rebuild_empty_array,
    ("_codecs", "encode"): encode_text,
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Python's unpickler, with a closed list of names and storages instead of pointers."""

    def __init__(self, file: BinaryIO, make_storage: Callable[[str, str, int], _Storage]):
        super().__init__(file, encoding="utf-8")
        self._make_storage = make_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _GLOBALS:
            return _GLOBALS[module, name]
        if module == "torch" and name in _STORAGES:
            return _StorageType(name)
        raise ValueError(
            f"it names {module}.{name}, which is not part of a plain checkpoint and was not run"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, count, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or any(view):
            raise ValueError(f"a pointer of an unknown kind, {kind!r}")
        return self._make_storage(storage_type.name, str(key), int(count))


def read_pytorch_file(path: str | Path) -> Any:
    """Whatever `torch.save` wrote, with NumPy arrays in place of tensors.

    Args:
        path: a file of either container.

    Returns:
        The saved object: usually a dict of names to arrays, or a training checkpoint that holds
        one under `state_dict`. Arrays own their memory and are C-contiguous, whatever the strides
        of the tensor; bfloat16 becomes float32, which holds every value of it. NumPy numbers stay
        NumPy numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind, or names something that a checkpoint has
            no need of; nothing of it has been run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no PyTorch file {path}.")
    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
        saved = _read_archive(path) if is_zip else _read_legacy(path)
        return _resolve(saved)
    except (*_DAMAGE, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{path} cannot be read as a PyTorch file: {reason}. Where it should be one, download "
            "it again; a file that holds more than tensors and numbers can be saved anew as a "
            "state_dict."
        ) from error


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1]
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("the zip archive holds no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        order: ByteOrder = "<"
        if f"{folder}byteorder" in names:
            order = ">" if archive.read(f"{folder}byteorder").strip() == b"big" else "<"
        storages: dict[str, _Storage] = {}

        def make_storage(kind: str, key: str, count: int) -> _Storage:
            if key not in storages:
                storages[key] = _Storage(kind, count)
                storages[key].fill(archive.read(f"{folder}data/{key}"), order)
            return storages[key]

        content = io.BytesIO(archive.read(pickles[0]))
        return _RestrictedUnpickler(content, make_storage).load()


def _read_legacy(path: Path) -> Any:
    storages: dict[str, _Storage] = {}

    def make_storage(kind: str, key: str, count: int) -> _Storage:
        return storages.setdefault(key, _Storage(kind, count))

    with open(path, "rb") as file:

        def load() -> Any:
            return _RestrictedUnpickler(file, make_storage).load()

        if load() != _MAGIC or load() != _LEGACY_PROTOCOL:
            raise ValueError("it does not begin as PyTorch's files do")
        system = load()
        little = system.get("little_endian", sys.byteorder == "little")
        saved, keys = load(), load()
        for key in keys:
            _fill_legacy(file, storages[str(key)], "<" if little else ">")
    return saved


def _fill_legacy(file: BinaryIO, storage: _Storage, order: ByteOrder) -> None:
    (count,) = struct.unpack(f"{order}q", file.read(8))
    if count != storage.count:
        raise ValueError(f"a storage of {storage.count} elements announces {count}")
    storage.fill(file.read(count * _STORAGES[storage.kind].itemsize), order)


def _resolve(value: Any) -> Any:
    """The same structure with arrays for tensors."""
    if isinstance(value, _Tensor):
        return value.as_array()
    if isinstance(value, dict):
        return type(value)((_resolve(key), _resolve(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value)(_resolve(item) for item in value)
    if isinstance(value, np.ndarray):
        return np.array(value)  # a plain array, whatever stood for it
    if isinstance(value, Dtype):
        return value.resolve()
    return value
