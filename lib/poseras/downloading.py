"""Downloads that are whole, checked and in place, or not there.

A file is written to `NAME.part` beside its place. A download that breaks off leaves that file, and
the next one goes on behind it (RFC 9110, section 14) if the server still has the same file, which
the validator in `NAME.part.etag` tells. Then size and hash are checked, and one rename puts the
file in place. What the server answers in error, a page in HTML above all, never gets there.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import ssl
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from .files import unfinished_file
from .weights_manifest import LOCAL_HOSTS, PublishedFile, check_url

#: Called with (bytes that are there, bytes in all or None).
Progress = Callable[[int, int | None], None]

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = 30
_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")


@dataclass(frozen=True)
class Downloaded:
    """A file that is in its place.

    Attributes:
        path: where it is.
        was_there: whether it had been there before.
        checked: what was compared with the manifest: `size`, `hash`.
        sha256: of what the address gives; "" for a file from an archive that was there before.
    """

    path: Path
    was_there: bool
    checked: tuple[str, ...]
    sha256: str


def download(
    file: PublishedFile,
    folder: str | Path,
    *,
    progress: Progress | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Downloaded:
    """Bring a published file to a folder, or find that it is there.

    Args:
        file: a row of the manifest with an address.
        folder: where it shall lie.
        progress: called after every piece.
        timeout_s: how long the server may be silent.

    Raises:
        ValueError: the file behind a share link; the server's answer is a page, or of another size
            or hash than the manifest says; a file of that name is there and is another one.
        OSError: the server cannot be reached, the download broke off, or the file cannot be
            written; the line says that the same command goes on.
    """
    if file.url is None:
        raise ValueError(f"{file.file} lies behind a share link. {file.click}.")
    target = Path(folder) / file.file
    if target.exists():
        return _accept_present(file, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    name = PurePosixPath(urlsplit(file.url).path).name if file.member else file.file
    part = target.with_name(f"{name}.part")
    _fetch(file, part, progress, timeout_s)
    sha256 = _check_hash(file, part)
    if file.member:
        _extract(part, file.member, target)
        part.unlink()
    else:
        os.replace(part, target)
    _validator_path(part).unlink(missing_ok=True)
    checked = tuple(word for word in ("size", "hash") if word not in file.unverified)
    return Downloaded(target, False, checked, sha256)


def _accept_present(file: PublishedFile, target: Path) -> Downloaded:
    """Check a file that is there, as far as the manifest knows it."""
    if file.member:  # the manifest knows the archive
        return Downloaded(target, True, (), "")
    size = target.stat().st_size
    if file.bytes is not None and size != file.bytes:
        raise ValueError(
            f"{target} has {size} bytes, the published file has {file.bytes}. Move it away and "
            "run the same command again."
        )
    sha256 = _check_hash(file, target, keep=True)
    checked = tuple(word for word in ("size", "hash") if word not in file.unverified)
    return Downloaded(target, True, checked, sha256)


def _check_hash(file: PublishedFile, path: Path, *, keep: bool = False) -> str:
    """The SHA-256 of a file whose hash is right.

    Raises:
        ValueError: it is wrong; a part is deleted, because going on would not mend it.
    """
    algorithm, digits = file.hash or ("sha256", "")
    digests = {name: hashlib.new(name) for name in {algorithm, "sha256"}}
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            for digest in digests.values():
                digest.update(chunk)
    found = digests[algorithm].hexdigest()
    if not found.startswith(digits):
        if not keep:
            _discard(path)
        kept = "Move it away and" if keep else "Nothing was kept;"
        raise ValueError(
            f"{file.file} must have the {algorithm} {digits}... Received {found}. {kept} run the "
            "same command again; if it stays so, the published file was exchanged."
        )
    return digests["sha256"].hexdigest()


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _fetch(file: PublishedFile, part: Path, progress: Progress | None, timeout_s: float) -> None:
    """Write the bytes of an address to a part file, behind those that it has.

    Raises:
        ValueError, OSError: see `download`.
    """
    start = _resume_position(file, part)
    host = urlsplit(file.url or "").hostname
    try:
        with _open(file, part, start, timeout_s) as answer:
            _check_answer(file, answer)
            start, total = _place_answer(answer, start)
            _check_total(file, total)
            total = file.bytes if total is None else total
            _save_validator(answer, part)
            _copy(file, answer, part, start=start, total=total, progress=progress)
    except HTTPError as error:
        if error.code == 416 and start and _is_complete(error, start):
            return
        if error.code == 416:
            _discard(part)
        raise OSError(
            f"{host} answers {error.code} {error.reason} to {file.url}. Run the same command "
            "again; if it stays so, the file has moved."
        ) from error
    except (URLError, TimeoutError, ConnectionError, HTTPException, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        place = f"unpack {file.member} from it" if file.member else "put it"
        raise OSError(
            f"{host} cannot be reached or broke off: {reason}. The same command goes on where it "
            f"stopped; or fetch {file.url} with a browser and {place} to {part.parent}."
        ) from error
    except OSError as error:
        raise OSError(
            f"Cannot write {part}: {error.strerror or error}. Free some space there or make that "
            "folder writable; the same command goes on where it stopped."
        ) from error


def _resume_position(file: PublishedFile, part: Path) -> int:
    """How many bytes of a part can be kept: none where nothing would tell that it is another's."""
    size = part.stat().st_size if part.exists() else 0
    if size and file.hash is None and not _validator_path(part).exists():
        return 0
    return 0 if file.bytes is not None and size > file.bytes else size


