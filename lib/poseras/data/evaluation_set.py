"""The people that a network is tested on: annotations, boxes and where they came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..skeleton import Skeleton
from ..structures import PersonRecords
from .annotation import AnnotationTable, read_split
from .coco_format import OnBadSample
from .dataset import MAT_SUFFIX, Dataset, Evaluation, load_dataset, replace_files
from .far_cameras import name_cameras
from .persons import (
    BoxClipping,
    annotated_persons,
    detected_persons,
    sort_by_image,
    training_persons,
)
from .posetrack_release import Sequences, read_sequences
from .posetrack_versions import check_annotated_sequences, find_undetected_sequences
from .space_by_file import attach_space_by_file

logger = logging.getLogger("poseras")

GtPeople = Literal["all", "labelled"]

#: Protocols whose scores come from more of an annotation file than a table has of it.
_SCORED_BY_FILE = ("crowdpose", "mpii")


@dataclass(frozen=True)
class EvaluationFiles:
    """The files that a test reads.

    Attributes:
        dataset: to which they belong.
        split: its name, train, val or test.
        annotations: in COCO format.
        images: folder.
        detections: person boxes, None where annotated boxes are tested.
        sequences: folder of PoseTrack's original files, None for other protocols.
        more_annotations: files of the same kind after the first one.
        gt_people: of annotated boxes, whose are tested; see `load_evaluation_set`.
    """

    dataset: Dataset
    split: str
    annotations: Path
    images: Path
    detections: Path | None
    sequences: Path | None = None
    more_annotations: tuple[Path, ...] = ()
    gt_people: GtPeople = "all"

    @property
    def all_annotations(self) -> tuple[Path, ...]:
        """The first file and those after it."""
        return (self.annotations, *self.more_annotations)


@dataclass(frozen=True)
class EvaluationSet:
    """People to test on.

    Attributes:
        table: the annotations, joints in the order of the network.
        records: the people, sorted by image.
        files: where they were read from.
        origin: for the protocol of a result: which files (as paths) and which boxes.
        sequences: PoseTrack's original files by name, None for other protocols.
        scored_images: (images,) ids of the pictures that are scored, None for all of the file.
    """

    table: AnnotationTable
    records: PersonRecords
    files: EvaluationFiles
    origin: dict[str, Any]
    sequences: Sequences | None = None
    scored_images: np.ndarray | None = None


def find_evaluation_files(
    root: Path,
    dataset_name: str,
    split: str,
    annotations: str = "",
    detections: str = "",
    *,
    use_gt_box: bool = False,
    gt_people: GtPeople = "all",
    images: str = "",
) -> EvaluationFiles:
    """Which files a test will read; they are there.

    People of a `.mat` file are scored by PCK, as in the original.

    Args:
        root: of the project, where relative paths start.
        dataset_name: folder of data/.
        split: train, val or test.
        annotations: a file in the place of the split's own.
        detections: a file in the place of the split's own.
        use_gt_box: test on annotated boxes, no detections are read.
        gt_people: whose annotated boxes: `all`, or without crowds and the `labelled` alone.
        images: a folder in the place of the split's own.

    Raises:
        FileNotFoundError: a file is missing; the line says how to get it.
        ValueError: no such dataset or split, or one without detections.
    """
    named = [root / Path(path).expanduser() if path else None for path in (annotations, images)]
    scored_by: Evaluation | None = "pck" if annotations.endswith(MAT_SUFFIX) else None
    dataset = load_dataset(root, dataset_name)
    dataset = replace_files(dataset, split, named[0], named[1], scored_by)
    usual = dataset.split(split)
    boxes = root / Path(detections).expanduser() if detections else usual.detections
    files = EvaluationFiles(
        dataset=dataset,
        split=split,
        annotations=usual.annotations,
        images=usual.images,
        detections=None if use_gt_box else boxes,
        sequences=usual.sequences if dataset.evaluation == "posetrack" else None,
        more_annotations=usual.more_annotations,
        gt_people=gt_people,
    )
    for path in files.all_annotations:
        if not path.is_file():
            raise FileNotFoundError(_explain_missing(path, dataset))
    if files.more_annotations and dataset.evaluation in _SCORED_BY_FILE:
        raise ValueError(
            f"The protocol {dataset.evaluation} of {dataset_name} is scored by one annotation "
            f"file. Received {len(files.all_annotations)} for the split {split}; join them."
        )
    if not use_gt_box and files.detections is None:
        raise ValueError(
            f"The split {split} of {dataset_name} names no detections. --set test.detections=FILE "
            "names some, --set test.use_gt_box=true tests on annotated boxes."
        )
    if files.detections is not None and not files.detections.is_file():
        raise FileNotFoundError(
            f"No person boxes at {files.detections}. Top-down testing reads them in COCO result "
            "format; --set test.use_gt_box=true tests on annotated boxes."
        )
    if dataset.evaluation == "posetrack" and not _holds_sequences(files.sequences):
        raise FileNotFoundError(
            f"No PoseTrack sequences at {files.sequences}. Results are written and scored sequence "
            f"by sequence: link the release's files, one .json each, into {dataset.folder} as "
            "data/README.md shows."
        )
    return files


def _explain_missing(path: Path, dataset: Dataset) -> str:
    """How to get annotations that are not there; no release has `.mat` files in that form."""
    link = f"Link or copy the {dataset.name} annotations and images into {dataset.folder}"
    if path.suffix == MAT_SUFFIX:
        link = "python tool/mpii_crops.py makes MPII's dataset-test.mat; others are made"
    return f"No annotations at {path}. {link} as data/README.md shows."


def _holds_sequences(folder: Path | None) -> bool:
    return folder is not None and any(folder.glob("*.json"))


def describe_annotations(files: EvaluationFiles) -> dict[str, Any]:
    """The part of an `origin` that tells which annotations were read: all files."""
    origin: dict[str, Any] = {
        "dataset": files.dataset.name,
        "split": files.split,
        "annotations": files.annotations,
    }
    if files.more_annotations:
        origin["more_annotations"] = [path.name for path in files.more_annotations]
    return origin


def load_evaluation_set(
    files: EvaluationFiles,
    skeleton: Skeleton,
    *,
    detection_threshold: float = 0.0,
    box_clipping: BoxClipping = "published",
    on_bad_sample: OnBadSample = "stop",
    root_box_mm: tuple[float, float] | None = None,
) -> EvaluationSet:
    """Read the people of a test.

    Annotated boxes of the train split are filtered and clipped as in training; those of other
    splits are taken as they are, crowds and people without keypoints included, as
    TF-SimpleHumanPose does. With `files.gt_people` of `labelled` every split is treated as the
    train split, as Microsoft's code does, whose crowds and people without keypoints are no one.

    Args:
        files: as `find_evaluation_files` gives them.
        skeleton: of the network.
        detection_threshold: boxes count whose score is above it.
        box_clipping: of annotated boxes that are filtered.
        on_bad_sample: `stop` at a bad entry of a file, or `skip` it and list it.
        root_box_mm: height and width of the box around the root that a network in 3D looks at;
            joints in space and cameras of annotated people are then read, too.

    Raises:
        ValueError: a file is not what it should be, none of its people can be tested, or
            PoseTrack's files are of different label versions.
    """
    table = read_split(
        files.dataset,
        files.split,
        skeleton=skeleton,
        annotations=files.all_annotations,
        on_bad_sample=on_bad_sample,
    )
    if root_box_mm and files.detections is None:
        return _load_in_space(table, files, skeleton, root_box_mm, on_bad_sample)
    origin = describe_annotations(files)
    sequences = None
    if files.sequences is not None:
        sequences = read_sequences(files.sequences)
        check_annotated_sequences(sequences, table.images, files.sequences, files.annotations)
        origin["sequences"] = files.sequences
    if files.detections is None:
        records = annotated_persons(table)
        if files.split == "train" or files.gt_people == "labelled":
            skip = files.dataset.skip_unlabelled
            people = training_persons(table, box_clipping=box_clipping, skip_unlabelled=skip)
            records = sort_by_image(people)
            origin |= {"box_clipping": box_clipping, "gt_people": "labelled"}
        return EvaluationSet(table, records, files, {**origin, "boxes": "annotated"}, sequences)
    records = detected_persons(
        table, files.detections, score_threshold=detection_threshold, on_bad_sample=on_bad_sample
    )
    undetected = find_undetected_sequences(sequences or {}, records, files.detections)
    if undetected and on_bad_sample == "stop":
        raise ValueError(f"{undetected} --set data.on_bad_sample=skip tests all the same.")
    if undetected:
        logger.warning(undetected)
    origin |= {
        "boxes": "detected",
        "detections": files.detections,
        "detection_threshold": detection_threshold,
    }
    return EvaluationSet(table, records, files, origin, sequences)


def _load_in_space(
    table: AnnotationTable,
    files: EvaluationFiles,
    skeleton: Skeleton,
    box_mm: tuple[float, float],
    on_bad_sample: OnBadSample,
) -> EvaluationSet:
    """Every annotated person, with what their file knows of them in space."""
    people = attach_space_by_file(
        annotated_persons(table),
        table,
        files.dataset,
        skeleton,
        box_mm=box_mm,
        on_bad_sample=on_bad_sample,
    )
    records = sort_by_image(people)
    located = records.space is not None and bool(records.space.located.any())
    origin = {
        **describe_annotations(files),
        "boxes": "around the annotated root in space" if located else "annotated",
        "depth_of_root_and_camera": name_cameras(records.space),
    }
    return EvaluationSet(table, records, files, origin)
