"""PyTorch's zip container, written without PyTorch.

`torch.load(weights_only=True)` reads it: an ordered dict of names to tensors, alone or inside a
plain dict, each tensor with a storage of its own. The pickle is written opcode by opcode, because
Python's own pickler names only what it can import, and torch is not there.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
_ALIGNMENT = 64
_ROOT = "archive"


class _Pickle:
    """The opcodes of protocol 2 that a state dict needs."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._out.write(pickle.PROTO + b"\x02")

    def op(self, opcode: bytes, argument: bytes = b"") -> None:
        self._out.write(opcode + argument)

    def name(self, module: str, name: str) -> None:
        self.op(pickle.GLOBAL, f"{module}\n{name}\n".encode())

    def text(self, value: str) -> None:
        content = value.encode()
        self.op(pickle.BINUNICODE, struct.pack("<I", len(content)) + content)

    def integer(self, value: int) -> None:
        content = pickle.encode_long(value)
        self.op(pickle.LONG1, bytes([len(content)]) + content)

    def number(self, value: float) -> None:
        if isinstance(value, int):
            self.integer(value)
        else:
            self.op(pickle.BINFLOAT, struct.pack(">d", value))

    def integers(self, values: tuple[int, ...]) -> None:
        self.op(pickle.MARK)
        for value in values:
            self.integer(value)
        self.op(pickle.TUPLE)

    def ordered_dict(self) -> None:
        self.name("collections", "OrderedDict")
        self.op(pickle.EMPTY_TUPLE)
        self.op(pickle.REDUCE)

    def tensor(self, key: str, array: np.ndarray) -> None:
        """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, grad?, hooks)."""
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.op(pickle.MARK)
        self.op(pickle.MARK)
        self.text("storage")
        self.name("torch", _STORAGES[array.dtype.name])
        self.text(key)
        self.text("cpu")
        self.integer(array.size)
        self.op(pickle.TUPLE)
        self.op(pickle.BINPERSID)
        self.integer(0)
        self.integers(array.shape)
        self.integers(tuple(stride // array.itemsize for stride in array.strides))
        self.op(pickle.NEWFALSE)
        self.ordered_dict()
        self.op(pickle.TUPLE)
        self.op(pickle.REDUCE)

    def finish(self) -> bytes:
        self.op(pickle.STOP)
        return self._out.getvalue()


def write_pytorch_file(
    path: str | Path,
    state_dict: Mapping[str, np.ndarray],
    *,
    wrapper: str = "",
    numbers: Mapping[str, float] | None = None,
) -> None:
    """Write a state dict.

    Args:
        path: of the file; its folder is there.
        state_dict: name to array: floats of 16 to 64 bits, int32, int64, uint8, booleans.
        wrapper: the key that holds it in an outer dict, `state_dict` for training checkpoints; ""
            writes the dict itself.
        numbers: what else the outer dict holds, such as the epoch.

    Raises:
        ValueError: an array of another type.
    """
    plain = {name: np.asarray(array, order="C") for name, array in state_dict.items()}
    for name, array in plain.items():
        if array.dtype.name not in _STORAGES:
            raise ValueError(
                f"A PyTorch file holds {', '.join(_STORAGES)}. Received {name} of {array.dtype}."
            )
    text = _Pickle()
    if wrapper:
        text.op(pickle.EMPTY_DICT)
        for name, number in (numbers or {}).items():
            text.text(name)
            text.number(number)
            text.op(pickle.SETITEM)
        text.text(wrapper)
    text.ordered_dict()
    text.op(pickle.MARK)
    for key, (name, array) in enumerate(plain.items()):
        text.text(name)
        text.tensor(str(key), array)
    text.op(pickle.SETITEMS)
    if wrapper:
        text.op(pickle.SETITEM)
    with zipfile.ZipFile(path, "w") as archive:
        _add(archive, "data.pkl", text.finish())
        _add(archive, "byteorder", b"little")
        for key, array in enumerate(plain.values()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            _add(archive, f"data/{key}", little.tobytes())
        _add(archive, "version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """An uncompressed member whose bytes begin at a multiple of 64, as torch maps them."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}")
    start = archive.fp.tell() + 30 + len(info.filename)  # type: ignore[union-attr]
    padding = (-(start + 4)) % _ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    archive.writestr(info, content)
