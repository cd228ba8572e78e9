"""What a network learns from: its first training samples as it sees them, and their target maps."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from . import systems
from .data.pipeline import SampleLog
from .engine.trainer import Share
from .files import write_image_atomically
from .skeleton import Skeleton
from .training import TrainingJob, make_batches
from .visualize import contact_sheet, draw_truth
from .visualize_parts import draw_score_maps

log = logging.getLogger("poseras")

#: Beside the drawings of people that were found.
SAMPLES_FOLDER = "samples"
#: Targets that are a map per joint, by their names in the systems.
_MAPS = ("heatmaps", "parts")
#: How bright a region is that does not count in the loss.
_IGNORED_BRIGHTNESS = 0.4


def write_samples(job: TrainingJob, count: int, folder: Path) -> list[Path]:
    """Draw the first samples of a training, changed at random as the training will change them.

    Args:
        job: of the training, which is not begun.
        count: of samples.
        folder: for `samples/samples.jpg`, the views with their joints, and, where the system
            learns maps, `samples/maps_<number>.jpg`, those of one sample by joint.

    Returns:
        The files.

    Raises:
        ValueError: a count below 1; else as OSError.
        OSError: as the training's own first batches.
    """
    if count < 1:
        raise ValueError(f"--draw-samples must be at least 1. Received {count}.")
    system = systems.system_class(job.system_name)(job.options, job.skeleton, job.resources)
    views, written = [], []
    for number, (batch, targets) in enumerate(_first_samples(job, system, count)):
        view = _show_ignored(np.clip(batch["image"], 0, 255).astype(np.uint8), batch)
        views.append(draw_truth(view, batch["keypoints"], job.skeleton))
        maps = find_maps(targets, job.skeleton)
        if maps is not None:
            path = folder / SAMPLES_FOLDER / f"maps_{number:03d}.jpg"
            stride = round(view.shape[0] / maps.shape[0])
            write_image_atomically(path, draw_score_maps(view, maps, job.skeleton, stride=stride))
            written.append(path)
    path = folder / SAMPLES_FOLDER / "samples.jpg"
    write_image_atomically(path, contact_sheet(views, ceil(sqrt(len(views)))))
    log.info("%d samples: %s", len(views), path.parent)
    return [path, *written]


def find_maps(targets: Mapping[str, np.ndarray], skeleton: Skeleton) -> np.ndarray | None:
    """The maps of joints among the targets of one sample.

    Args:
        targets: by name, without the batch axis.
        skeleton: of the joints.

    Returns:
        (rows, columns, joints), 0..1 whatever the height of their peaks; None where the system
        learns vectors or coordinates.
    """
    for name in _MAPS:
        maps = targets.get(name)
        if maps is not None and maps.ndim == 3 and maps.shape[-1] == skeleton.joint_count:
            return np.asarray(maps, np.float64) / max(float(np.max(maps)), 1e-9)
    return None


def _first_samples(
    job: TrainingJob, system: Any, count: int
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Samples and their targets, without the batch axis, in the order of the training."""
    one_device = Share(first_batch=0, devices=1, first_device=0, local_devices=1)
    left = count
    for batch in make_batches(job, SampleLog(), one_device):
        targets = system.encode(batch)
        size = min(left, len(batch["image"]))
        for slot in range(size):
            yield _take(batch, slot), _take(targets, slot)
        left -= size
        if not left:
            return


def _take(arrays: Mapping[str, Any], slot: int) -> dict[str, np.ndarray]:
    return {name: np.asarray(array[slot]) for name, array in arrays.items()}


def _show_ignored(view_rgb: np.ndarray, sample: Mapping[str, np.ndarray]) -> np.ndarray:
    """The view, regions that do not count in it darkened."""
    mask = sample.get("ignore_mask")
    if mask is None:
        return view_rgb
    return np.where(mask[..., None], view_rgb * _IGNORED_BRIGHTNESS, view_rgb).astype(np.uint8)
