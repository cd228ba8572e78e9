"""Files that are either whole or not there.

Every file is written into a private folder beside its place, `.NAME.XXXXXXXX.unfinished/`, brought
to the disk, and then moved into place in one step. A reader, or a machine that loses power, sees
the old file or the new one. A killed writer leaves its private folder behind, by whose name
`remove_leftovers` knows it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

UNFINISHED = ".unfinished"
_CHUNK_BYTES = 1 << 20


@contextmanager
def unfinished_file(path: str | Path) -> Iterator[Path]:
    """Lend a path to write to; when the block ends without an error it becomes `path`.

    Missing parent folders are made. On an error nothing is left behind, and a file that stood at
    `path` before is unchanged.

    Raises:
        OSError: the file cannot be written; one line with the reason and the next step.
    """
    path = Path(path)
    private = path.parent / f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        private.mkdir()
        yield private / path.name
        _settle(private / path.name, path)
    except OSError as error:
        raise OSError(_explain(path, error)) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _settle(written: Path, path: Path) -> None:
    """Bring a file to the disk and move it into place, under the permissions of its folder."""
    os.chmod(written, written.parent.stat().st_mode & 0o666)  # 0o777 less the user's umask
    _flush(written)
    os.replace(written, path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():  # Windows opens no folders
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no fsync of a folder.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def _explain(path: Path, error: OSError) -> str:
    reason = (error.strerror or str(error)).rstrip(".")
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in reason
    step = "Free some space there" if full else "Make that folder writable or choose another"
    return f"Cannot write {path}: {reason}. {step}; what stood there before is unchanged."


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Delete what killed writers left in a folder. Call it while nobody else writes there.

    Returns:
        The paths that were deleted; none if the folder does not exist.
    """
    leftovers = sorted(Path(folder).glob(f".*{UNFINISHED}"))
    for leftover in leftovers:
        shutil.rmtree(leftover)
    return leftovers


def write_bytes_atomically(path: str | Path, content: bytes) -> None:
    """Write a file in one step; see `unfinished_file` for the errors."""
    with unfinished_file(path) as unfinished:
        unfinished.write_bytes(content)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) in one step; see `unfinished_file` for the errors."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_json_atomically(path: str | Path, value: Any, *, indent: bool = False) -> None:
    """Write a value as JSON (UTF-8) in one step; see `unfinished_file` for the errors.

    Args:
        path: the file to write.
        value: dicts, lists, tuples, text, numbers; NumPy numbers and arrays too. JSON has no NaN
            and no infinity: they are written as null.
        indent: two spaces a level and a line feed at the end, for files that people read.

    Raises:
        ValueError: the value holds something that JSON cannot express.
    """
    try:
        content = msgspec.json.encode(value, enc_hook=_from_numpy)
    except (TypeError, NotImplementedError) as error:
        raise ValueError(f"What goes into {path} must be JSON. Received: {error}.") from error
    if indent:
        content = msgspec.json.format(content, indent=2) + b"\n"
    write_bytes_atomically(path, content)


def _from_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


def write_image_atomically(path: str | Path, image_rgb: np.ndarray) -> None:
    """Write a picture in one step, in the format that the file name ends with.

    Args:
        path: `.png`, `.jpg` or another ending that OpenCV writes.
        image_rgb: (height, width, 3) uint8, RGB.

    Raises:
        ValueError: an unknown ending, or not such an array.
        OSError: see `unfinished_file`.
    """
    import cv2  # not needed by programs that only look for files

    path = Path(path)
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
        raise ValueError(
            "image_rgb must be uint8 of shape (height, width, 3). "
            f"Received {image_rgb.dtype} of {image_rgb.shape}."
        )
    if not cv2.haveImageWriter(path.name):
        raise ValueError(
            f"A picture's name must end with a known format. Received {path.name}; "
            "use .png or .jpg."
        )
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    write_bytes_atomically(path, encoded.tobytes())


def sha256_of_file(path: str | Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
