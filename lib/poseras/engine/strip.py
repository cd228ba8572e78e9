"""The image strip of TensorBoard: some views of a batch, the truth beside the network's answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..skeleton import Skeleton
from ..structures import People
from ..visualize import contact_sheet, draw_comparison


def draw_strip(
    batch: Mapping[str, np.ndarray],
    decoded: Mapping[str, np.ndarray],
    skeleton: Skeleton,
    *,
    views: int = 4,
) -> np.ndarray:
    """Pairs of pictures, annotated people on the left and predicted ones on the right.

    Args:
        batch: `image` (batch, height, width, 3) uint8 and `keypoints` (batch, people, joints, 3).
        decoded: `keypoints_px` (batch, people, joints, 2) in the view, `keypoint_scores`
            (batch, people, joints).
        skeleton: of both.
        views: at most so many.

    Returns:
        (height, width, 3) uint8 RGB, one row of pairs.
    """
    pairs = []
    for row in range(min(views, len(batch["image"]))):
        scores = decoded["keypoint_scores"][row]
        people = People(
            keypoints_px=decoded["keypoints_px"][row],
            keypoint_scores=scores,
            person_scores=scores.mean(axis=-1),
        )
        pairs.append(
            draw_comparison(batch["image"][row], people, batch["keypoints"][row], skeleton)
        )
    return contact_sheet(pairs, columns=views)
