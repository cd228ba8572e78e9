"""Files that are either whole or not there.

Every file is written into a private folder beside its place, brought to the disk, and then moved
into place in one step. A reader, or a machine that loses power, sees the old file or the new one.
A killed writer leaves its private folder behind, `.NAME.HOST-PID-PROCESS-N.unfinished/`, whose name
tells `remove_leftovers` that nobody writes there any more.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import platform
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

UNFINISHED = ".unfinished"
_PRIVATE = re.compile(rf"\..*\.([0-9a-f]{{8}})-(\d{{1,9}})-([0-9a-f]{{4}})-\d+{UNFINISHED}")
_CHUNK_BYTES = 1 << 20
_numbers = itertools.count()


@contextmanager
def unfinished_file(path: str | Path, *, flush: bool = True) -> Iterator[Path]:
    """Lend a path to write to; when the block ends without an error it becomes `path`.

    Missing parent folders are made. On an error nothing is left behind, and a file that stood at
    `path` before is unchanged.

    Args:
        path: of the file.
        flush: False leaves it to the system when the bytes reach the disk. Pictures are then
            written some five times as fast, and a machine that loses power may leave empty ones:
            for those that come by the thousand and that the same command makes again.

    Raises:
        OSError: the file cannot be written; one line with the reason and the next step.
    """
    path = Path(path)
    with _private_folder(path) as private:
        yield private / path.name
        _settle(private / path.name, path, flush)


@contextmanager
def unfinished_folder(path: str | Path) -> Iterator[Path]:
    """Lend a path at which to make a folder, which becomes `path` as in `unfinished_file`.

    A folder that stood there is moved aside, and deleted with all that is in it when the new one
    is in place; the caller makes sure that it may be.

    Raises:
        OSError: as `unfinished_file`.
    """
    path = Path(path)
    with _private_folder(path) as private:
        written, former = private / path.name, private / f"{path.name}.former"
        yield written
        for entry in (*written.rglob("*"), written):
            _flush(entry)
        stood_there = path.exists()
        if stood_there:
            os.replace(path, former)
        try:
            os.replace(written, path)
        except OSError:
            if stood_there:
                os.replace(former, path)
            raise
        _flush(path.parent)


@contextmanager
def _private_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` that is gone after the block; errors as `unfinished_file`."""
    private = path.parent / (
        f".{path.name}.{_host()}-{os.getpid()}-{_process()}-{next(_numbers)}{UNFINISHED}"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        private.mkdir()
        yield private
    except OSError as error:
        raise OSError(_explain(path, error)) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


@cache
def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@cache
def _process() -> str:
    """Tells this process from earlier ones: the same number is given to many, one by one."""
    return secrets.token_hex(2)


def _settle(written: Path, path: Path, flush: bool) -> None:
    """Bring a file to the disk and move it into place, under the permissions of its folder."""
    os.chmod(written, written.parent.stat().st_mode & 0o666)  # 0o777 less the user's umask
    if flush:
        _flush(written)
    os.replace(written, path)
    if flush:
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
    """Delete what killed writers of this machine left in a folder.

    Whoever still writes there is left alone, and so is what another machine left: nobody here can
    tell whether it is at work.

    Returns:
        The paths that were deleted; none if the folder does not exist.
    """
    leftovers = [path for path in sorted(Path(folder).glob(".*")) if _is_left(path.name)]
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)  # another process may be as quick
    return leftovers


def _is_left(name: str) -> bool:
    """Whether this is the name of a private folder whose writer has ended."""
    match = _PRIVATE.fullmatch(name)
    if not match or match[1] != _host():
        return False
    if int(match[2]) == os.getpid():
        return match[3] != _process()
    return not _runs(int(match[2]))


def _runs(process: int) -> bool:
    """Whether there is a process of this number."""
    if os.name == "nt":  # where `os.kill` would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def write_bytes_atomically(path: str | Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file in one step; see `unfinished_file` for `flush` and the errors."""
    with unfinished_file(path, flush=flush) as unfinished:
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


def write_image_atomically(
    path: str | Path, image_rgb: np.ndarray, *, jpeg_quality: int = 95, flush: bool = True
) -> None:
    """Write a picture in one step, in the format that the file name ends with.

    Args:
        path: `.png`, `.jpg` or another ending that OpenCV writes.
        image_rgb: (height, width, 3) uint8, RGB.
        jpeg_quality: 0 to 100, of a `.jpg`; 95 is OpenCV's.
        flush: see `unfinished_file`.

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
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if is_jpeg else []
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(path.suffix, image_bgr, options)
    if not done:
        raise ValueError(
            f"OpenCV cannot write {image_rgb.shape} pixels as {path.suffix}. Received {path}; "
            "use .png or .jpg."
        )
    write_bytes_atomically(path, encoded.tobytes(), flush=flush)


def sha256_of_file(path: str | Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read piece by piece."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
