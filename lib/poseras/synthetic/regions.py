"""Where on the body a vertex lies, told on the base mesh so that it holds for every phenotype.

`down` runs along trunk and legs: about -0.7 at the neck, -0.12 at the waist, 0 at the hips, 0.53 at
the knees, 1 at the ankles. `arm` runs along an arm: 0 at the shoulder, 0.5 at the elbow, 1 at the
wrist, more in the hand; it is -1 everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .assets import BodyAssets
from .body import bone_indices

_ARM = ("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
_FOOT = ("foot", "toe")
_TRUNK = ("root", "pelvis", "spine", "clavicle", "shoulder", "breast")
_LEG = ("upperleg", "lowerleg")


@dataclass(frozen=True, eq=False)
class Regions:
    """Places of all vertices of `BodyAssets`, by the base mesh.

    Attributes:
        down: (vertices,) along trunk and legs.
        arm: (vertices,) along an arm, -1 where it is none.
        head: (vertices,) bool, the head and not the neck.
        foot: (vertices,) bool.
        eye: (3,) metres, between the eyes.
        neck_seam: value of `down` at the base of the neck.
    """

    down: np.ndarray
    arm: np.ndarray
    head: np.ndarray
    foot: np.ndarray
    eye: np.ndarray
    neck_seam: float


@lru_cache(maxsize=1)
def find_regions(assets: BodyAssets) -> Regions:
    """The regions of a body; computed once."""
    bones = bone_indices(assets.bones)
    heads = assets.joints[0]
    hip, ankle = heads[bones["upperleg01.L"], 2], heads[bones["foot.L"], 2]
    down = (hip - assets.vertices[:, 2]) / (hip - ankle)
    arm_share = _share(assets, _ARM)
    limbs = (*_ARM, *_FOOT, *_TRUNK, *_LEG, "neck")
    eyes = assets.vertices[np.unique(assets.triangles[assets.group_triangles("helper-l-eye")])]
    return Regions(
        down=down,
        arm=np.where(arm_share > 0.35, _along_arm(assets, bones), -1.0),
        head=_share(assets, limbs) < 0.5,
        foot=_share(assets, _FOOT) > 0.5,
        eye=eyes.mean(axis=0) * [0, 1, 1],
        neck_seam=float((hip - heads[bones["neck01"], 2]) / (hip - ankle)),
    )


def _share(assets: BodyAssets, prefixes: Iterable[str]) -> np.ndarray:
    """(vertices,) the weight of all bones whose names begin so."""
    chosen = [bone.startswith(tuple(prefixes)) for bone in assets.bones]
    return np.asarray(assets.skin @ np.array(chosen, np.float32)).reshape(-1)


def _along_arm(assets: BodyAssets, bones: dict[str, int]) -> np.ndarray:
    """(vertices,) by projection on shoulder, elbow, wrist; both sides mirrored to the left."""
    points = assets.vertices.copy()
    points[:, 0] = np.abs(points[:, 0])
    shoulder, elbow, wrist = (
        assets.joints[0, bones[name]] for name in ("upperarm01.L", "lowerarm01.L", "wrist.L")
    )
    upper, fore = elbow - shoulder, wrist - elbow
    first = (points - shoulder) @ upper / (upper @ upper)
    second = (points - elbow) @ fore / (fore @ fore)
    along = np.where(second > 0, 0.5 + second / 2, np.minimum(first, 1) / 2)
    return np.maximum(along, -0.3)
