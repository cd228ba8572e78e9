"""Pairwise statistics and logistic models in the files of pose-tensorflow (MATLAB version 5).

`pairwise_stats.mat` holds `graph`, `means` and `std_devs`, a row for each ordered pair of joints.
The models are `spatial_model_cidx_<a>_<b>.mat`, joints counted from 1, a < b.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ..files import unfinished_file
from ..matlab_files import read_matlab

#: Name of the statistics in a folder or an archive.
STATISTICS_FILE = "pairwise_stats.mat"
_MODEL = re.compile(r"spatial_model_cidx_(\d+)_(\d+)\.mat")
_FIRST_LABEL = 1
#: Over all models that were written together; the authors' files have none.
_DIGEST = "all_models_sha256"


def read_pairwise_statistics(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the vectors between joints.

    Args:
        path: `pairwise_stats.mat`, a folder that holds it, or the authors' `pairwise_coco.tar.gz`.

    Returns:
        (pairs, 2) px each, in the order of joint a, then joint b.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not hold all ordered pairs of some joints, each once.
    """
    path = Path(path)
    arrays = _read_statistics(path)
    if not {"graph", "means", "std_devs"} <= arrays.keys():
        raise ValueError(f"{path} must hold graph, means and std_devs.")
    graph = np.asarray(arrays["graph"], np.int64)
    joints = int(graph.max(initial=0)) + 1
    wanted = [(a, b) for a in range(joints) for b in range(joints) if a != b]
    if sorted(map(tuple, graph.tolist())) != wanted:
        raise ValueError(
            f"graph of {path} must list each ordered pair of joints once, counted from 0. "
            f"Received {len(graph)} rows for {joints} joints."
        )
    order = np.lexsort((graph[:, 1], graph[:, 0]))
    means, deviations = (np.asarray(arrays[k], np.float64)[order] for k in ("means", "std_devs"))
    return means, deviations


def _read_statistics(path: Path) -> dict[str, Any]:
    """The variables of a statistics file, of a folder or an archive that holds it."""
    if path.is_file() and not _is_archive(path):
        return _read(path.read_bytes(), path)
    found = {name: data for name, data in _list_files(path) if name == STATISTICS_FILE}
    if not found:
        raise FileNotFoundError(f"No {STATISTICS_FILE} at {path}.")
    return _read(found[STATISTICS_FILE], path)


def write_pairwise_statistics(
    path: str | Path,
    pairs: np.ndarray,
    means_px: np.ndarray,
    deviations_px: np.ndarray,
    joints: Sequence[str] = (),
) -> None:
    """Write `pairwise_stats.mat` in one step.

    Args:
        path: of the file.
        pairs: (pairs, 2) counted from 0.
        means_px: (pairs, 2).
        deviations_px: (pairs, 2).
        joints: names, so that statistics of other joints can be told; the authors' have none.

    Raises:
        OSError: the file cannot be written; what stood there before is unchanged.
    """
    from scipy.io import savemat

    names = {"joints": np.array(joints, object)} if joints else {}
    values = {"graph": pairs, "means": means_px, "std_devs": deviations_px, **names}
    with unfinished_file(path) as unfinished:
        savemat(unfinished, values)


def read_joint_names(path: str | Path) -> tuple[str, ...]:
    """The joints that a statistics file of ours names; none in the authors'.

    Args:
        path: as `read_pairwise_statistics`.
    """
    names = _read_statistics(Path(path)).get("joints", np.zeros(0))
    return tuple(str(np.ravel(name)[0]) for name in np.ravel(names))


