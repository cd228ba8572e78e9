"""What a network learns from: people one by one, or whole pictures, by what its system asks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..skeleton import Skeleton
from ..structures import ImageRecords, PersonRecords
from .annotation import read_split
from .coco_format import OnBadSample
from .dataset import load_dataset, replace_files
from .image_records import SMALL_AREA, join_image_records, require_pictures, training_pictures
from .order import Mixture, mix
from .persons import join_records
from .training_set import find_named_files, load_training_parts

log = logging.getLogger("poseras")


def load_training_samples(
    root: str | Path,
    data: Any,
    skeleton: Skeleton,
    *,
    sample: str,
    seed: int,
    root_box_mm: tuple[float, float] | None = None,
) -> tuple[PersonRecords | ImageRecords, Mixture | None]:
    """The samples of the training splits of some data sets, and how the sets are mixed.

    Args:
        root: of the project.
        data: a record with the settings of data: `trainset`, `train_split`, `mixing`,
            `annotations`, `images`, `box_clipping`, `min_seen_joints`, `small_area`,
            `ignore_boxes`, `most_pictures` and `on_bad_sample`.
        skeleton: of the network.
        sample: `person` or `image`, what the system takes.
        seed: of the mixture.
        root_box_mm: as `training_set.load_training_parts`.

    Returns:
        The samples, and the order in which several sets follow each other, None for shuffling all
        of them together.

    Raises:
        FileNotFoundError: an annotation file is missing.
        ValueError: nothing is left to learn from, or whole pictures are to be mixed.
    """
    if sample == "image":
        if data.mixing != "joined":
            raise ValueError(
                f"Whole pictures are mixed by data.mixing=joined alone. Received {data.mixing}."
            )
        return load_training_pictures(
            root,
            data.trainset,
            skeleton,
            split=data.train_split,
            annotations=data.annotations,
            images=data.images,
            small_area=data.small_area,
            ignore_boxes=data.ignore_boxes,
            most_pictures=data.most_pictures,
            on_bad_sample=data.on_bad_sample,
        ), None
    parts = load_training_parts(
        root,
        data.trainset,
        skeleton,
        split=data.train_split,
        annotations=data.annotations,
        images=data.images,
        box_clipping=data.box_clipping,
        on_bad_sample=data.on_bad_sample,
        root_box_mm=root_box_mm,
        min_seen_joints=data.min_seen_joints,
        most_pictures=data.most_pictures,
    )
    return join_records(parts), mix(parts, seed, data.mixing)


def load_training_pictures(
    root: str | Path,
    trainset: Sequence[str],
    skeleton: Skeleton,
    *,
    split: str = "train",
    annotations: str = "",
    images: str = "",
    small_area: float = SMALL_AREA,
    ignore_boxes: bool = False,
    most_pictures: int = 0,
    on_bad_sample: OnBadSample = "stop",
) -> ImageRecords:
    """The pictures of the training splits of some data sets, one data set after the other.

    Args:
        root: of the project.
        trainset: names of folders in data/.
        skeleton: of the network; the joints of every data set are brought into its order by name.
        split: of the first data set; the others give their `train`.
        annotations: a file instead of that split's own; relative paths start at the root.
        images: a folder instead of that split's own.
        small_area: as `image_records.training_pictures`, as are the next two.
        ignore_boxes: see there.
        most_pictures: see there; of each data set.
        on_bad_sample: `stop` at a bad entry of an annotation file, or `skip` it and list it.

    Raises:
        FileNotFoundError: an annotation file is missing.
        ValueError: a data set has no labelled keypoints, or shares no joint with the skeleton.
    """
    parts = []
    for place, name in enumerate(trainset):
        dataset = load_dataset(root, name)
        if not place:
            dataset = replace_files(dataset, split, *find_named_files(root, annotations, images))
        table = read_split(
            dataset,
            "train" if place else split,
            skeleton=skeleton,
            on_bad_sample=on_bad_sample,
            segmentations=True,
        )
        require_pictures(table)
        parts.append(
            training_pictures(
                table,
                small_area=small_area,
                ignore_boxes=ignore_boxes,
                most_pictures=most_pictures,
            )
        )
        log.info("%s: %d pictures to train on.", name, len(parts[-1]))
    if len(parts) == 1:
        return parts[0]
    return join_image_records(parts, join_records([part.people for part in parts]))
