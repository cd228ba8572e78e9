"""Who is who: pairs of remembered tracks and the people found, by similarity."""

from __future__ import annotations

import numpy as np


def match_greedily(similarity: np.ndarray, threshold: float) -> np.ndarray:
    """Take the most similar pair, remove both, repeat.

    Args:
        similarity: (tracks, people).
        threshold: a pair must reach it, and be more than 0.

    Returns:
        (people,) int64, the row of the track, -1 without one. Of equal pairs the one of the first
        track is taken, of a track's the one of the first person.
    """
    partner = np.full(similarity.shape[1], -1, np.int64)
    allowed = (similarity >= threshold) & (similarity > 0)
    rows, columns = np.nonzero(allowed)
    order = np.argsort(-similarity[rows, columns], kind="stable")
    taken = np.zeros(similarity.shape[0], bool)
    for row, column in zip(rows[order], columns[order], strict=True):
        if not taken[row] and partner[column] < 0:
            partner[column] = row
            taken[row] = True
    return partner


def match_optimally(similarity: np.ndarray, threshold: float) -> np.ndarray:
    """The pairs with the largest sum of similarities; arguments and result as `match_greedily`."""
    from scipy.optimize import linear_sum_assignment

    partner = np.full(similarity.shape[1], -1, np.int64)
    allowed = (similarity >= threshold) & (similarity > 0)
    # A forbidden pair adds nothing, so that being alone costs no more than it.
    rows, columns = linear_sum_assignment(np.where(allowed, similarity, 0.0), maximize=True)
    real = allowed[rows, columns]
    partner[columns[real]] = rows[real]
    return partner
