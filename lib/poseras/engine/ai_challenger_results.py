"""Results in AI Challenger's form, and the challenge's score of people found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics.ai_challenger import AiChallengerEvaluation, evaluate_ai_challenger
from ..structures import People

if TYPE_CHECKING:
    from ..structures import ImageTable

#: COCO's visibility -> the challenge's: unlabelled, hidden, seen.
_FLAGS = np.array([3, 2, 1])


def list_predictions(
    people_of_image: Mapping[int, People], images: ImageTable
) -> list[dict[str, Any]]:
    """A row for each picture, as the challenge takes them.

    Args:
        people_of_image: image id -> people, joints in the order of the challenge.
        images: of the test.
    """
    names = {int(i): Path(path).stem for i, path in zip(images.ids, images.paths, strict=True)}
    rows = []
    for image_id, people in people_of_image.items():
        poses = {}
        for number, (points, scores) in enumerate(
            zip(people.keypoints_px, people.keypoint_scores, strict=True), start=1
        ):
            flags = np.where(scores > 0, 1, 3)
            values = np.concatenate([points, flags[:, None]], axis=1).round(2)
            poses[f"human{number}"] = values.ravel().tolist()
        rows.append({"image_id": names[int(image_id)], "keypoint_annotations": poses})
    return rows


def list_reference(table: Any) -> list[dict[str, Any]]:
    """The annotations in the challenge's form.

    Args:
        table: a record with `images`, `image_index`, `boxes_xywh` and `keypoints`, joints in the
            order of the challenge.
    """
    people: dict[int, list[int]] = defaultdict(list)
    for row, image in enumerate(table.image_index.tolist()):
        people[image].append(row)
    flags = _FLAGS[table.keypoints[..., 2].astype(np.int64)]
    poses = np.concatenate([table.keypoints[..., :2], flags[..., None]], axis=-1)
    corners = table.boxes_xywh.copy()
    corners[:, 2:] += corners[:, :2]
    return [
        {
            "image_id": Path(table.images.paths[image]).stem,
            "human_annotations": {f"human{n}": corners[r].tolist() for n, r in enumerate(rows)},
            "keypoint_annotations": {
                f"human{n}": poses[r].ravel().tolist() for n, r in enumerate(rows)
            },
        }
        for image, rows in sorted(people.items())
    ]


def score_people(people_of_image: Mapping[int, People], table: Any) -> AiChallengerEvaluation:
    """The challenge's score.

    Args:
        people_of_image: image id -> people, joints in the order of the challenge.
        table: of the annotations, joints in the same order, see `list_reference`.

    Raises:
        ValueError: nobody is annotated.
    """
    return evaluate_ai_challenger(
        list_reference(table), list_predictions(people_of_image, table.images)
    )
