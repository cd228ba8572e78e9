"""The best that a bottom-up system can reach: its own target maps, decoded, grouped and scored."""

from __future__ import annotations

from typing import Any

import numpy as np

from .data.image_view import place_picture
from .data.images import read_image
from .engine.image_tester import bring_home
from .geometry import transform_points
from .structures import ImageRecords, People, View


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
