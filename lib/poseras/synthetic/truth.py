"""What is true of a drawn scene: keypoints, visibility, boxes, masks, joints in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import COCO_17, H36M_18
from .camera import Camera
from .person import PlacedPerson
from .raster import NEAR_M, TriangleBuffer

#: Metres of the person's own flesh and cloth before a keypoint that lies inside the body, for a
#: stature of 1.7 m. What lies farther in front hides it: an arm, another person, a table.
_DEPTH_M = {
    **dict.fromkeys(("nose", "eye", "ear"), 0.045),
    **dict.fromkeys(("shoulder", "knee", "ankle"), 0.1),
    **dict.fromkeys(("elbow", "wrist"), 0.075),
    **dict.fromkeys(("hip", "pelvis", "torso", "thorax", "neck", "top"), 0.17),
}
SEEN, HIDDEN, OUTSIDE = 2, 1, 0


@dataclass(frozen=True, eq=False)
class PersonTruth:
    """One person of a picture.

    Attributes:
        keypoints: (17, 3) COCO's: x px, y px, 2 seen, 1 hidden, 0 outside the picture.
        keypoints_h36m: (18, 3) Human3.6M's.
        joints_camera_mm: (17, 3) in camera space.
        joints_camera_mm_h36m: (18, 3).
        mask: (height, width) bool, the pixels that show the person, with clothes and bags.
        activity: what the person does.
        track: number of the person in a clip, from 1.
    """

    keypoints: np.ndarray
    keypoints_h36m: np.ndarray
    joints_camera_mm: np.ndarray
    joints_camera_mm_h36m: np.ndarray
    mask: np.ndarray
    activity: str
    track: int

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @property
    def box_xywh(self) -> tuple[int, int, int, int]:
        """The box around the mask: left, top, width, height in whole pixels."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1


def allowed_depths(names: tuple[str, ...], stature_m: float) -> np.ndarray:
    """(keypoints,) metres that may lie in front of each keypoint that still counts as seen."""
    return np.array([_DEPTH_M[name.split("_")[-1]] for name in names]) * stature_m / 1.7


def tell_truth(
    person: PlacedPerson, track: int, owners: np.ndarray, buffer: TriangleBuffer, camera: Camera
) -> PersonTruth | None:
    """The truth about one person, or None where the picture shows nothing of them.

    Args:
        person: in the world.
        track: number in `owners`, plus 1.
        owners: (height, width) number of the person in each pixel, negative where none is.
        buffer: the drawn scene.
        camera: that saw it.
    """
    mask = owners == track - 1
    if not mask.any():
        return None
    coco, h36m = camera.to_camera(person.coco), camera.to_camera(person.h36m)

    def mark(joints: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return mark_keypoints(joints, allowed_depths(names, person.stature_m), buffer, camera)

    return PersonTruth(
        keypoints=mark(coco, COCO_17),
        keypoints_h36m=mark(h36m, H36M_18),
        joints_camera_mm=coco * 1000,
        joints_camera_mm_h36m=h36m * 1000,
        mask=mask,
        activity=person.activity,
        track=track,
    )


def mark_keypoints(
    joints: np.ndarray, depths_m: np.ndarray, buffer: TriangleBuffer, camera: Camera
) -> np.ndarray:
    """(joints, 3) x px, y px, visibility of joints (joints, 3) in camera metres.

    A joint is hidden where the depth buffer holds something more than `depths_m` (joints,) before
    it. Outside the picture, and behind the camera, all three values are 0.
    """
    ahead = joints[:, 2] > NEAR_M
    px = camera.project(np.where(ahead[:, None], joints, [0.0, 0.0, 1.0]))
    height, width = camera.size_hw
    inside = ahead & (px >= -0.5).all(axis=1) & (px[:, 0] < width - 0.5) & (px[:, 1] < height - 0.5)
    place = np.clip(np.rint(px).astype(np.int64), 0, [width - 1, height - 1])
    first = buffer.depth_m[place[:, 1], place[:, 0]]
    flag = np.where(first < joints[:, 2] - depths_m, HIDDEN, SEEN)
    marked = np.column_stack([px, flag])
    return np.where(inside[:, None], marked, float(OUTSIDE))
