"""Joints in space from a user's own pictures, where nobody annotated the depth of the root.

A network of 3D poses says how far each joint lies behind the root. To come from there to the space
of the camera it takes the focal length and the depth of the root (`PictureCamera`). Without them a
pose is given relative to its root: its view is taken to show the millimetres that the network was
trained for (`View.box_mm`), from far away, where sizes do not change with depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .geometry import back_project_points, expand_box
from .metrics.mpjpe import ROOT
from .poses import SpaceOrigin
from .skeleton import Skeleton
from .structures import PersonRecords, SpaceColumns, View

#: Focal length in pixels of a camera so far away that 1 m of depth changes sizes by less than 1e-4.
_FAR_FOCAL_PX = 1e7


@dataclass(frozen=True)
class PictureCamera:
    """What a user knows of the camera; its optical axis goes through the middle of the picture.

    Attributes:
        focal_length_px: in pixels of the picture.
        root_depth_mm: how far people's roots (their pelvis) are ahead of the camera.
    """

    focal_length_px: float
    root_depth_mm: float

    def __post_init__(self) -> None:
        if not (self.focal_length_px > 0 and self.root_depth_mm > 0):
            raise ValueError(
                "The focal length in pixels and the depth of the root in mm must be positive. "
                f"Received {self.focal_length_px} and {self.root_depth_mm}."
            )


def camera_of(focal_length_px: float | None, root_depth_mm: float | None) -> PictureCamera | None:
    """The camera of two settings that only help together; None where neither is given.

    Raises:
        ValueError: only one is given, or one is not positive.
    """
    if focal_length_px is None and root_depth_mm is None:
        return None
    if focal_length_px is None or root_depth_mm is None:
        raise ValueError(
            "--focal-length and --root-depth only help together. Received "
            f"{focal_length_px} and {root_depth_mm}; without both, poses are relative to the root."
        )
    return PictureCamera(focal_length_px, root_depth_mm)


def can_place(view: View, camera: PictureCamera | None) -> bool:
    """Whether poses of this view come to space: always where views show a fixed size in mm."""
    return view.rule == "root_box_3d" or (view.root_box_mm is not None and camera is not None)


def attach_camera(
    records: PersonRecords, view: View, camera: PictureCamera | None
) -> PersonRecords:
    """Give people a camera and a root in the middle of their box, known or assumed.

    Args:
        records: people of whom a box is known.
        view: of a network of 3D poses.
        camera: None assumes one far away in which the grown box is `View.box_mm` wide.

    Returns:
        The records with columns in space.
    """
    people = len(records)
    sizes_wh = records.images.sizes_hw[records.image_index][:, ::-1].astype(np.float64)
    boxes = np.asarray(records.boxes_xywh, np.float64)
    cameras = np.zeros((people, 9))
    cameras[:, 2:4] = (sizes_wh - 1) / 2
    if camera is not None:
        cameras[:, :2], depths = camera.focal_length_px, np.full(people, camera.root_depth_mm)
    else:
        height, width = view.size_hw
        grown = expand_box(records.boxes_xywh, width / height, view.margin).astype(np.float64)
        # `geometry.root_boxes` adds a pixel, on the right and below.
        depths = view.box_mm[1] * _FAR_FOCAL_PX / np.maximum(grown[:, 2] - 1, 1.0)
        cameras[:, :2] = _FAR_FOCAL_PX
    centres = boxes[:, None, :2] + (boxes[:, None, 2:] - 1) / 2  # (people, 1, 2)
    roots = back_project_points(centres, depths[:, None], cameras)[:, 0]
    unknown = SpaceColumns.unknown(people, records.keypoints.shape[1])
    space = replace(unknown, root_camera_mm=roots.astype(np.float32), cameras=cameras)
    return replace(records, space=space)


def express_joints(
    joints_camera_mm: np.ndarray, skeleton: Skeleton, camera: PictureCamera | None
) -> tuple[np.ndarray, SpaceOrigin]:
    """Joints as they are told to the user, and where they count from.

    Args:
        joints_camera_mm: (people, joints, 3) by the camera that `attach_camera` gave.
        skeleton: of the joints.
        camera: the same that it was given.

    Returns:
        The joints in the space of a known camera; of an assumed one relative to the pelvis, or to
        the mean of the joints where the skeleton has none.
    """
    if camera is not None:
        return joints_camera_mm, "camera"
    rows: Sequence[int] | slice = slice(None)
    if ROOT in skeleton.keypoints:
        rows = [skeleton.index_of(ROOT)]
    return joints_camera_mm - joints_camera_mm[:, rows].mean(axis=1, keepdims=True), "root"
