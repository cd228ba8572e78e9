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
    people_of_image: Mapping[int, People],
    images: ImageTable,
    names: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:
    """A row for each picture, as the challenge takes them.

    Args:
        people_of_image: image id -> people, joints in the order of the challenge.
        images: of the test.
        names: image id -> `image_id` of its row; by default its file's name without the ending.
    """
    names = names or _name_by_file(images)
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


def _name_by_file(images: ImageTable) -> dict[int, str]:
    return {i: Path(path).stem for i, path in zip(images.ids.tolist(), images.paths, strict=True)}


def list_reference(
    table: Any,
    scored_images: np.ndarray | None = None,
    names: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:
    """The annotations in the challenge's form, a row for each picture, with people or without.

    On a picture without people, too, each prediction lengthens the divisor of the score.

    Args:
        table: a record with `images`, `image_index`, `boxes_xywh` and `keypoints`, joints in the
            order of the challenge.
        scored_images: (images,) ids of the pictures that count; None for all of the table.
        names: as in `list_predictions`.
    """
    names = names or _name_by_file(table.images)
    people: dict[int, list[int]] = defaultdict(list)
    for row, image in enumerate(table.image_index.tolist()):
        people[image].append(row)
    ids = table.images.ids.tolist()
    scored = set(ids if scored_images is None else scored_images.tolist())
    flags = _FLAGS[table.keypoints[..., 2].astype(np.int64)]
    poses = np.concatenate([table.keypoints[..., :2], flags[..., None]], axis=-1)
    corners = table.boxes_xywh.copy()
    corners[:, 2:] += corners[:, :2]
    return [
        {
            "image_id": names[image_id],
            "human_annotations": {
                f"human{n}": corners[r].tolist() for n, r in enumerate(people[image])
            },
            "keypoint_annotations": {
                f"human{n}": poses[r].ravel().tolist() for n, r in enumerate(people[image])
            },
        }
        for image, image_id in enumerate(ids)
        if image_id in scored
    ]


def score_people(
    people_of_image: Mapping[int, People],
    table: Any,
    scored_images: np.ndarray | None = None,
) -> AiChallengerEvaluation:
    """The challenge's score. Pictures are told apart by their ids, whatever their files' names.

    Args:
        people_of_image: image id -> people, joints in the order of the challenge.
        table: of the annotations, joints in the same order, see `list_reference`.
        scored_images: (images,) ids of the pictures that count; None for all of the table.

    Raises:
        ValueError: nobody is annotated or found.
    """
    names = {image_id: str(image_id) for image_id in table.images.ids.tolist()}
    return evaluate_ai_challenger(
        list_reference(table, scored_images, names),
        list_predictions(people_of_image, table.images, names),
    )
