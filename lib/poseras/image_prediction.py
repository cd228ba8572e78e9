"""Everybody on whole pictures: how a bottom-up network's predictor looks at them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from .data import pipeline
from .data.image_pipeline import build_image_batches
from .data.image_records import image_records_of
from .engine.image_tester import predict_images
from .structures import ImageRecords, People

if TYPE_CHECKING:
    from .predictor import Predictor

log = logging.getLogger("poseras")


def find_in_pictures(
    predictor: Predictor,
    pictures: Sequence[np.ndarray],
    *,
    flip_test: bool = True,
    batch_size: int = 8,
    names: Sequence[str] = (),
) -> list[People]:
    """Find everybody on pictures in memory.

    Args:
        predictor: of a bottom-up network.
        pictures: (height, width, 3) uint8 RGB, of any sizes.
        flip_test: also look at the mirrored pictures and average.
        batch_size: pictures per forward pass and device, at most.
        names: by which errors and the log call the pictures; their numbers by default.

    Returns:
        The people of each picture, the surest first, as `System.group` gives them.
    """
    nobody = [np.zeros((0, 4))] * len(pictures)
    records = pipeline.records_of_boxes(pictures, nobody, predictor.skeleton.joint_count)
    if names:
        records = replace(records, images=replace(records.images, paths=tuple(names)))
    found = find_people(
        predictor,
        image_records_of(records),
        flip_test=flip_test,
        batch_size=max(min(batch_size, len(pictures)), 1),
        pictures=pictures,
        progress=False,
    )
    return [found[row] for row in range(len(pictures))]


def find_people(
    predictor: Predictor,
    records: ImageRecords,
    *,
    flip_test: bool = True,
    batch_size: int = 8,
    scales: tuple[float, ...] = (1.0,),
    workers: int = 0,
    on_bad_sample: Literal["stop", "skip"] = "stop",
    pictures: Sequence[np.ndarray] | None = None,
    progress: bool = True,
) -> dict[int, People]:
    """Find everybody on the pictures of some records.

    Args:
        predictor: of a bottom-up network.
        records: the pictures.
        flip_test: also look at the mirrored pictures and average.
        batch_size: pictures per forward pass and device; 1 where views differ in size.
        scales: sizes of the views that are looked at and averaged, see `image_tester.at_scales`.
        workers: threads that read pictures; 0 is one per core.
        on_bad_sample: `stop` at an unreadable picture, or `skip` it and list it in the log.
        pictures: arrays in the place of the files.
        progress: show a bar.

    Returns:
        Row of the records -> people in pixels of the picture; none for a picture that was skipped.

    Raises:
        FileNotFoundError: a picture is missing.
        ValueError: a picture is damaged or its view too large, or the network gave NaN.
    """
    predictor = pad_for_merging(predictor, flip_test=flip_test, scales=scales)
    samples = pipeline.SampleLog()
    batches = build_image_batches(
        records,
        predictor.view,
        batch_size=batch_size,
        workers=workers,
        on_bad_sample=on_bad_sample,
        pictures=pictures,
        log=samples,
    )
    with samples.original_errors():
        found = predict_images(
            predictor.traced_step(flip_test, scales),
            batches,
            records,
            predictor.system.group,
            devices=predictor.strategy.num_replicas_in_sync,
            progress=progress,
        )
    if samples.skipped:
        log.warning("%s", samples.summary())
    return found


def pad_for_merging(predictor: Predictor, *, flip_test: bool, scales: Sequence[float]) -> Predictor:
    """A network whose views are padded so far that maps of several looks at one can be merged.

    In a view of other sides the cells of the mirrored or resized picture do not stand on those of
    the picture, and joints would be found some pixels beside.

    Args:
        predictor: of a bottom-up network; its system's `merge_stride`, if it has one, tells how
            far.
        flip_test: whether the mirrored view is looked at.
        scales: sizes of the view that are looked at. One size without its mirror image is looked at
            as it is.
    """
    multiple = getattr(predictor.system, "merge_stride", 1)
    stride = math.lcm(predictor.view.stride, multiple)
    if stride == predictor.view.stride or not (flip_test or len(scales) > 1):
        return predictor
    return replace(predictor, view=replace(predictor.view, stride=stride))
