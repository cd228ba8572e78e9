"""From batches of whole pictures to all people on them: the device part of bottom-up testing.

Candidates leave the device and are grouped on the CPU while the device computes the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import geometry
from ..check import check_scales
from ..codecs.resampling import resize_maps
from ..structures import ImageRecords, People
from .progress import progress_bar
from .tester import Batch, PredictStep, rounds

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger("poseras")


#: px; what sticks out of a size by less than this is a rounding.
_ROUNDING_PX = 1e-2


def at_scales(
    system: Any,
    model: keras.Model,
    scales: Sequence[float],
    stride: int,
    border_rgb: tuple[int, int, int] = (0, 0, 0),
) -> Any:
    """A network that looks at its pictures in several sizes and takes the mean.

    Both sides of a picture are resized by the scale itself, so that nobody is stretched; what is
    missing to the stride is border to the right and below, whose cells are cut off the maps again.

    Args:
        system: gives `merge_scales`.
        model: the network.
        scales: sizes relative to the view, 1 among them, none twice. A scale above 1 shows no more
            detail than the view, so let the view be the largest one.
        stride: both sides of a resized picture are padded to multiples of it.
        border_rgb: colour of the border, that of the view.

    Returns:
        What is called like a model; the model itself for one scale of 1.

    Raises:
        ValueError: 1 is not among the scales, one stands twice or is not positive.
    """
    check_scales(scales)
    if len(scales) == 1:
        return model
    import tensorflow as tf

    def run(images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        images = tf.cast(images, tf.float32)
        looks = [model(images, training=training)]
        for scale in scales:
            if scale != 1:
                found = model(_resize(images, scale, stride, border_rgb), training=training)
                looks.append(_cut_border(found, looks[0], scale))
        return system.merge_scales(looks)

    return run


def _resize(
    images: tf.Tensor, scale: float, stride: int, border_rgb: tuple[int, int, int]
) -> tf.Tensor:
    """Pictures (batch, height, width, 3) times a scale, in a border to multiples of the stride."""
    import tensorflow as tf

    sides = tf.cast(tf.shape(images)[1:3], tf.float32) * scale
    size = tf.cast(tf.math.ceil((sides - _ROUNDING_PX) / stride), tf.int32)
    size = tf.maximum(size, 1) * stride
    # The kernel of tf.image.resize(..., "bicubic", antialias=True), whose factors are those of the
    # rounded sides.
    resized = tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=size,
        scale=[scale, scale],
        translation=[0.0, 0.0],
        kernel_type="keyscubic",
        antialias=True,
    )
    down, across = (
        tf.range(size[axis], dtype=tf.float32) + 0.5 < sides[axis] + _ROUNDING_PX for axis in (0, 1)
    )
    inside = (down[:, None] & across[None])[..., None]  # (height, width, 1)
    return tf.where(inside, tf.clip_by_value(resized, 0.0, 255.0), tf.cast(border_rgb, tf.float32))


def _cut_border(
    outputs: dict[str, tf.Tensor], whole: dict[str, tf.Tensor], scale: float
) -> dict[str, tf.Tensor]:
    """Maps of resized pictures without their border.

    Args:
        outputs: maps of pictures times `scale`, with a border to the right and below.
        whole: maps of the pictures themselves.
        scale: of the pictures.

    Returns:
        Maps that show what those of `whole` show, in cells of about the size of theirs: exactly
        that wherever the picture is a whole number of cells.
    """
    import tensorflow as tf

    cut = {}
    for name, maps in outputs.items():
        extent = tf.cast(tf.shape(whole[name])[1:3], tf.float32) * scale
        size = tf.maximum(tf.cast(tf.round(extent), tf.int32), 1)
        cut[name] = resize_maps(
            maps, (size[0], size[1]), "bilinear", extent_hw=(extent[0], extent[1])
        )
    return cut


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
