"""People for a contact sheet: each in a cell of one size, with a pose drawn over it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .skeleton import Skeleton
from .structures import People
from .visualize import draw_people, draw_truth

CELL_HW = (256, 192)
_SHARE = 0.85  # of the cell that a person's box may fill


def cut_out(
    image_rgb: np.ndarray, box_xywh: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One person of a picture, as large as a cell allows.

    Args:
        image_rgb: (height, width, 3) uint8.
        box_xywh: left, top, width, height in pixels.

    Returns:
        cell: (256, 192, 3) uint8.
        matrix: (2, 3) from the picture to the cell.
    """
    left, top, width, height = np.asarray(box_xywh, float)
    scale = min(CELL_HW[0] / height, CELL_HW[1] / width) * _SHARE
    shift = np.array(CELL_HW[::-1]) / 2 - scale * np.array([left + width / 2, top + height / 2])
    matrix = np.column_stack([np.eye(2) * scale, shift])
    return cv2.warpAffine(image_rgb, matrix, CELL_HW[::-1], flags=cv2.INTER_LINEAR), matrix


def truth_cell(
    image_rgb: np.ndarray, box_xywh: Sequence[float], keypoints: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
    """A person with the annotated keypoints, (joints, 3) x px, y px, visibility."""
    cell, matrix = cut_out(image_rgb, box_xywh)
    moved = np.array(keypoints, float)
    moved[:, :2] = moved[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return draw_truth(cell, moved[None], skeleton)


def pose_cell(
    image_rgb: np.ndarray,
    box_xywh: Sequence[float],
    keypoints: np.ndarray | None,
    skeleton: Skeleton,
    *,
    threshold: float = 0.3,
) -> np.ndarray:
    """A person with the pose that was found, (joints, 3) x px, y px, score; None draws none."""
    cell, matrix = cut_out(image_rgb, box_xywh)
    if keypoints is None:
        return cell
    moved = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    scores = np.asarray(keypoints)[:, 2]
    found = People(moved[None], scores[None], np.array([scores.mean()]))
    return draw_people(cell, found, skeleton, threshold=threshold)
