"""Logistic models for the multicut, trained on what a network says of annotated pictures.

Source: the training code of DeeperCut (Insafutdinov et al., ECCV 2016), which took 4,000 pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from .codecs.pairwise import list_pairs
from .codecs.pairwise_examples import NEAR_PX, CellPredictions, collect_examples, train_models
from .codecs.pairwise_models import LogisticModels
from .data.images import read_image
from .engine.progress import progress_bar
from .geometry import transform_points
from .part_pictures import Look, look_at
from .predictor import Predictor
from .structures import ImageRecords
from .systems.deepercut_arttrack.options import STRIDE
from .systems.deepercut_arttrack.targets import picture_scale

PICTURES = 4000
SEED = 42


def train_pairwise_models(
    predictor: Predictor, records: ImageRecords, *, pictures: int = PICTURES, seed: int = SEED
) -> tuple[LogisticModels, list[tuple[int, int]]]:
    """A logistic model for every pair of joints.

    Args:
        predictor: of a network with refinement and pairwise maps, with its statistics.
        records: pictures with people, joints in the order of the network.
        pictures: how many of them are looked at, chosen at random.
        seed: of that choice and of the examples.

    Returns:
        The models, and the pairs without examples.

    Raises:
        ValueError: the network has no such maps, or no pair has examples.
    """
    options, resources = predictor.system.options, predictor.system.resources
    if not (getattr(options, "pairwise", False) and options.location_refinement):
        raise ValueError(
            "Logistic models are trained on a network with options.pairwise and "
            "options.location_refinement. Received one without."
        )
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(records))[:pictures])
    pairs = [(a, b) for a, b in list_pairs(predictor.skeleton.joint_count).tolist() if a < b]
    examples: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for row in progress_bar(rows.tolist(), unit="picture", desc="examples"):
        look, keypoints = _look(predictor, records, row)
        cells = describe_cells(look.outputs, resources, options.refinement_deviation)
        near_px = NEAR_PX * float(picture_scale(look.image_to_view[None])[0])
        for pair in pairs:
            found = collect_examples(cells, keypoints, pair, rng, near_px=near_px)
            examples[pair].append(found)
    return train_models(examples, rng)


def _look(predictor: Predictor, records: ImageRecords, row: int) -> tuple[Look, np.ndarray]:
    """What the network says of a picture, and its people in the view."""
    look = look_at(predictor, read_image(records.images.paths[records.image_index[row]]))
    first, last = records.first_person[row : row + 2]
    keypoints = records.people.keypoints[first:last].astype(np.float64)
    keypoints[..., :2] = transform_points(keypoints[..., :2], look.image_to_view)
    return look, keypoints


def describe_cells(
    outputs: Mapping[str, Any], resources: Mapping[str, np.ndarray], deviation_px: float
) -> CellPredictions:
    """What the maps of a picture say, in pixels of the view, cell by cell.

    Args:
        outputs: `refinement` (height, width, joints, 2) and `pairwise` (height, width, pairs, 2).
        resources: the pairwise statistics.
        deviation_px: of the refinement.
    """
    refinement = np.asarray(outputs["refinement"], np.float64)
    height, width, joints = refinement.shape[:3]
    rows, columns = np.indices((height, width)).reshape(2, -1)
    centres = np.stack([columns, rows], axis=1) * STRIDE + STRIDE / 2.0
    vectors = np.zeros((len(centres), joints, joints, 2))
    first, second = list_pairs(joints).T
    regressed = np.asarray(outputs["pairwise"], np.float64).reshape(len(centres), -1, 2)
    vectors[:, first, second] = regressed * resources["deviations_px"] + resources["means_px"]
    points = centres[:, None] + refinement.reshape(-1, joints, 2) * deviation_px
    return CellPredictions(centres_px=centres, points_px=points, vectors_px=vectors)
