"""Snapshots: everything a run has learnt, one safetensors file each.

Arrays are named by a part and the flat path of the variable: `weights/conv1/kernel`,
`optimizer/...`, `ema/...`, `resources/...`. The metadata (system, options, skeleton, view, config,
versions, counters) is one JSON text in the header. The format itself does not notice a flipped
bit, so a SHA-256 over metadata, names, shapes, dtypes and data stands beside it, and one over the
metadata alone; they are verified whenever a snapshot or its metadata is read.

A run's folder holds `snapshot_N.safetensors` for epoch N, and `snapshot_rolling.safetensors`, the
newest state between two epochs. Which of them is newest is told by the step they count, not by the
clock of a file system.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..files import unfinished_file

if TYPE_CHECKING:
    import keras

SUFFIX = ".safetensors"
ROLLING = "rolling"
_METADATA_KEY = "poseras"
_METADATA_SHA256_KEY = "poseras_sha256"
_SHA256_KEY = "sha256"
_NUMBERED = re.compile(rf"snapshot_(\d+){re.escape(SUFFIX)}")
_MISMATCH = (
    "{} is damaged: its contents do not match their SHA-256. "
    "Take another snapshot or copy this one again."
)
# What both NumPy and the file format can hold.
_DTYPES = frozenset(
    np.dtype(kind)
    for kind in (
        *(np.bool_, np.int8, np.int16, np.int32, np.int64),
        *(np.uint8, np.uint16, np.uint32, np.uint64),
        *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16),
    )
)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as it was read, its digest verified.

    Attributes:
        path: the file.
        arrays: by name, `weights/...`, `optimizer/...`, `ema/...`, `resources/...`.
        metadata: what the writer gave, after a round through JSON: tuples are lists.
        sha256: over metadata, names, shapes, dtypes and data; equal for equal contents.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]
    sha256: str

    @property
    def has_ema(self) -> bool:
        """Whether averaged weights were kept."""
        return any(name.startswith("ema/") for name in self.arrays)

    def part(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of one part, `optimizer` say, without its name before theirs."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


def snapshot_path(folder: str | Path, number: int | str) -> Path:
    """Where snapshot N of a run lies; `ROLLING` is the one between two epochs."""
    return Path(folder) / f"snapshot_{number}{SUFFIX}"


def write_snapshot(
    path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> str:
    """Write a snapshot in one step, or leave what stood there.

    Args:
        path: ends with `.safetensors`; missing folders are made.
        arrays: booleans, integers, float16, bfloat16, float32, float64, of any memory layout.
        metadata: JSON values.

    Returns:
        The SHA-256 that `read_snapshot` will give.

    Raises:
        ValueError: an array of another dtype, or metadata that JSON cannot express.
        OSError: the disk is full or the folder not writable.
    """
    plain = {name: _make_plain(name, array) for name, array in arrays.items()}
    try:
        text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metadata of {path} must be JSON. Received: {error}.") from error
    sha256 = _digest(plain, text)
    header = {_METADATA_KEY: text, _METADATA_SHA256_KEY: _digest({}, text), _SHA256_KEY: sha256}
    with unfinished_file(path) as unfinished:
        try:
            save_file(plain, unfinished, metadata=header)
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return sha256


def _make_plain(name: str, array: np.ndarray) -> np.ndarray:
    """The array row by row in memory: the library writes the bytes of other views as they lie."""
    array = np.asarray(array)
    plain = np.ascontiguousarray(array).reshape(array.shape)  # which has no () arrays
    if not plain.dtype.isnative:
        plain = plain.astype(plain.dtype.newbyteorder("="))
    if plain.dtype not in _DTYPES:
        raise ValueError(
            f"Snapshots hold booleans, integers and floats of 16 to 64 bits. Received {name} of "
            f"dtype {array.dtype}; convert it or leave it out."
        )
    return plain


def _digest(arrays: Mapping[str, np.ndarray], metadata_text: str) -> str:
    names = sorted(arrays)
    layout = [[name, arrays[name].dtype.name, list(arrays[name].shape)] for name in names]
    digest = hashlib.sha256(json.dumps([metadata_text, layout]).encode())
    for name in names:
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of some arrays with their names, shapes and dtypes."""
    return _digest(arrays, "")


def weights_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of the weights alone: equal networks give equal digests, in whatever file."""
    return _digest({n: a for n, a in arrays.items() if n.startswith("weights/")}, "")


def read_snapshot(path: str | Path) -> Snapshot:
    """Read a snapshot and verify its digest.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, cut off, or not a snapshot of poseras.
    """
    header, arrays = _open(path, with_arrays=True)
    text, expected = header[_METADATA_KEY], header[_SHA256_KEY]
    if _digest(arrays, text) != expected:
        raise ValueError(_MISMATCH.format(path))
    return Snapshot(Path(path), arrays, json.loads(text), expected)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a snapshot, verified, without reading its arrays.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, cut off, or not a snapshot of poseras.
    """
    header, _ = _open(path, with_arrays=False)
    return json.loads(header[_METADATA_KEY])


