"""Checks of a file of detected person boxes against the splits that name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..coco_format import BadSamples, decode_boxes, gather, gather_lists, pause_collector
from ..persons import PERSON_CATEGORY
from .columns import SplitColumns, find_rows
from .findings import Findings
from .people import describe_other_format

#: A split of which fewer pictures with people than this have a detection was detected in part.
_DETECTED_SHARE = 0.5
#: Ids that a line names.
_NAMED = 3


@dataclass(frozen=True)
class Detections:
    """Detected boxes, one row each.

    Attributes:
        path: of the file.
        image_ids: (rows,) int64.
        category_ids: (rows,) int64.
        boxes_xywh: (rows, 4) float64 pixels.
        scores: (rows,) float64.
    """

    path: Path
    image_ids: np.ndarray
    category_ids: np.ndarray
    boxes_xywh: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.image_ids)

    def find_images(self, image_ids: np.ndarray) -> np.ndarray:
        """(rows,) int64: where each box's picture stands among some ids, -1 where it does not."""
        return find_rows(image_ids, self.image_ids)


def read_detections(path: Path) -> tuple[Detections, list[str]]:
    """Read a file; and one line for each entry that is malformed.

    Raises:
        ValueError: it is not JSON, or not in COCO's result format.
    """
    bad = BadSamples(path, "skip")
    with pause_collector():
        rows = decode_boxes(path.read_bytes(), bad)
        detections = Detections(
            path=path,
            image_ids=gather(rows, "image_id", np.int64),
            category_ids=gather(rows, "category_id", np.int64),
            boxes_xywh=gather_lists(rows, "bbox", 4, np.float64),
            scores=gather(rows, "score", np.float64),
        )
    return detections, bad.lines


def check_detections(
    detections: Detections,
    splits: Mapping[str, SplitColumns],
    findings: Findings,
    *,
    all_splits_are_here: bool,
) -> None:
    """What is wrong with the boxes, and whether their pictures are those of the data set.

    Args:
        detections: of one file.
        splits: those that name the file.
        findings: of the file; its split is "".
        all_splits_are_here: False where a split that names the file has no annotation file, whose
            pictures some boxes may then belong to.
    """
    boxes, scores = detections.boxes_xywh, detections.scores
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    malformed = ~finite | (boxes[:, 2:] <= 0).any(axis=1) | (scores < 0) | (scores > 1)
    for row in np.flatnonzero(malformed).tolist():
        findings.add(
            "detection-malformed",
            f"detection at position {row} on image {detections.image_ids[row]} has the box "
            f"{boxes[row].tolist()} and the score {scores[row]:g}.",
        )
    others = int((detections.category_ids != PERSON_CATEGORY).sum())
    if others:
        findings.add(
            "detection-category", f"{others} of {len(detections)} are of other categories."
        )
    sizes_wh = _find_sizes(detections, splits)
    format_line = describe_other_format(boxes, sizes_wh)
    if format_line:
        findings.add("box-format", format_line)
    else:
        _check_places(detections, sizes_wh, ~malformed, findings)
    _check_matches(detections, splits, findings, all_splits_are_here)


def _find_sizes(detections: Detections, splits: Mapping[str, SplitColumns]) -> np.ndarray:
    """(rows, 2) width and height of each box's picture, NaN where unknown."""
    sizes = np.full((len(detections), 2), np.nan)
    for columns in splits.values():
        rows = detections.find_images(columns.image_ids)
        found = rows >= 0
        sizes[found] = columns.sizes_hw[rows[found], ::-1]
    sizes[(sizes <= 0).any(axis=1)] = np.nan
    return sizes


def _check_places(
    detections: Detections, sizes_wh: np.ndarray, usable: np.ndarray, findings: Findings
) -> None:
    low = detections.boxes_xywh[:, :2]
    outside = (low >= sizes_wh) | (low + detections.boxes_xywh[:, 2:] <= 0)
    for row in np.flatnonzero(outside.any(axis=1) & usable).tolist():
        findings.add(
            "detection-outside",
            f"detection at position {row} on image {detections.image_ids[row]} has the box "
            f"{detections.boxes_xywh[row].tolist()}, its picture is "
            f"{sizes_wh[row, 0]:.0f} x {sizes_wh[row, 1]:.0f}.",
        )


def _check_matches(
    detections: Detections,
    splits: Mapping[str, SplitColumns],
    findings: Findings,
    all_splits_are_here: bool,
) -> None:
    known = [columns.image_ids for columns in splits.values()]
    lost = ~np.isin(detections.image_ids, np.concatenate(known)) if known else np.zeros(0, bool)
    if lost.any() and (all_splits_are_here or lost.all()):
        images = np.unique(detections.image_ids[lost])
        findings.add(
            "detection-without-image",
            f"{lost.sum()} of {len(detections)} boxes lie on {len(images)} pictures that are in "
            f"none of {', '.join(splits)}: image_id {', '.join(map(str, images[:_NAMED]))}"
            f"{', ...' if len(images) > _NAMED else ''}.",
        )
    for name, columns in splits.items():
        people = np.unique(columns.row_image_ids[columns.labelled.any(axis=1)])
        detected = np.isin(people, detections.image_ids)
        # A file without any box of a split is made for another one: usual for training splits.
        if detected.any() and detected.mean() < _DETECTED_SHARE:
            findings.add(
                "pictures-undetected",
                f"{name}: {(~detected).sum()} of {len(people)} pictures with people.",
            )
