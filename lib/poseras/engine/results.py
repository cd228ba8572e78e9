"""What a test leaves behind: result records, scores, and the protocol that explains them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..metrics import coco
from ..metrics.columns import GroundTruth
from ..metrics.oks_ap import Evaluation
from ..skeleton import Skeleton, reindex_joints, take_joints
from ..structures import People
from . import rescoring, tests_log

_PACKAGES = ("poseras", "tensorflow", "keras", "numpy", "opencv-python-headless")


def library_versions() -> dict[str, str]:
    """Versions of the installed packages that a number may depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def coco_results(
    people_of_image: Mapping[int, People],
    *,
    real_keypoint_scores: bool = False,
) -> list[dict[str, Any]]:
    """People as COCO result records, image by image, best person first.

    Args:
        people_of_image: image id -> people.
        real_keypoint_scores: write each keypoint's score as its third value instead of the
            published 1 (COCO's evaluation reads neither). Keypoints that a bottom-up system did
            not find have 0 in any case.
    """
    return [
        rescoring.coco_record(
            image_id,
            people.keypoints_px[row],
            people.person_scores[row],
            keypoint_scores=_third_values(people, row, real_keypoint_scores),
        )
        for image_id, people in people_of_image.items()
        for row in range(len(people))
    ]


def _third_values(people: People, row: int, real_scores: bool) -> np.ndarray | None:
    """What stands behind x and y of each keypoint; None for the published 1 in all of them."""
    scores = people.keypoint_scores[row]
    if real_scores:
        return scores
    return None if people.boxes_xywh is not None else (scores > 0).astype(np.float64)


def reorder_people(people: People, source: Skeleton, target: Skeleton) -> People:
    """People with the joints of another skeleton; a joint that the network lacks is at (0, 0)."""
    if source.keypoints == target.keypoints:
        return people
    indices = reindex_joints(source.keypoints, target)
    return People(
        keypoints_px=take_joints(people.keypoints_px, indices),
        keypoint_scores=take_joints(people.keypoint_scores[..., None], indices)[..., 0],
        person_scores=people.person_scores,
        boxes_xywh=people.boxes_xywh,
        annotation_ids=people.annotation_ids,
    )


def ground_truth_columns(table: Any) -> GroundTruth:
    """The columns that metrics read, of an annotation table in the order of the network's joints.

    A row none of whose labelled joints the network has is ignored, as one without labels is.

    Args:
        table: a `data.annotation.AnnotationTable`.
    """
    labelled = (table.keypoints[..., 2] > 0).any(axis=1)
    return GroundTruth(
        images=np.unique(table.images.ids),
        categories=np.array([1], np.int64),
        ids=table.annotation_ids,
        image_ids=table.images.ids[table.image_index],
        category_ids=np.ones(len(table), np.int64),
        boxes_xywh=table.boxes_xywh,
        areas=table.areas,
        crowd=table.iscrowd,
        ignore=table.iscrowd | (table.num_keypoints == 0) | ~labelled,
        keypoints=table.keypoints.astype(np.float64),
    )


def score_people(
    people_of_image: Mapping[int, People],
    table: Any,
    sigmas: tuple[float, ...],
    evaluator: coco.Evaluator = "pycocotools",
) -> Evaluation:
    """COCO's numbers for some people.

    Args:
        people_of_image: image id -> people, joints in the order of the table.
        table: a `data.annotation.AnnotationTable`.
        sigmas: one per joint.
        evaluator: which one computes.

    Raises:
        ValueError: there is nobody to score.
        RuntimeError: under `both`, the evaluators disagree.
    """
    return coco.score(
        ground_truth_columns(table),
        coco_results(people_of_image),
        sigmas=sigmas,
        evaluator=evaluator,
    )


def describe_origin(origin: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The origin of some people for a protocol: each file by its path and its SHA-256.

    A folder is named by its path alone.

    Args:
        origin: of a `data.evaluation_set.EvaluationSet`.
        root: of the project; files inside it are named relative to it.
    """
    described: dict[str, Any] = {}
    for key, value in origin.items():
        if isinstance(value, Path):
            inside = value.is_relative_to(root)
            described[key] = str(value.relative_to(root) if inside else value)
            if not value.is_dir():
                described[f"{key}_sha256"] = files.sha256_of_file(value)
        else:
            described[key] = value
    return described


def write_metrics(
    folder: Path,
    metrics: Mapping[str, float],
    protocol: Mapping[str, Any],
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write `metrics.json`, the numbers and everything one must know to compare them.

    It is that of the latest test; `tests.jsonl` beside it gets one line more.

    Args:
        folder: of the results of a run.
        metrics: the numbers by name.
        protocol: how they came about.
        settings: that differ from their defaults, flat.

    Returns:
        The path written.
    """
    path = folder / "metrics.json"
    content = {"metrics": dict(metrics), "protocol": dict(protocol)}
    files.write_json_atomically(path, content, indent=True)
    tests_log.append_test(folder, metrics, protocol, settings or {})
    return path
