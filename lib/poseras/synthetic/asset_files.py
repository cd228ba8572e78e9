"""Parsing of the body's files: mesh, macro targets, rig, skin weights, keypoint regressors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..checkpoints import read_pytorch_file

#: Groups of the mesh that are drawn. The rest is teeth, lashes, joint cubes.
GROUPS = (
    "body",
    "helper-l-eye",
    "helper-r-eye",
    "helper-tights",
    "helper-skirt",
    "helper-hair",
)
_DECIMETRE = 0.1
_TARGET_STEPS = 1000  # a decimetre, in steps of the target files


def parse_assets(folder: Path) -> dict[str, np.ndarray]:
    """All arrays of `assets.BodyAssets`, by name; the skin weights in three parts (CSR).

    Args:
        folder: the package's `data`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not what it should be.
    """
    body = folder / "mpfb2"
    mesh = _parse_mesh(body / "3dobjs" / "base.obj")
    used = np.unique(np.concatenate([mesh["faces"][group][..., 0].ravel() for group in GROUPS]))
    place = np.full(len(mesh["vertices"]), -1)
    place[used] = np.arange(len(used))
    rig = json.loads((body / "rigs/standard/rig.default.json").read_text(encoding="utf-8"))
    bones = _sort_bones(rig)
    joint_rows = _joint_rows(rig, bones, mesh["cubes"], len(mesh["vertices"]))
    names, targets = _parse_targets(body / "targets" / "macrodetails", len(mesh["vertices"]))
    weights = json.loads((body / "rigs/standard/weights.default.json").read_text(encoding="utf-8"))
    skin = _skin(weights["weights"], bones, len(mesh["vertices"]))[used]
    regressors = read_pytorch_file(folder / "keypoints" / "coco.pth")
    base = _turn(mesh["vertices"]) * _DECIMETRE
    return {
        "vertices": base[used].astype(np.float32),
        "joints": _apply(joint_rows, base).astype(np.float32),
        "target_names": np.array(names),
        "targets": targets[:, used],
        "joint_targets": np.stack(
            [_apply(joint_rows, t * (_DECIMETRE / _TARGET_STEPS)) for t in targets]
        ).astype(np.float32),
        "bones": np.array(bones),
        "parents": np.array([_parent_index(rig, bones, bone) for bone in bones]),
        "skin_values": skin.data.astype(np.float32),
        "skin_columns": skin.indices,
        "skin_rows": skin.indptr,
        **_triangles(mesh, place),
        "keypoint_names": np.array(list(regressors)),
        "keypoint_weights": np.stack([values[used] for values in regressors.values()]),
    }


def _turn(points: np.ndarray) -> np.ndarray:
    """The file's axes (y up, facing +z) to ours (z up, facing -y)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def _apply(rows: sparse.csr_matrix, points: np.ndarray) -> np.ndarray:
    """(2, bones, 3) joints of mesh points."""
    return (rows @ points).reshape(2, -1, 3)


def _parse_mesh(path: Path) -> dict[str, Any]:
    """Vertices (decimetres, the file's axes), texture coordinates, quads by group."""
    vertices: list[list[str]] = []
    texture: list[list[str]] = []
    faces: dict[str, list[list[list[str]]]] = {}
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split())
        elif kind == "vt":
            texture.append(rest.split()[:2])
        elif kind == "g":
            group = rest.strip()  # groups reopen
        elif kind == "f":
            corners = [corner.split("/")[:2] for corner in rest.split()]
            faces.setdefault(group, []).append(corners)
    if not set(GROUPS) <= set(faces):
        raise ValueError(f"{path} must hold the groups {', '.join(GROUPS)}.")
    by_group = {name: np.array(quads, np.int64) - 1 for name, quads in faces.items()}
    return {
        "vertices": np.array(vertices, np.float64),
        "texture": np.array(texture, np.float32),
        "faces": by_group,
        "cubes": {
            name: np.unique(quads[..., 0])
            for name, quads in by_group.items()
            if name.startswith("joint-")
        },
    }


def _triangles(mesh: dict[str, Any], place: np.ndarray) -> dict[str, np.ndarray]:
    """The quads of all drawn groups, cut in two."""
    corners, owners = [], []
    for index, group in enumerate(GROUPS):
        quads = mesh["faces"][group]  # (quads, 4, [vertex, texture])
        halves = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        corners.append(halves)
        owners.append(np.full(len(halves), index, np.int8))
    every = np.concatenate(corners)
    return {
        "triangles": place[every[..., 0]].astype(np.int32),
        "triangle_uv": mesh["texture"][every[..., 1]],
        "groups": np.array(GROUPS),
        "triangle_groups": np.concatenate(owners),
    }


def _parse_targets(folder: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Names, and (targets, vertices, 3) int16 in thousandths of a decimetre, our axes."""
    paths = sorted(folder.rglob("*.target.gz"))
    if not paths:
        raise FileNotFoundError(f"No macro targets in {folder}; install the package again.")
    targets = np.zeros((len(paths), count, 3), np.int16)
    for target, path in zip(targets, paths, strict=True):
        words = gzip.decompress(path.read_bytes()).split()  # eight files are empty
        rows = np.array(words, np.float64).reshape(-1, 4)
        target[rows[:, 0].astype(np.int64)] = np.rint(_turn(rows[:, 1:]) * _TARGET_STEPS)
    return [path.name.removesuffix(".target.gz") for path in paths], targets


def _sort_bones(rig: dict[str, Any]) -> list[str]:
    """Parents before children, otherwise as in the file."""
    ordered: list[str] = []
    waiting = list(rig)
    while waiting:
        ready = [bone for bone in waiting if rig[bone]["parent"] in ("", *ordered)]
        if not ready:
            raise ValueError(f"The rig has bones without a root: {', '.join(waiting)}.")
        ordered += ready
        waiting = [bone for bone in waiting if bone not in ready]
    return ordered


def _parent_index(rig: dict[str, Any], bones: list[str], bone: str) -> int:
    parent = rig[bone]["parent"]
    return bones.index(parent) if parent else -1


def _joint_rows(
    rig: dict[str, Any], bones: list[str], cubes: dict[str, np.ndarray], count: int
) -> sparse.csr_matrix:
    """(2 x bones, vertices): each joint is a mean of vertices, heads first, then tails."""
    rows = sparse.lil_matrix((2 * len(bones), count))
    for row, (end, bone) in enumerate((end, bone) for end in ("head", "tail") for bone in bones):
        rule = rig[bone][end]
        if rule["strategy"] == "CUBE":
            chosen = cubes[rule["cube_name"]]
        elif rule["strategy"] == "VERTEX":
            chosen = np.array([rule["vertex_index"]])
        else:
            chosen = np.array(rule["vertex_indices"])
        np.add.at(row_values := np.zeros(count), chosen, 1 / len(chosen))
        rows[row] = row_values
    return rows.tocsr()


def _skin(weights: dict[str, Any], bones: list[str], count: int) -> sparse.csr_matrix:
    """(vertices, bones)."""
    entries = [(v, bones.index(b), w) for b, rows in weights.items() for v, w in rows]
    vertex, bone, value = map(np.array, zip(*entries, strict=True))
    return sparse.csr_matrix((value, (vertex, bone)), shape=(count, len(bones)))
