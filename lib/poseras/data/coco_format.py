"""JSON in COCO format as typed entries, read fast, and read again where an entry is wrong.

msgspec decodes the wanted fields alone and checks their types on the way; segmentations, four
fifths of such a file, never become objects. A file that it rejects is read a second time by
Python's parser, which is slower but knows NaN and lets each bad entry be named.

Source: Microsoft COCO: Common Objects in Context, Lin et al., ECCV 2014.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np

logger = logging.getLogger("poseras")

OnBadSample = Literal["stop", "skip"]
Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Box = tuple[float, float, float, float]

#: The log shows this many skipped entries of one file; the rest is counted.
LISTED = 20


class ImageEntry(msgspec.Struct, gc=False):
    """One picture; width and height in pixels, 0 if unknown."""

    id: Id
    file_name: str
    width: Count = 0
    height: Count = 0


class PersonEntry(msgspec.Struct, gc=False):
    """One annotated person; `bbox` is left, top, width, height, `keypoints` x, y, v per joint."""

    id: Id
    image_id: Id
    bbox: Box
    keypoints: list[int | float]
    category_id: Id | None = None
    num_keypoints: Count | None = None
    area: float | None = None
    iscrowd: Count = 0


class MaskedPersonEntry(PersonEntry, gc=False):
    """One annotated person with the text of its segmentation."""

    segmentation: msgspec.Raw = msgspec.Raw(b"[]")


Person = TypeVar("Person", bound=PersonEntry)


class CategoryEntry(msgspec.Struct):
    """One category; those of people name their keypoints."""

    id: Id
    name: str = ""
    keypoints: list[str] | None = None


def canonical_names(category: CategoryEntry, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The keypoint names of a category, in the data set's spelling."""
    return tuple(aliases.get(name, name) for name in category.keypoints or ())


class BoxEntry(msgspec.Struct, gc=False):
    """One detection."""

    image_id: Id
    category_id: Id
    bbox: Box
    score: float


class CocoFile(msgspec.Struct, Generic[Person]):
    """An annotation file; an image-info file has no annotations."""

    images: list[ImageEntry]
    annotations: list[Person] = []
    categories: list[CategoryEntry] = []


class BadSamples:
    """What is wrong with single entries of a file: an error at the first one, or a list.

    Attributes:
        source: the file.
        lines: one for each entry that was left out; always empty under `stop`.
    """

    def __init__(self, source: Path, policy: OnBadSample):
        if policy not in ("stop", "skip"):
            raise ValueError(f"on_bad_sample must be stop or skip. Received {policy!r}.")
        self.source = source
        self.lines: list[str] = []
        self._policy = policy

    def add(self, line: str) -> None:
        """Report an entry.

        Raises:
            ValueError: the policy is `stop`.
        """
        if self._policy == "stop":
            raise ValueError(
                f"{self.source}: {line} --set data.on_bad_sample=skip leaves such entries out."
            )
        self.lines.append(line)

    def add_where(self, wrong: np.ndarray, describe: Callable[[int], str]) -> None:
        """Report each row where a mask is True; `describe(row)` gives its line."""
        for row in np.flatnonzero(wrong):
            self.add(describe(int(row)))

    def log(self) -> None:
        """Count and list what was left out, if anything."""
        if not self.lines:
            return
        logger.warning("%s: skipped %d bad entries:", self.source, len(self.lines))
        for line in self.lines[:LISTED]:
            logger.warning("  %s", line)
        if len(self.lines) > LISTED:
            logger.warning("  and %d more", len(self.lines) - LISTED)


