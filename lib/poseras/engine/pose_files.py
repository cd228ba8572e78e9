"""Files of poses in COCO's form, written frame by frame, so that a long video needs no memory.

The entries wait in parts beside the unfinished file and are joined when the last one is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ..files import unfinished_file
from ..skeleton import Skeleton

_SEPARATOR = b",\n"


class PoseFile:
    """Takes pictures and the people on them; made by `open_pose_file`.

    Attributes:
        info: becomes the entry `info` of the file; may be changed until the block ends.
        pictures: how many were added.
        people: how many were added.
    """

    def __init__(self, images: BinaryIO, annotations: BinaryIO, info: Mapping[str, Any]):
        self.info = dict(info)
        self.pictures = 0
        self.people = 0
        self._images, self._annotations = images, annotations

    def add(self, image: Mapping[str, Any], people: Sequence[Mapping[str, Any]]) -> None:
        """Add a picture.

        Args:
            image: its entry of `images`.
            people: their entries of `annotations`, but for `id` and `iscrowd`.
        """
        self._images.write(_SEPARATOR * bool(self.pictures) + msgspec.json.encode(image))
        self.pictures += 1
        for person in people:
            self._annotations.write(_SEPARATOR * bool(self.people))
            self.people += 1
            numbered = {"id": self.people, "iscrowd": 0, **person}
            self._annotations.write(msgspec.json.encode(numbered))


@contextmanager
def open_pose_file(
    path: str | Path, skeleton: Skeleton, info: Mapping[str, Any]
) -> Iterator[PoseFile]:
    """Lend a file of poses; when the block ends without an error it appears at `path`.

    Its entries `info`, `categories`, `images` and `annotations` are COCO's, whose tools load it.

    Args:
        path: of the JSON file.
        skeleton: of the people.
        info: what the poses come from, JSON values.

    Raises:
        OSError: see `files.unfinished_file`.
    """
    with unfinished_file(path) as unfinished:
        parts = [unfinished.with_name(f"{name}.part") for name in ("images", "annotations")]
        with open(parts[0], "wb") as images, open(parts[1], "wb") as annotations:
            poses = PoseFile(images, annotations, info)
            yield poses
        with open(unfinished, "wb") as whole:
            head = {"info": poses.info, "categories": [describe_category(skeleton)]}
            whole.write(msgspec.json.encode(head)[:-1])
            for name, part in zip(("images", "annotations"), parts, strict=True):
                whole.write(f',\n"{name}":[\n'.encode())
                with open(part, "rb") as entries:
                    shutil.copyfileobj(entries, whole)
                whole.write(b"\n]")
            whole.write(b"}\n")


def describe_category(skeleton: Skeleton) -> dict[str, Any]:
    """The person of a skeleton as an entry of COCO's `categories`; limbs count joints from 1."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
    }


@contextmanager
def open_table(path: str | Path | None) -> Iterator[Any]:
    """Lend a text file to write lines to, or nothing where no path is given.

    Yields:
        A file, which appears at `path` when the block ends without an error, or None.
    """
    if path is None:
        yield None
        return
    with unfinished_file(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
        yield file
