"""From batches of whole pictures to all people on them: the device part of bottom-up testing.

Candidates leave the device and are grouped on the CPU while the device computes the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import geometry
from ..structures import ImageRecords, People
from .progress import progress_bar
from .tester import Batch, PredictStep, rounds

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger("poseras")


def at_scales(system: Any, model: keras.Model, scales: Sequence[float], stride: int) -> Any:
    """A network that looks at its pictures in several sizes and takes the mean.

    Args:
        system: gives `merge_scales`.
        model: the network.
        scales: sizes relative to the view, 1 among them, none twice. A scale above 1 shows no more
            detail than the view, so let the view be the largest one.
        stride: both sides of a picture become multiples of it.

    Returns:
        What is called like a model; the model itself for one scale of 1.

    Raises:
        ValueError: 1 is not among the scales, one stands twice or is not positive.
    """
    if 1.0 not in scales or len(set(scales)) != len(scales) or min(scales) <= 0:
        raise ValueError(
            "scales must be positive, each named once, and 1 among them, whose grid the others "
            f"are brought to. Received {list(scales)}."
        )
    if len(scales) == 1:
        return model
    import tensorflow as tf

    def resize(images: tf.Tensor, scale: float) -> tf.Tensor:
        sides = tf.cast(tf.shape(images)[1:3], tf.float32) * (scale / stride)
        size = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1) * stride
        resized = tf.image.resize(images, size, method="bicubic", antialias=True)
        return tf.clip_by_value(resized, 0.0, 255.0)

    def run(images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        images = tf.cast(images, tf.float32)
        found = {
            scale: model(images if scale == 1 else resize(images, scale), training=training)
            for scale in scales
        }
        return system.merge_scales([found.pop(1.0), *found.values()])

    return run


def predict_images(
    step: PredictStep,
    batches: Iterable[Batch],
    records: ImageRecords,
    group: Callable[[dict[str, np.ndarray]], People],
    *,
    devices: int = 1,
    progress: bool = True,
) -> dict[int, People]:
    """Run the network over all views and group what it finds.

    Args:
        step: as `tester.make_predict_step` gives it.
        batches: batches of samples; `index` is the row of `records`, -1 for padding.
        records: the pictures that the batches were made from.
        group: `System.group`.
        devices: how many batches go through `step` at a time.
        progress: show a bar with rate and time left.

    Returns:
        Row of `records` -> people in pixels of the picture; no row for a picture that was skipped.

    Raises:
        ValueError: the network gave NaN; the message names the picture.
    """
    found: dict[int, People] = {}
    with progress_bar(total=len(records), unit="picture", disable=not progress, desc="test") as bar:

        def collect(group_of_batches: list[Batch], decoded: list[dict[str, Any]]) -> None:
            for batch, values in zip(group_of_batches, decoded, strict=True):
                arrays = {name: np.asarray(value) for name, value in values.items()}
                matrices = np.asarray(batch["image_to_network"])
                for slot, row in enumerate(np.asarray(batch["index"]).tolist()):
                    if row < 0:
                        continue
                    candidates = {name: array[slot] for name, array in arrays.items()}
                    _check(candidates, records, row)
                    found[row] = bring_home(group(candidates), matrices[slot])
                    bar.update()

        pending: tuple[list[Batch], list[dict[str, Any]]] | None = None
        for batch_group in rounds(batches, devices):
            decoded = step([batch["image"] for batch in batch_group])
            # The device computes this round while the CPU groups the one before.
            if pending is not None:
                collect(*pending)
            pending = (batch_group, decoded)
        if pending is not None:
            collect(*pending)
    return found


def bring_home(people: People, image_to_network: np.ndarray) -> People:
    """People of a view in pixels of its picture; joints that were not found stay at (0, 0)."""
    network_to_image = geometry.invert_affine(image_to_network)
    home = geometry.transform_points(people.keypoints_px, network_to_image)
    seen = (people.keypoint_scores > 0)[..., None]
    return People(
        keypoints_px=np.where(seen, home, 0.0),
        keypoint_scores=people.keypoint_scores,
        person_scores=people.person_scores,
    )


def _check(candidates: dict[str, np.ndarray], records: ImageRecords, row: int) -> None:
    """Refuse NaN, and tell where more was found than there is room for."""
    path = records.images.paths[records.image_index[row]]
    floats = [v for v in candidates.values() if np.issubdtype(v.dtype, np.floating)]
    if not all(np.isfinite(values).all() for values in floats):
        raise ValueError(
            f"Network outputs must be finite. Received NaN or infinity for {path}; the weights are "
            "damaged or diverged, test an earlier snapshot."
        )
    counts = {name: values for name, values in candidates.items() if name.endswith("_count")}
    for name, count in counts.items():
        room = candidates[f"{name.removesuffix('_count')}_scores"].shape[-1]
        if (count > room).any():
            log.warning(
                "%s: up to %d %ss, of which the %d highest count; options.candidates makes room.",
                path,
                int(count.max()),
                name.removesuffix("_count"),
                room,
            )