@contextmanager
def _open(file: PublishedFile, part: Path, start: int, timeout_s: float) -> Iterator[HTTPResponse]:
    headers = {"User-Agent": "poseras", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if _validator_path(part).exists():
            headers["If-Range"] = _validator_path(part).read_text(encoding="ascii")
    address = file.url or ""
    with _opener(address).open(Request(address, headers=headers), timeout=timeout_s) as answer:
        yield answer


class _EncryptedRedirects(HTTPRedirectHandler):
    """Follows redirects to https alone."""

    def redirect_request(self, req: Request, *rest: Any) -> Request | None:
        """As of the base class; the last argument is the new address."""
        check_url(rest[-1], f"{req.full_url} leads on")
        return super().redirect_request(req, *rest)


def _opener(url: str) -> OpenerDirector:
    handlers: list = [_EncryptedRedirects()]
    if urlsplit(url).hostname in LOCAL_HOSTS:
        handlers.append(ProxyHandler({}))
    return build_opener(*handlers)


def _check_answer(file: PublishedFile, answer: HTTPResponse) -> None:
    """Refuse pages: what share services and sign-in portals send in the place of a file."""
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise ValueError(_describe_page(file))


def _describe_page(file: PublishedFile) -> str:
    return (
        f"{file.url} answers with a page in HTML, not with {file.file}: a sign-in or a notice. "
        "Open it with a browser; nothing was kept of it."
    )


def _place_answer(answer: HTTPResponse, start: int) -> tuple[int, int | None]:
    """From which byte an answer goes on, and how many the whole file has, None if unknown."""
    length = answer.headers.get("Content-Length")
    if answer.status != 206:  # the server knows no ranges, or has another file by now
        return 0, int(length) if length and length.isdecimal() else None
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if not match or match[1] is None or int(match[1]) != start:
        raise ValueError(
            f"A server must go on where it was asked to, at byte {start}. Received the range "
            f"{answer.headers.get('Content-Range')!r}; delete the .part file and try again."
        )
    return start, int(match[2]) if match[2] != "*" else None


def _check_total(file: PublishedFile, total: int | None) -> None:
    if file.bytes is not None and total is not None and total != file.bytes:
        raise ValueError(
            f"{file.file} must have {file.bytes} bytes. The server offers {total}: the published "
            "file was exchanged, or the address gives something else."
        )


def _save_validator(answer: HTTPResponse, part: Path) -> None:
    etag = answer.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
    if validator.isascii() and validator:
        _validator_path(part).write_text(validator, encoding="ascii")
    elif answer.status != 206:
        _validator_path(part).unlink(missing_ok=True)


def _copy(
    file: PublishedFile,
    answer: IO[bytes],
    part: Path,
    *,
    start: int,
    total: int | None,
    progress: Progress | None,
) -> None:
    """Write an answer behind the first `start` bytes of a part, and see that all of it came."""
    done = start
    with open(part, "r+b" if start else "wb") as stream:
        stream.truncate(start)
        stream.seek(start)
        while chunk := answer.read(_CHUNK_BYTES):
            if not done and chunk[:64].lstrip().lower().startswith(_HTML_STARTS):
                _discard(part)
                raise ValueError(_describe_page(file))
            stream.write(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
            if total is not None and done > total:
                break
        stream.flush()
        os.fsync(stream.fileno())
    if total is not None and done > total:
        _discard(part)
        raise ValueError(f"{file.file} must have {total} bytes. The server sent more.")
    if total is not None and done < total:
        raise ConnectionError(f"{done} of {total} bytes came")


def _is_complete(error: HTTPError, start: int) -> bool:
    """Whether a server refuses to go on because nothing is missing."""
    match = _RANGE.fullmatch(error.headers.get("Content-Range", ""))
    return bool(match) and match[2] == str(start)  # type: ignore[index]


def _extract(archive: Path, member: str, target: Path) -> None:
    """Take one file out of an archive; nothing of the archive's own paths is used.

    Raises:
        ValueError: it is no tar or zip archive, or holds no such file.
    """
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            names = {m.name: m for m in opened.getmembers() if m.isfile()}
            name = _find_member(list(names), member, archive)
            content = opened.extractfile(names[name])
            _write(content, target)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            name = _find_member(packed.namelist(), member, archive)
            with packed.open(name) as content:
                _write(content, target)
    else:
        _discard(archive)
        raise ValueError(f"{archive.name} must be a tar or zip archive. Nothing was kept of it.")


def _find_member(names: list[str], member: str, archive: Path) -> str:
    found = [name for name in names if fnmatch.fnmatch(PurePosixPath(name).name, member)]
    if len(found) != 1:
        _discard(archive)
        raise ValueError(
            f"{archive.name} must hold one file {member}. It holds {', '.join(names[:5])}."
        )
    return found[0]


def _write(content: IO[bytes] | None, target: Path) -> None:
    with unfinished_file(target) as path, open(path, "wb") as stream:
        if content is not None:
            shutil.copyfileobj(content, stream, _CHUNK_BYTES)