def _open(path: str | Path, *, with_arrays: bool) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The header's metadata and, if wanted, the arrays of a snapshot file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no snapshot {path}.")
    arrays = {}
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            if with_arrays:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off, damaged or not a safetensors file ({error}). "
            "Take another snapshot or copy this one again."
        ) from error
    missing = {_METADATA_KEY, _METADATA_SHA256_KEY, _SHA256_KEY} - header.keys()
    if missing:
        raise ValueError(
            f"{path} is a safetensors file, but not a snapshot that poseras wrote: "
            f"its header lacks {', '.join(sorted(missing))}."
        )
    if _digest({}, header[_METADATA_KEY]) != header[_METADATA_SHA256_KEY]:
        raise ValueError(_MISMATCH.format(path))
    return header, arrays


def list_snapshots(folder: str | Path) -> dict[int, Path]:
    """The numbered snapshots of a folder, lowest number first; none if it does not exist."""
    matches = [(_NUMBERED.fullmatch(path.name), path) for path in Path(folder).glob("snapshot_*")]
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def newest_valid(folder: str | Path) -> tuple[Snapshot | None, list[str]]:
    """The snapshot to continue from: of the undamaged ones, that which counts most steps.

    Numbered snapshots and the rolling one take part; of two with equal steps the numbered one is
    taken. Only as many files are read whole as it takes to find an undamaged one.

    Returns:
        The snapshot, None where the folder holds none at all, and one line for each damaged
        file that was met on the way.

    Raises:
        ValueError: there are snapshots, and every one is damaged.
    """
    rolling = snapshot_path(folder, ROLLING)
    paths = [*([rolling] if rolling.is_file() else []), *list_snapshots(folder).values()]
    candidates, damaged = [], []
    for path in paths:
        try:
            counters = read_metadata(path).get("counters", {})
            candidates.append((int(counters.get("step", -1)), path))
        except ValueError as error:
            damaged.append(str(error))
    candidates.sort(key=lambda candidate: candidate[0])  # stable: the rolling one stays first
    for _, path in reversed(candidates):
        try:
            return read_snapshot(path), damaged
        except ValueError as error:
            damaged.append(str(error))
    if damaged:
        raise ValueError(
            f"All {len(damaged)} snapshots in {folder} are damaged; move them away to start anew. "
            + " ".join(damaged)
        )
    return None, []


def collect_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Copies of a model's weights, named `weights/<variable path>`.

    Random states of dropout layers and of metrics are not weights.

    Raises:
        ValueError: two weights have the same path.
    """
    arrays: dict[str, np.ndarray] = {}
    for variable in model.weights:
        name = f"weights/{variable.path}"
        if name in arrays:
            raise ValueError(f"Paths of weights must be unique. Received {name} twice.")
        arrays[name] = np.array(np.asarray(variable), order="C")
    return arrays


def assign_weights(
    model: keras.Model,
    arrays: Mapping[str, np.ndarray],
    *,
    use_ema: bool = False,
    source: str | Path = "The snapshot",
) -> None:
    """Give a model the weights of a snapshot; float16 and bfloat16 are cast.

    Args:
        model: its weights and those of the snapshot must have the same paths and shapes.
        arrays: `weights/<path>`, and `ema/<path>` where averages were kept; others are ignored.
        use_ema: take the average of a weight wherever there is one.
        source: names the snapshot in messages.

    Raises:
        ValueError: names or shapes differ; nothing was assigned.
    """
    chosen = {n.removeprefix("weights/"): a for n, a in arrays.items() if n.startswith("weights/")}
    if use_ema:
        chosen |= {n.removeprefix("ema/"): a for n, a in arrays.items() if n.startswith("ema/")}
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    differences = _describe_differences(chosen, shapes)
    if differences:
        raise ValueError(f"{source} does not fit the model {model.name}: {differences}.")
    for variable in model.weights:
        variable.assign(chosen[variable.path])


def _describe_differences(
    arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> str:
    """The first differences between a snapshot and a model, both sides named, or ""."""
    parts = []
    for side, names in (
        ("the snapshot", [name for name in arrays if name not in shapes]),
        ("the model", [name for name in shapes if name not in arrays]),
    ):
        if names:
            parts.append(f"only {side} has {names[0]}{_and_more(names)}")
    other = [n for n, shape in shapes.items() if n in arrays and arrays[n].shape != shape]
    if other:
        name = other[0]
        parts.append(
            f"{name} is {arrays[name].shape} in the snapshot and {shapes[name]} in the model"
            f"{_and_more(other)}"
        )
    return "; ".join(parts)


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
