"""COCO scores: through pycocotools, through our own evaluator, or through both.

pycocotools is the evaluator that published numbers come from; `oks_ap` gives the same numbers in a
small part of the time.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal, Protocol

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .columns import Detections, GroundTruth, Kind, check_image_ids
from .oks_ap import (
    BOX_RULES,
    KEYPOINT_RULES,
    Evaluation,
    evaluate_box_ap,
    evaluate_oks_ap,
    summarise,
)

Evaluator = Literal["pycocotools", "fast", "both"]

#: Above the rounding of sums in another order, far below the third decimal of a printed table.
TOLERANCE = 1e-6


class Scores(Protocol):
    """What every metric of poseras returns."""

    @property
    def stats(self) -> Mapping[str, float]:
        """The numbers of the table, by name."""

    def protocol(self) -> dict[str, Any]:
        """How they came about, for JSON."""


def score(
    ground_truth: Mapping[str, Any] | GroundTruth,
    results: Sequence[Mapping[str, Any]] | Detections,
    *,
    kind: Kind = "keypoints",
    sigmas: Sequence[float] | np.ndarray = (),
    evaluator: Evaluator = "pycocotools",
) -> Evaluation:
    """Score predictions by COCO's rules.

    Args:
        ground_truth: a parsed COCO annotation file, or its columns.
        results: a list of COCO result rows, or columns. Neither input is changed.
        kind: keypoints by OKS (10 numbers) or boxes by IoU (12 numbers).
        sigmas: one per joint, COCO's k_i / 2; for keypoints only.
        evaluator: what computes. `both` computes twice and returns pycocotools' numbers.

    Raises:
        ValueError: there is no prediction, one stands on an unknown picture, the number of joints
            is not that of the sigmas, or the input is not COCO format.
        RuntimeError: under `both`, numbers differ by more than 1e-6.
    """
    if evaluator not in ("pycocotools", "fast", "both"):
        raise ValueError(f"evaluator must be pycocotools, fast or both. Received {evaluator!r}.")
    if (kind == "keypoints") != (len(sigmas) > 0):
        raise ValueError(
            "Keypoints are scored with one sigma per joint (oks_sigmas of dataset.yaml), boxes "
            f"without. Received kind={kind!r} and {len(sigmas)} sigmas."
        )
    truth, detections = _read_columns(ground_truth, results, kind)
    _check_input(truth, detections, kind, len(sigmas))
    if evaluator == "fast":
        return _score_fast(truth, detections, kind, sigmas)
    if isinstance(ground_truth, GroundTruth):
        ground_truth = _list_truth(ground_truth, kind)
    loaded = _load_truth(ground_truth)
    reference = _score_pycocotools(loaded, _load_results(loaded, results), kind, sigmas)
    if evaluator == "pycocotools":
        return reference
    return _agree(reference, _score_fast(truth, detections, kind, sigmas))


def format_table(evaluation: Scores) -> str:
    """The numbers of an evaluation in two lines, names above values, -1 where no row counts."""
    cells = [(name, f"{value:.3f}") for name, value in evaluation.stats.items()]
    widths = [max(map(len, cell)) for cell in cells]
    return "\n".join(
        "  ".join(cell[line].rjust(width) for cell, width in zip(cells, widths, strict=True))
        for line in (0, 1)
    )


def _read_columns(
    ground_truth: Mapping[str, Any] | GroundTruth,
    results: Sequence[Mapping[str, Any]] | Detections,
    kind: Kind,
) -> tuple[GroundTruth, Detections]:
    if not isinstance(ground_truth, GroundTruth):
        ground_truth = GroundTruth.from_coco(ground_truth, kind=kind)
    if not isinstance(results, Detections):
        results = Detections.from_coco(results, kind=kind)
    return ground_truth, results


def _check_input(truth: GroundTruth, detections: Detections, kind: Kind, joints: int) -> None:
    if not len(detections):
        raise ValueError("The list of predictions must not be empty. Received no row.")
    check_image_ids(detections.image_ids, truth.images, "Predictions")
    if kind == "boxes":
        return
    for keypoints, what in ((truth.keypoints, "annotations"), (detections.keypoints, "results")):
        # A file without rows does not show its number of joints.
        if keypoints is None or (len(keypoints) and keypoints.shape[1] != joints):
            shape = None if keypoints is None else keypoints.shape
            raise ValueError(
                f"keypoints of the {what} must have shape (rows, {joints}, 3), one joint per "
                f"sigma. Received {shape}."
            )


def _score_fast(
    truth: GroundTruth, detections: Detections, kind: Kind, sigmas: Sequence[float] | np.ndarray
) -> Evaluation:
    if kind == "keypoints":
        return evaluate_oks_ap(truth, detections, sigmas=sigmas)
    return evaluate_box_ap(truth, detections)


def _score_pycocotools(
    truth: COCO, results: COCO, kind: Kind, sigmas: Sequence[float] | np.ndarray
) -> Evaluation:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, results, "keypoints" if kind == "keypoints" else "bbox")
        if kind == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    rules = KEYPOINT_RULES if kind == "keypoints" else BOX_RULES
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    names = summarise(precision, recall, rules)
    return Evaluation(
        stats=dict(zip(names, map(float, evaluation.stats), strict=True)),
        precision=precision,
        recall=recall,
        rules=rules,
        sigmas=tuple(map(float, sigmas)),
        evaluator="pycocotools",
        versions={"pycocotools": version("pycocotools"), "numpy": np.__version__},
    )


def _load_truth(dataset: Mapping[str, Any]) -> COCO:
    """The file as pycocotools holds it. Rows are copied, because it writes into them."""
    loaded = COCO()
    annotations = [{"iscrowd": 0, **row} for row in dataset["annotations"]]
    for row in annotations:
        if "num_keypoints" not in row and "keypoints" in row:
            row["num_keypoints"] = sum(flag > 0 for flag in row["keypoints"][2::3])
    loaded.dataset = {**dataset, "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        loaded.createIndex()
    return loaded


def _load_results(truth: COCO, results: Sequence[Mapping[str, Any]] | Detections) -> COCO:
    listed = _list_results(results) if isinstance(results, Detections) else results
    rows = [dict(row) for row in listed]
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = truth.loadRes(rows)
    if isinstance(results, Detections):
        for row, area in zip(rows, results.areas.tolist(), strict=True):
            row["area"] = area
    return loaded


def _list_truth(truth: GroundTruth, kind: Kind) -> dict[str, Any]:
    """Columns as a COCO annotation file.

    Raises:
        ValueError: rows are ignored that pycocotools would count, which it cannot be told.
    """
    if (truth.crowd & ~truth.ignore).any() or (
        kind == "boxes" and (truth.ignore != truth.crowd).any()
    ):
        raise ValueError(
            "pycocotools always ignores crowd rows, and no other rows in box metrics. Received "
            "other ignore flags; evaluator=fast takes them as they are."
        )
    rows = [
        {"id": i, "image_id": image, "category_id": c, "bbox": box, "area": area, "iscrowd": crowd}
        for i, image, c, box, area, crowd in zip(
            truth.ids.tolist(),
            truth.image_ids.tolist(),
            truth.category_ids.tolist(),
            truth.boxes_xywh.tolist(),
            truth.areas.tolist(),
            truth.crowd.astype(int).tolist(),
            strict=True,
        )
    ]
    if truth.keypoints is not None:
        for row, keypoints, ignore in zip(rows, truth.keypoints, truth.ignore, strict=True):
            row["keypoints"] = keypoints.reshape(-1).tolist()
            # Only whether it is 0 matters, and this is how a row is ignored there.
            row["num_keypoints"] = 0 if ignore else max(1, np.count_nonzero(keypoints[:, 2] > 0))
    return {
        "images": [{"id": image} for image in truth.images.tolist()],
        "categories": [{"id": category} for category in truth.categories.tolist()],
        "annotations": rows,
    }


def _list_results(detections: Detections) -> list[dict[str, Any]]:
    rows = [
        {"image_id": image, "category_id": category, "score": row_score}
        for image, category, row_score in zip(
            detections.image_ids.tolist(),
            detections.category_ids.tolist(),
            detections.scores.tolist(),
            strict=True,
        )
    ]
    if detections.boxes_xywh is not None:
        for row, box in zip(rows, detections.boxes_xywh.tolist(), strict=True):
            row["bbox"] = box
    if detections.keypoints is not None:
        points = detections.keypoints[:, :, :2]
        flagged = np.concatenate([points, np.ones_like(points[:, :, :1])], axis=2)
        for row, keypoints in zip(rows, flagged.reshape(len(rows), -1).tolist(), strict=True):
            row["keypoints"] = keypoints
    return rows


def _agree(reference: Evaluation, fast: Evaluation) -> Evaluation:
    """The reference's numbers, after seeing that the fast ones are the same."""
    differing = [
        f"{name} {one:.8f} against {other:.8f}"
        for (name, one), (_, other) in zip(_numbers(reference), _numbers(fast), strict=True)
        if abs(one - other) > TOLERANCE
    ]
    if differing:
        raise RuntimeError(
            f"Both evaluators must agree to {TOLERANCE:g}. pycocotools against fast: "
            f"{', '.join(differing)}. Score with evaluator=pycocotools and report the files."
        )
    return replace(reference, evaluator="both", versions={**reference.versions, **fast.versions})


def _numbers(evaluation: Evaluation) -> list[tuple[str, float]]:
    per_threshold = [
        (f"{kind} at {threshold:.2f}", value)
        for kind, values in (
            ("AP", evaluation.ap_per_threshold),
            ("AR", evaluation.ar_per_threshold),
        )
        for threshold, value in zip(evaluation.rules.thresholds, values, strict=True)
    ]
    return [*evaluation.stats.items(), *per_threshold]
