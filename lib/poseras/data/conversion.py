"""What the converters of data sets share: their result, its summary, and checks of records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Called with a name for everything that is done; a progress bar counts them.
Report = Callable[[str], None]


@dataclass(frozen=True)
class Conversion:
    """A file in COCO format, not yet written.

    Attributes:
        content: `images`, `annotations` and `categories`.
        dropped: what was left out, each reason with its count.
    """

    content: Mapping[str, Any]
    dropped: Mapping[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One line: what was converted, what was left out and why."""
        counts = [f"{len(self.content['images'])} pictures"]
        counts.append(f"{len(self.content['annotations'])} people")
        reasons = [f"{count} {reason}" for reason, count in self.dropped.items() if count]
        left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
        return f"{', '.join(counts)}{left_out}"


def require_fields(record: Any, names: Sequence[str], where: str) -> None:
    """Refuse a JSON object without some fields.

    Raises:
        ValueError: it is no object, or fields are missing.
    """
    missing = [name for name in names if not isinstance(record, dict) or name not in record]
    if missing:
        raise ValueError(
            f"{where} must have {' and '.join(names)}. Received no {' and no '.join(missing)}; "
            "the file is not of this release, or was cut."
        )
