"""Checks of what a file lists: ids, names of pictures and keypoints, categories."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..coco_format import BadSamples, ImageEntry, canonical_names
from ..dataset import Dataset
from ..image_table import mark_doubled, tabulate_images
from .columns import SplitColumns
from .findings import Findings

_SIDES = ("left", "right")
#: A joint that nobody has labelled says something where there are this many labelled people.
_MANY_PEOPLE = 50


def check_images(columns: SplitColumns, findings: Findings) -> None:
    """Ids, names and sizes of the listed pictures."""
    ids = columns.image_ids
    findings.add_images(
        "image-id-doubled", mark_doubled(ids), columns, lambda row: "has an id that stood before"
    )
    _check_names(columns, findings)
    findings.add_images(
        "image-size-unknown",
        np.asarray((columns.sizes_hw <= 0).any(axis=1)),
        columns,
        lambda row: "has no width or no height",
    )


def _check_names(columns: SplitColumns, findings: Findings) -> None:
    outside = mark_outside(columns)
    findings.add_images(
        "image-outside-folder", outside, columns, lambda row: f"leaves {columns.folder}"
    )
    first: dict[str, int] = {}
    again = np.zeros(len(columns.image_ids), bool)
    for row, (name, number) in enumerate(
        zip(columns.file_names, columns.image_ids.tolist(), strict=True)
    ):
        again[row] = first.setdefault(name, number) != number
    findings.add_images(
        "image-listed-twice",
        again,
        columns,
        lambda row: f"is also image {first[columns.file_names[row]]}",
    )


def mark_outside(columns: SplitColumns) -> np.ndarray:
    """(images,) bool: True where a file name is empty or leads out of the folder."""
    entries = [ImageEntry(id=row, file_name=name) for row, name in enumerate(columns.file_names)]
    inside = tabulate_images(entries, columns.folder, BadSamples(columns.path, "skip"))
    outside = np.ones(len(entries), bool)
    outside[inside.ids] = False
    return outside


def check_ids(columns: SplitColumns, findings: Findings, evaluation: str) -> None:
    """Ids of the annotations, and the pictures they stand on."""
    doubled = mark_doubled(columns.ids)
    findings.add_people(
        "annotation-id-doubled", doubled, columns, lambda row: "has an id that stood before"
    )
    if evaluation in ("coco", "crowdpose"):
        zero = (columns.ids == 0) & ~doubled
        findings.add_people(
            "annotation-id-zero", zero, columns, lambda row: "is never counted as found"
        )
    findings.add_people(
        "annotation-without-image",
        columns.image_index < 0,
        columns,
        lambda row: "has no such picture in the file",
    )


def check_categories(columns: SplitColumns, findings: Findings) -> None:
    """Whether annotations are of listed categories, and which of those have keypoints."""
    if not columns.categories:
        return
    listed = np.array([category.id for category in columns.categories], np.int64)
    given = columns.category_ids >= 0
    unknown = given & ~np.isin(columns.category_ids, listed)
    findings.add_people(
        "category-unknown",
        unknown,
        columns,
        lambda row: f"has category_id {columns.category_ids[row]}, which is not listed",
    )
    described = [category for category in columns.categories if category.keypoints]
    if not described:
        return
    counts = Counter(columns.category_ids[given & ~unknown].tolist())
    used = [category.name for category in described if counts[category.id]]
    if len(used) > 1:
        findings.add("category-mixed", f"people are of the categories {', '.join(used)}.")
    bare = [category for category in columns.categories if not category.keypoints]
    others = {category.name: n for category in bare if (n := counts[category.id])}
    if others:
        words = ", ".join(f"{n} of {name}" for name, n in others.items())
        findings.add("category-without-keypoints", f"annotations without keypoints: {words}.")


def check_keypoint_names(columns: SplitColumns, findings: Findings, dataset: Dataset) -> None:
    """Whether the file names the keypoints of the data set, and each annotation has as many."""
    known = {name for skeleton in dataset.skeletons.values() for name in skeleton.keypoints}
    described = [category for category in columns.categories if category.keypoints]
    for category in described:
        names = canonical_names(category, dataset.aliases)
        where = f"category {category.name!r}"
        strange = [name for name in names if name not in known]
        doubled = sorted(name for name, count in Counter(names).items() if count > 1)
        if strange:
            findings.add("keypoint-names", f"{where} names {', '.join(strange)}.")
        if doubled:
            findings.add("keypoint-names", f"{where} names {', '.join(doubled)} twice.")
        if names != columns.names:
            findings.add("keypoint-names", f"{where} names other keypoints than the first one.")
    findings.add_people(
        "keypoint-count",
        ~columns.complete & _of_people(columns, [category.id for category in described]),
        columns,
        lambda row: (
            f"has {columns.keypoint_lengths[row]} keypoint values, the file names "
            f"{3 * len(columns.names)} (x, y, v of {len(columns.names)} joints)"
        ),
    )


def _of_people(columns: SplitColumns, categories: list[int]) -> np.ndarray:
    """(people,) bool: False for rows of the categories without keypoints."""
    if not categories:
        return np.ones(len(columns), bool)
    return (columns.category_ids < 0) | np.isin(columns.category_ids, categories)


def check_joints(columns: SplitColumns, findings: Findings) -> None:
    """Joints that nobody has, and left and right in the flip pairs of those that somebody has."""
    labelled = columns.labelled
    people = int(labelled.any(axis=1).sum())
    seen: list[bool] = np.asarray(labelled.any(axis=0)).tolist()
    if people >= _MANY_PEOPLE and not all(seen):
        never = [name for name, any_ in zip(columns.names, seen, strict=True) if not any_]
        line = f"{', '.join(never)}: labelled on none of {people} people."
        findings.add("joint-never-labelled", line)
    used = {name for name, any_ in zip(columns.names, seen, strict=True) if any_}
    keypoints = columns.skeleton.keypoints
    partner = {
        keypoints[a]: keypoints[b]
        for pair in columns.skeleton.flip_pairs
        for a, b in (pair, pair[::-1])
    }
    for name in (name for name in keypoints if name in used):
        expected = mirrored_name(name)
        wanted = expected if expected in keypoints else None
        if partner.get(name) != wanted and (wanted or mirrored_name(partner.get(name, ""))):
            line = f"{name} is paired with {partner.get(name, 'nothing')}, not {wanted}."
            findings.add("flip-pairs", line)


def mirrored_name(name: str) -> str:
    """`left_hip` for `right_hip` and the reverse; "" for a name without a side."""
    side, _, rest = name.partition("_")
    if side not in _SIDES or not rest:
        return ""
    return f"{_SIDES[1 - _SIDES.index(side)]}_{rest}"
