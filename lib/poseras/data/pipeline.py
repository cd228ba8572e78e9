"""From records to batches on the device's doorstep: order, read, view, batch.

Batches are dicts of `structures.SAMPLE_KEYS` with uint8 pictures, keypoints and the affine;
normalisation and targets are made on the device. One call makes one batch, `workers` of them run
side by side, each in one thread: decoding and warping leave Python's lock alone. Nothing keeps a
state: batch n of a run is a function of the seed, the records and n.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from ..structures import SAMPLE_KEYS, ImageTable, PersonRecords, View
from .coco_format import OnBadSample
from .occluders import choose_occluders
from .order import Mixture, Order, check_batch_fits, training_positions
from .person_samples import PERSON_KEYS, SPACE_KEYS, Batch, PersonSource, SampleError
from .sample_log import SampleLog
from .warp import check_person_view

_ENDLESS = np.iinfo(np.int64).max


def build_inference_batches(
    records: PersonRecords,
    view: View,
    *,
    batch_size: int,
    workers: int = 0,
    on_bad_sample: OnBadSample = "stop",
    pictures: Sequence[np.ndarray] | None = None,
    log: SampleLog | None = None,
) -> tf.data.Dataset:
    """Batches of all records, in their order, without random changes.

    Records that follow each other on the same picture are decoded once per batch: sort them by
    picture.

    Args:
        records: the people; none at all gives no batch.
        view: how they become network input; its augmentation is ignored.
        batch_size: of every batch. The last one is filled up with copies of a real sample whose
            index is -1; a skipped sample leaves such a copy in its place.
        workers: batches in the making at the same time; 0 takes one per core.
        on_bad_sample: `stop` raises, `skip` notes the sample in the log and goes on.
        pictures: (height, width, 3) uint8 RGB arrays, one per row of `records.images`, where the
            pictures are not files.
        log: where errors and skipped samples are kept, see `SampleLog`.

    Raises:
        ValueError: a view that person samples cannot make, a batch size below 1, or a box without
            a size.
    """
    check_person_view(view)
    _check_boxes(records)
    _check_choices(batch_size, workers, on_bad_sample)
    log = log or SampleLog()
    source = PersonSource(records, view, np.arange(records.keypoints.shape[1]), pictures=pictures)

    def make_batch(number: int) -> Batch:
        rows = np.arange(number * batch_size, min((number + 1) * batch_size, len(records)))
        batch, errors = source.make(rows, None)
        for slot, error in sorted(errors.items()):
            if on_bad_sample == "stop":
                raise error
            log.skip(int(rows[slot]), error)
        return pad_batch(batch, np.array(sorted(errors), np.int64), batch_size)

    batches = -(-len(records) // batch_size)
    numbers = tf.data.Dataset.range(batches)
    shapes = _person_shapes(records, view, batch_size)
    return run_batches(numbers, make_batch, shapes, workers=workers, log=log)


def view_pictures(
    pictures: Sequence[np.ndarray], records: PersonRecords, view: View, *, batch_size: int
) -> Iterator[Batch]:
    """Batches of people in pictures that are in memory, as `build_inference_batches` makes them.

    They are made where they are asked for, as arrays and without tf.data, whose start takes longer
    than the few views of a frame.

    Args:
        pictures: (height, width, 3) uint8 RGB arrays, one per row of `records.images`.
        records: as `records_of_boxes` makes them; none at all gives no batch.
        view: how they become network input.
        batch_size: of every batch, the last one filled up.

    Raises:
        ValueError: a view that person samples cannot make, a batch size below 1, or a box without
            a size.
    """
    check_person_view(view)
    _check_boxes(records)
    _check_choices(batch_size, 0, "stop")
    source = PersonSource(records, view, np.arange(records.keypoints.shape[1]), pictures=pictures)
    for start in range(0, len(records), batch_size):
        rows = np.arange(start, min(start + batch_size, len(records)))
        batch, _ = source.make(rows, None)
        yield pad_batch(batch, np.zeros(0, np.int64), batch_size)


def records_of_boxes(
    pictures: Sequence[np.ndarray], boxes_xywh: Sequence[np.ndarray], joint_count: int
) -> PersonRecords:
    """Records of people of whom nothing but a box is known.

    Args:
        pictures: (height, width, 3) arrays.
        boxes_xywh: one (people, 4) array per picture, left, top, width, height in pixels.
        joint_count: of the network.

    Returns:
        One record per box, picture by picture; image ids count the pictures.
    """
    counts = [len(boxes) for boxes in boxes_xywh]
    people = sum(counts)
    sizes = np.array([picture.shape[:2] for picture in pictures], np.int32).reshape(-1, 2)
    names = tuple(f"picture {number}" for number in range(len(pictures)))
    return PersonRecords(
        images=ImageTable(np.arange(len(pictures), dtype=np.int64), names, sizes),
        image_index=np.repeat(np.arange(len(pictures), dtype=np.int32), counts),
        boxes_xywh=np.concatenate(
            [np.zeros((0, 4)), *(np.reshape(boxes, (-1, 4)) for boxes in boxes_xywh)]
        ).astype(np.float32),
        keypoints=np.zeros((people, joint_count, 3), np.float32),
        scores=np.ones(people),
        areas=np.zeros(people),
        annotation_ids=np.full(people, -1, np.int64),
    )


def pad_batch(batch: Batch, bad_slots: np.ndarray, batch_size: int) -> Batch:
    """Fill a batch up to its size, and bad slots too, with copies of a real sample, index -1."""
    have = len(batch["index"])
    good = np.setdiff1d(np.arange(have), bad_slots)
    source = np.arange(batch_size)
    padding = np.union1d(bad_slots, np.arange(have, batch_size)).astype(np.int64)
    source[padding] = good[0] if len(good) else 0
    padded = {key: values[source] for key, values in batch.items()} if len(padding) else batch
    padded["index"][padding] = -1
    return padded


def build_training_batches(
    records: PersonRecords,
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
    upper_body: np.ndarray | None = None,
    mixture: Mixture | None = None,
    log: SampleLog | None = None,
) -> tf.data.Dataset:
    """Endless batches of one process' devices, shuffled and augmented.

    The elements are batches of one device each: those of step `first_step` for each local device
    in turn, then those of the next step. `order` says which samples they hold. Every sample is a
    function of (seed, pass, row) alone.

    Args:
        records: the people.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        view: how they become network input, with the laws of augmentation.
        batch_size: per device.
        devices: of all processes together.
        first_device: number of this process' first device.
        local_devices: of this process; all from `first_device` on if None.
        first_step: of a resumed run.
        seed: of the run.
        workers: batches in the making at the same time; 0 takes one per core.
        on_bad_sample: `stop` raises; `skip` notes the sample in the log and puts the sample at
            the next place of the same pass in its stead, with that sample's own draws.
        upper_body: (joints,) bool, `augment.upper_body_joints`; needed for half bodies.
        mixture: the order of the records of several data sets; its seed counts, not `seed`. None
            shuffles all of them together.
        log: where errors and skipped samples are kept, see `SampleLog`.

    Raises:
        ValueError: no records, a global batch larger than their number, devices that are not
            there, a view that person samples cannot make, or occluders that would not be pasted.
    """
    check_person_view(view)
    _check_choices(batch_size, workers, on_bad_sample)
    order = mixture or Order(len(records), seed)
    check_batch_fits(order.samples, batch_size, devices)
    local = devices - first_device if local_devices is None else local_devices
    if first_device < 0 or local < 1 or first_device + local > devices:
        raise ValueError(
            f"first_device and local_devices must lie within {devices} device(s). "
            f"Received {first_device} and {local}."
        )
    _check_boxes(records)
    _check_joints(records, flip_permutation, view, upper_body)
    log = log or SampleLog()
    occluders = choose_occluders(view.augmentation)
    source = PersonSource(records, view, flip_permutation, upper_body, occluders=occluders)

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

    numbers = tf.data.Dataset.range(first_step * local, _ENDLESS)
    shapes = _person_shapes(records, view, batch_size)
    return run_batches(numbers, make_batch, shapes, workers=workers, log=log)


class Source(Protocol):
    """What makes samples of rows, and the random numbers that they depend on."""

    def draw(self, seed: int, passes: np.ndarray, rows: np.ndarray) -> Any:
        """The random numbers of the samples of some rows."""

    def make(self, rows: np.ndarray, draws: Any) -> tuple[Batch, dict[int, Exception]]:
        """The samples of some rows, and the errors by slot of the batch."""


def make_training_batch(
    source: Source,
    order: Order | Mixture,
    positions: np.ndarray,
    *,
    skip: Callable[[int, Exception], None] | None = None,
) -> Batch:
    """The samples at some positions of a training run.

    Args:
        source: what they are made of.
        order: which sample stands where.
        positions: (samples,) int64.
        skip: told the row and the error of each bad sample, which is then replaced; None raises.

    Raises:
        OSError, ValueError: a bad sample, or not one good sample in the whole set.
    """
    passes, rows = order.rows(positions)
    batch, errors = source.make(rows, source.draw(order.seed, passes, rows))
    for _ in range(order.samples):
        if not errors:
            return batch
        slots = np.array(sorted(errors))
        for slot in slots:
            if skip is None:
                raise errors[slot]
            skip(int(rows[slot]), errors[slot])
        positions = positions.copy()
        positions[slots] = order.next_positions(positions[slots])
        passes, rows = order.rows(positions)
        # The good samples come out the same; views of other sizes than theirs may join them.
        batch, errors = source.make(rows, source.draw(order.seed, passes, rows))
    raise ValueError(
        f"Training needs at least one readable picture. Received {order.samples} samples, all of "
        f"them bad; the last: {next(iter(errors.values()))}"
    )


def run_batches(
    numbers: tf.data.Dataset,
    make_batch: Callable[[int], Batch],
    shapes: Mapping[str, tuple[int | None, ...]],
    *,
    workers: int,
    log: SampleLog,
) -> tf.data.Dataset:
    """Let workers make batches side by side and hand them out in order.

    Args:
        numbers: int64 scalars, the batches wanted.
        make_batch: number to dict of arrays; pure, called from several threads.
        shapes: of each array, batch axis included; types are those of `SAMPLE_KEYS`.
        workers: batches in the making at the same time; 0 takes one per core.
        log: keeps the error of a batch.
    """
    keys = tuple(shapes)
    types = [tf.as_dtype(SAMPLE_KEYS[key][1]) for key in keys]

    def make_arrays(number: np.ndarray) -> list[np.ndarray]:
        try:
            batch = make_batch(int(number))
        except SampleError as error:
            log.stop(int(number), error)
            raise
        return [batch[key] for key in keys]

    def make_tensors(number: tf.Tensor) -> dict[str, tf.Tensor]:
        arrays = tf.numpy_function(make_arrays, [number], types, stateful=False)
        return {
            key: tf.ensure_shape(array, shapes[key])
            for key, array in zip(keys, arrays, strict=True)
        }

    count = workers or os.cpu_count() or 1
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = count
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = numbers.map(make_tensors, num_parallel_calls=count, deterministic=True)
    return batches.prefetch(2).with_options(options)


def _person_shapes(
    records: PersonRecords, view: View, batch_size: int
) -> dict[str, tuple[int, ...]]:
    joints = records.keypoints.shape[1]
    trailing: dict[str, tuple[int, ...]] = {
        "image": (*view.size_hw, 3),
        "keypoints": (1, joints, 3),
        "boxes_xywh": (1, 4),
        "image_to_network": (2, 3),
        "channel_gain": (3,),
        "joints_camera_mm": (1, joints, 3),
        "joints_valid": (1, joints),
        "root_camera_mm": (1, 3),
        "camera": (9,),
    }
    keys = PERSON_KEYS if records.space is None else PERSON_KEYS + SPACE_KEYS
    return {key: (batch_size, *trailing.get(key, ())) for key in keys}


def _check_choices(batch_size: int, workers: int, on_bad_sample: str) -> None:
    if batch_size < 1 or workers < 0:
        raise ValueError(
            "batch_size must be positive and workers at least 0 (one per core). "
            f"Received {batch_size} and {workers}."
        )
    if on_bad_sample not in ("stop", "skip"):
        raise ValueError(f"on_bad_sample must be stop or skip. Received {on_bad_sample!r}.")


def _check_boxes(records: PersonRecords) -> None:
    sides = records.boxes_xywh[:, 2:]
    flat = (sides < 0).any(axis=1) | ~(sides > 0).any(axis=1)  # a line is grown to a box
    if flat.any():
        row = int(np.flatnonzero(flat)[0])
        raise ValueError(
            "boxes_xywh must have a width and a height of at least 0, not both 0. Received "
            f"{records.boxes_xywh[row].tolist()} on "
            f"{records.images.paths[records.image_index[row]]} (and {int(flat.sum()) - 1} more); "
            "leave such people out."
        )


def _check_joints(
    records: PersonRecords,
    flip_permutation: np.ndarray,
    view: View,
    upper_body: np.ndarray | None,
) -> None:
    joints = records.keypoints.shape[1]
    if len(flip_permutation) != joints or (upper_body is not None and len(upper_body) != joints):
        raise ValueError(
            f"flip_permutation and upper_body must have one value per joint ({joints}). "
            f"Received {len(flip_permutation)} and {upper_body}."
        )
    if view.augmentation.half_body_probability > 0 and upper_body is None:
        raise ValueError(
            "half_body_probability above 0 needs upper_body, the joints of the upper half; "
            "augment.upper_body_joints(skeleton.keypoints) gives them."
        )
