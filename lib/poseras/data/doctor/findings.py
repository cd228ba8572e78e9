"""What was found: one finding for each thing that is wrong, collected over all files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .columns import SplitColumns
from .kinds import KINDS, SEVERITIES, Kind


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: its kind.
        split: name of the split; "" for what belongs to none.
        file: in which it stands.
        line: one sentence that names the entry.
        image: row of the picture among the split's columns, -1 for none.
        person: row of the annotation there, -1 for none.
    """

    code: str
    split: str
    file: Path
    line: str
    image: int = -1
    person: int = -1

    @property
    def kind(self) -> Kind:
        """Its severity, meaning and advice."""
        return KINDS[self.code]


@dataclass
class Findings:
    """A list to which the checks of one split add."""

    split: str
    file: Path
    found: list[Finding] = field(default_factory=list)

    def add(self, code: str, line: str, *, image: int = -1, person: int = -1) -> None:
        """Add one finding."""
        self.found.append(Finding(code, self.split, self.file, line, image, person))

    def add_people(
        self, code: str, wrong: np.ndarray, columns: SplitColumns, describe: Callable[[int], str]
    ) -> None:
        """Add a finding for each annotation where a mask is True.

        Args:
            code: of the kind.
            wrong: (people,) bool.
            columns: of the split.
            describe: from a row to the rest of the sentence after `annotation ID on image ID`.
        """
        for row in np.flatnonzero(wrong).tolist():
            which = f"annotation {columns.ids[row]} on image {columns.row_image_ids[row]}"
            line = f"{which} {describe(row)}."
            self.add(code, line, image=int(columns.image_index[row]), person=row)

    def add_images(
        self, code: str, wrong: np.ndarray, columns: SplitColumns, describe: Callable[[int], str]
    ) -> None:
        """Add a finding for each picture where a mask is True; `describe` goes on its sentence."""
        for row in np.flatnonzero(wrong).tolist():
            which = f"image {columns.image_ids[row]} ({columns.file_names[row]})"
            self.add(code, f"{which} {describe(row)}.", image=row)


@dataclass(frozen=True)
class Report:
    """Everything that was found in a data set.

    Attributes:
        dataset: its name.
        findings: all of them, the severest kinds first.
        columns: what was read of each split that has a file.
        absent: the splits whose annotation file is not there, with its path.
        remarks: lines on what could not be judged, and why.
        sizes_hw: height and width of every picture file that was read whole, by its path.
    """

    dataset: str
    findings: tuple[Finding, ...]
    columns: dict[str, SplitColumns]
    absent: dict[str, Path]
    remarks: tuple[str, ...] = ()
    sizes_hw: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing but notes was found."""
        return all(finding.kind.severity == "note" for finding in self.findings)

    def count(self, code: str, split: str | None = None) -> int:
        """How many findings are of a kind, in one split or in all."""
        return sum(f.code == code and split in (None, f.split) for f in self.findings)

    def codes(self) -> list[str]:
        """The kinds that were found, in the order of the catalogue, the severest first."""
        return sort_codes(Counter(finding.code for finding in self.findings))

    def without(self, codes: Sequence[str]) -> Report:
        """The same report without some kinds."""
        kept = tuple(finding for finding in self.findings if finding.code not in codes)
        return replace(self, findings=kept)

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "dataset": self.dataset,
            "clean": self.is_clean,
            "pictures_read": len(self.sizes_hw),
            "splits": {
                name: {
                    "annotations": str(columns.path),
                    "pictures": len(columns.image_ids),
                    "people": len(columns),
                }
                for name, columns in self.columns.items()
            },
            "absent": {name: str(path) for name, path in self.absent.items()},
            "remarks": list(self.remarks),
            "kinds": {code: self._describe(code) for code in self.codes()},
            "findings": [self._export(finding) for finding in self.findings],
        }

    def _describe(self, code: str) -> dict[str, Any]:
        kind = KINDS[code]
        return {
            "severity": kind.severity,
            "count": self.count(code),
            "meaning": kind.meaning,
            "advice": kind.advice,
            "mendable": kind.mendable,
        }

    def _export(self, finding: Finding) -> dict[str, Any]:
        values: dict[str, Any] = {
            "code": finding.code,
            "severity": finding.kind.severity,
            "split": finding.split,
            "file": str(finding.file),
            "line": finding.line,
        }
        columns = self.columns.get(finding.split)
        if columns is not None and finding.image >= 0:
            values["image_id"] = int(columns.image_ids[finding.image])
        if columns is not None and finding.person >= 0:
            values["annotation_id"] = int(columns.ids[finding.person])
        return values


def sort_codes(codes: Iterable[str]) -> list[str]:
    """Codes by severity, and in the order of the catalogue within one."""
    order = {code: place for place, code in enumerate(KINDS)}
    return sorted(codes, key=lambda c: (SEVERITIES.index(KINDS[c].severity), order[c]))


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of their kinds; those of one kind keep theirs."""
    place = {code: index for index, code in enumerate(sort_codes(KINDS))}
    return tuple(sorted(findings, key=lambda finding: place[finding.code]))
