"""What the maps of a network say of its cells, by hand."""

import numpy as np

from poseras.codecs.pairwise import list_pairs
from poseras.pairwise_training import describe_cells


def test_cells_stand_at_their_centres_and_vectors_are_in_pixels():
    refinement = np.zeros((2, 3, 2, 2), np.float32)
    refinement[1, 2, 1] = 1, -2
    pairwise = np.zeros((2, 3, 2, 2), np.float32)
    pairwise[1, 2, 1] = 3, 4  # the second pair is of the joints 1 and 0
    assert list_pairs(2).tolist() == [[0, 1], [1, 0]]
    resources = {
        "means_px": np.array([[1.0, 2], [10, 20]]),
        "deviations_px": np.array([[1.0, 1], [2, 3]]),
    }
    cells = describe_cells({"refinement": refinement, "pairwise": pairwise}, resources, 7.0)
    assert cells.centres_px.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]
    assert cells.points_px[5, 1].tolist() == [27, -2] and cells.points_px[5, 0].tolist() == [20, 12]
    assert cells.vectors_px[5, 1, 0].tolist() == [16, 32]
    assert cells.vectors_px[0, 0, 1].tolist() == [1, 2]
