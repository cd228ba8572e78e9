"""What the maps of a network say of its cells, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from poseras import pairwise_training
from poseras.codecs.pairwise import list_pairs
from poseras.pairwise_training import describe_cells, train_pairwise_models
from poseras.part_pictures import Look


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


class OnePicture(SimpleNamespace):
    """Stands for the records of one picture."""

    def __len__(self):
        return 1


# 17 px around the middle of a cell hold 13 cells' middles, 8.5 px hold 5; a picture gives 100 pairs
# of cells at most.
@pytest.mark.parametrize(("px_per_px", "positives"), [(1.0, 100), (0.5, 5 * 5)])
def test_cells_are_near_a_joint_in_pixels_of_the_picture(monkeypatch, px_per_px, positives):
    seen_px = np.array([[[28, 28, 2], [52, 28, 2]]], np.float32)
    records = OnePicture(
        images=SimpleNamespace(paths=("a.jpg",)),
        image_index=np.zeros(1, np.int32),
        first_person=np.array([0, 1]),
        people=SimpleNamespace(keypoints=seen_px / (px_per_px, px_per_px, 1)),
    )
    look = Look(
        view_rgb=np.zeros((64, 96, 3), np.uint8),
        resized_hw=(64, 96),
        image_to_view=np.array([[px_per_px, 0, 0], [0, px_per_px, 0]]),
        outputs={name: np.zeros((8, 12, 2, 2)) for name in ("refinement", "pairwise")},
    )
    options = SimpleNamespace(pairwise=True, location_refinement=True, refinement_deviation=7.0)
    resources = {"means_px": np.zeros((2, 2)), "deviations_px": np.ones((2, 2))}
    predictor = SimpleNamespace(
        system=SimpleNamespace(options=options, resources=resources),
        skeleton=SimpleNamespace(joint_count=2),
    )
    monkeypatch.setattr(pairwise_training, "read_image", lambda path: None)
    monkeypatch.setattr(pairwise_training, "look_at", lambda predictor, image: look)
    monkeypatch.setattr(pairwise_training, "train_models", lambda examples, rng: (examples, []))
    examples, _ = train_pairwise_models(predictor, records)
    ((found, _),) = examples[0, 1]
    assert len(found) == positives
