"""From pictures to batches of whole views, on the steps of `pipeline`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ..picture_augmentation import PictureAugmentation
from ..structures import ImageRecords, View
from .coco_format import OnBadSample
from .image_samples import LEARNED_KEYS, RESIZED_KEYS, TESTED_KEYS, Batch, ImageSource
from .image_view import check_image_view, has_one_size
from .order import Order, check_batch_fits, training_positions
from .pipeline import make_training_batch, pad_batch, run_batches
from .resized_samples import BucketOrder
from .sample_log import SampleLog


def build_image_batches(
    records: ImageRecords,
    view: View,
    *,
    batch_size: int,
    workers: int = 0,
    on_bad_sample: OnBadSample = "stop",
    pictures: Sequence[np.ndarray] | None = None,
    log: SampleLog | None = None,
) -> tf.data.Dataset:
    """Batches of all pictures, in their order, without random changes.

    Args:
        records: the pictures; none at all gives no batch.
        view: how they become network input; its augmentation is ignored.
        batch_size: of every batch; 1 where the views of the rule differ in size, whatever it says.
            The last one is filled up with copies of a sample whose index is -1; a skipped sample
            leaves such a copy in its place.
        workers: batches in the making at the same time; 0 takes one per core.
        on_bad_sample: `stop` raises, `skip` notes the sample in the log and goes on.
        pictures: (height, width, 3) uint8 RGB arrays, one per row of `records.images`, where the
            pictures are not files.
        log: where errors and skipped samples are kept, see `SampleLog`.

    Raises:
        ValueError: a view that image samples cannot make, or a batch size below 1.
    """
    check_image_view(view)
    if batch_size < 1 or workers < 0:
        raise ValueError(
            "batch_size must be positive and workers at least 0 (one per core). "
            f"Received {batch_size} and {workers}."
        )
    size = batch_size if has_one_size(view) else 1
    log = log or SampleLog()
    source = ImageSource(records, view, pictures=pictures)

    def make_batch(number: int) -> Batch:
        rows = np.arange(number * size, min((number + 1) * size, len(records)))
        batch, errors = source.make(rows, None)
        for slot, error in sorted(errors.items()):
            if on_bad_sample == "stop":
                raise error
            log.skip(int(rows[slot]), error)
        return pad_batch(batch, np.array(sorted(errors), np.int64), size)

    numbers = tf.data.Dataset.range(-(-len(records) // size))
    shapes: dict[str, tuple[int | None, ...]] = {key: (size,) for key in TESTED_KEYS}
    shapes["image"] = (size, None, None, 3)
    if has_one_size(view):
        shapes["image"] = (size, view.length, view.length, 3)
    shapes["image_to_network"] = (size, 2, 3)
    return run_batches(numbers, make_batch, shapes, workers=workers, log=log)


def build_image_training_batches(
    records: ImageRecords,
    flip_permutation: np.ndarray,
    view: View,
    *,
    batch_size: int,
    devices: int = 1,
    first_device: int = 0,
    local_devices: int | None = None,
    first_step: int = 0,
    seed: int = 0,
    workers: int = 0,
    on_bad_sample: OnBadSample = "stop",
    log: SampleLog | None = None,
) -> tf.data.Dataset:
    """Endless batches of changed pictures with their people, in the order of `order`.

    Args:
        records: the pictures.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        view: gives the size of a batch's pictures (but where each has its own, see
            `PictureAugmentation.form`), interpolation, border and the laws of change.
        batch_size: pictures per device and step.
        devices: of the whole run.
        first_device: the first of those whose batches are made here.
        local_devices: how many; all from the first by default.
        first_step: where the run goes on.
        seed: of order and changes.
        workers: batches in the making at the same time; 0 takes one per core.
        on_bad_sample: `stop` raises; `skip` puts the next picture of the pass in its stead.
        log: where errors and skipped samples are kept, see `SampleLog`.

    Raises:
        ValueError: no pictures, a global batch larger than their number, devices that are not
            there, or a view that image samples cannot make.
    """
    check_image_view(view)
    if batch_size < 1 or workers < 0:
        raise ValueError(
            "batch_size must be positive and workers at least 0 (one per core). "
            f"Received {batch_size} and {workers}."
        )
    if view.picture_augmentation == PictureAugmentation():
        _check_unchanged(view)
    check_batch_fits(len(records), batch_size, devices)
    local = devices - first_device if local_devices is None else local_devices
    log = log or SampleLog()
    order = _choose_order(records, view, batch_size * devices, seed)
    source = ImageSource(records, view, flip_permutation)

    def make_batch(number: int) -> Batch:
        positions = training_positions(
            number,
            batch_size=batch_size,
            devices=devices,
            first_device=first_device,
            local_devices=local,
        )
        return make_training_batch(
            source, order, positions, skip=log.skip if on_bad_sample == "skip" else None
        )

    numbers = tf.data.Dataset.range(first_step * local, np.iinfo(np.int64).max)
    shapes = learned_shapes(records, view, batch_size)
    return run_batches(numbers, make_batch, shapes, workers=workers, log=log)


def _choose_order(records: ImageRecords, view: View, batch: int, seed: int) -> Order:
    """The order of the pictures; in batches of differing sizes those of alike sizes meet."""
    if view.picture_augmentation.form == "crop" or batch == 1:
        return Order(len(records), seed)
    sizes = records.images.sizes_hw[records.image_index]
    return BucketOrder(len(records), seed, sizes, batch)


def _check_unchanged(view: View) -> None:
    """Refuse tested views of other sizes than that of a batch: without changes they are learned."""
    if not has_one_size(view) or view.size_hw != (view.length, view.length):
        raise ValueError(
            "Without any change of view.picture_augmentation, pictures are learned in the views "
            f"that are tested, which must be as large as view.size_hw. Received {view.size_hw} "
            f"with the rule {view.rule} and the length {view.length}."
        )


def learned_shapes(
    records: ImageRecords, view: View, batch_size: int
) -> dict[str, tuple[int | None, ...]]:
    """Shape of each array of a training batch; None for a side that differs."""
    people, joints = records.most_people, records.people.keypoints.shape[1]
    resizes = view.picture_augmentation.form == "resize"
    sides = (None, None) if resizes else view.size_hw
    trailing: dict[str, tuple[int | None, ...]] = {
        "image": (*sides, 3),
        "keypoints": (people, joints, 3),
        "boxes_xywh": (people, 4),
        "ignore_mask": sides,
        "image_to_network": (2, 3),
        "shown_hw": (2,),
    }
    keys = RESIZED_KEYS if resizes else LEARNED_KEYS
    return {key: (batch_size, *trailing.get(key, ())) for key in keys}
