"""Depth in pixels of the view, for boxes around people instead of boxes around their roots.

A volume is then as deep as its view is wide, and no root depth is asked for in a picture. What a
joint's millimetres are in pixels follows in training from the camera, by the scale that it has at
the root (weak perspective). Back to millimetres a pose goes by the sum of the lengths of its bones,
which is much the same for all of Human3.6M's people.

Source: the authors' entry to the ECCV 2018 challenge (arXiv 1809.06079), whose people have no
camera; it took the scale from a fit of the pose in space to keypoints of a 2D network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from ...skeleton import Skeleton

Tensor = Any  # a tensor of whichever backend Keras runs on
Bone = tuple[int, int]

#: Child and parent; the authors' tree of Human3.6M's joints.
BONES = (
    ("right_hip", "pelvis"), ("right_knee", "right_hip"), ("right_ankle", "right_knee"),
    ("left_hip", "pelvis"), ("left_knee", "left_hip"), ("left_ankle", "left_knee"),
    ("torso", "pelvis"), ("upper_neck", "thorax"), ("nose", "thorax"), ("head_top", "upper_neck"),
    ("left_shoulder", "thorax"), ("left_elbow", "left_shoulder"), ("left_wrist", "left_elbow"),
    ("right_shoulder", "thorax"), ("right_elbow", "right_shoulder"),
    ("right_wrist", "right_elbow"), ("thorax", "pelvis"),
)  # fmt: skip


def find_bones(skeleton: Skeleton) -> tuple[Bone, ...]:
    """`BONES` as joint indices.

    Raises:
        ValueError: the skeleton lacks a joint of them.
    """
    lacking = sorted({name for bone in BONES for name in bone} - set(skeleton.keypoints))
    if lacking:
        raise ValueError(
            "depth_unit=view sizes a pose by the bones of Human3.6M's joints. Received the "
            f"skeleton {skeleton.name} without {', '.join(lacking)}; choose another, such as "
            "--set data.skeleton=Human36M/h36m_18, or depth_unit=mm."
        )
    return tuple((skeleton.index_of(child), skeleton.index_of(parent)) for child, parent in BONES)


def depths_in_view(batch: Mapping[str, Any]) -> Tensor:
    """How far joints are behind the root, in pixels of the view.

    Args:
        batch: `joints_camera_mm` (batch, 1, joints, 3), `root_camera_mm` (batch, 1, 3), `camera`
            (batch, 9) and `image_to_network` (batch, 2, 3).

    Returns:
        (batch, joints) float32; 0 without a camera.
    """
    root_z = batch["root_camera_mm"][:, 0, 2]  # (batch,)
    behind = batch["joints_camera_mm"][:, 0, :, 2] - root_z[:, None]
    per_mm = batch["camera"][:, 0] / ops.where(root_z > 0, root_z, 1.0)
    # How much a pixel of the picture is enlarged along the view's rows.
    enlarged = ops.sqrt(ops.sum(ops.square(batch["image_to_network"][:, 0, :2]), axis=-1))
    return behind * ops.cast(per_mm * enlarged, "float32")[:, None]


def bone_length(joints: Tensor, bones: Sequence[Bone]) -> Tensor:
    """The sum of the lengths of some bones of poses (..., joints, 3), (...)."""
    children, parents = zip(*bones, strict=True)
    along = ops.take(joints, children, axis=-2) - ops.take(joints, parents, axis=-2)
    return ops.sum(ops.sqrt(ops.sum(ops.square(along), axis=-1)), axis=-1)


def scale_to_bones(joints: Tensor, bones: Sequence[Bone], length_mm: float) -> Tensor:
    """Poses (..., joints, 3) of any unit made so large that their bones have a length together.

    A pose all of whose joints are one point stays one.
    """
    total = bone_length(joints, bones)
    return joints * (length_mm / ops.maximum(total, 1e-6))[..., None, None]
