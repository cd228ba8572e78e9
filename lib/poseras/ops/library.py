"""The compiled NMS operation: what it was built from, and whether it may be loaded.

`python -m poseras.ops.build` writes the library beside this file. Its identity stands in the file
itself, so that one of another TensorFlow, or of older kernels, is told apart without loading it.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

log = logging.getLogger("poseras")

KERNELS = Path(__file__).with_name("kernels")
LIBRARY = Path(__file__).with_name("nms_ops.so")

_IDENTITY = re.compile(rb"poseras-ops-identity\{([^{}\0]*)\}")


def hash_sources(kernels: Path = KERNELS) -> str:
    """16 hexadecimal digits that change when a kernel does."""
    digest = hashlib.sha256()
    for path in sorted(kernels.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def read_identity(path: Path) -> dict[str, str]:
    """What a library was built from: `tensorflow`, `sources`, `cuda`; empty for a foreign file."""
    found = _IDENTITY.search(path.read_bytes())
    if found is None:
        return {}
    pairs = (pair.partition("=") for pair in found[1].decode().split(";"))
    return {key: value for key, _, value in pairs}


def find_fault(path: Path, tensorflow_version: str) -> str | None:
    """Why a library must not be loaded, in words, or None."""
    identity = read_identity(path)
    if not identity:
        return "it was not built by poseras.ops.build"
    if identity.get("tensorflow") != tensorflow_version:
        return (
            f"it was built for TensorFlow {identity.get('tensorflow')}, "
            f"this is TensorFlow {tensorflow_version}"
        )
    if identity.get("sources") != hash_sources():
        return "the kernels have changed since it was built"
    return None


@dataclass(frozen=True)
class Library:
    """The loaded library: TensorFlow operations, and C functions for the arrays of one image."""

    operations: Any
    functions: ctypes.CDLL


@lru_cache(maxsize=1)
def load_library() -> Library | None:
    """The compiled operations, or None, after one log line, without them.

    The first call decides for the whole process.
    """
    if not LIBRARY.exists():
        log.info("The compiled NMS op is not built; NMS runs in NumPy. `make ops` builds it.")
        return None
    import tensorflow as tf

    fault = find_fault(LIBRARY, tf.__version__)
    if fault is None:
        try:
            return Library(tf.load_op_library(str(LIBRARY)), _declare(ctypes.CDLL(str(LIBRARY))))
        except (tf.errors.OpError, OSError) as error:
            fault = str(error)
    log.warning(
        "%s is not loaded: %s. NMS runs in NumPy; `make ops` builds it anew.", LIBRARY, fault
    )
    return None


def _declare(functions: ctypes.CDLL) -> ctypes.CDLL:
    """The signatures at the end of kernels/suppression.cc."""
    pointer, count, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int
    functions.poseras_nms.argtypes = [pointer, pointer, count, number, flag, flag, pointer]
    functions.poseras_oks_nms.argtypes = [
        *([pointer] * 4),
        *([count] * 3),
        *([number] * 2),
        *([flag] * 2),
        pointer,
    ]
    for function in (functions.poseras_nms, functions.poseras_oks_nms):
        function.restype = count
    return functions
