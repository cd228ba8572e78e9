"""Annotations of one split that stand in several files, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .image_table import join_images, mark_doubled

if TYPE_CHECKING:
    from .annotation import AnnotationTable


def join_tables(tables: Sequence[AnnotationTable]) -> AnnotationTable:
    """The annotations of several files of one dataset, in this order, named after the first file.

    The ids of pictures and annotations must differ between the files as they do within one, because
    predictions, results and scores know people and pictures by them. Segmentations stay where all
    files were read with them.

    Args:
        tables: at least one, of the same skeleton.

    Raises:
        ValueError: an image or annotation id stands in two of the files.
    """
    if len(tables) == 1:
        return tables[0]
    images = [table.images for table in tables]
    _refuse_doubled("image", [part.ids for part in images], tables)
    _refuse_doubled("annotation", [table.annotation_ids for table in tables], tables)
    first_images = np.cumsum([0] + [len(part) for part in images])[:-1]
    moved = [
        replace(table, image_index=(table.image_index + first).astype(np.int32))
        for table, first in zip(tables, first_images, strict=True)
    ]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in moved]) for name in moved[0].columns
    }
    outlines = [table.segmentations for table in tables if table.segmentations is not None]
    return replace(
        tables[0],
        images=join_images(images),
        more_sources=tuple(table.source for table in tables[1:]),
        first_images=tuple(first_images.tolist()),
        skipped=tuple(line for table in tables for line in table.skipped),
        segmentations=tuple(chain(*outlines)) if len(outlines) == len(tables) else None,
        **columns,
    )


def _refuse_doubled(
    kind: str, ids_of_file: Sequence[np.ndarray], tables: Sequence[AnnotationTable]
) -> None:
    ids = np.concatenate(ids_of_file)
    doubled = mark_doubled(ids)
    if not doubled.any():
        return
    number = ids[np.argmax(doubled)]
    both: list[Path] = [
        table.source for table, own in zip(tables, ids_of_file, strict=True) if number in own
    ]
    raise ValueError(
        f"Each {kind} id must stand in one file of a split alone. Received {number} in "
        f"{' and '.join(map(str, both))}; number one of them anew, or make it a data set of its "
        "own (data.trainset is a list)."
    )
