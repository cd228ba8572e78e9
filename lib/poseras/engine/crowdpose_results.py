"""Scores by CrowdPose's protocol, with both published boundaries of crowding."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics.crowdpose import CrowdPoseEvaluation, evaluate_crowdpose
from ..structures import People
from .results import coco_results


@dataclass(frozen=True)
class CrowdPoseScores:
    """The numbers of the official tools, and beside them the levels of the paper.

    Attributes:
        tools: easy, medium and hard as the official tools part pictures.
        paper: the same as the paper does.
    """

    tools: CrowdPoseEvaluation
    paper: CrowdPoseEvaluation

    @property
    def stats(self) -> dict[str, float]:
        """AP, AP .5, AP .75, AR, AR .5, AR .75, AP (easy), AP (medium), AP (hard)."""
        return self.tools.stats

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        paper = self.paper.protocol()
        return {
            **self.tools.protocol(),
            "levels_of_the_paper": {
                "crowd_index_boundaries": paper["crowd_index_boundaries"],
                "images_per_level": paper["images_per_level"],
                **{f"AP ({level})": ap for level, ap in self.paper.levels.items()},
            },
        }


def score_people(
    people_of_image: Mapping[int, People],
    annotations: Path,
    sigmas: Sequence[float],
    image_ids: np.ndarray | None = None,
) -> CrowdPoseScores:
    """CrowdPose's numbers for some people.

    Args:
        people_of_image: image id -> people, joints in the order of the file.
        annotations: the file, whose images have a `crowdIndex`.
        sigmas: one per joint.
        image_ids: (images,), the pictures that count; None for all of the file.

    Raises:
        ValueError: a picture has no crowd index, or there is nobody to score.
    """
    dataset = json.loads(annotations.read_bytes())
    if image_ids is not None:
        dataset = _on_images(dataset, set(image_ids.tolist()))
    rows = coco_results(people_of_image)
    return CrowdPoseScores(
        tools=evaluate_crowdpose(dataset, rows, sigmas=sigmas, boundaries="tools"),
        paper=evaluate_crowdpose(dataset, rows, sigmas=sigmas, boundaries="paper"),
    )


def _on_images(dataset: dict[str, Any], image_ids: set[int]) -> dict[str, Any]:
    """The part of an annotation file that tells of some pictures."""
    return {
        **dataset,
        "images": [image for image in dataset["images"] if image["id"] in image_ids],
        "annotations": [row for row in dataset["annotations"] if row["image_id"] in image_ids],
    }
