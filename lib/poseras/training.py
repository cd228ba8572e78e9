"""People and a recipe in, a trained network out: what `main/train.py` calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from . import systems
from .data.annotation import AnnotationTable
from .data.augment import upper_body_joints
from .data.coco_format import OnBadSample
from .data.evaluation_set import EvaluationFiles, load_evaluation_set
from .data.first_pictures import keep_first_pictures
from .data.image_pipeline import build_image_training_batches
from .data.order import Mixture
from .data.pipeline import SampleLog, build_training_batches
from .engine.precision import set_precision
from .engine.results import library_versions
from .engine.schedule import Schedule, count_steps_per_epoch
from .engine.snapshot import Snapshot, digest_arrays, newest_valid
from .engine.tester import Selection
from .engine.train_step import StepSettings
from .engine.trainer import Share, train
from .engine.training_loop import RunSettings, Validate
from .engine.workers import local_strategy
from .evaluation import evaluate
from .foreign import Network
from .image_evaluation import load_test_pictures, score_pictures
from .image_prediction import find_people
from .predictor import Predictor
from .settings import apply_differences, flatten
from .skeleton import Skeleton
from .snapshot_choice import find_placed
from .starting_weights import load_starting_weights
from .structures import ImageRecords, PersonRecords, View

log = logging.getLogger("poseras")

Record = TypeVar("Record")

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
            `keypoint_threshold`, `box_nms_threshold`, `oks_nms_threshold` and `evaluator`, as
            `evaluation.evaluate_predictor` takes them.
    """

    files: EvaluationFiles
    test: Any


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """Everything that one run of training is made from, but for the devices.

    Attributes:
        people: to learn from, joints in the order of the skeleton; whole pictures with everybody on
            them for a bottom-up system.
        skeleton: of the network.
        recipe: a record that has, by name, the settings of `Schedule`, `StepSettings` and
            `RunSettings`, and `initial_weights`: `imagenet`, `shipped`, `none` or a path.
        system_name: of the folder in `systems/`.
        options: of the system.
        view: how people become network input, with the augmentation.
        seed: of initial weights, order and augmentation.
        config: all settings, flat, for the snapshots.
        snapshot_folder: `output/model_dump/<dataset>/<run>/`.
        log_folder: `output/log/<dataset>/<run>/`.
        root: of the project; pretrained backbones lie in its `data/imagenet_weights/`.
        resume: `--continue`.
        workers: threads that make batches; 0 is one per core.
        on_bad_sample: `stop` at an unreadable picture, or `skip` it.
        resources: trained tables of the system, see `systems.load_resources`.
        validation: what to measure after every `recipe.validate_every_epochs`, None for nothing.
        mixture: the order of people of several data sets; None shuffles all of them together.
    """

    people: PersonRecords | ImageRecords
    skeleton: Skeleton
    recipe: Any
    system_name: str
    options: Any
    view: View
    seed: int
    config: Mapping[str, Any]
    snapshot_folder: Path
    log_folder: Path
    root: Path
    resume: bool = False
    workers: int = 0
    on_bad_sample: OnBadSample = "stop"
    resources: Mapping[str, np.ndarray] = field(default_factory=dict)
    validation: Validation | None = None
    mixture: Mixture | None = None

    @property
    def samples_per_epoch(self) -> int:
        """Of all devices together."""
        return self.mixture.samples if self.mixture else len(self.people)


def train_people(job: TrainingJob, strategy: Any) -> keras.Model:
    """Train a network on people, one view each.

    Args:
        job: what to train.
        strategy: a `tf.distribute.Strategy`, the devices.

    Returns:
        The trained model.

    Raises:
        ValueError, OSError, FloatingPointError, MemoryError, SystemExit: as
            `engine.trainer.train`.
    """
    recipe = job.recipe
    step_settings = take(StepSettings, recipe)
    set_precision(step_settings.precision)
    keras.utils.set_random_seed(job.seed)
    system = systems.system_class(job.system_name)(job.options, job.skeleton, job.resources)
    per_step = recipe.batch_size * strategy.num_replicas_in_sync * recipe.accumulate_steps
    steps = count_steps_per_epoch(job.samples_per_epoch, per_step)
    samples = SampleLog()
    model = train(
        system,
        schedule=take(Schedule, recipe, steps_per_epoch=steps),
        step_settings=step_settings,
        run=take(RunSettings, recipe, **_folders(job)),
        make_batches=partial(make_batches, job, samples),
        metadata=_describe(job),
        strategy=strategy,
        load_weights=partial(_load_weights, job, system),
        validate=make_validation(job, system, strategy),
        data_errors=samples.original_errors,
        read_placed=partial(_read_placed, job),
    )
    if samples.skipped:
        log.warning("%s", samples.summary())
    return model


def _folders(job: TrainingJob) -> dict[str, Any]:
    return {
        "snapshot_folder": job.snapshot_folder,
        "log_folder": job.log_folder,
        "resume": job.resume,
        "free_settings": {
            f"options.{name}" for name in systems.options_module(job.system_name).FREE_OPTIONS
        },
    }


def _describe(job: TrainingJob) -> dict[str, Any]:
    """The metadata of every snapshot."""
    return {
        "system": job.system_name,
        "options": flatten(job.options),
        "skeleton": job.skeleton.to_dict(),
        "view": flatten(job.view),
        "config": dict(job.config),
        "versions": library_versions(),
        **({"resources_sha256": digest_arrays(job.resources)} if job.resources else {}),
    }


