"""The people that a network learns from: several datasets, one skeleton."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..skeleton import Skeleton
from ..structures import PersonRecords
from .annotation import read_split
from .coco_format import OnBadSample
from .dataset import Dataset, load_dataset, replace_files
from .first_pictures import on_first_pictures
from .persons import BoxClipping, join_records, training_persons
from .space_by_file import attach_space_by_file

log = logging.getLogger("poseras")


def load_training_people(
    root: str | Path,
    trainset: Sequence[str],
    skeleton: Skeleton,
    *,
    box_clipping: BoxClipping = "published",
    on_bad_sample: OnBadSample = "stop",
) -> PersonRecords:
    """The people of the training splits of some datasets, one dataset after the other.

    Arguments and errors are those of `load_training_parts`.
    """
    return join_records(
        load_training_parts(
            root, trainset, skeleton, box_clipping=box_clipping, on_bad_sample=on_bad_sample
        )
    )


def load_training_parts(
    root: str | Path,
    trainset: Sequence[str],
    skeleton: Skeleton,
    *,
    split: str = "train",
    annotations: str = "",
    images: str = "",
    box_clipping: BoxClipping = "published",
    on_bad_sample: OnBadSample = "stop",
    root_box_mm: tuple[float, float] | None = None,
    min_seen_joints: int = 0,
    most_pictures: int = 0,
) -> list[PersonRecords]:
    """The people of the training splits of some datasets, in this order.

    Args:
        root: of the project.
        trainset: names of folders in data/.
        skeleton: of the network; the joints of every dataset are brought into its order by name.
        split: of the first dataset; the others give their `train`.
        annotations: a file instead of that split's own; relative paths start at the root.
        images: a folder instead of that split's own.
        box_clipping: how boxes are brought inside their images, as `persons.clip_boxes`.
        on_bad_sample: `stop` at a bad entry of an annotation file, or `skip` it and list it.
        root_box_mm: height and width of the box around the root that a network in 3D looks at;
            joints in space and cameras are then read, too. None reads neither.
        min_seen_joints: people with fewer joints in sight (visibility 2) are left out.
        most_pictures: of each data set, only people on the first so many pictures that have any;
            0 is all.

    Raises:
        FileNotFoundError: an annotation file is missing.
        ValueError: no person is left, nobody is known in space where that is asked for, or the
            datasets share no joint with the skeleton.
    """
    parts = []
    for place, name in enumerate(trainset):
        dataset = load_dataset(root, name)
        if not place:
            dataset = replace_files(dataset, split, *find_named_files(root, annotations, images))
        people = _read_people(
            dataset,
            "train" if place else split,
            skeleton,
            box_clipping=box_clipping,
            on_bad_sample=on_bad_sample,
            root_box_mm=root_box_mm,
        )
        seen = (people.keypoints[:, :, 2] == 2).sum(axis=1)
        people = people.take(np.flatnonzero(seen >= min_seen_joints))
        first = on_first_pictures(people.image_index, most_pictures)
        people = people.take(np.flatnonzero(first))
        parts.append(people)
        log.info("%s: %d people to train on.", name, len(people))
    if not any(map(len, parts)):
        raise ValueError(
            f"Training needs at least one person with keypoints. Received none in "
            f"{', '.join(trainset)}; look into the annotation file and what the log says was left "
            "out."
        )
    if root_box_mm and not any(part.space and part.space.located.any() for part in parts):
        raise ValueError(
            "A network in 3D needs people with joints_camera_mm and a camera. Received none in "
            f"{', '.join(trainset)}; data/README.md shows what their file holds."
        )
    return parts


def find_named_files(
    root: str | Path, annotations: str, images: str
) -> tuple[Path | None, Path | None]:
    """The paths that two settings name, from the root on; None for an empty one."""
    names = (annotations, images)
    file, folder = (Path(root) / Path(name).expanduser() if name else None for name in names)
    return file, folder


def _read_people(
    dataset: Dataset,
    split: str,
    skeleton: Skeleton,
    *,
    box_clipping: BoxClipping,
    on_bad_sample: OnBadSample,
    root_box_mm: tuple[float, float] | None,
) -> PersonRecords:
    """The people of all files of one split."""
    table = read_split(dataset, split, skeleton=skeleton, on_bad_sample=on_bad_sample)
    if not len(table) and table.more_sources:
        raise ValueError(
            f"Nobody is annotated in the {len(table.sources)} files of the split {split} of "
            f"{dataset.name}; look into what tool/human36m2coco.py left out."
        )
    people = training_persons(
        table, box_clipping=box_clipping, skip_unlabelled=dataset.skip_unlabelled
    )
    if root_box_mm is None:
        return people
    return attach_space_by_file(
        people, table, dataset, skeleton, box_mm=root_box_mm, on_bad_sample=on_bad_sample
    )
