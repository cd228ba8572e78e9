"""The limbs along which offsets are learned: the published lists, by joint names.

Their order counts: it is that of the offset channels and that in which people are put together.
A limb (a, b) has its offsets around joint a. The limbs that a data set is drawn with are others.

Source: the OffsetGuided code (COCO and CrowdPose).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...skeleton import Skeleton

LimbSet = Literal["published", "skeleton", "tree_16", "published_19", "redundant_31", "dense_44"]
Pairs = tuple[tuple[int, int], ...]

COCO_JOINTS = [
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
]
CROWDPOSE_JOINTS = [*COCO_JOINTS[5:], "head_top", "upper_neck"]


def _pairs(text: str) -> Pairs:
    """`0-1 0-2` as pairs."""
    return tuple((int(a), int(b)) for a, b in (limb.split("-") for limb in text.split()))


_COCO_19 = _pairs(
    "0-1 0-2 1-2 1-3 2-4 5-6 4-6 3-5 5-7 7-9 6-8 8-10 5-11 6-12 11-12 11-13 13-15 12-14 14-16"
)
#: Limbs by indices into `COCO_JOINTS`.
COCO_LIMBS: dict[str, Pairs] = {
    "published_19": _COCO_19,
    "tree_16": _pairs("0-1 1-3 0-2 2-4 0-5 5-7 7-9 0-6 6-8 8-10 5-11 11-13 13-15 6-12 12-14 14-16"),
    "redundant_31": _COCO_19 + _pairs("1-5 2-6 5-12 6-11 11-14 12-13 5-9 6-10 11-15 12-16 5-0 6-0"),
    "dense_44": _pairs(
        "0-1 0-2 1-2 0-3 0-4 3-4 0-5 0-6 1-5 2-6 1-3 2-4 3-5 4-6 5-6 5-11 6-12 5-12 6-11 11-12 "
        "5-7 6-8 7-9 8-10 5-9 6-10 7-8 9-10 9-11 10-12 9-13 10-14 13-11 14-12 11-14 12-13 11-15 "
        "12-16 15-13 16-14 13-16 14-15 13-14 15-16"
    ),
}
#: Limbs by indices into `CROWDPOSE_JOINTS`.
CROWDPOSE_LIMBS = _pairs("12-13 13-0 13-1 0-1 6-7 0-2 2-4 1-3 3-5 0-6 1-7 6-8 8-10 7-9 9-11")


def choose_limbs(skeleton: Skeleton, limb_set: LimbSet) -> Pairs:
    """The limbs of a network.

    Args:
        skeleton: its joints.
        limb_set: `published` the list of the published network for just these joints, COCO's or
            CrowdPose's, and for any other skeleton, one with more joints too, its own limbs;
            `skeleton` its own in any case; the others are lists for COCO.

    Returns:
        Pairs of joints of the skeleton.

    Raises:
        ValueError: the skeleton has no limbs, or lacks joints of the list.
    """
    names = set(skeleton.keypoints)
    if limb_set == "published" and names == set(COCO_JOINTS):
        return _translate(skeleton, COCO_JOINTS, _COCO_19)
    if limb_set == "published" and names == set(CROWDPOSE_JOINTS):
        return _translate(skeleton, CROWDPOSE_JOINTS, CROWDPOSE_LIMBS)
    if limb_set in ("published", "skeleton"):
        if not skeleton.limbs:
            raise ValueError(
                f"A bottom-up network needs limbs. Received the skeleton {skeleton.name} without; "
                "add limbs to its keypoint set in dataset.yaml."
            )
        return skeleton.limbs
    missing = [name for name in COCO_JOINTS if name not in names]
    if missing:
        raise ValueError(
            f"limbs={limb_set} is a list for the joints of COCO. Received the skeleton "
            f"{skeleton.name}, which lacks {', '.join(missing)}; take published or skeleton."
        )
    return _translate(skeleton, COCO_JOINTS, COCO_LIMBS[limb_set])


def _translate(skeleton: Skeleton, names: list[str], limbs: Pairs) -> Pairs:
    place = [skeleton.index_of(name) for name in names]
    return tuple((place[a], place[b]) for a, b in limbs)


def check_joined(skeleton: Skeleton, limb_set: LimbSet) -> None:
    """Refuse limbs along which a person falls apart, or that leave a joint out.

    Args:
        skeleton: its joints.
        limb_set: as in `choose_limbs`.

    Raises:
        ValueError: not all joints are joined; the message names the parts.
    """
    parts = _find_parts(choose_limbs(skeleton, limb_set), skeleton.joint_count)
    if len(parts) == 1:
        return
    names = [", ".join(skeleton.keypoints[joint] for joint in part) for part in parts]
    listed = set(skeleton.keypoints) in (set(COCO_JOINTS), set(CROWDPOSE_JOINTS))
    step = (
        "set options.limbs=published"
        if listed and limb_set != "published"
        else ("add limbs between them to its keypoint set in dataset.yaml")
    )
    raise ValueError(
        "Limbs must join all joints of a person, who is found in parts otherwise. Received "
        f"options.limbs={limb_set} of {skeleton.name}, which leaves apart: {'; '.join(names)}. "
        f"To go on, {step}."
    )


def _find_parts(limbs: Pairs, joint_count: int) -> list[list[int]]:
    """The joints that limbs hold together, part by part."""
    part_of = list(range(joint_count))
    for a, b in limbs:
        part_of = [part_of[a] if part == part_of[b] else part for part in part_of]
    return [[j for j in range(joint_count) if part_of[j] == part] for part in sorted(set(part_of))]


def mirror_limbs(limbs: Pairs, flip_permutation: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """How limbs change places in a mirror image.

    Args:
        limbs: pairs of joints.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.

    Returns:
        permutation (limbs,): limb l of the mirror image is limb `permutation[l]`;
        kept: limbs whose mirror image is the same one the other way round, whose offsets in the
        mirror image lead the wrong way.

    Raises:
        ValueError: a limb has no mirror image among the limbs.
    """
    place = {limb: index for index, limb in enumerate(limbs)}
    permutation, kept = [], []
    for index, (a, b) in enumerate(limbs):
        mirrored = int(flip_permutation[a]), int(flip_permutation[b])
        if mirrored in place:
            permutation.append(place[mirrored])
        elif mirrored[::-1] in place:
            permutation.append(place[mirrored[::-1]])
            kept.append(index)
        else:
            raise ValueError(
                f"Each limb needs its mirror image among the limbs. Received {limbs[index]}, "
                f"mirrored {mirrored}, which is not there; add it to dataset.yaml."
            )
    return np.array(permutation), tuple(kept)
