"""Ways to decode and warp a person's view: cv2, TensorFlow's own ops, and a mix of both.

    python bench/decode_and_warp.py [--coco FOLDER]

Prints the samples per second of processor time of each, and how far its pixels are from those of
a full decode and OpenCV's warp. The pipeline uses the fastest that stays within one grey level.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf
from pipeline import BATCH, measure_rates, open_source, place, take_batches

from poseras.data import augment
from poseras.data.images import decode_image, read_file
from poseras.data.order import Order
from poseras.data.person_samples import PersonSource, read_pictures, warp_people
from poseras.data.warp import find_windows, open_picture
from poseras.geometry import invert_affine


def make_methods(
    source: PersonSource, rows: np.ndarray
) -> tuple[dict[str, tf.data.Dataset], dict[str, np.ndarray]]:
    """Ways to make the views of some rows over and over, and what each gives for the first batch.

    The affines and windows are made beforehand, in favour of the ways that are not ours.
    """
    records, view = source.records, source.view
    height, width = view.size_hw
    matrices, _ = place(source, rows, augment.draw(0, np.zeros_like(rows), rows))
    paths = [records.images.paths[image] for image in records.image_index[rows]]
    sizes = np.array([open_picture(path).size_hw for path in paths])
    windows = find_windows(matrices, view, sizes)
    shifted = matrices.copy()
    shifted[:, :, 2] += np.einsum("nij,nj->ni", matrices[:, :, :2], windows[:, :2].astype(float))
    columns = tf.data.Dataset.from_tensor_slices(
        (paths, windows.astype(np.int32), shifted, invert_affine(shifted), np.arange(len(rows)))
    ).repeat()

    def cut(path: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
        left, top, right, bottom = tf.unstack(window)
        return tf.io.decode_and_crop_jpeg(
            tf.io.read_file(path),
            tf.stack([top, left, bottom - top, right - left]),
            channels=3,
            dct_method="INTEGER_ACCURATE",
        )

    def warp_cv2(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(pixels, matrix, (width, height))

    def mix(path, window, matrix, inverse, number):
        image = tf.numpy_function(warp_cv2, [cut(path, window), matrix], tf.uint8, stateful=False)
        return tf.ensure_shape(image, (height, width, 3))

    def pure(path, window, matrix, inverse, number):
        flat = tf.concat([tf.reshape(tf.cast(inverse, tf.float32), [6]), [0.0, 0.0]], 0)
        image = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(cut(path, window), tf.float32)[None],
            transforms=flat[None],
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )[0]
        return tf.cast(tf.round(image), tf.uint8)

    def whole(numbers: np.ndarray) -> np.ndarray:
        images = [decode_image(read_file(paths[n]), paths[n]) for n in numbers]
        pairs = zip(images, matrices[numbers], strict=True)
        return np.stack([warp_cv2(image, matrix) for image, matrix in pairs])

    def ours(numbers: np.ndarray) -> np.ndarray:
        pictures, _ = read_pictures([paths[n] for n in numbers])
        return warp_people(pictures, matrices[numbers], sizes[numbers], view)[0]

    def by_batch(make: Callable[[np.ndarray], np.ndarray]) -> tf.data.Dataset:
        numbers = columns.map(lambda *row: row[-1]).batch(BATCH)
        return numbers.map(
            lambda batch: tf.numpy_function(make, [batch], tf.uint8, stateful=False),
            num_parallel_calls=1,
        )

    ways = {
        "cv2 decodes whole, cv2 warps": by_batch(whole),
        "TF decodes window, cv2 warps (ours)": by_batch(ours),
        "the same, graph op and a call per sample": columns.map(mix, 1).batch(BATCH),
        "TF decodes window, TF warps (float32)": columns.map(pure, 1).batch(BATCH),
    }
    return ways, {name: next(iter(way)).numpy() for name, way in ways.items()}


def print_methods(source: PersonSource, order: Order) -> None:
    """Decode and warp by cv2, by TensorFlow and mixed, in processor time."""
    ways, images = make_methods(source, order.rows(np.arange(4 * BATCH))[1])
    rates = measure_rates({name: take_batches(way.prefetch(1)) for name, way in ways.items()})
    reference = next(iter(images.values())).astype(int)
    print(f"\n{'decode and warp':44}{'/ CPU s':>9}{'max err':>9}{'mean err':>9}  grey levels")
    for name in ways:
        error = np.abs(images[name] - reference)
        print(f"{name:44}{rates[name].cpu:9.0f}{error.max():9d}{error.mean():9.4f}")


def main() -> None:
    """Print the table."""
    with open_source() as (source, order):
        print_methods(source, order)


if __name__ == "__main__":
    main()
