"""The test of a network in training, after every so many epochs: what it measures, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from .data.annotation import AnnotationTable
from .data.evaluation_set import EvaluationFiles, load_evaluation_set
from .data.first_pictures import keep_first_pictures
from .engine.snapshot import Snapshot
from .engine.training_loop import Validate
from .engine.workers import local_strategy
from .evaluation import Outcome, evaluate
from .image_evaluation import load_test_pictures, score_pictures
from .image_prediction import find_people
from .predictor import Predictor
from .structures import ImageRecords

if TYPE_CHECKING:
    from .training import TrainingJob

#: Protocol of a data set -> the number by which its best snapshot is chosen.
MAIN_NUMBERS = {
    "coco": "AP",
    "crowdpose": "AP",
    "mpii": "Mean",
    "posetrack": "AP Total",
    "human36m": "AUC",
    "ai_challenger": "AP",
    "pck": "PCK@0.2",
}


@dataclass(frozen=True)
class Validation:
    """What to measure during training, and how.

    Attributes:
        files: annotations, pictures and boxes.
        test: a record with `batch_size`, `flip_test`, `detection_threshold`,
            `keypoint_threshold`, `box_nms_threshold`, `oks_nms_threshold`, `most_pictures` and
            `evaluator`, as `evaluation.evaluate_predictor` takes them; for a bottom-up system also
            `all_images` and `scales`, as `image_evaluation.evaluate_pictures` does.
    """

    files: EvaluationFiles
    test: Any


def make_validation(job: TrainingJob, system: Any, strategy: Any) -> Validate | None:
    """What the trainer calls after every so many epochs: the test of `evaluation`, without files.

    Args:
        job: with a validation; its view is used without augmentation.
        system: of the network.
        strategy: of the run; with several workers the chief measures alone, on one device.

    Returns:
        From a model to its numbers by name, the main one of `MAIN_NUMBERS` first; that one alone,
        0, where nobody can be scored. None where the job has nothing to measure.

    Raises:
        ValueError: the split has no annotations to measure by, or the system needs more to tell
            people apart.
    """
    if job.validation is None:
        return None
    if isinstance(job.people, ImageRecords):
        return _make_image_validation(job, job.validation, system, strategy)
    return _make_person_validation(job, job.validation, system, strategy)


def _make_person_validation(
    job: TrainingJob, validation: Validation, system: Any, strategy: Any
) -> Validate:
    """`make_validation` of a top-down system."""
    files, test = validation.files, validation.test
    people = load_evaluation_set(
        files,
        system.skeleton,
        detection_threshold=test.detection_threshold,
        on_bad_sample=job.on_bad_sample,
        root_box_mm=job.view.root_box_mm,
    )
    people = keep_first_pictures(people, test.most_pictures)
    in_space = people.records.space is not None and bool(people.records.space.located.any())
    main_number = _find_main_number(files, people.table, in_space=in_space)
    if files.dataset.evaluation == "mpii" and files.detections is not None:
        raise ValueError(
            "Validation on MPII is PCKh, which compares people with the annotations whose boxes "
            "they were looked for in. Received detections; --set test.use_gt_box=true."
        )

    def measure(predictor: Predictor) -> Outcome:
        selection = predictor.make_selection(
            keypoint_threshold=test.keypoint_threshold,
            box_nms_threshold=test.box_nms_threshold,
            oks_nms_threshold=test.oks_nms_threshold,
        )
        predict = partial(
            predictor.predict_records,
            flip_test=test.flip_test,
            batch_size=test.batch_size,
            workers=job.workers,
            on_bad_sample=job.on_bad_sample,
        )
        return evaluate(
            predict, people, system.skeleton, selection=selection, evaluator=test.evaluator
        )

    return _validate_by(measure, main_number, job, system, strategy)


def _make_image_validation(
    job: TrainingJob, validation: Validation, system: Any, strategy: Any
) -> Validate:
    """`make_validation` of a bottom-up system."""
    files, test = validation.files, validation.test
    _check_grouping(system)
    pictures, records = load_test_pictures(
        files,
        system.skeleton,
        all_images=test.all_images,
        most_pictures=test.most_pictures,
        on_bad_sample=job.on_bad_sample,
    )
    main_number = _find_main_number(files, pictures.table)

    def measure(predictor: Predictor) -> Outcome:
        find = partial(
            find_people,
            predictor,
            flip_test=test.flip_test,
            batch_size=test.batch_size,
            scales=test.scales,
            workers=job.workers,
            on_bad_sample=job.on_bad_sample,
        )
        return score_pictures(find, pictures, records, system.skeleton, test.evaluator)

    return _validate_by(measure, main_number, job, system, strategy)


def _validate_by(
    measure: Callable[[Predictor], Outcome],
    main_number: str,
    job: TrainingJob,
    system: Any,
    strategy: Any,
) -> Validate:
    """What `make_validation` returns, of a way to test the network in training."""
    devices = local_strategy(strategy)
    predictors: list[Predictor] = []  # the same model is measured again and again: traced once

    def validate(model: keras.Model) -> dict[str, float]:
        if not predictors:
            in_training = Snapshot(Path("in training"), {}, {}, "")
            predictors.append(Predictor(system, model, job.view, devices, in_training))
        outcome = measure(predictors[0])
        stats = dict(outcome.evaluation.stats) if outcome.evaluation else {main_number: 0.0}
        return {main_number: stats[main_number], **stats}

    return validate


def _find_main_number(
    files: EvaluationFiles, table: AnnotationTable, *, in_space: bool = False
) -> str:
    """The number of `MAIN_NUMBERS`; without annotations there is none."""
    main_number = MAIN_NUMBERS.get("human36m" if in_space else files.dataset.evaluation, "")
    if not main_number or not len(table):
        raise ValueError(
            f"Validation needs a split with annotations. Received {files.annotations} of "
            f"{files.dataset.name}; --set train.validate_every_epochs=0 trains without."
        )
    return main_number


def _check_grouping(system: Any) -> None:
    """Refuse a validation whose people could not be told apart, before the first step."""
    try:
        if hasattr(system, "check_grouping"):
            system.check_grouping()
    except ValueError as error:
        raise ValueError(
            f"{error} Or --set train.validate_every_epochs=0 trains without validation."
        ) from error
