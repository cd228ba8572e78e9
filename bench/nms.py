"""Time non-maximum suppression: our op, our reference, TensorFlow's and OpenCV's.

    python bench/nms.py

Boxes are made from a seed. In a sparse scene hardly any box is removed, in a dense one nine of ten.
Each figure is the least of several calls, arrays in and arrays out; "graph" is a
tf.function over tensors, and TensorFlow's own takes single precision tensors that were made before.
A way that keeps other boxes than the reference is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf

from poseras import ops
from poseras.ops import reference
from poseras.ops.library import load_library

SEED = 12
THRESHOLD = 0.5
JOINTS = 17


def least_seconds(call: Callable[[], object], budget: float = 1.0) -> float:
    """The shortest of the calls that fit the budget, three at least."""
    call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 1_000):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def make_boxes(count: int, side: float, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """(boxes, 4) left, top, right, bottom in a square of `side` px, and distinct scores.

    The numbers are exact in single precision, which the others compute in.
    """
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, side, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 80, (count, 2))], axis=1)
    scores = (1 + rng.permutation(count)) / count
    return boxes.round(2).astype(np.float32).astype(np.float64), scores


def make_poses(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints (people, joints, 2), scores and areas (people,) of a crowd."""
    rng = np.random.default_rng(SEED)
    corners = rng.uniform(0, 40 * np.sqrt(count), (count, 1, 2))
    keypoints = corners + rng.uniform(0, 60, (1, JOINTS, 2)) + rng.normal(0, 4, (count, JOINTS, 2))
    return keypoints, (1 + rng.permutation(count)) / count, rng.uniform(2_000, 6_000, count)


def time_boxes(count: int, name: str, side: float) -> None:
    """Print one row of the table of boxes."""
    boxes, scores = make_boxes(count, side)
    options = {"plus_one": False}
    turned = tf.constant(boxes[:, [1, 0, 3, 2]], tf.float32)
    weights = tf.constant(scores, tf.float32)
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    ours = tf.function(lambda b, s: ops.nms(b, s, THRESHOLD, **options))
    theirs = tf.function(lambda b, s: tf.image.non_max_suppression(b, s, count, THRESHOLD))
    tensors = tf.constant(boxes), tf.constant(scores)
    ways: dict[str, Callable[[], object]] = {
        "op": lambda: ops.nms(boxes, scores, THRESHOLD, **options),
        "op, graph": lambda: ours(*tensors),
        "tf.image": lambda: tf.image.non_max_suppression(turned, weights, count, THRESHOLD),
        "tf.image, graph": lambda: theirs(turned, weights),
        "cv2.dnn": lambda: cv2.dnn.NMSBoxes(rectangles, scores, 0.0, THRESHOLD),
        "reference": lambda: reference.nms_batched(boxes, scores, None, THRESHOLD, **options)[0][0],
    }
    kept = {way: np.asarray(call()).ravel() for way, call in ways.items()}
    kept["reference"] = kept["reference"][kept["reference"] >= 0]
    differing = [way for way in ways if kept[way].tolist() != kept["reference"].tolist()]
    cells = [f"{1e3 * least_seconds(call):.3f}" for call in ways.values()]
    print(f"| {count} | {name} | {len(kept['op'])} | {' | '.join(cells)} |", flush=True)
    if differing:
        print(f"kept other boxes than the reference: {', '.join(differing)}")


def time_poses(count: int) -> None:
    """Print one row of the table of poses."""
    keypoints, scores, areas = make_poses(count)
    options = {"sigmas": np.full(JOINTS, 0.07)}
    kept = ops.oks_nms(keypoints, scores, areas, THRESHOLD, **options)
    seconds = [
        least_seconds(lambda: ops.oks_nms(keypoints, scores, areas, THRESHOLD, **options)),
        least_seconds(
            lambda: reference.oks_nms_batched(keypoints, scores, areas, None, THRESHOLD, **options)
        ),
        least_seconds(lambda: ops.soft_oks_nms(keypoints, scores, areas, 0.9, **options)),
    ]
    print(
        f"| {count} | {len(kept)} | {' | '.join(f'{1e3 * s:.3f}' for s in seconds)} |", flush=True
    )


def time_images(images: int, people: int) -> None:
    """Print how long one call for many images takes, as test.py makes it."""
    keypoints, scores, areas = make_poses(images * people)
    splits, options = np.arange(0, images * people + 1, people), {"sigmas": np.full(JOINTS, 0.07)}
    arrays = keypoints, scores, areas, splits, THRESHOLD
    op = least_seconds(lambda: ops.oks_nms_batched(*arrays, **options))
    own = least_seconds(lambda: reference.oks_nms_batched(*arrays, **options))
    print(f"\nOKS NMS of {images} images of {people} people in one call: ", end="")
    print(f"op {1e3 * op:.1f} ms, reference {1e3 * own:.1f} ms")


def main() -> None:
    """Print the tables."""
    if load_library() is None:
        print("The op is not built (`make ops`): the columns of the op show the reference.")
    print("\nmilliseconds, IoU NMS\n")
    ways = "op | op, graph | tf.image | tf.image, graph | cv2.dnn | reference"
    print(f"| boxes | scene | kept | {ways} |\n{'|---' * 9}|")
    for count in (100, 1_000, 10_000):
        time_boxes(count, "sparse", 90 * np.sqrt(count))
        time_boxes(count, "dense", 2 * np.sqrt(count))
    print("\nmilliseconds, OKS NMS of 17 joints; soft: OKS^2 in a Gaussian, 20 kept, NumPy alone\n")
    print("| people | kept | op | reference | soft reference |\n|---|---|---|---|---|")
    for count in (10, 100, 1_000):
        time_poses(count)
    time_images(5_000, 20)


if __name__ == "__main__":
    main()
