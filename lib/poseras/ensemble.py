"""Several networks that look at the same people, each in views of its own, and are averaged.

Source: the entry of integral regression's authors to the ECCV 2018 challenge, arXiv 1809.06079.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .engine.tester import Predictions
from .predictor import Predictor
from .structures import PersonRecords


def average_networks(predictors: Sequence[Predictor]) -> Callable[..., Predictions]:
    """As `Predictor.predict_records`, by all of some networks together.

    Args:
        predictors: one at least; input size, backbone and even the system may differ.

    Raises:
        ValueError: some look for other joints, or at whole pictures.
    """
    first = predictors[0]
    for other in predictors[1:]:
        if other.skeleton.keypoints != first.skeleton.keypoints or other.sees_whole_pictures:
            raise ValueError(
                "test.ensemble averages networks that look at people in boxes for the joints of "
                f"{first.snapshot.path}. Received {other.snapshot.path}, for "
                f"{other.skeleton.name}{' in whole pictures' if other.sees_whole_pictures else ''}."
            )
    return first.predict_records if len(predictors) == 1 else partial(_predict_all, predictors)


def average_predictions(parts: Sequence[Predictions]) -> Predictions:
    """The mean of what several networks say of the same people, who count where all found them.

    Raises:
        ValueError: some of the networks tell where joints are in space and some do not.
    """
    in_space = [part.joints_camera_mm for part in parts if part.joints_camera_mm is not None]
    if in_space and len(in_space) < len(parts):
        raise ValueError(
            "Networks whose coordinates are averaged must all tell depths, or none of them. "
            f"Received {len(in_space)} of {len(parts)} that do."
        )
    return Predictions(
        keypoints_px=np.mean([part.keypoints_px for part in parts], axis=0),
        keypoint_scores=np.mean([part.keypoint_scores for part in parts], axis=0),
        found=np.all([part.found for part in parts], axis=0),
        joints_camera_mm=np.mean(in_space, axis=0) if in_space else None,
    )


def _predict_all(
    predictors: Sequence[Predictor], records: PersonRecords, **choices: Any
) -> Predictions:
    return average_predictions([p.predict_records(records, **choices) for p in predictors])
