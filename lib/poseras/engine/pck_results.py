"""PCK of the people of each picture, in pose-tensorflow's unit, and PCKh beside it.

pose-tensorflow has one person a picture and compares its one prediction. Several people must first
be told apart: by the annotation in whose box each was looked for, or else by who is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..geometry import enclose_points
from ..metrics.pck import PckScores, evaluate_pck
from ..structures import People
from .mpii_results import gather_by_annotation

#: Shares of the person's larger side.
THRESHOLDS = (0.05, 0.1, 0.2, 0.5)
#: Share of the head size (Andriluka et al., CVPR 2014).
_HEAD_SHARE = 0.5

#: How the predictions of a picture were told apart, for protocols.
_BY_ANNOTATION = "by the annotation in whose box each was looked for"
_BY_DISTANCE = "the nearest, of as many of the surest predictions as the picture has annotations"


@dataclass(frozen=True, kw_only=True)
class PeopleScores(PckScores):
    """PCK, and of how many people.

    Attributes:
        annotated: people in the annotations.
        scored: those of them with a labelled joint who are no crowd.
        found: those of these with whom a prediction was compared; the others are wrong everywhere.
        matching: how predictions were told apart.
    """

    annotated: int
    scored: int
    found: int
    matching: str

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            **super().protocol(),
            "people_annotated": self.annotated,
            "people_scored": self.scored,
            "people_found": self.found,
            "matching": self.matching,
        }


def score_people(
    people_of_image: Mapping[int, People], table: Any, head_size_px: float | None = None
) -> PeopleScores | None:
    """Everybody with a labelled joint against the prediction that is theirs.

    People that were looked for in annotated boxes are compared with their annotations. Others are
    matched within their picture, one to one, so that the joints lie nearest together. As many
    predictions take part as the picture has annotations, the surest ones: with one person a picture
    this is pose-tensorflow's rule.

    Args:
        people_of_image: image id -> people; joints in the order of the table.
        table: a `data.annotation.AnnotationTable`.
        head_size_px: of everybody, in pixels of the pictures, if it is known.

    Returns:
        None where nobody is annotated with a labelled joint.
    """
    rows = np.flatnonzero(~table.iscrowd & (table.keypoints[..., 2] > 0).any(axis=1))
    if not len(rows):
        return None
    truth = table.keypoints[rows].astype(np.float64)
    found, matching = gather_by_annotation(people_of_image, table.annotation_ids), _BY_ANNOTATION
    if np.isnan(found).all():
        found, matching = _gather_nearest(people_of_image, table, rows), _BY_DISTANCE
    else:
        found = found[rows]
    missed = np.isnan(found).all(axis=(1, 2))  # NaN is near to nothing
    return PeopleScores(
        evaluations=tuple(evaluate_pck(truth, found, threshold) for threshold in THRESHOLDS),
        pckh=None if head_size_px is None else _measure_pckh(truth, found, head_size_px),
        annotated=len(table.image_index),
        scored=len(rows),
        found=int((~missed).sum()),
        matching=matching,
    )


def _measure_pckh(truth: np.ndarray, found: np.ndarray, head_size_px: float) -> float:
    """Percent of the labelled joints within half a head of the truth."""
    labelled = truth[..., 2] > 0
    near = np.linalg.norm(found - truth[..., :2], axis=2) <= _HEAD_SHARE * head_size_px
    return 100.0 * float((near & labelled).sum() / labelled.sum())


def _gather_nearest(
    people_of_image: Mapping[int, People], table: Any, rows: np.ndarray
) -> np.ndarray:
    """(rows, joints, 2) the predictions for some rows of the table, NaN where there is none."""
    gathered = np.full((*table.keypoints[rows].shape[:2], 2), np.nan)
    annotations = np.bincount(table.image_index, minlength=len(table.images))
    order = np.argsort(table.image_index[rows], kind="stable")  # places in rows, by picture
    images, begins = np.unique(table.image_index[rows[order]], return_index=True)
    for image, places in zip(images.tolist(), np.split(order, begins[1:]), strict=True):
        people = people_of_image.get(int(table.images.ids[image]))
        if people is None or not len(people):
            continue
        surest = np.argsort(-people.person_scores, kind="stable")[: annotations[image]]
        predicted = people.keypoints_px[surest]
        chosen, theirs = _match(table.keypoints[rows[places]].astype(np.float64), predicted)
        gathered[places[chosen]] = predicted[theirs]
    return gathered


def _match(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of both, one to one, with the least sum of mean distances of the labelled joints.

    A distance counts in units of the person's larger side and as 1 at most, so that one joint far
    away does not decide.
    """
    labelled = truth[..., 2] > 0  # (annotated, joints)
    sides = enclose_points(truth[..., :2], labelled)[:, 2:].max(axis=1)
    apart = np.linalg.norm(truth[:, None, :, :2] - predicted, axis=-1)
    apart = np.fmin(apart / np.maximum(sides, 1.0)[:, None, None], 1.0)
    costs = (apart * labelled[:, None]).sum(axis=-1)  # (annotated, predicted)
    return linear_sum_assignment(costs / labelled.sum(axis=1)[:, None])
