"""One body: its shape from a phenotype, its joints, its skin in a pose.

Metres, z up, the body facing -y at rest, its own left at +x. A pose is one rotation a bone, about
the bone's own rest head and in the axes of the rest pose: about x, positive swings legs and
forearms back and leans the trunk forward.

Source: MakeHuman's macro targets (`macro.json`) and default rig.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy import sparse

from .assets import TARGET_STEP, BodyAssets

RACES = ("african", "asian", "caucasian")

#: Anchors of each axis; an empty name is a neutral place without a target.
_ANCHORS: dict[str, tuple[tuple[str, float], ...]] = {
    "gender": (("female", 0.0), ("male", 1.0)),
    "age": (("baby", 0.0), ("child", 0.1875), ("young", 0.5), ("old", 1.0)),
    "muscle": (("minmuscle", 0.0), ("averagemuscle", 0.5), ("maxmuscle", 1.0)),
    "weight": (("minweight", 0.0), ("averageweight", 0.5), ("maxweight", 1.0)),
    "height": (("minheight", 0.0), ("", 0.5), ("maxheight", 1.0)),
    "proportions": (("uncommonproportions", 0.0), ("", 0.5), ("idealproportions", 1.0)),
}

#: The 17 of COCO, in its order, by their names in the regressor file.
COCO_17 = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)

#: Human3.6M's joints are joint centres: the rig's bone heads, but for the five noted below.
H36M_18 = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("torso", "upper_neck", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist", "thorax"),
)
_H36M_BONES = {
    "right_hip": "upperleg01.R",
    "right_knee": "lowerleg01.R",
    "right_ankle": "foot.R",
    "left_hip": "upperleg01.L",
    "left_knee": "lowerleg01.L",
    "left_ankle": "foot.L",
    "torso": "spine03",
    "upper_neck": "neck02",
    "left_shoulder": "upperarm01.L",
    "left_elbow": "lowerarm01.L",
    "left_wrist": "wrist.L",
    "right_shoulder": "upperarm01.R",
    "right_elbow": "lowerarm01.R",
    "right_wrist": "wrist.R",
}


@dataclass(frozen=True)
class Phenotype:
    """What a body is like; every value 0..1, anchors as in `macro.json`.

    Attributes:
        gender: 0 female, 1 male.
        age: 0 baby, 0.1875 child, 0.5 young, 1 old.
        muscle: 0 least, 1 most.
        weight: 0 least, 1 most.
        height: 0 short, 1 tall.
        proportions: 0 uncommon, 1 ideal.
        races: weights of `RACES`, which sum to 1.
    """

    gender: float = 0.5
    age: float = 0.5
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5
    races: tuple[float, float, float] = field(default=(1 / 3, 1 / 3, 1 / 3))


@dataclass(frozen=True, eq=False)
class Shape:
    """A body at rest: `vertices` (vertices, 3) and `joints` (2, bones, 3), float32 metres."""

    vertices: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True, eq=False)
class Posture:
    """A pose applied to a shape.

    Attributes:
        rotations: (bones, 3, 3) float64, rest axes to body axes.
        offsets: (bones, 3); a rest point p on the bone goes to rotation @ p + offset.
        joints: (2, bones, 3) posed heads and tails.
    """

    rotations: np.ndarray
    offsets: np.ndarray
    joints: np.ndarray


def blend_shape(assets: BodyAssets, phenotype: Phenotype) -> Shape:
    """The body of a phenotype: the base mesh plus its weighted macro targets.

    The weight of a target is the product of the weights of the parts of its name.
    """
    weights = target_weights(assets.target_names, phenotype)
    used = np.flatnonzero(weights)
    vertices = assets.vertices.copy()
    flat = vertices.reshape(-1)
    for index in used:
        flat += assets.targets[index].reshape(-1) * np.float32(weights[index] * TARGET_STEP)
    joints = assets.joints + np.tensordot(weights[used], assets.joint_targets[used], axes=1)
    return Shape(vertices, joints.astype(np.float32))


def target_weights(names: tuple[str, ...], phenotype: Phenotype) -> np.ndarray:
    """(targets,) float64, the weight of each macro target."""
    parts = {"universal": 1.0, **dict(zip(RACES, phenotype.races, strict=True))}
    for axis, anchors in _ANCHORS.items():
        places = [place for _, place in anchors]
        rows = np.eye(len(anchors))
        value = float(getattr(phenotype, axis))
        for (name, _), row in zip(anchors, rows, strict=True):
            parts[name] = float(np.interp(value, places, row))
    words, numbers = _name_parts(names)
    return np.array([parts[word] for word in words])[numbers].prod(axis=1)


@lru_cache(maxsize=4)
def _name_parts(names: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """The words that names are made of, and (names, 5) which ones each is made of.

    Shorter names are filled up with "universal", whose weight is 1.
    """
    split = [name.split("-") for name in names]
    words = tuple(sorted({"universal", *(word for parts in split for word in parts)}))
    number = {word: index for index, word in enumerate(words)}
    shape = (len(names), max(map(len, split)))
    places = np.full(shape, number["universal"], np.int64)
    for row, parts in zip(places, split, strict=True):
        row[: len(parts)] = [number[word] for word in parts]
    return words, places


@lru_cache(maxsize=8)
def bone_indices(bones: tuple[str, ...]) -> dict[str, int]:
    """Index by name."""
    return {name: index for index, name in enumerate(bones)}


def pose_joints(
    assets: BodyAssets, shape: Shape, rotations: np.ndarray, root: np.ndarray | None = None
) -> Posture:
    """Chain the rotations of all bones.

    Args:
        assets: of the rig.
        shape: whose joints are turned.
        rotations: (bones, 3, 3), each about the bone's rest head.
        root: (3, 3), turns the whole body about the origin; None leaves it.
    """
    heads = shape.joints[0].astype(np.float64)
    chained = np.empty_like(rotations)
    posed = np.empty_like(heads)
    for bone, parent in enumerate(assets.parents.tolist()):
        if parent < 0:
            turn = np.eye(3) if root is None else root
            chained[bone] = turn @ rotations[bone]
            posed[bone] = turn @ heads[bone]
        else:
            chained[bone] = chained[parent] @ rotations[bone]
            posed[bone] = posed[parent] + chained[parent] @ (heads[bone] - heads[parent])
    offsets = posed - np.einsum("bij,bj->bi", chained, heads)
    tails = np.einsum("bij,bj->bi", chained, shape.joints[1]) + offsets
    return Posture(chained, offsets, np.stack([posed, tails]))


def skin_matrices(assets: BodyAssets, posture: Posture) -> np.ndarray:
    """(vertices, 3, 4) float32: where linear blend skinning takes each vertex."""
    affine = np.concatenate([posture.rotations, posture.offsets[..., None]], axis=2)
    blended = assets.skin @ affine.reshape(-1, 12).astype(np.float32)
    return blended.reshape(-1, 3, 4)


def move_points(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(points, 3): each point by its own matrix (points, 3, 4)."""
    return np.einsum("nij,nj->ni", matrices[..., :3], points) + matrices[..., 3]


