"""People and a recipe in, a trained network out: what `main/train.py` calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from . import systems
from .data.augment import upper_body_joints
from .data.coco_format import OnBadSample
from .data.image_pipeline import build_image_training_batches
from .data.order import Mixture
from .data.pipeline import SampleLog, build_training_batches
from .engine.precision import set_precision
from .engine.results import library_versions
from .engine.run_description import RunDescription, read_commit
from .engine.schedule import Schedule, count_steps_per_epoch
from .engine.snapshot import Snapshot, digest_arrays, newest_valid
from .engine.step_settings import StepSettings
from .engine.trainer import Share, train
from .engine.training_loop import RunSettings
from .foreign import Network
from .settings import apply_differences, flatten, take_settings
from .skeleton import Skeleton
from .snapshot_choice import find_placed
from .starting_weights import load_starting_weights
from .structures import ImageRecords, PersonRecords, View
from .validation import Validation, make_validation

log = logging.getLogger("poseras")


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
        changes: those that differ from their defaults, for the log; None where nobody knows.
        snapshot_folder: `output/model_dump/<dataset>/<run>/`.
        log_folder: `output/log/<dataset>/<run>/`.
        root: of the project; pretrained backbones lie in its `data/imagenet_weights/`.
        resume: `--continue`.
        workers: threads that make batches; 0 is one per core.
        on_bad_sample: `stop` at an unreadable picture, or `skip` it.
        resources: trained tables of the system, see `systems.load_resources`.
        validation: what to measure after every `recipe.validate_every_epochs`, None for nothing.
        mixture: the order of people of several data sets; None shuffles all of them together.

    Raises:
        ValueError: the network cannot look at such views, or an option does nothing.
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
    changes: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        systems.check_view(self.system_name, self.options, self.view)
        systems.check_unread(self.system_name, self.options)

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
    step_settings = take_settings(StepSettings, recipe)
    set_precision(step_settings.precision)
    keras.utils.set_random_seed(job.seed)
    system = systems.system_class(job.system_name)(job.options, job.skeleton, job.resources)
    per_step = recipe.batch_size * strategy.num_replicas_in_sync * recipe.accumulate_steps
    steps = count_steps_per_epoch(job.samples_per_epoch, per_step)
    samples = SampleLog()
    metadata = _describe(job)
    model = train(
        system,
        schedule=take_settings(Schedule, recipe, steps_per_epoch=steps),
        step_settings=step_settings,
        run=take_settings(RunSettings, recipe, **_folders(job)),
        make_batches=partial(make_batches, job, samples),
        metadata=metadata,
        strategy=strategy,
        load_weights=partial(_load_weights, job, system),
        validate=make_validation(job, system, strategy),
        data_errors=samples.original_errors,
        read_placed=partial(_read_placed, job),
        description=RunDescription(
            job.config, job.changes, metadata["versions"], read_commit(job.root)
        ),
    )
    if samples.skipped:
        log.warning("%s", samples.summary())
    return model


def _folders(job: TrainingJob) -> dict[str, Any]:
    return {
        "snapshot_folder": job.snapshot_folder,
        "log_folder": job.log_folder,
        "resume": job.resume,
        "validation_pictures": job.validation.test.most_pictures if job.validation else 0,
        "free_settings": systems.free_settings(job.system_name, job.options),
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
    if not systems.needs_resources(system_name, options):
        return {}  # and a large snapshot is not read twice
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
