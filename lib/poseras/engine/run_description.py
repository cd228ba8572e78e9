"""What a training is, for people who find its log years later: settings, versions, commit."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import write_text_atomically

log = logging.getLogger("poseras")

CONFIG_NAME = "config.yaml"

_GIT_TIMEOUT_S = 10.0
_HEAD = """\
# All settings of this run as it was last started; those behind a # have their defaults.
# To repeat it under another name: python main/train.py --config THIS_FILE --set run=NAME
"""


@dataclass(frozen=True)
class RunDescription:
    """What the log of a run says at each of its starts.

    Attributes:
        config: all settings, flat.
        changes: those that differ from their defaults; None where nobody knows.
        versions: of libraries, by name.
        commit: of the project's repository, see `read_commit`; None where it has none.
    """

    config: Mapping[str, Any]
    changes: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None

    def tell(self, folder: Path | None) -> None:
        """Write it into the log, and all settings into `config.yaml`.

        Args:
            folder: of the log; None writes no file.
        """
        if self.changes is not None:
            told = [f"{name}={json.dumps(value)}" for name, value in self.changes.items()]
            log.info("Settings that differ from their defaults: %s", " ".join(told) or "none")
        versions = [f"{name} {version}" for name, version in self.versions.items()]
        commit = [f"commit {self.commit}"] if self.commit else []
        log.info("Versions: %s", ", ".join(versions + commit))
        if folder is not None:
            write_text_atomically(folder / CONFIG_NAME, self.to_yaml())

    def to_yaml(self) -> str:
        """All settings, one a line, as `--config` reads them; defaults are comments."""
        lines = [_HEAD]
        for name, value in self.config.items():
            mark = "" if self.changes is None or name in self.changes else "# "
            # JSON is YAML, of which it needs no rule about quotes.
            lines.append(f"{mark}{name}: {json.dumps(value, ensure_ascii=False)}\n")
        return "".join(lines)


def read_commit(root: Path) -> str | None:
    """The commit that a repository stands at, `-dirty` behind it where files differ from it.

    Args:
        root: of the repository; one of a folder above it does not count.

    Returns:
        None where there is no repository or no Git.
    """
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            [*command, "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