def load_resources(
    system_name: str,
    options: Any,
    skeleton: Skeleton,
    snapshot_folder: Path,
    *,
    resume: bool,
    root: Path = Path(),
) -> dict[str, np.ndarray]:
    """The tables of a system for a run: those in its newest snapshot, or those of files.

    Args:
        system_name: of the folder in `systems/`.
        options: of the system.
        skeleton: of the network.
        snapshot_folder: of the run.
        resume: whether the run goes on from that snapshot.
        root: of the project, where relative paths start; the working directory by default.

    Raises:
        FileNotFoundError, ValueError: as `systems.load_resources`.
    """
    earlier = None
    if resume:
        snapshot, _ = newest_valid(snapshot_folder)
        if snapshot is None:  # then a run continues one that was placed beside it
            snapshot, _ = newest_valid(snapshot_folder.parent)
        if snapshot is not None and snapshot.metadata.get("system") == system_name:
            usual = systems.options_module(system_name).Options()
            stored = apply_differences(usual, snapshot.metadata["options"])
            earlier = stored, snapshot.part("resources")
    return systems.load_resources(system_name, options, skeleton, earlier, root)


def make_batches(job: TrainingJob, samples: SampleLog, share: Share) -> Any:
    """The batches of a training.

    Args:
        job: whose samples and augmentation.
        samples: where bad samples are noted.
        share: the part of them that is asked for.

    Returns:
        What `pipeline.build_training_batches` returns.
    """
    halves = job.view.augmentation.half_body_probability > 0
    shared: dict[str, Any] = {
        "batch_size": job.recipe.batch_size,
        "devices": share.devices,
        "first_device": share.first_device,
        "local_devices": share.local_devices,
        "first_step": share.first_batch,
        "seed": job.seed,
        "workers": job.workers,
        "on_bad_sample": job.on_bad_sample,
        "log": samples,
    }
    permutation = job.skeleton.flip_permutation
    if isinstance(job.people, ImageRecords):
        return build_image_training_batches(job.people, permutation, job.view, **shared)
    return build_training_batches(
        job.people,
        permutation,
        job.view,
        upper_body=upper_body_joints(job.skeleton.keypoints) if halves else None,
        mixture=job.mixture,
        **shared,
    )


def _read_placed(job: TrainingJob, folder: Path) -> Snapshot | None:
    """A published checkpoint that was placed beside the runs, to go on from."""
    network = Network(job.system_name, job.options, job.view)
    return find_placed(folder, network, job.config, job.skeleton, job.root)


def _load_weights(job: TrainingJob, system: Any, model: keras.Model) -> list[str]:
    choice = job.recipe.initial_weights
    if hasattr(system, "check_start"):
        system.check_start(pretrained=choice != "none")
    return load_starting_weights(model, job.system_name, job.options, choice=choice, root=job.root)


def take(kind: type[Record], source: Any, **others: Any) -> Record:
    """A record whose fields come from those of the same names of another one, or are given."""
    names = {field.name for field in fields(kind)} - others.keys()  # type: ignore[arg-type]
    return kind(**{n: getattr(source, n) for n in names if hasattr(source, n)}, **others)


def make_validation(job: TrainingJob, system: Any, strategy: Any) -> Validate | None:
    """What the trainer calls after every so many epochs: the test of `evaluation`, without files.

    Args:
        job: with a validation; its view is used without augmentation.
        system: of the network.
        strategy: of the run; with several workers the chief measures alone, on one device.

    Returns:
        From a model to its numbers by name, the main one of `MAIN_NUMBERS` first; that one alone,
        0, where nobody was found. None where the job has nothing to measure.

    Raises:
        ValueError: the split has no annotations to measure by, or the system needs more to tell
            people apart.
    """
    if job.validation is None:
        return None
    if isinstance(job.people, ImageRecords):
        return _make_image_validation(job, job.validation, system, strategy)
    files, test = job.validation.files, job.validation.test
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
    height, width = job.view.size_hw
    known = {"aspect_ratio": width / height, "oks_sigmas": system.skeleton.oks_sigmas}
    selection = take(Selection, test, margin=job.view.margin, **known)
    devices = local_strategy(strategy)
    predictors: list[Predictor] = []  # the same model is measured again and again: traced once

    def validate(model: keras.Model) -> dict[str, float]:
        if not predictors:
            in_training = Snapshot(Path("in training"), {}, {}, "")
            predictors.append(Predictor(system, model, job.view, devices, in_training))
        predict = partial(
            predictors[0].predict_records,
            flip_test=test.flip_test,
            batch_size=test.batch_size,
            workers=job.workers,
            on_bad_sample=job.on_bad_sample,
        )
        outcome = evaluate(
            predict, people, system.skeleton, selection=selection, evaluator=test.evaluator
        )
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
    devices = local_strategy(strategy)
    predictors: list[Predictor] = []  # the same model is measured again and again: traced once

    def validate(model: keras.Model) -> dict[str, float]:
        if not predictors:
            in_training = Snapshot(Path("in training"), {}, {}, "")
            predictors.append(Predictor(system, model, job.view, devices, in_training))
        find = partial(
            find_people,
            predictors[0],
            flip_test=test.flip_test,
            batch_size=test.batch_size,
            scales=test.scales,
            workers=job.workers,
            on_bad_sample=job.on_bad_sample,
        )
        outcome = score_pictures(find, pictures, records, system.skeleton, test.evaluator)
        stats = dict(outcome.evaluation.stats) if outcome.evaluation else {main_number: 0.0}
        return {main_number: stats[main_number], **stats}

    return validate