def read_logistic_models(
    path: str | Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All models of a folder, or of the authors' archive.

    Returns:
        pairs (models, 2) int64 counted from 0, in rising order, and float64 lower (models, 8),
        upper (models, 8), weights (models, 9), the last of which is added.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: a file is no such model, or they are not all those of one training.
    """
    models: dict[tuple[int, int], list[np.ndarray]] = {}
    digests = set()
    for name, content in _list_files(Path(path)):
        match = _MODEL.fullmatch(name)
        if match:
            pair = int(match[1]) - 1, int(match[2]) - 1
            arrays = _read(content, Path(name))
            models[pair] = _read_model(arrays, name)
            digests.add(str(np.ravel(arrays.get(_DIGEST, ""))[0]))
    if not models:
        raise FileNotFoundError(
            f"No spatial_model_cidx_<a>_<b>.mat at {path}. It is the folder or the archive of the "
            "logistic models."
        )
    pairs = sorted(models)
    lower, upper, weights = (np.stack([models[p][part] for p in pairs]) for part in range(3))
    if digests != {""} and digests != {_digest_models(np.array(pairs), lower, upper, weights)}:
        raise ValueError(
            f"The logistic models at {path} must be those of one training, all of them. Received "
            f"{len(models)} files that were not written together; train them again "
            "(tool/pairwise_stats.py --model-file)."
        )
    return np.array(pairs, np.int64), lower, upper, weights


def write_logistic_models(
    folder: str | Path,
    pairs: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Write a file for each model, as `read_logistic_models` reads them.

    All are written before the first one is moved into place, then models of other pairs that an
    earlier run left in the folder are removed. Each file holds a digest over all of them, by which
    `read_logistic_models` notices a folder in which this was interrupted.

    Raises:
        OSError: a file cannot be written.
    """
    from scipy.io import savemat

    written = set()
    digest = _digest_models(pairs, lower, upper, weights)
    with ExitStack() as unfinished_files:
        for (a, b), least, most, weight in zip(pairs.tolist(), lower, upper, weights, strict=True):
            regression = {"w": weight[None], "Label": np.array([[_FIRST_LABEL], [0]]), "bias": 1.0}
            options = {"X_min": least[None], "X_max": most[None]}
            model = {"training_opts": options, "log_reg": {**regression, "nr_feature": 8.0}}
            path = Path(folder) / f"spatial_model_cidx_{a + 1}_{b + 1}.mat"
            written.add(path)
            unfinished = unfinished_files.enter_context(unfinished_file(path))
            savemat(unfinished, {"spatial_model": model, _DIGEST: digest})
    for path in set(Path(folder).glob("spatial_model_cidx_*_*.mat")) - written:
        path.unlink()


def _digest_models(*arrays: np.ndarray) -> str:
    """The SHA-256 of pairs, lower, upper and weights, in whatever order the models are."""
    pairs = arrays[0]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.asarray(array[order], "<f8").tobytes())
    return digest.hexdigest()


def _read_model(arrays: dict[str, Any], name: str) -> list[np.ndarray]:
    """Lower, upper and weights of one file."""
    try:
        model = arrays["spatial_model"][0, 0]
        options, regression = model["training_opts"][0, 0], model["log_reg"][0, 0]
        least, most, weights = options["X_min"], options["X_max"], regression["w"]
        label = float(regression["Label"].ravel()[0])
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name} must hold spatial_model with training_opts and log_reg."
        ) from error
    parts = [np.asarray(a, np.float64).ravel() for a in (least, most, weights)]
    if [len(part) for part in parts] != [8, 8, 9]:
        raise ValueError(
            f"{name} must hold 8 features and 9 weights. Received {[len(p) for p in parts]}."
        )
    if label != _FIRST_LABEL:  # liblinear's weights score the class that it met first
        parts[2] = -parts[2]
    return parts


def _list_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the .mat files of a folder or archive."""
    if path.is_dir():
        for file in sorted(path.glob("*.mat")):
            yield file.name, file.read_bytes()
        return
    if not path.is_file():
        raise FileNotFoundError(f"No pairwise files at {path}; it must be a folder or an archive.")
    with tarfile.open(path) as archive:
        for member in archive:
            file_ = archive.extractfile(member) if member.isfile() else None
            if file_ and member.name.endswith(".mat"):
                yield Path(member.name).name, file_.read()


def _is_archive(path: Path) -> bool:
    return tarfile.is_tarfile(path)


def _read(content: bytes, path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file.

    Raises:
        ValueError: it is none.
    """
    try:
        return read_matlab(content)
    except ValueError as error:
        raise ValueError(f"{path} must be a MATLAB file of version 5. {error}.") from error
