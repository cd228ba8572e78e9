"""People by their true masks: pose-tensorflow's evaluation on COCO, which is an oracle.

It measures parts and refinement without grouping: each annotated mask is given the best cell of
each joint inside it. Its numbers do not compare with those of people who had to be found.

Source: pose-tensorflow.
"""

from __future__ import annotations

import numpy as np


def read_poses_in_masks(
    scores: np.ndarray, refinement_px: np.ndarray, masks: np.ndarray, stride: int
) -> np.ndarray:
    """A pose for each mask.

    Args:
        scores: (height, width, joints) part scores, 0..1.
        refinement_px: (height, width, joints, 2), from cell centres to joints.
        masks: (rows, columns, people), above 0 where the person is, in pixels of the input. Kept:
            they are centred in the enlarged maps, whose left top corner is that of the picture.
        stride: pixels per cell.

    Returns:
        (people, joints, 3) float64: whole x px and y px, rounded down, and the score of the cell.
    """
    from scipy.ndimage import zoom

    enlarged = zoom(scores, (stride, stride, 1), order=3)  # (rows, columns, joints)
    height, width = enlarged.shape[:2]
    rows, columns, people = masks.shape
    top, left = (height - rows) // 2, (width - columns) // 2
    joint = np.arange(scores.shape[2])
    poses = np.zeros((people, len(joint), 3))
    for person in range(people):
        inside = np.zeros((height, width, 1))
        inside[top : top + rows, left : left + columns, 0] = masks[..., person] > 0
        best = (enlarged * inside).reshape(-1, len(joint)).argmax(axis=0)
        row, column = best // width // stride, best % width // stride
        cells = np.stack([column, row], axis=1)
        points = cells * stride + stride / 2 + refinement_px[row, column, joint]
        poses[person, :, :2] = np.trunc(points)
        poses[person, :, 2] = scores[row, column, joint]
    return poses
