"""NumPy's numbers and arrays inside a foreign pickle, rebuilt from closed lists of types.

NumPy's own functions would let a pickle set any dtype, Python objects among them; these stand in
for them and know numbers alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS = frozenset("?bBhHiIlLqQefdFD")


class Dtype:
    """Stands for numpy.dtype: its letter code, and the byte order that the state adds."""

    def __init__(self, code: Any, *_: Any):
        dtype = np.dtype(str(code))
        if dtype.char not in _NUMBERS:
            raise ValueError(f"NumPy values of type {code!r}, which is not a number")
        self._dtype = dtype

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise ValueError(f"NumPy values of byte order {order!r}")
        self._dtype = self._dtype.newbyteorder(order)

    def resolve(self) -> np.dtype:
        """The dtype itself."""
        return self._dtype


def encode_text(text: Any, encoding: Any = "utf-8") -> bytes:
    """Bytes as protocol 2 writes them: as text in latin1."""
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ValueError(f"bytes written as {encoding!r} instead of latin1")
    return text.encode("latin1")


def rebuild_scalar(dtype: Any, content: Any) -> np.generic:
    """One NumPy number of its bytes."""
    if not isinstance(dtype, Dtype):
        raise ValueError("a NumPy number without a dtype")
    return np.frombuffer(_as_bytes(content), dtype.resolve(), 1)[0]


class ArrayType:
    """Stands for the class numpy.ndarray, which a pickle may name but not call."""

    def __init__(self, *_: Any) -> None:
        raise ValueError("a call of numpy.ndarray")


class RebuiltArray(np.ndarray):
    """Stands for an array until its state (shape, dtype, bytes) arrives."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, in_fortran_order, content = state
        if not isinstance(dtype, Dtype):
            raise ValueError("a NumPy array without a dtype")
        values = np.frombuffer(_as_bytes(content), dtype.resolve())
        values = values.reshape(shape, order="F" if in_fortran_order else "C")
        plain: Any = (1, shape, dtype.resolve(), bool(in_fortran_order), values.tobytes(order="A"))
        super().__setstate__(plain)


def rebuild_empty_array(kind: Any, *_: Any) -> RebuiltArray:
    """What numpy's _reconstruct gives: an empty array, filled by its state."""
    if kind is not ArrayType:
        raise ValueError("a subclass of NumPy's array")
    return RebuiltArray((0,), np.uint8)


def _as_bytes(content: Any) -> bytes:
    """Bytes; Python 2 wrote them as text."""
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise ValueError("a NumPy value without its bytes")
    return content
