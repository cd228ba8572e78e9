"""The joints of a body: their names, mirror pairs, limbs, OKS sigmas and colours.

A skeleton is data, read from `data/<NAME>/dataset.yaml`. Channel counts, flip test, sigmas and
drawing all follow from it. Keypoint names are canonical across data sets, which is what lets one
set be re-indexed to another by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Skeleton:
    """One keypoint set.

    Attributes:
        name: `DATASET/SET`, for example `COCO/coco_17`.
        keypoints: joint names, in channel order.
        flip_pairs: pairs of joint indices that change places in a mirror image.
        limbs: pairs of joint indices that a drawing connects.
        oks_sigmas: one per joint, COCO's k_i / 2 (nose: 0.026); empty where OKS is undefined.
        colours: one RGB triple 0..255 per limb.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()
    oks_sigmas: tuple[float, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        joints = len(self.keypoints)
        if joints == 0:
            raise ValueError(
                f"Skeleton {self.name} must have at least one keypoint. Received none."
            )
        doubled = sorted({k for k in self.keypoints if self.keypoints.count(k) > 1})
        if doubled:
            raise ValueError(
                f"Skeleton {self.name} must name each keypoint once. Received {doubled} twice."
            )
        for kind, pairs in (("flip_pairs", self.flip_pairs), ("limbs", self.limbs)):
            for a, b in pairs:
                if not (0 <= a < joints and 0 <= b < joints and a != b):
                    raise ValueError(
                        f"{kind} of {self.name} must hold two different joint indices below "
                        f"{joints}. Received ({a}, {b})."
                    )
        flipped = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(flipped)) != len(flipped):
            raise ValueError(f"flip_pairs of {self.name} must name each joint at most once.")
        if self.oks_sigmas and len(self.oks_sigmas) != joints:
            raise ValueError(
                f"oks_sigmas of {self.name} must have one value per keypoint ({joints}). "
                f"Received {len(self.oks_sigmas)}."
            )
        if self.colours and len(self.colours) != len(self.limbs):
            raise ValueError(
                f"colours of {self.name} must have one triple per limb ({len(self.limbs)}). "
                f"Received {len(self.colours)}."
            )

    @property
    def joint_count(self) -> int:
        """The number of joints, which is the number of heatmap channels."""
        return len(self.keypoints)

    @property
    def flip_permutation(self) -> np.ndarray:
        """(joints,) int64: mirrored joint j is the person's `flip_permutation[j]`."""
        permutation = np.arange(self.joint_count)
        for a, b in self.flip_pairs:
            permutation[a], permutation[b] = b, a
        return permutation

    def index_of(self, keypoint: str) -> int:
        """The index of a keypoint name.

        Raises:
            ValueError: the skeleton has no such keypoint.
        """
        if keypoint not in self.keypoints:
            raise ValueError(
                f"Skeleton {self.name} has no keypoint {keypoint!r}. It has: "
                f"{', '.join(self.keypoints)}."
            )
        return self.keypoints.index(keypoint)

    def to_dict(self) -> dict[str, Any]:
        """A plain dict for JSON; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Skeleton:
        """The skeleton that `to_dict` wrote, tuples restored."""

        def pairs(key: str) -> tuple[tuple[int, int], ...]:
            return tuple((int(a), int(b)) for a, b in values.get(key, ()))

        return cls(
            name=str(values["name"]),
            keypoints=tuple(values["keypoints"]),
            flip_pairs=pairs("flip_pairs"),
            limbs=pairs("limbs"),
            oks_sigmas=tuple(float(s) for s in values.get("oks_sigmas", ())),
            colours=tuple((int(r), int(g), int(b)) for r, g, b in values.get("colours", ())),
        )


def reindex_joints(source: Sequence[str], target: Skeleton) -> np.ndarray:
    """Where each joint of the target skeleton stands in another list of keypoint names.

    Args:
        source: canonical keypoint names of the other data set, in its own order.
        target: the skeleton of the network.

    Returns:
        (target joints,) int64, an index into `source`, -1 where it has no such keypoint.

    Raises:
        ValueError: not one name is common to both.
    """
    place = {name: index for index, name in enumerate(source)}
    indices = np.array([place.get(name, -1) for name in target.keypoints], np.int64)
    if (indices < 0).all():
        raise ValueError(
            f"Data sets must share keypoint names with the skeleton {target.name}. Received "
            f"{', '.join(source)}; use canonical names or list aliases in dataset.yaml."
        )
    return indices


def take_joints(keypoints: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Keypoints in the order of another skeleton; a joint without a source is (0, 0, 0).

    Args:
        keypoints: (..., source joints, values).
        indices: (target joints,), as `reindex_joints` gives them.
    """
    taken = keypoints[..., np.maximum(indices, 0), :]
    return np.where((indices >= 0)[:, None], taken, np.zeros((), keypoints.dtype))


def derive_joints(
    values: np.ndarray,
    names: Sequence[str],
    derived: Mapping[str, Sequence[str]],
    combine: Callable[..., np.ndarray] = np.mean,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Append joints that follow from others, such as a pelvis in the middle of two hips.

    Args:
        values: (..., joints, values).
        names: of the joints.
        derived: new name -> the joints that it is made of, earlier new ones among them. One that
            is there already, or of which a source is missing, is left out.
        combine: how; a NumPy reduction, which takes `axis` and `keepdims`.

    Returns:
        The values with the new joints behind, and the names of all.
    """
    for name, sources in derived.items():
        if name in names or not set(sources) <= set(names):
            continue
        places = [list(names).index(source) for source in sources]
        joint = combine(values[..., places, :], axis=-2, keepdims=True)
        values, names = np.concatenate([values, joint], axis=-2), (*names, name)
    return values, tuple(names)


def derive_keypoints(
    keypoints: np.ndarray, names: Sequence[str], derived: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """`derive_joints` of keypoints (..., joints, 3): x, y at the mean, visibility of the least.

    So a derived joint is labelled where all joints that it is made of are; elsewhere its place
    means nothing.
    """
    points, _ = derive_joints(keypoints[..., :2], names, derived)
    visibilities, names = derive_joints(keypoints[..., 2:], names, derived, np.min)
    return np.concatenate([points, visibilities], axis=-1), names
