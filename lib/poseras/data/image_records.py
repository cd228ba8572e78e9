"""Whole pictures with their people, for bottom-up systems: which ones, and who counts.

Source: the OffsetGuided code of SimplePose V2.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import numpy as np

from ..structures import ImageRecords, PersonRecords
from .annotation import AnnotationTable
from .ignored_regions import find_ignored_regions

logger = logging.getLogger("poseras")

#: px^2; nobody learns the keypoints of people whose annotated area is at most this, 32 squared.
SMALL_AREA = 1024.0


def training_pictures(
    table: AnnotationTable,
    *,
    small_area: float = SMALL_AREA,
    ignore_boxes: bool = False,
    most_pictures: int = 0,
) -> ImageRecords:
    """The pictures to learn from: those with a labelled keypoint of anybody.

    Crowds and people without keypoints are nobody; where the table has segmentations, their
    regions are ignored, and so are those of small people, who stay without labels.

    Args:
        table: with segmentations, if regions are to be ignored.
        small_area: px^2 of the annotation; at most this is small, but nobody for whom the file
            gives no area, however small the box. 0: nobody is.
        ignore_boxes: ignore the boxes of crowds and people without keypoints instead of their
            segmentations; CrowdPose has no others, and its published network learned them as
            background.
        most_pictures: only the first so many of these pictures; 0 is all.

    Raises:
        ValueError: no picture has a labelled keypoint.
    """
    labelled = (table.keypoints[..., 2] > 0).any(axis=1)
    chosen = np.unique(table.image_index[labelled])[: most_pictures or None]
    if not len(chosen):
        raise ValueError(
            f"Training needs pictures with labelled keypoints. {table.source} has none."
        )
    small = table.area_given & (table.areas <= small_area) & (small_area > 0)
    persons = ~table.iscrowd & (table.num_keypoints > 0)
    regions: tuple[bytes, ...] = ()
    if ignore_boxes or table.segmentations is not None:
        regions = _collect_regions(table, ~persons | small, ignore_boxes)
        regions = tuple(regions[image] for image in chosen)
    records = _group(table, chosen, persons)
    hidden = np.isin(records.people.annotation_ids, table.annotation_ids[small])
    records.people.keypoints[hidden, :, 2] = 0
    logger.info(
        "%s: %d pictures of %d with %d people.",
        table.source,
        len(records),
        len(table.images),
        len(records.people),
    )
    return ImageRecords(records.people, records.image_index, records.first_person, regions)


def require_pictures(table: AnnotationTable) -> None:
    """Refuse annotations whose pictures are somewhere else, before the first step needs one.

    Raises:
        FileNotFoundError: neither the first nor the middle nor the last picture is there.
    """
    paths = [Path(path) for path in table.images.paths]
    looked_at = [paths[len(paths) * part // 2] for part in (0, 1)] + paths[-1:] if paths else []
    if looked_at and not any(path.is_file() for path in looked_at):
        raise FileNotFoundError(
            f"The pictures of {table.source} are not in {looked_at[0].parent}; it lists "
            f"{looked_at[0].name}. Annotations and pictures must be of the same release and phase "
            "(train, validation, test): name the others, or link the pictures."
        )


def all_pictures(table: AnnotationTable) -> ImageRecords:
    """All pictures of a table, by image id, without people."""
    order = np.argsort(table.images.ids, kind="stable")
    return _group(table, order, np.zeros(len(table), bool))


def _collect_regions(
    table: AnnotationTable, ignored: np.ndarray, as_boxes: bool
) -> tuple[bytes, ...]:
    kinds = np.where(table.iscrowd, "crowd", np.where(ignored, "unlabelled", "person"))
    texts = table.segmentations or ()
    if as_boxes:
        texts = tuple(msgspec.json.encode({"box": box}) for box in table.boxes_xywh.tolist())
    return find_ignored_regions(kinds, table.image_index, texts, len(table.images))


def _group(table: AnnotationTable, chosen: np.ndarray, persons: np.ndarray) -> ImageRecords:
    """The people among the rows, picture after picture in the order of `chosen`."""
    place = np.full(len(table.images), -1)
    place[chosen] = np.arange(len(chosen))
    rows = np.flatnonzero(persons & (place[table.image_index] >= 0))
    rows = rows[np.argsort(place[table.image_index[rows]], kind="stable")]
    people = PersonRecords(
        images=table.images,
        image_index=table.image_index[rows],
        boxes_xywh=table.boxes_xywh[rows].astype(np.float32),
        keypoints=table.keypoints[rows].copy(),
        scores=np.ones(len(rows)),
        areas=table.areas[rows],
        annotation_ids=table.annotation_ids[rows],
    )
    first = np.searchsorted(place[people.image_index], np.arange(len(chosen) + 1))
    return ImageRecords(people, chosen.astype(np.int32), first)


def join_image_records(parts: list[ImageRecords], joined_people: PersonRecords) -> ImageRecords:
    """The pictures of several data sets, one after the other.

    Args:
        parts: the pictures of each.
        joined_people: their people, as `persons.join_records` joins them.
    """
    images = np.cumsum([0] + [len(part.images) for part in parts[:-1]])
    people = np.cumsum([0] + [len(part.people) for part in parts[:-1]])
    regions: tuple[bytes, ...] = ()
    if any(part.ignored_regions for part in parts):
        regions = sum((p.ignored_regions or (b"",) * len(p) for p in parts), ())
    shifted = [p.first_person[:-1] + first for p, first in zip(parts, people, strict=True)]
    return ImageRecords(
        people=joined_people,
        image_index=np.concatenate(
            [p.image_index + first for p, first in zip(parts, images, strict=True)]
        ).astype(np.int32),
        first_person=np.concatenate([*shifted, [len(joined_people)]]),
        ignored_regions=regions,
    )


def image_records_of(people: PersonRecords) -> ImageRecords:
    """All pictures of a table as rows, with the given people sorted onto them."""
    ordered = people.take(np.argsort(people.image_index, kind="stable"))
    count = len(people.images)
    return ImageRecords(
        people=ordered,
        image_index=np.arange(count, dtype=np.int32),
        first_person=np.searchsorted(ordered.image_index, np.arange(count + 1)),
    )
