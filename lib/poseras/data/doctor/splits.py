"""Checks between splits: pictures that are learned and tested, PoseTrack's label versions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from ...structures import ImageTable, PersonRecords
from ..dataset import Split
from ..posetrack_release import Sequences, read_sequences
from ..posetrack_versions import check_annotated_sequences, find_undetected_sequences
from .columns import SplitColumns
from .detections import Detections
from .findings import Findings
from .picture_files import Pictures, identify

_ROLE = re.compile(r"[A-Za-z]+")


def check_leaks(
    columns: Mapping[str, SplitColumns], pictures: Pictures, findings: Mapping[str, Findings]
) -> None:
    """Pictures that stand in two splits that must not share any.

    Args:
        columns: by split.
        pictures: by path; where they were not looked at, paths are compared.
        findings: by split; the one that is tested receives the finding.
    """
    for one, other in combinations(columns, 2):
        if not must_be_apart(one, other):
            continue
        learned, tested = (other, one) if other.startswith("train") else (one, other)
        known = set(identify(columns[learned], pictures))
        names = identify(columns[tested], pictures)
        again = np.array([name in known for name in names], bool)
        findings[tested].add_images(
            "picture-in-two-splits",
            again,
            columns[tested],
            lambda row, learned=learned: f"is also in {learned}",  # type: ignore[misc]
        )


def must_be_apart(one: str, other: str) -> bool:
    """Whether two splits, by their names, must not share a picture.

    Names are a role and a rest: `val_protocol_1` belongs to `train_protocol_1` alone. A role that
    holds the other one, as `trainval` holds `train` and `val`, is a union of both on purpose. What
    follows a colon names a file of the split.
    """
    roles, rests = [], []
    for name in (one.partition(":")[0], other.partition(":")[0]):
        role = _ROLE.match(name)
        roles.append(role.group() if role else name)
        rests.append(name[len(roles[-1]) :])
    return rests[0] == rests[1] and roles[0] not in roles[1] and roles[1] not in roles[0]


def check_versions(
    columns: SplitColumns, files: Split, detections: Detections | None, findings: Findings
) -> str:
    """Whether PoseTrack's sequences, annotations and detections are of one label version.

    Returns:
        One line that says why they were not compared; "" where they were.
    """
    if files.sequences is None or not any(files.sequences.glob("*.json")):
        return f"Label versions were not compared: no sequences at {files.sequences}."
    try:
        sequences = read_sequences(files.sequences)
        check_annotated_sequences(sequences, _image_table(columns), files.sequences, columns.path)
    except ValueError as error:
        findings.add("label-versions", str(error))
        return ""
    _compare_counts(sequences, columns, files.sequences, findings)
    if detections is not None and files.detections is not None:
        records = _person_records(columns, detections)
        line = find_undetected_sequences(sequences, records, files.detections)
        if line and len(records):
            findings.add("label-versions", line)
    return ""


def _compare_counts(
    sequences: Sequences, columns: SplitColumns, folder: Path, findings: Findings
) -> None:
    """People that were added or taken away between the sequences and the annotation file."""
    people = sum(len(content.get("annotations", ())) for content in sequences.values())
    if len(columns) and people != len(columns):
        findings.add(
            "label-versions",
            f"{columns.path} has {len(columns)} people, the sequences of {folder} have {people}; "
            "run tool/posetrack2coco.py again.",
        )


def _image_table(columns: SplitColumns) -> ImageTable:
    paths: Sequence[Path] = columns.paths
    return ImageTable(
        ids=columns.image_ids,
        paths=tuple([str(path) for path in paths]),
        sizes_hw=columns.sizes_hw.astype(np.int32),
    )


def _person_records(columns: SplitColumns, detections: Detections) -> PersonRecords:
    """The detections on the pictures of a split, as far as their pictures matter."""
    index = detections.find_images(columns.image_ids)
    index = index[index >= 0]
    people = len(index)
    return PersonRecords(
        images=_image_table(columns),
        image_index=index.astype(np.int32),
        boxes_xywh=np.zeros((people, 4), np.float32),
        keypoints=np.zeros((people, 1, 3), np.float32),
        scores=np.zeros(people),
        areas=np.zeros(people),
        annotation_ids=np.full(people, -1, np.int64),
    )