@contextmanager
def pause_collector() -> Iterator[None]:
    """Hold Python's cycle collector: millions of new objects wake it often, and it finds nothing.

    Reading COCO's training annotations takes less than half the time without it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def decode_annotations(
    text: bytes, bad: BadSamples, *, segmentations: bool = False
) -> CocoFile[Any]:
    """Annotations or image info as typed entries.

    Args:
        text: the bytes of the file `bad.source`.
        bad: receives entries with missing or mistyped fields.
        segmentations: make the annotations `MaskedPersonEntry`, with their segmentations.

    Raises:
        ValueError: not JSON, not COCO format, or a bad entry under the policy `stop`.
    """
    person = MaskedPersonEntry if segmentations else PersonEntry
    try:
        return msgspec.json.decode(text, type=CocoFile[person])  # type: ignore[valid-type]
    except msgspec.DecodeError:
        content = _parse_tolerantly(text, bad.source)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        found = f"the keys {', '.join(content)}" if isinstance(content, dict) else _name(content)
        raise ValueError(
            f"{bad.source} is not an annotation file in COCO format, which is an object with "
            f"the lists images and annotations. It holds {found}."
        )
    return CocoFile(
        images=_convert(content["images"], ImageEntry, "image", bad),
        annotations=_convert(content.get("annotations", []), person, "annotation", bad),
        categories=_convert(content.get("categories", []), CategoryEntry, "category", bad),
    )


def decode_boxes(text: bytes, bad: BadSamples) -> list[BoxEntry]:
    """Detections in COCO result format as typed entries; errors as `decode_annotations`."""
    try:
        return msgspec.json.decode(text, type=list[BoxEntry])
    except msgspec.DecodeError:
        content = _parse_tolerantly(text, bad.source)
    if not isinstance(content, list):
        raise ValueError(
            f"{bad.source} is not a detection file in COCO result format, which is a list of "
            f"objects with image_id, category_id, bbox and score. It holds {_name(content)}."
        )
    return _convert(content, BoxEntry, "detection", bad)


def _name(content: Any) -> str:
    if isinstance(content, dict | list):
        return "an object" if isinstance(content, dict) else "a list"
    return repr(content)[:40]


def _parse_tolerantly(text: bytes, source: Path) -> Any:
    """JSON with NaN and a byte order mark, as some exporters write it."""
    try:
        return json.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{source} is not JSON: {error}. It has {len(text)} bytes; was it copied whole?"
        ) from None


Entry = TypeVar("Entry", bound=msgspec.Struct)


def _convert(entries: Any, kind: type[Entry], word: str, bad: BadSamples) -> list[Entry]:
    if not isinstance(entries, list):
        raise ValueError(
            f"{bad.source} is not in COCO format: there must be a list of every {word}. "
            f"It holds {_name(entries)}."
        )
    converted = []
    for position, entry in enumerate(entries):
        try:
            converted.append(msgspec.convert(_tidy(entry), kind))
        except msgspec.ValidationError as error:
            name = entry.get("id", "") if isinstance(entry, dict) else ""
            which = f"{word} {name}" if name != "" else f"{word} at position {position}"
            bad.add(f"{which} is malformed: {error}.")
    return converted


def _tidy(entry: Any) -> Any:
    """An entry as the typed ones want it: no nulls, whole floats and booleans as integers."""
    if not isinstance(entry, dict):
        return entry
    tidy = {key: value for key, value in entry.items() if value is not None}
    for key, value in tidy.items():
        if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
            tidy[key] = int(value)
    if "segmentation" in tidy:
        tidy["segmentation"] = msgspec.Raw(msgspec.json.encode(tidy["segmentation"]))
    return tidy


def gather(entries: Sequence[msgspec.Struct], field: str, dtype: type) -> np.ndarray:
    """(entries,) one number of every entry."""
    return np.fromiter(map(attrgetter(field), entries), dtype, len(entries))


def gather_lists(
    entries: Sequence[msgspec.Struct], field: str, length: int, dtype: type
) -> np.ndarray:
    """(entries, length) one list of numbers of every entry, all of this length."""
    flat = chain.from_iterable(map(attrgetter(field), entries))
    return np.fromiter(flat, dtype, length * len(entries)).reshape(-1, length)
