"""The whole examination of a data set: every check on every split, in one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..dataset import Dataset, Split
from .columns import SplitColumns, list_keys, read_columns
from .detections import Detections, check_detections, read_detections
from .entries import (
    check_categories,
    check_ids,
    check_images,
    check_joints,
    check_keypoint_names,
    mark_outside,
)
from .findings import Finding, Findings, Report, sort_findings
from .people import check_boxes, check_counts, check_keypoints, check_numbers
from .picture_files import PictureFile, check_pictures, look_at_all
from .sides import check_sides
from .splits import check_leaks, check_versions

#: Called with (done, total) while pictures are looked at.
Progress = Callable[[int, int], None]


@dataclass
class _Examination:
    """What is known so far."""

    dataset: Dataset
    columns: dict[str, SplitColumns] = field(default_factory=dict)
    findings: dict[str, Findings] = field(default_factory=dict)
    absent: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    elsewhere: list[Finding] = field(default_factory=list)


def examine(
    dataset: Dataset,
    splits: Sequence[str] = (),
    *,
    look_at_pictures: bool = True,
    threads: int = 4,
    progress: Progress | None = None,
) -> Report:
    """Look for everything that is wrong in the files of a data set.

    Args:
        dataset: as `load_dataset` gives it.
        splits: names; all by default. A split without its annotation file is listed as absent.
        look_at_pictures: open and decode every picture.
        threads: how many pictures are opened at the same time.
        progress: called while they are.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: none of the splits has its annotation file.
    """
    state = _Examination(dataset)
    chosen = list_files(dataset, splits or tuple(dataset.splits))
    for name, files in chosen.items():
        _read_split(state, name, files)
    if not state.findings:
        places = ", ".join(str(path) for path in state.absent.values())
        raise FileNotFoundError(
            f"There are no annotations of {dataset.name} to look at: no file {places}. "
            "data/README.md shows where they come from and how to link them."
        )
    with np.errstate(all="ignore"):  # numbers that overflow are findings, not warnings
        for columns in state.columns.values():
            _check_annotations(state, columns)
    pictures: dict[Path, PictureFile] = {}
    if look_at_pictures:
        pictures = _check_files(state, threads, progress)
    check_leaks(state.columns, pictures, state.findings)
    every = list_files(dataset, tuple(dataset.splits))
    detections = _check_detections(state, chosen, every)
    if dataset.evaluation == "posetrack":
        for name, columns in state.columns.items():
            found = detections.get(chosen[name].detections)
            state.remarks.append(check_versions(columns, chosen[name], found, state.findings[name]))
    found_all = [f for findings in state.findings.values() for f in findings.found]
    return Report(
        dataset=dataset.name,
        findings=sort_findings(found_all + state.elsewhere),
        columns=state.columns,
        absent=state.absent,
        remarks=tuple(dict.fromkeys(line for line in state.remarks if line)),
        sizes_hw={path: p.size_hw for path, p in pictures.items() if p.state == "whole"},
    )


def list_files(dataset: Dataset, splits: Sequence[str]) -> dict[str, Split]:
    """The annotation files of some splits, those after a split's first one as `split:stem`.

    Raises:
        ValueError: there is no such split.
    """
    files = {}
    for name in splits:
        files[name] = split = dataset.split(name)
        for path in split.more_annotations:
            files[f"{name}:{path.stem}"] = replace(split, annotations=path)
    return files


def _read_split(state: _Examination, name: str, files: Split) -> None:
    """Read the file of a split, or note that it is not there."""
    path = files.annotations
    if not path.is_file():
        state.absent[name] = path
        return
    findings = state.findings[name] = Findings(name, path)
    try:
        columns, malformed = read_columns(state.dataset, name, path, files.images)
    except ValueError as error:
        findings.add("file-unreadable", str(error))
        return
    state.columns[name] = columns
    for line in malformed:
        findings.add("entry-malformed", line)
    if not len(columns) and not malformed:
        _tell_of_missing_people(state, columns)


def _tell_of_missing_people(state: _Examination, columns: SplitColumns) -> None:
    """A remark for a test split, which may list pictures alone; a finding for another one."""
    keys = list_keys(columns.path)
    listed = "the list annotations is empty" if "annotations" in keys else "no list annotations"
    line = f"{columns.path.name} has no people: {listed}; it holds {', '.join(keys)}."
    if columns.split.startswith("test"):
        state.remarks.append(f"{columns.split}: {line} Results on it are written, not scored.")
    else:
        state.findings[columns.split].add("people-missing", line)


def _check_annotations(state: _Examination, columns: SplitColumns) -> None:
    findings, evaluation = state.findings[columns.split], state.dataset.evaluation
    check_keypoint_names(columns, findings, state.dataset)
    check_images(columns, findings)
    check_ids(columns, findings, evaluation)
    check_categories(columns, findings)
    check_numbers(columns, findings)
    check_counts(columns, findings, evaluation)
    check_boxes(columns, findings)
    right = not any(finding.code == "box-format" for finding in findings.found)
    check_keypoints(columns, findings, boxes_are_right=right)
    check_joints(columns, findings)
    if len(columns):
        remark = check_sides(columns, findings)
        state.remarks.append(f"{columns.split}: {remark}" if remark else "")


def _check_files(
    state: _Examination, threads: int, progress: Progress | None
) -> dict[Path, PictureFile]:
    """Open the pictures of all splits, each file once."""
    inside = {name: ~mark_outside(columns) for name, columns in state.columns.items()}
    paths = {
        path: None
        for name, columns in state.columns.items()
        for path, is_inside in zip(columns.paths, inside[name], strict=True)
        if is_inside
    }
    done = 0

    def count(path: Path) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, len(paths))

    pictures = look_at_all(paths, threads, count)
    for name, columns in state.columns.items():
        check_pictures(columns, pictures, np.asarray(inside[name]), state.findings[name])
    return pictures


def _check_detections(
    state: _Examination, chosen: Mapping[str, Split], every: Mapping[str, Split]
) -> dict[Path | None, Detections]:
    """Check the detections of the chosen splits once, against every split that names them."""
    found: dict[Path | None, Detections] = {}
    files = {split.detections for split in chosen.values() if split.detections}
    for path in sorted(path for path in files if path.is_file()):
        findings = Findings("", path)
        named = [name for name, split in every.items() if split.detections == path]
        columns = {name: state.columns[name] for name in named if name in state.columns}
        try:
            detections, malformed = read_detections(path)
        except ValueError as error:
            findings.add("file-unreadable", str(error))
        else:
            for line in malformed:
                findings.add("detection-malformed", line)
            complete = len(columns) == len(named)
            check_detections(detections, columns, findings, all_splits_are_here=complete)
            found[path] = detections
        state.elsewhere += findings.found
    return found
