"""Cameras for people whose joints are known relative to their root, and in a picture, but no more.

Joints in space are laid over the labelled keypoints by turning, scaling and shifting them in the
plane of the picture; the camera is taken to stand so far away that sizes do not change with depth
(weak perspective).

Source: the authors' entry to the ECCV 2018 challenge (arXiv 1809.06079), whose people have no
camera.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..structures import SpaceColumns

#: Where roots are put before the camera, mm. A metre of depth changes sizes by a thousandth there,
#: and float32 still tells a sixteenth of a millimetre.
FAR_MM = 1e6


def place_far_away(space: SpaceColumns, keypoints: np.ndarray, rows: np.ndarray) -> SpaceColumns:
    """Give people a camera of their own, through which their joints lie over their keypoints.

    Args:
        space: of people; joints and roots of the rows may count from anywhere.
        keypoints: (people, joints, 3) x px, y px, visibility 0, 1, 2, in the same order.
        rows: (people,) bool, whom to place.

    Returns:
        The same for the others. People with fewer than two labelled keypoints, or with all of them
        in one point, have no camera (0).
    """
    rooted = (space.joints_camera_mm - space.root_camera_mm[:, None]).astype(np.float64)
    plane = rooted[..., 0] + 1j * rooted[..., 1]  # (people, joints)
    seen = keypoints[..., 0] + 1j * keypoints[..., 1]
    factor, shift = _fit_similarity(plane, seen, space.joints_valid & (keypoints[..., 2] > 0))
    px_per_mm = np.abs(factor)
    turned = plane * (factor / np.where(px_per_mm > 0, px_per_mm, 1))[:, None]
    joints = np.stack([turned.real, turned.imag, rooted[..., 2] + FAR_MM], axis=-1)
    joints = joints * space.joints_valid[..., None]
    focal = px_per_mm * FAR_MM
    found = np.where(focal > 0, np.stack([focal, focal, shift.real, shift.imag]), 0).T
    cameras = np.concatenate([found, np.zeros((len(space), 5))], axis=1)
    root = np.array([0, 0, FAR_MM])
    return replace(
        space,
        joints_camera_mm=np.where(rows[:, None, None], joints, space.joints_camera_mm).astype(
            np.float32
        ),
        root_camera_mm=np.where(rows[:, None], root, space.root_camera_mm).astype(np.float32),
        cameras=np.where(rows[:, None], cameras, space.cameras),
    )


def name_cameras(space: SpaceColumns | None) -> str:
    """Where depths of roots and cameras come from, for the record of a test."""
    if space is None or not space.located.any():
        return "unknown"
    far = space.root_camera_mm[space.located, 2] == FAR_MM
    if far.all():
        return "fitted to the annotated keypoints"
    return "annotated, or fitted to the annotated keypoints" if far.any() else "annotated"


def _fit_similarity(
    points: np.ndarray, targets: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two (people,) complex: what points x + iy are multiplied by, and what is then added.

    The squared distances of known points to their targets are least. The factor is 0 where that is
    not determined.
    """
    count = np.maximum(known.sum(axis=1), 1)
    middle, target_middle = ((v * known).sum(axis=1) / count for v in (points, targets))
    offsets = (points - middle[:, None]) * known
    spread = (np.abs(offsets) ** 2).sum(axis=1)
    together = (offsets.conj() * (targets - target_middle[:, None])).sum(axis=1)
    factor = together / np.where(spread > 0, spread, 1)
    return factor, target_middle - factor * middle
