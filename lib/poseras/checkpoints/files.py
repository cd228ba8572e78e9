"""Foreign checkpoint files of any known format: which format, which files, which entries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .keras_weights import HDF5_SIGNATURE, read_keras_weights
from .pytorch import read_pytorch_file
from .tensorflow1 import read_tf1_checkpoint, tf1_checkpoint_exists

Format = Literal["tensorflow1", "pytorch", "keras"]

#: Endings of the files of one checkpoint; without them, in this order, its name is left.
BUNDLE_ENDINGS = (".index", ".meta", ".data-00000-of-00001")
PYTORCH_ENDINGS = (".pth.tar", ".pth", ".pt")
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_WRAPPERS = ("state_dict", "network", "model", "model_state_dict")
_CHUNK_BYTES = 1 << 20


def checkpoint_name(path: str | Path) -> Path:
    """A checkpoint as readers take it: a bundle is named without the endings of its files."""
    path = Path(path)
    for ending in BUNDLE_ENDINGS:
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending))
    return path


def checkpoint_files(path: str | Path) -> list[Path]:
    """The files that a checkpoint consists of, those that are there: one, or those of a bundle."""
    path = checkpoint_name(path)
    bundle = [path.with_name(f"{path.name}.index"), *path.parent.glob(f"{path.name}.data-*")]
    return [file for file in ([path] if path.is_file() else sorted(bundle)) if file.is_file()]


def detect_format(path: str | Path) -> Format:
    """The format of a checkpoint, by its first bytes.

    Raises:
        FileNotFoundError: there is no such file or bundle.
    """
    path = checkpoint_name(path)
    if not path.is_file():
        if not tf1_checkpoint_exists(path):
            raise FileNotFoundError(f"There is no checkpoint {path}.")
        return "tensorflow1"
    with open(path, "rb") as file:
        start = file.read(len(HDF5_SIGNATURE))
    if start == HDF5_SIGNATURE:
        return "keras"
    torch = start.startswith((_ZIP, _PICKLE)) or path.name.endswith(PYTORCH_ENDINGS)
    return "pytorch" if torch else "tensorflow1"


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """The entries of a checkpoint of any known format, name to array in its own axis order.

    Raises:
        FileNotFoundError: there is no such file or bundle.
        ValueError: it is damaged, carries code, or holds no arrays by name.
    """
    path = checkpoint_name(path)
    kind = detect_format(path)
    if kind == "keras":
        return read_keras_weights(path)
    if kind == "tensorflow1":
        return read_tf1_checkpoint(path)
    return find_state_dict(read_pytorch_file(path), path)


def find_state_dict(saved: Any, path: str | Path) -> dict[str, np.ndarray]:
    """The weights in what `torch.save` wrote: the dict itself, or one that it wraps.

    Raises:
        ValueError: there are none.
    """
    candidates = [saved]
    if isinstance(saved, Mapping):
        candidates = [saved[key] for key in _WRAPPERS if key in saved] + candidates
    for candidate in candidates:
        if (
            isinstance(candidate, Mapping)
            and candidate
            and all(_is_entry(candidate, k) for k in candidate)
        ):
            return dict(candidate)
    keys = ", ".join(map(str, saved)) if isinstance(saved, Mapping) else type(saved).__name__
    raise ValueError(
        f"{path} must hold a state dict, names to tensors, by itself or under one of "
        f"{', '.join(_WRAPPERS)}. Received {keys[:200]}."
    )


def _is_entry(candidate: Mapping[Any, Any], key: Any) -> bool:
    return isinstance(key, str) and isinstance(candidate[key], np.ndarray)


def checkpoint_sha256(path: str | Path) -> str:
    """The SHA-256 of a checkpoint's files, one after the other in the order of their names."""
    digest = hashlib.sha256()
    for file_path in sorted(checkpoint_files(path)):
        with open(file_path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
