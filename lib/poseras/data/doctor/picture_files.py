"""The picture files themselves: there, whole, of the size that is annotated, and each one once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from ..images import decode_image, read_file
from .columns import SplitColumns
from .findings import Findings

#: Called with a path when its picture was looked at; a progress bar counts them.
Report = Callable[[Path], None]
#: So many pictures wait for the threads at a time, so that memory stays flat.
_WAITING = 1024


@dataclass(frozen=True)
class PictureFile:
    """What a file turned out to be.

    Attributes:
        state: `whole`, `missing` or `unreadable`.
        reason: why it is unreadable.
        size_hw: height and width of the stored pixels in pixels.
        digest: of its bytes; equal for equal content.
    """

    state: Literal["whole", "missing", "unreadable"]
    reason: str = ""
    size_hw: tuple[int, int] = (0, 0)
    digest: bytes = b""


Pictures = Mapping[Path, PictureFile]


def look_at(path: Path) -> PictureFile:
    """Read and decode one file."""
    try:
        data = read_file(path)
        image = decode_image(data, path.name)
    except FileNotFoundError:
        return PictureFile("missing")
    except (ValueError, OSError) as error:
        return PictureFile("unreadable", str(error))
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return PictureFile("whole", "", (image.shape[0], image.shape[1]), digest)


def look_at_all(
    paths: Iterable[Path], threads: int, report: Report | None = None
) -> dict[Path, PictureFile]:
    """Read and decode many files, several at a time.

    Args:
        paths: each is looked at once.
        threads: how many work at the same time; decoding and hashing let others run.
        report: called for each picture, in the calling thread.
    """
    waiting = iter(dict.fromkeys(paths))
    found: dict[Path, PictureFile] = {}
    with ThreadPoolExecutor(max_workers=threads) as pool:
        while batch := list(islice(waiting, _WAITING)):
            for path, picture in zip(batch, pool.map(look_at, batch), strict=True):
                found[path] = picture
                if report:
                    report(path)
    return found


def check_pictures(
    columns: SplitColumns, pictures: Pictures, inside: np.ndarray, findings: Findings
) -> None:
    """Missing, unreadable and doubled files, and sizes that differ from the annotation file.

    Args:
        columns: of the split.
        pictures: by path, as `look_at_all` gives them.
        inside: (images,) bool, False for names that leave the folder, which were not opened.
        findings: receives what is wrong.
    """
    nowhere = PictureFile("missing")
    rows = [pictures.get(path, nowhere) for path in columns.paths]
    states = np.array([picture.state for picture in rows], dtype="U10")
    findings.add_images(
        "picture-missing",
        (states == "missing") & inside,
        columns,
        lambda row: f"is not in {columns.folder}",
    )
    findings.add_images(
        "picture-unreadable",
        (states == "unreadable") & inside,
        columns,
        lambda row: f"cannot be read: {rows[row].reason.rstrip('.')}",
    )
    sizes = np.array([picture.size_hw for picture in rows], np.int64).reshape(-1, 2)
    known = (states == "whole") & (columns.sizes_hw > 0).all(axis=1)
    findings.add_images(
        "picture-size",
        known & (sizes != columns.sizes_hw).any(axis=1),
        columns,
        lambda row: _describe_sizes(sizes[row].tolist(), columns.sizes_hw[row].tolist()),
    )
    _check_doubles(columns, rows, findings)


def _describe_sizes(real: Sequence[int], said: Sequence[int]) -> str:
    line = f"is {real[1]} x {real[0]}, the file says {said[1]} x {said[0]} (width x height)"
    turned = ": a quarter turn, as a viewer's EXIF orientation makes it"
    return line + (turned if list(real) == list(reversed(said)) else "")


def _check_doubles(columns: SplitColumns, rows: Sequence[PictureFile], findings: Findings) -> None:
    first: dict[bytes, int] = {}
    for row, (picture, name) in enumerate(zip(rows, columns.file_names, strict=True)):
        if picture.state != "whole":
            continue
        earlier = first.setdefault(picture.digest, row)
        if columns.file_names[earlier] != name:
            which = f"image {columns.image_ids[row]} ({name})"
            line = f"{which} has the content of {columns.file_names[earlier]}."
            findings.add("picture-doubled", line, image=row)


def identify(columns: SplitColumns, pictures: Pictures) -> list[bytes | Path]:
    """What tells each picture of a split from others: its content, or its path where unread."""
    return [
        picture.digest if (picture := pictures.get(path)) and picture.digest else path
        for path in columns.paths
    ]
