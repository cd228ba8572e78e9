"""PCK of one person a picture, as pose-tensorflow scores, and PCKh beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..metrics.pck import PckScores, evaluate_pck
from ..structures import People

#: Shares of the person's larger side.
THRESHOLDS = (0.05, 0.1, 0.2, 0.5)
#: Share of the head size (Andriluka et al., CVPR 2014).
_HEAD_SHARE = 0.5


def score_people(
    people_of_image: Mapping[int, People], table: Any, head_size_px: float | None = None
) -> PckScores:
    """The surest person of each picture against the first one annotated on it.

    Args:
        people_of_image: image id -> people, the surest first; joints in the order of the table.
        table: of the annotations, a record with `images`, `image_index` and `keypoints`.
        head_size_px: of everybody, in pixels of the pictures, if it is known.

    Raises:
        ValueError: nobody is annotated.
    """
    images, first = np.unique(table.image_index, return_index=True)
    if not len(first):
        raise ValueError("PCK needs people with labelled joints. Received none.")
    truth = table.keypoints[first].astype(np.float64)
    found = np.full((*truth.shape[:2], 2), np.inf)  # nobody found is wrong everywhere
    for row, image_id in enumerate(table.images.ids[images].tolist()):
        people = people_of_image.get(image_id)
        if people is not None and len(people):
            found[row] = people.keypoints_px[0]
    evaluations = tuple(evaluate_pck(truth, found, threshold) for threshold in THRESHOLDS)
    pckh = None
    if head_size_px is not None:
        labelled = truth[..., 2] > 0
        near = np.linalg.norm(found - truth[..., :2], axis=2) <= _HEAD_SHARE * head_size_px
        pckh = 100.0 * float((near & labelled).sum() / max(labelled.sum(), 1))
    return PckScores(evaluations, pckh)
