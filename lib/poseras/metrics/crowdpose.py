"""CrowdPose scores: COCO's keypoint AP with other areas, other ignored rows and levels of crowding.

Source: CrowdPose: Efficient Crowded Scenes Pose Estimation and a New Benchmark, Li et al.,
CVPR 2019; the numbers are those of the authors' crowdposetools and of xtcocotools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .columns import Detections, GroundTruth, check_image_ids
from .oks_ap import ALL, Evaluation, Rules, evaluate_oks_ap

Boundaries = Literal["tools", "paper"]

#: The crowd index where medium begins and where hard begins, each included. Published numbers are
#: those of the tools, whose first boundary is not that of the paper.
BOUNDARIES: dict[Boundaries, tuple[float, float]] = {"tools": (0.2, 0.8), "paper": (0.1, 0.8)}

#: Area of a person over the area of the box; CrowdPose has no segments.
AREA_FACTOR = 0.53

#: Head and neck, behind these joints, do not make a row count.
COUNTED_JOINTS = 12

#: No medium or large range, 20 predictions per picture.
RULES = Rules(area_ranges=(ALL,), max_detections=(20,))


@dataclass(frozen=True)
class CrowdPoseEvaluation:
    """The result.

    Attributes:
        overall: over all pictures.
        levels: easy, medium, hard -> AP, rounded to 4 decimals as the tools do; -1 for a level
            without counted rows.
        images_per_level: easy, medium, hard -> number of pictures.
        boundaries: which ones the levels have.
    """

    overall: Evaluation
    levels: dict[str, float]
    images_per_level: dict[str, int]
    boundaries: Boundaries

    @property
    def stats(self) -> dict[str, float]:
        """AP, AP .5, AP .75, AR, AR .5, AR .75, AP (easy), AP (medium), AP (hard)."""
        levels = {f"AP ({level})": value for level, value in self.levels.items()}
        return {**self.overall.stats, **levels}

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, for JSON."""
        return {
            **self.overall.protocol(),
            "area": f"{AREA_FACTOR} x box",
            "crowd_index_boundaries": {self.boundaries: list(BOUNDARIES[self.boundaries])},
            "images_per_level": dict(self.images_per_level),
        }


def evaluate_crowdpose(
    dataset: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    sigmas: Sequence[float] | np.ndarray,
    boundaries: Boundaries = "tools",
) -> CrowdPoseEvaluation:
    """Score predictions by CrowdPose's rules.

    Predictions none of whose joints has a third number above 0 are left out first, as xtcocotools
    does; crowdposetools counts them as false alarms.

    Args:
        dataset: the parsed annotation file; its images carry `crowdIndex`.
        results: COCO result rows.
        sigmas: one per joint, COCO's k_i / 2.
        boundaries: those of the official tools, or those of the paper.

    Raises:
        ValueError: a picture has no crowd index, there is no prediction, one stands on an unknown
            picture, or the input is not COCO format.
    """
    if boundaries not in BOUNDARIES:
        raise ValueError(f"boundaries must be tools or paper. Received {boundaries!r}.")
    truth, detections = read_crowdpose(dataset), Detections.from_coco(results)
    check_image_ids(detections.image_ids, truth.images, "Predictions")
    if detections.keypoints is not None:
        flagged = np.count_nonzero(detections.keypoints[..., 2] > 0, axis=1)
        detections = detections.take(flagged > 0)
    images_of_level = split_by_crowding(dataset, boundaries)
    levels = {}
    for level, images in images_of_level.items():
        part = evaluate_oks_ap(
            truth.on_images(images), detections.on_images(images), sigmas=sigmas, rules=RULES
        )
        # kept: the plain mean of the table, with its -1, rounded.
        levels[level] = float(np.round(part.precision.mean(), 4))
    return CrowdPoseEvaluation(
        overall=evaluate_oks_ap(truth, detections, sigmas=sigmas, rules=RULES),
        levels=levels,
        images_per_level={level: len(images) for level, images in images_of_level.items()},
        boundaries=boundaries,
    )


def read_crowdpose(dataset: Mapping[str, Any]) -> GroundTruth:
    """The columns of a CrowdPose annotation file.

    The area is 0.53 of the box, whatever the file says. Ignored are crowd rows and rows whose
    `num_keypoints` is 0; where a row lacks it, joints with a flag above 0 among the first twelve.

    Raises:
        ValueError: as `GroundTruth.from_coco`.
    """
    if isinstance(dataset.get("annotations"), Sequence):
        rows = [
            {"num_keypoints": _count_labelled(row), **row, "area": 0.0}
            for row in dataset["annotations"]
        ]
        dataset = {**dataset, "annotations": rows}
    truth = GroundTruth.from_coco(dataset)
    return replace(truth, areas=truth.boxes_xywh[:, 2] * truth.boxes_xywh[:, 3] * AREA_FACTOR)


def split_by_crowding(
    dataset: Mapping[str, Any], boundaries: Boundaries = "tools"
) -> dict[str, np.ndarray]:
    """Easy, medium and hard -> ids of the pictures, in file order.

    Raises:
        ValueError: a picture has no crowd index.
    """
    lacking = [image["id"] for image in dataset["images"] if "crowdIndex" not in image]
    if lacking:
        raise ValueError(
            "Each image of a CrowdPose file must have a crowdIndex. Received "
            f"{len(lacking)} without, the first is {lacking[0]}."
        )
    index = np.array([image["crowdIndex"] for image in dataset["images"]], np.float64)
    ids = np.array([image["id"] for image in dataset["images"]], np.int64)
    level = np.searchsorted(BOUNDARIES[boundaries], index, side="right")
    return {name: ids[level == n] for n, name in enumerate(("easy", "medium", "hard"))}


def _count_labelled(row: Mapping[str, Any]) -> int:
    return sum(flag > 0 for flag in row.get("keypoints", ())[2 : 3 * COUNTED_JOINTS : 3])
