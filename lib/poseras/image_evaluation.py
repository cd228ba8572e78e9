"""A bottom-up network over a whole test set: everybody on every picture, scores and protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .data.annotation import read_split
from .data.coco_format import OnBadSample
from .data.evaluation_set import EvaluationFiles, EvaluationSet, describe_annotations
from .data.first_pictures import keep_first_pictures, on_first_pictures
from .data.image_records import all_pictures, require_pictures
from .evaluation import Outcome, describe_test, evaluate_predictor, score_people
from .image_prediction import find_people, pad_for_merging
from .mask_evaluation import PROTOCOL, read_people
from .metrics.coco import Evaluator
from .part_pictures import require_parts
from .predictor import Predictor
from .skeleton import Skeleton
from .structures import ImageRecords, People

#: Protocols that compare people by their boxes or in space, which bottom-up systems do not know.
_NEEDS_BOXES = ("mpii", "human36m")

#: Settings of a test that only one kind of network reads.
_FOR_BOXES = (
    *("detections", "use_gt_box", "gt_people", "detection_threshold"),
    *("keypoint_threshold", "box_nms_threshold", "oks_nms_threshold"),
)
_FOR_PICTURES = ("scales", "all_images")

#: Pictures to row -> people in pixels of the picture.
FindPeople = Callable[[ImageRecords], dict[int, People]]


def evaluate_by_settings(
    predictor: Predictor,
    files: EvaluationFiles,
    *,
    root: Path,
    data: Any,
    test: Any,
    ensemble: Sequence[Predictor] = (),
) -> Outcome:
    """Test a network as its system asks for: on the people of boxes, or on whole pictures.

    Args:
        predictor: the network.
        files: what the test reads.
        root: of the project.
        data: a record with the settings `workers`, `on_bad_sample` and `box_clipping`.
        test: a record with those that `evaluation.evaluate_predictor` and `evaluate_pictures` take
            by name.
        ensemble: as `evaluation.evaluate_predictor`.

    Raises:
        ValueError: there is an ensemble for a network that looks at whole pictures, or true masks
            for one without parts, or a setting that this kind of network does not read.
    """
    shared: dict[str, Any] = {
        "root": root,
        "workers": data.workers,
        "on_bad_sample": data.on_bad_sample,
        "flip_test": test.flip_test,
        "batch_size": test.batch_size,
        "most_pictures": test.most_pictures,
        "evaluator": test.evaluator,
    }
    if test.true_masks:
        require_parts(predictor, "test.true_masks reads")
    if predictor.sees_whole_pictures:
        if ensemble:
            raise ValueError(
                "test.ensemble averages the joints of people in boxes. Received a bottom-up "
                "network; leave it empty, test.scales averages several sizes."
            )
        _check_unread(test, _FOR_BOXES, "people in boxes", "bottom-up")
        return evaluate_pictures(
            predictor,
            files,
            scales=test.scales,
            all_images=test.all_images,
            true_masks=test.true_masks,
            **shared,
        )
    _check_unread(test, _FOR_PICTURES, "whole pictures", "top-down")
    return evaluate_predictor(
        predictor,
        files,
        box_clipping=data.box_clipping,
        detection_threshold=test.detection_threshold,
        keypoint_threshold=test.keypoint_threshold,
        box_nms_threshold=test.box_nms_threshold,
        oks_nms_threshold=test.oks_nms_threshold,
        ensemble=ensemble,
        **shared,
    )


def _check_unread(test: Any, names: Sequence[str], subject: str, kind: str) -> None:
    """Refuse settings of tests on another subject: who sweeps them would see equal scores."""
    for setting in fields(test):
        value = getattr(test, setting.name)
        if setting.name in names and value != setting.default:
            raise ValueError(
                f"test.{setting.name} is read in tests on {subject} alone. Received {value!r} for "
                f"a {kind} network; set it back to {setting.default!r}."
            )


def evaluate_pictures(
    predictor: Predictor,
    files: EvaluationFiles,
    *,
    root: Path,
    workers: int = 0,
    on_bad_sample: OnBadSample = "stop",
    flip_test: bool = True,
    batch_size: int = 8,
    scales: tuple[float, ...] = (1.0,),
    all_images: bool = False,
    true_masks: bool = False,
    most_pictures: int = 0,
    evaluator: Evaluator = "pycocotools",
) -> Outcome:
    """Find everybody on the pictures of a test set with the network of a snapshot, and score them.

    Args:
        predictor: the network.
        files: annotations and pictures; boxes are not read.
        root: of the project; the protocol names files inside it relative to it.
        workers: threads that read pictures; 0 is one per core.
        on_bad_sample: `stop` at a bad entry or an unreadable picture, or `skip` it and list it.
        flip_test: also look at the mirrored pictures and average.
        batch_size: pictures per device and step; 1 where views differ in size.
        scales: sizes of the views that are looked at and averaged.
        all_images: also look at pictures without annotations.
        true_masks: nobody is to be found: people are read inside their annotated masks, in views of
            one size without a flip test; for networks of parts.
        most_pictures: only the first so many of these pictures; 0 is all.
        evaluator: which one scores.
    """
    test, records = load_test_pictures(
        files,
        predictor.skeleton,
        all_images=all_images,
        most_pictures=most_pictures,
        on_bad_sample=on_bad_sample,
        segmentations=true_masks,
    )
    find: FindPeople
    if true_masks:
        find = partial(read_people, predictor, test.table, on_bad_sample=on_bad_sample)
        flip_test, scales = False, (1.0,)
    else:
        predictor = pad_for_merging(predictor, flip_test=flip_test, scales=scales)
        find = partial(
            find_people,
            predictor,
            flip_test=flip_test,
            batch_size=batch_size,
            scales=scales,
            workers=workers,
            on_bad_sample=on_bad_sample,
        )
    outcome = score_pictures(find, test, records, predictor.skeleton, evaluator)
    described = describe_test(predictor, test, flip_test=flip_test, root=root)
    described |= {"scales": list(scales), "all_images": all_images}
    oracle = PROTOCOL if true_masks else {}
    return replace(outcome, protocol={**described, **outcome.protocol, **oracle})


def load_test_pictures(
    files: EvaluationFiles,
    skeleton: Skeleton,
    *,
    all_images: bool = False,
    most_pictures: int = 0,
    on_bad_sample: OnBadSample = "stop",
    segmentations: bool = False,
) -> tuple[EvaluationSet, ImageRecords]:
    """The pictures of a test: those with an annotation, of a file without any all of them.

    Args:
        files: as `find_evaluation_files` gives them.
        skeleton: of the network.
        all_images: also pictures without annotations.
        most_pictures: only the first so many of these pictures in the file; 0 is all.
        on_bad_sample: `stop` at a bad entry of the file, or `skip` it and list it.
        segmentations: keep those of the annotations.

    Raises:
        ValueError: the data set is scored by boxes, or the file is not what it should be.
    """
    if files.dataset.evaluation in _NEEDS_BOXES:
        raise ValueError(
            f"{files.dataset.name} is scored by the protocol {files.dataset.evaluation}, which "
            "needs people in known boxes. Received a bottom-up system; test on another data set."
        )
    table = read_split(
        files.dataset,
        files.split,
        skeleton=skeleton,
        annotations=files.all_annotations,
        on_bad_sample=on_bad_sample,
        segmentations=segmentations,
    )
    require_pictures(table)
    records = all_pictures(table)
    pictures = records.image_index
    if len(table) and not all_images:
        pictures = pictures[np.isin(pictures, table.image_index)]
    origin = {**describe_annotations(files), "boxes": "none, whole pictures"}
    test = EvaluationSet(table, records.people, files, origin)
    test = keep_first_pictures(test, most_pictures, pictures)
    pictures = pictures[on_first_pictures(pictures, most_pictures)]
    return test, ImageRecords(records.people, pictures, np.zeros(len(pictures) + 1, np.int64))


def score_pictures(
    find: FindPeople,
    test: EvaluationSet,
    records: ImageRecords,
    skeleton: Skeleton,
    evaluator: Evaluator = "pycocotools",
) -> Outcome:
    """Find everybody and score them; where nobody is found, the score is 0.

    Args:
        find: the network.
        test: of `load_test_pictures`.
        records: of the same.
        skeleton: of the network.
        evaluator: which one scores.
    """
    found = find(records)
    ids = records.image_ids.tolist()
    people = {ids[row]: members for row, members in sorted(found.items()) if len(members)}
    protocol: dict[str, Any] = {
        "pictures_looked_at": len(found),
        "pictures_skipped": len(records) - len(found),
        "person_score": "mean of the keypoint scores, 0 for joints that were not found",
    }
    evaluation = None
    if len(test.table):
        evaluation, described = score_people(people, test, skeleton, evaluator)
        if evaluation is not None:
            protocol["evaluation"] = {**evaluation.protocol(), **described}
    return Outcome(test, skeleton, people, evaluation, protocol)
