"""AI Challenger's keypoint score: the mean share of people found, over ten OKS thresholds.

It is not COCO's AP: predictions have no scores and are not matched one to one; only joints that
are labelled and seen count; the area is that of the box plus one. Joints are in the release's
order, of which `poseras.data.ai_challenger` has the names.

Source: the public evaluation script of the challenge (AI_Challenger_2017).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Half of the script's deltas, one per joint.
SIGMAS = (
    *(0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642),
    *(0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173),
)
#: 0.50, 0.55, ..., 0.95, as the script's `linspace` has them; OKS must lie above.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
_SEEN = 1
_ENDING = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp)$", re.IGNORECASE)


@dataclass(frozen=True)
class AiChallengerEvaluation:
    """The result.

    Attributes:
        precisions: (10,), one for each of `THRESHOLDS`.
        people: the number they are shares of, the larger of truths and predictions per picture.
        unpredicted: pictures of the reference without a prediction.
        repeated: predictions of a picture that a later one replaced.
        unknown: predicted pictures that the reference lacks; they do not count.
    """

    precisions: np.ndarray
    people: int
    unpredicted: int
    repeated: int
    unknown: int

    @property
    def score(self) -> float:
        """The mean of the precisions."""
        return float(self.precisions.mean())

    @property
    def stats(self) -> dict[str, float]:
        """AP, AP .5, AP .75."""
        return {
            "AP": self.score,
            "AP .5": float(self.precisions[0]),
            "AP .75": float(self.precisions[5]),
        }

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            "score": "AI Challenger 2017",
            "thresholds": THRESHOLDS.round(2).tolist(),
            "sigmas": list(SIGMAS),
            "people": self.people,
            "pictures_without_prediction": self.unpredicted,
            "repeated_predictions": self.repeated,
            "predictions_of_unknown_pictures": self.unknown,
        }


def compute_oks(keypoints: np.ndarray, boxes_xyxy: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """How much each prediction resembles each person.

    Args:
        keypoints: (people, 14, 3), x px, y px, flag; only joints of flag 1 count.
        boxes_xyxy: (people, 4) px.
        predicted: (predictions, 14, 2 or 3); a flag is not looked at.

    Returns:
        (people, predictions) float64, 0 for people without a seen joint.

    Raises:
        ValueError: wrong shapes.
    """
    for name, array in (("keypoints", keypoints), ("predicted", predicted)):
        if array.ndim != 3 or array.shape[1] != len(SIGMAS) or array.shape[2] not in (2, 3):
            raise ValueError(
                f"{name} must have shape (people, {len(SIGMAS)}, 3). Received {array.shape}."
            )
    seen = keypoints[..., 2] == _SEEN  # (people, joints)
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1) + 1.0
    difference = keypoints[:, None, :, :2] - predicted[None, :, :, :2]
    square = np.square(difference).sum(axis=-1)  # (people, predictions, joints)
    width = 2 * np.square(2 * np.array(SIGMAS)) * areas[:, None, None]
    likeness = np.exp(-square / width) * seen[:, None]
    return likeness.sum(axis=-1) / np.maximum(seen.sum(axis=1), 1)[:, None]


def evaluate_ai_challenger(
    reference: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]]
) -> AiChallengerEvaluation:
    """Score predictions by the challenge's rules.

    Args:
        reference: pictures of an annotation file, with `image_id`, `human_annotations` (name ->
            [x1, y1, x2, y2]) and `keypoint_annotations` (name -> 42 numbers).
        predictions: pictures with `image_id`, whose ending (.jpg) is dropped, and
            `keypoint_annotations`. Of several on one picture the last counts.

    Raises:
        ValueError: there is no person to find, or an entry has no `image_id`, no keypoints or a
            wrong number of them.
    """
    found = {_stem(p, "predictions"): read_poses(p) for p in predictions}
    best: list[np.ndarray] = [np.zeros(0)]
    people, known = 0, set()
    for picture in reference:
        name, truth = _stem(picture, "reference"), read_poses(picture)
        poses = found.get(name, np.zeros((0, len(SIGMAS), 3)))
        known.add(name)
        people += max(len(truth), len(poses))
        if len(truth) and len(poses):
            boxes = [picture["human_annotations"][n] for n in picture["keypoint_annotations"]]
            oks = compute_oks(truth, np.array(boxes, np.float64), poses)
            best.append(oks.max(axis=1))
    if not people:
        raise ValueError("The reference must have people. Received none.")
    reached = np.concatenate(best)[:, None] > THRESHOLDS
    return AiChallengerEvaluation(
        precisions=reached.sum(axis=0) / people,
        people=people,
        unpredicted=len(known - found.keys()),
        repeated=len(predictions) - len(found),
        unknown=len(found.keys() - known),
    )


def read_poses(picture: Mapping[str, Any]) -> np.ndarray:
    """(people, 14, 3) float64, the people of a picture in the order of its keys.

    Raises:
        ValueError: no keypoints, or a wrong number of them.
    """
    poses = picture.get("keypoint_annotations")
    if not isinstance(poses, Mapping):
        raise ValueError(
            f"Picture {picture.get('image_id')} must have keypoint_annotations, name -> numbers."
        )
    wrong = {name: len(values) for name, values in poses.items() if len(values) != 3 * len(SIGMAS)}
    if wrong:
        raise ValueError(
            f"Each person must have {3 * len(SIGMAS)} numbers. Received {wrong} on picture "
            f"{picture.get('image_id')}."
        )
    return np.array(list(poses.values()), np.float64).reshape(-1, len(SIGMAS), 3)


def _stem(picture: Mapping[str, Any], where: str) -> str:
    """The `image_id` without a picture's ending; other dots belong to the name."""
    if "image_id" not in picture:
        raise ValueError(f"Each picture of the {where} must have an image_id.")
    return _ENDING.sub("", str(picture["image_id"]))