def coco_keypoints(assets: BodyAssets, vertices: np.ndarray) -> np.ndarray:
    """(17, 3) float64, COCO's keypoints of posed vertices (vertices, 3)."""
    return _coco_regressor(assets) @ vertices.astype(np.float64)


@lru_cache(maxsize=1)
def _coco_regressor(assets: BodyAssets) -> sparse.csr_matrix:
    """(17, vertices); few vertices count."""
    rows = [assets.keypoint_names.index(name) for name in COCO_17]
    return sparse.csr_matrix(assets.keypoint_weights[rows].astype(np.float64))


def h36m_keypoints(assets: BodyAssets, posture: Posture, coco: np.ndarray) -> np.ndarray:
    """(18, 3) Human3.6M's joints.

    Joint centres are heads of the rig's bones. The pelvis is the middle of the hips and the thorax
    that of the shoulders, the torso is the middle of the spine (head of `spine03`), the nose is
    COCO's keypoint, the head is the tail of the head bone.
    """
    index = bone_indices(assets.bones)
    joints = np.empty((len(H36M_18), 3))
    for row, name in enumerate(H36M_18):
        if name in _H36M_BONES:
            joints[row] = posture.joints[0, index[_H36M_BONES[name]]]
    place = {name: row for row, name in enumerate(H36M_18)}
    joints[place["pelvis"]] = (joints[place["left_hip"]] + joints[place["right_hip"]]) / 2
    joints[place["thorax"]] = (joints[place["left_shoulder"]] + joints[place["right_shoulder"]]) / 2
    joints[place["nose"]] = coco[COCO_17.index("nose")]
    joints[place["head_top"]] = posture.joints[1, index["head"]]
    return joints
