"""The manifest of published weights: `published_weights.yaml`, read and checked.

One row is one file. What the publisher gives of its size and hash stands there; where nobody gave
one it is `unverified`, and whoever downloads the file is told.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from .yaml_files import read_yaml

MANIFEST = Path(__file__).resolve().parent / "published_weights.yaml"
Unverified = Literal["unverified"]

#: Hexadecimal digits of a whole hash; fewer than the least tell too little.
_DIGITS = {"sha256": 64, "md5": 32}
_FEWEST_DIGITS = 8
#: Hosts of this machine alone, which may be asked without encryption.
LOCAL_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class PublishedFile:
    """One row.

    Attributes:
        name: by which it is asked for; several rows of one name are one checkpoint.
        file: its name where train.py and test.py look.
        license: of the weights, or of the code they came with.
        system: folder of `systems/`.
        row: of which table it is.
        folder: relative to the project, where train.py and test.py look.
        bytes: size of what the address gives; None where unverified.
        hash: (algorithm, hexadecimal digits, all or the first) of the same; None where unverified.
        url: None for a file behind a share link.
        member: name of the file in the archive that the address gives; None for no archive.
        config: YAML of the table's row.
        use: how it is used where that is no YAML.
        click: where to click for a file behind a share link.
    """

    name: str
    file: str
    license: str
    system: str
    row: str
    folder: str
    bytes: int | None
    hash: tuple[str, str] | None
    url: str | None = None
    member: str | None = None
    config: str | None = None
    use: str | None = None
    click: str | None = None

    @property
    def unverified(self) -> tuple[str, ...]:
        """What the manifest does not know of it: `size`, `hash`, both or nothing."""
        return tuple(
            word for word, known in (("size", self.bytes), ("hash", self.hash)) if known is None
        )

    @property
    def command(self) -> str:
        """What to do with it."""
        if self.config:
            name = re.sub(r"\.(index|data-\d+-of-\d+)$", "", self.file)
            path = f"{self.folder}/{name}"
            return f"python main/test.py --config {self.config} --model-file {path}"
        return self.use or ""


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    file: str
    bytes: int | Unverified
    hash: str
    license: str
    system: str
    row: str
    folder: str
    url: str | None = None
    member: str | None = None
    config: str | None = None
    use: str | None = None
    click: str | None = None


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    files: list[_Row]


def read_manifest(path: str | Path = MANIFEST) -> dict[str, list[PublishedFile]]:
    """The files of every name, in the order of the manifest.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML, names a key twice, or a row breaks a rule; it is named.
    """
    try:
        rows = msgspec.convert(read_yaml(path), _Manifest).files
    except msgspec.ValidationError as error:
        raise ValueError(f"{path} is no manifest of weights: {error}.") from None
    found: dict[str, list[PublishedFile]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(_check_row(row, path))
    return found


def find_files(manifest: dict[str, list[PublishedFile]], name: str) -> list[PublishedFile]:
    """The files of one name.

    Raises:
        ValueError: the manifest has no such name; the nearest ones are listed.
    """
    if name not in manifest:
        near = difflib.get_close_matches(name, manifest, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "--list prints all names."
        raise ValueError(f"No published weights are called {name!r}. {hint}")
    return manifest[name]


def _check_row(row: _Row, path: str | Path) -> PublishedFile:
    where = f"{path}, {row.name} ({row.file})"
    if (row.url is None) == (row.click is None):
        raise ValueError(f"{where} must have either url or click.")
    if row.url is not None:
        check_url(row.url, where)
    for word, value in (("file", row.file), ("member", row.member or "x")):
        if PurePosixPath(value).name != value:
            raise ValueError(f"{where}: {word} must be a name without folders. Received {value!r}.")
    folder = PurePosixPath(row.folder)
    if folder.is_absolute() or ".." in folder.parts:
        raise ValueError(f"{where}: folder must lie in the project. Received {row.folder!r}.")
    values = {key: getattr(row, key) for key in row.__struct_fields__}
    values["bytes"] = None if row.bytes == "unverified" else row.bytes
    values["hash"] = None if row.hash == "unverified" else _parse_hash(row.hash, where)
    return PublishedFile(**values)


def _parse_hash(text: str, where: str) -> tuple[str, str]:
    algorithm, _, digits = text.partition(":")
    most = _DIGITS.get(algorithm, 0)
    if not re.fullmatch(r"[0-9a-f]+", digits) or not _FEWEST_DIGITS <= len(digits) <= most:
        raise ValueError(
            f"{where}: hash must be unverified, or sha256: or md5: and at least {_FEWEST_DIGITS} "
            f"hexadecimal digits. Received {text!r}."
        )
    return algorithm, digits


def check_url(url: str, where: str) -> None:
    """Refuse an address that is not encrypted, unless it is of this machine.

    Raises:
        ValueError: it is not https.
    """
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
    if parts.scheme != "https" and not local:
        raise ValueError(f"{where}: addresses must begin with https://. Received {url!r}.")
