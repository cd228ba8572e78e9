"""What several annotation files know of their people in space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..skeleton import Skeleton
from ..structures import PersonRecords
from .annotation import AnnotationTable
from .coco_format import OnBadSample
from .dataset import Dataset
from .persons import join_records
from .space import attach_space


def attach_space_by_file(
    records: PersonRecords,
    table: AnnotationTable,
    dataset: Dataset,
    skeleton: Skeleton,
    *,
    box_mm: tuple[float, float],
    on_bad_sample: OnBadSample = "stop",
) -> PersonRecords:
    """Add to the people of a table what the file of each knows of them in space.

    Args:
        records: people of the table, on its pictures.
        table: of one file, or joined of several.
        dataset: as `space.attach_space`, as are the next three.
        skeleton: see there.
        box_mm: see there.
        on_bad_sample: see there.

    Returns:
        The people file by file, those of one file in their order.

    Raises:
        ValueError: as `space.attach_space`.
    """
    file_of_person = np.searchsorted(table.first_images, records.image_index, side="right") - 1
    parts = [
        attach_space(
            records.take(np.flatnonzero(file_of_person == number)),
            table.sources[number],
            dataset,
            skeleton,
            box_mm=box_mm,
            on_bad_sample=on_bad_sample,
        )
        for number in np.unique(file_of_person).tolist() or [0]  # nobody, as the first file has it
    ]
    if len(parts) == 1:
        return parts[0]
    image_index = np.concatenate([part.image_index for part in parts])
    return replace(join_records(parts), images=records.images, image_index=image_index)
