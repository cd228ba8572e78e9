"""The people to train or to test on: which annotations or detections count, with which box.

The rules are those of the published top-down code, which published AP depends on; where an option
is better, it stands beside them.

Source: TF-SimpleHumanPose's loaders; Simple Baselines, Xiao et al., ECCV 2018.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np

from ..structures import PersonRecords, SpaceColumns
from .annotation import AnnotationTable
from .coco_format import (
    BadSamples,
    BoxEntry,
    OnBadSample,
    decode_boxes,
    gather,
    gather_lists,
    pause_collector,
)
from .image_table import find_images, join_images

logger = logging.getLogger("poseras")

BoxClipping = Literal["published", "exact"]

#: Of COCO's categories, and of every dataset here.
PERSON_CATEGORY = 1


def training_persons(
    table: AnnotationTable,
    *,
    box_clipping: BoxClipping = "published",
    skip_unlabelled: bool = True,
) -> PersonRecords:
    """The annotated people that a network can learn from, in the order of the file.

    No crowds, nobody without keypoints, no area of 0, no box outside its image.

    Args:
        table: annotations of a training split.
        box_clipping: as `clip_boxes`.
        skip_unlabelled: also leave out people whose visibilities are all 0, as COCO's loader does;
            those of MPII and PoseTrack trust `num_keypoints`.

    Returns:
        Records with a score of 1. A box may have no width or no height, but not neither.

    Raises:
        ValueError: the file has no annotations, or does not say how large an image is.
    """
    _require_annotations(table)
    sizes_hw = table.images.sizes_hw[table.image_index]
    unsized = (sizes_hw <= 0).any(axis=1)
    if unsized.any():
        image_id = table.images.ids[table.image_index[np.argmax(unsized)]]
        raise ValueError(
            f"{table.source} must give the width and height of every image, because boxes are cut "
            f"at its border. Image {image_id} has none."
        )
    boxes, inside = clip_boxes(table.boxes_xywh, sizes_hw, box_clipping)
    left_out = {
        "crowds": table.iscrowd,
        "without keypoints": table.num_keypoints == 0,
        "unlabelled": np.logical_and(skip_unlabelled, ~table.keypoints[..., 2].any(axis=1)),
        "without area": table.areas <= 0,
        "outside the image": ~inside,
        "with an empty box": (boxes[:, 2:] <= 0).all(axis=1),
    }
    return _collect(table, boxes, left_out)


def annotated_persons(table: AnnotationTable) -> PersonRecords:
    """Every annotated person of a test split, by image id, as if a detector had found them all.

    Nothing is filtered but boxes without any area: crowds and people without keypoints are among
    the records, boxes are as annotated.

    Raises:
        ValueError: the file has no annotations.
    """
    _require_annotations(table)
    empty = np.any(table.boxes_xywh[:, 2:] <= 0, axis=1)
    return sort_by_image(_collect(table, table.boxes_xywh, {"with an empty box": empty}))


def sort_by_image(records: PersonRecords) -> PersonRecords:
    """The records by ascending image id; people of one image keep their order."""
    return records.take(np.argsort(records.image_ids, kind="stable"))


def detected_persons(
    table: AnnotationTable,
    detections: str | Path,
    *,
    score_threshold: float = 0.0,
    on_bad_sample: OnBadSample = "stop",
) -> PersonRecords:
    """The people that a detector found on the pictures of a split.

    Args:
        table: annotations or image info, whose pictures count.
        detections: boxes in COCO result format; other categories than 1 are passed over.
        score_threshold: boxes count whose score is above it.
        on_bad_sample: `stop` at a bad entry, or `skip` it, count it and list it.

    Returns:
        Records without keypoints, by descending (image id, score). None where the list is empty or
        no score is high enough: the detector found nobody, which the log says.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not in COCO result format, or not one of its boxes is of a person on
            these pictures, whatever their scores.
    """
    path = Path(detections)
    bad = BadSamples(path, on_bad_sample)
    with pause_collector():
        entries = decode_boxes(_read_detections(path), bad)
        boxes, scores, categories, image_ids = _tabulate_boxes(entries)
    infinite = ~(np.isfinite(boxes).all(axis=1) & np.isfinite(scores))
    bad.add_where(infinite, lambda row: f"detection at position {row} holds NaN.")
    bad.log()
    image_index = find_images(table.images, image_ids)
    unfit = {
        "malformed": infinite,
        "on other images": image_index < 0,
        f"of another category than {PERSON_CATEGORY}": categories != PERSON_CATEGORY,
        "with an empty box": np.any(boxes[:, 2:] <= 0, axis=1),
    }
    unsure = {f"with a score of {score_threshold:g} or less": scores <= score_threshold}
    rows, account = _count_left_out({**unfit, **unsure})
    if (entries or bad.lines) and not len(_count_left_out(unfit)[0]):
        raise ValueError(
            f"0 of {len(entries)} boxes of {path} match the {len(table.images)} images of "
            f"{table.source}: {account}. Both must be of the same split; --set "
            "test.detections=FILE and test.annotations=FILE choose them."
        )
    _log_account(path, "boxes", len(rows), len(entries), account)
    if not len(rows):
        logger.warning("%s has no box that counts: nobody is looked for on any picture.", path)
    rows = rows[np.lexsort((-scores[rows], -image_ids[rows]))]
    return _detection_records(table, image_index[rows], boxes[rows], scores[rows])


def join_records(parts: Sequence[PersonRecords]) -> PersonRecords:
    """The people of several datasets, one after the other; joints must already be the same."""
    images = [part.images for part in parts]
    first_rows = np.cumsum([0] + [len(table) for table in images[:-1]])

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return PersonRecords(
        images=join_images(images),
        image_index=np.concatenate(
            [part.image_index + first for part, first in zip(parts, first_rows, strict=True)]
        ).astype(np.int32),
        boxes_xywh=column("boxes_xywh"),
        keypoints=column("keypoints"),
        scores=column("scores"),
        areas=column("areas"),
        annotation_ids=column("annotation_ids"),
        space=_join_spaces(parts),
    )


def _join_spaces(parts: Sequence[PersonRecords]) -> SpaceColumns | None:
    """What is known of everybody in space; None where no part was asked."""
    if all(part.space is None for part in parts):
        return None
    spaces = [
        part.space or SpaceColumns.unknown(len(part), part.keypoints.shape[1]) for part in parts
    ]
    return SpaceColumns(
        **{
            column.name: np.concatenate([getattr(space, column.name) for space in spaces])
            for column in fields(SpaceColumns)
        }
    )


def clip_boxes(
    boxes_xywh: np.ndarray, sizes_hw: np.ndarray, rule: BoxClipping = "published"
) -> tuple[np.ndarray, np.ndarray]:
    """Bring annotated boxes inside their images.

    Args:
        boxes_xywh: (people, 4) pixels.
        sizes_hw: (people, 2) height and width of each person's image.
        rule: `published` (kept: every published AP was trained so) makes a box one pixel
            smaller, and shifts one that begins left of or above the image instead of cutting it;
            `exact` cuts boxes at the border.

    Returns:
        (people, 4) float64 boxes and (people,) bool, False where nothing lies inside the image.

    Source: TF-SimpleHumanPose's loaders, after Microsoft's PyTorch code.
    """
    low, size = np.asarray(boxes_xywh, np.float64)[:, :2], boxes_xywh[:, 2:]
    limit = np.asarray(sizes_hw)[:, ::-1]  # (people, 2), width before height
    start = np.maximum(0.0, low)
    if rule == "published":
        end = np.minimum(limit - 1, start + np.maximum(0.0, size - 1))
        inside = (end >= start).all(axis=1)
    else:
        end = np.minimum(limit, low + size)
        inside = (end > start).all(axis=1)
    return np.concatenate([start, end - start], axis=1), inside


def _require_annotations(table: AnnotationTable) -> None:
    if not len(table):
        raise ValueError(
            f"{table.source} holds no annotations (COCO's test splits have none): test on "
            "detections with --set test.use_gt_box=false, or choose another split."
        )


def _collect(
    table: AnnotationTable, boxes: np.ndarray, left_out: dict[str, np.ndarray]
) -> PersonRecords:
    rows, account = _count_left_out(left_out)
    _log_account(table.source, "annotations", len(rows), len(table), account)
    return PersonRecords(
        images=table.images,
        image_index=table.image_index[rows],
        boxes_xywh=boxes[rows].astype(np.float32),
        keypoints=table.keypoints[rows],
        scores=np.ones(len(rows)),
        areas=table.areas[rows],
        annotation_ids=table.annotation_ids[rows],
    )


def _count_left_out(left_out: dict[str, np.ndarray]) -> tuple[np.ndarray, str]:
    """The rows that no reason leaves out, and how many each reason did, the first one counting."""
    kept = np.ones(len(next(iter(left_out.values()))), bool)
    counts = []
    for reason, wrong in left_out.items():
        count = int((wrong & kept).sum())
        if count:
            counts.append(f"{count} {reason}")
        kept &= ~wrong
    return np.flatnonzero(kept), ", ".join(counts)


def _log_account(source: Path, word: str, kept: int, total: int, account: str) -> None:
    left = f"; left out: {account}" if account else ""
    logger.info("%s: %d people of %d %s%s.", source, kept, total, word, left)


def _read_detections(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(
            f"No person boxes at {path}. Top-down testing reads them in COCO result format; "
            "--set test.use_gt_box=true tests on annotated boxes."
        )
    return path.read_bytes()


def _tabulate_boxes(
    entries: Sequence[BoxEntry],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Boxes (entries, 4), scores, category ids and image ids (entries,)."""
    return (
        gather_lists(entries, "bbox", 4, np.float64),
        gather(entries, "score", np.float64),
        gather(entries, "category_id", np.int64),
        gather(entries, "image_id", np.int64),
    )


def _detection_records(
    table: AnnotationTable, image_index: np.ndarray, boxes: np.ndarray, scores: np.ndarray
) -> PersonRecords:
    people = len(scores)
    return PersonRecords(
        images=table.images,
        image_index=image_index,
        boxes_xywh=boxes.astype(np.float32),
        keypoints=np.zeros((people, table.skeleton.joint_count, 3), np.float32),
        scores=scores,
        areas=np.zeros(people),
        annotation_ids=np.full(people, -1, np.int64),
    )
