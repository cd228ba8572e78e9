"""The best that a system can reach: its own targets, decoded and scored as its outputs are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .data import pipeline
from .data.image_view import place_picture
from .data.images import read_image
from .engine import tester
from .engine.image_tester import bring_home
from .geometry import transform_points
from .structures import ImageRecords, People, PersonRecords, View


def decode_true_maps(system: Any, records: ImageRecords, view: View) -> dict[int, People]:
    """What a perfect network would find: `encode` straight into `decode`.

    Args:
        system: a bottom-up system.
        records: pictures with the people to render.
        view: how pictures become network input.

    Returns:
        Row of the records -> people in pixels of the picture.
    """
    found = {}
    for row in range(len(records)):
        path = records.images.paths[records.image_index[row]]
        placement = place_picture(read_image(path).shape[:2], view)
        first, last = records.first_person[row : row + 2]
        keypoints = records.people.keypoints[first:last].astype(np.float32)
        keypoints[..., :2] = transform_points(keypoints[..., :2], placement.matrix)
        batch = {
            "keypoints": keypoints[None],
            "boxes_xywh": records.people.boxes_xywh[None, first:last],
            "image_to_network": placement.matrix[None].astype(np.float32),
            "ignore_mask": np.zeros((1, *placement.view_hw), bool),
        }
        decoded = system.decode(system.perfect_outputs(system.encode(batch)))
        candidates = {name: np.asarray(value)[0] for name, value in decoded.items()}
        found[row] = bring_home(system.group(candidates), placement.matrix)
    return found


def predict_true_targets(
    system: Any, view: View, *, batch_size: int = 32
) -> Callable[[PersonRecords], tester.Predictions]:
    """What a perfect top-down network would find, in the place of a predictor's `predict_records`.

    Args:
        system: a top-down system whose outputs have the form of its targets.
        view: how people become network input.
        batch_size: views at a time.

    Returns:
        From records with annotated keypoints to predictions: `encode` straight into `decode`,
        through the batches and the way home of every test.
    """

    def predict(records: PersonRecords) -> tester.Predictions:
        batches = pipeline.build_inference_batches(records, view, batch_size=batch_size)
        shown: list[Any] = []

        def remember() -> Iterator[Any]:
            for batch in batches:
                shown[:] = [batch]
                yield batch

        def step(_: Any) -> list[Any]:
            return [system.decode(system.encode(shown[0]))]

        return tester.predict_people(
            step, remember(), records, joint_count=system.skeleton.joint_count, progress=False
        )

    return predict
