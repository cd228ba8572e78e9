"""What can be mended without guessing, on the raw content of an annotation file.

Nothing that could be used is lost: entries are left out where nothing can be done with them (an
annotation without its picture, the same entry twice), fields where the format has a rule for their
absence (the area of the box stands in for a missing area), keypoints where they are no numbers.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .columns import SplitColumns
from .people import uncounted_joints

Entry = dict[str, Any]
Sizes = Mapping[Path, tuple[int, int]]


def mend(columns: SplitColumns, sizes_hw: Sizes, evaluation: str) -> tuple[Entry, dict[str, int]]:
    """The content of a split's annotation file, mended.

    Args:
        columns: of the file as it is.
        sizes_hw: of the pictures that were read, by path.
        evaluation: protocol of the data set, by which counts and ids of 0 are judged.

    Returns:
        The content, to be written to a new file (a NaN that is left turns to null there), and how
        often each thing was done, in words; nothing that was not.
    """
    content = json.loads(columns.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    images, people = content["images"], content.get("annotations", [])
    done: dict[str, int] = {}

    def account(words: str, count: int) -> None:
        if count:
            done[words] = count

    content["images"], count = _leave_out_repeated(images)
    account("pictures that stood twice, word for word, left out once", count)
    account("sizes of pictures read from the files", _fill_sizes(images, columns, sizes_hw))
    listed = set(columns.image_ids.tolist())
    kept = [person for person in people if _number(person, "image_id", listed) in listed]
    account("annotations without their picture left out", len(people) - len(kept))
    kept, count = _leave_out_repeated(kept)
    account("annotations that stood twice, word for word, left out once", count)
    people[:] = kept
    zero_counts = evaluation not in ("coco", "crowdpose")
    account("annotations given a new id", _renumber(people, zero_counts=zero_counts))
    account("keypoints with NaN or infinity marked unlabelled", _each(people, _clear_keypoints))
    account("areas that are no positive number taken out", _each(people, _drop_area))
    counted = np.array([name not in uncounted_joints(evaluation) for name in columns.names])
    account("num_keypoints counted again", _each(people, lambda p: _recount(p, counted)))
    return content, done


def _number(entry: Any, field: str, known: set[int]) -> Any:
    """A field of an entry; of one that is malformed, which stays as it is, something known."""
    value = entry.get(field) if isinstance(entry, dict) else None
    return value if _is_number(value) else next(iter(known), None)


def _leave_out_repeated(entries: list[Any]) -> tuple[list[Any], int]:
    """The entries without later ones that equal an earlier one of the same id."""
    first: dict[Any, list[Any]] = {}
    kept = []
    for entry in entries:
        name = entry.get("id") if isinstance(entry, dict) else None
        earlier = first.setdefault(name if isinstance(name, int) else None, [])
        if name is not None and entry in earlier:
            continue
        earlier.append(entry)
        kept.append(entry)
    return kept, len(entries) - len(kept)


def _fill_sizes(images: list[Any], columns: SplitColumns, sizes_hw: Sizes) -> int:
    count = 0
    for image in images:
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
            continue
        real = sizes_hw.get(columns.folder / image["file_name"])
        if real and not (image.get("width") and image.get("height")):
            image["height"], image["width"] = real
            count += 1
    return count


def _renumber(people: list[Any], *, zero_counts: bool) -> int:
    """Give annotations whose id stood before, or is 0, ids that nobody has."""
    entries = [p for p in people if isinstance(p, dict) and _is_number(p.get("id"))]
    used = {entry["id"] for entry in entries}
    free = (number for number in itertools.count(1) if number not in used)
    taken: set[int] = set() if zero_counts else {0}
    count = 0
    for entry in entries:
        if entry["id"] in taken:
            entry["id"] = next(free)
            count += 1
        taken.add(entry["id"])
    return count


def _each(people: list[Any], mend_one: Callable[[Entry], int]) -> int:
    return sum(mend_one(person) for person in people if isinstance(person, dict))


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold; NaN and infinity are none."""
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _clear_keypoints(person: Entry) -> int:
    """Mark keypoints unlabelled of which a number is not finite."""
    values = person.get("keypoints")
    if not isinstance(values, list) or len(values) % 3:
        return 0
    count = 0
    for start in range(0, len(values), 3):
        triple = values[start : start + 3]
        numbers = all(isinstance(value, int | float) for value in triple)
        if numbers and not all(map(_is_number, triple)):
            values[start : start + 3] = [0, 0, 0]
            count += 1
    return count


def _drop_area(person: Entry) -> int:
    """Take out an area that is no positive number, where the box has one."""
    area, box = person.get("area"), person.get("bbox")
    if not isinstance(area, int | float) or (_is_number(area) and area > 0):
        return 0
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return 0
    if min(box[2:]) <= 0:
        return 0
    del person["area"]
    return 1


def _recount(person: Entry, counted: np.ndarray) -> int:
    values, given = person.get("keypoints"), person.get("num_keypoints")
    if not _is_number(given) or not isinstance(values, list) or len(values) != 3 * len(counted):
        return 0
    if not all(map(_is_number, values)):
        return 0
    marked = np.array(values[2::3], float) > 0
    if given in (marked.sum(), marked[counted].sum()):
        return 0
    person["num_keypoints"] = int(marked[counted].sum())
    return 1
