"""Time COCO's keypoint metrics on a made-up set of the size of val2017, against pycocotools.

    python bench/evaluate_coco.py

The set is made from a seed. Parsing and indexing of the files is left out on both sides; what is
timed is evaluate and accumulate, from pycocotools' indexed rows and from our columns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseras.metrics.coco import TOLERANCE, format_table
from poseras.metrics.columns import Detections, GroundTruth
from poseras.metrics.oks_ap import Evaluation, evaluate_oks_ap

# Of person_keypoints_val2017.json, and of a usual detection file for it.
IMAGES, IMAGES_WITH_PEOPLE, ROWS, ROWS_WITH_KEYPOINTS, CROWD_ROWS = 5_000, 2_693, 11_004, 6_352, 227
DETECTIONS = 95_079
SEED = 2017

#: x and y of each joint of a standing person, as shares of the box, in COCO's order.
STANDING = np.array(
    [
        *([0.50, 0.08], [0.54, 0.06], [0.46, 0.06], [0.59, 0.08], [0.41, 0.08], [0.68, 0.22]),
        *([0.32, 0.22], [0.80, 0.36], [0.20, 0.36], [0.85, 0.50], [0.15, 0.50], [0.60, 0.53]),
        *([0.40, 0.53], [0.62, 0.74], [0.38, 0.74], [0.63, 0.95], [0.37, 0.95]),
    ]
)
SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89], np.float64
)
SIGMAS /= 1000


def make_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 4) boxes of people in pictures of 640 x 480, sizes spread as widely as COCO's."""
    heights = np.clip(np.exp(rng.normal(4.6, 0.8, count)), 12, 460)
    sizes = np.stack([heights * rng.uniform(0.3, 0.8, count), heights], axis=1)
    corners = rng.uniform(0, 1, (count, 2)) * np.maximum((640, 480) - sizes, 1)
    return np.concatenate([corners, sizes], axis=1).round(2)


def place_joints(boxes_xywh: np.ndarray, rng: np.random.Generator, spread: float) -> np.ndarray:
    """(people, joints, 2) a standing person in each box, joints moved by `spread` box heights."""
    joints = boxes_xywh[:, None, :2] + STANDING * boxes_xywh[:, None, 2:]
    return joints + rng.normal(0, spread, joints.shape) * boxes_xywh[:, None, 3:]


def make_annotations(rng: np.random.Generator) -> dict[str, Any]:
    """A COCO annotation file, parsed: as many pictures, rows and crowds as val2017 has."""
    images = np.sort(rng.choice(600_000, IMAGES, replace=False)).tolist()
    occupied = rng.choice(images, IMAGES_WITH_PEOPLE, replace=False)
    crowding = rng.gamma(0.8, size=IMAGES_WITH_PEOPLE)
    owner = rng.choice(occupied, ROWS - IMAGES_WITH_PEOPLE, p=crowding / crowding.sum())
    boxes = make_boxes(rng, ROWS)
    flags = rng.integers(1, 3, (ROWS, len(SIGMAS))) * (rng.random((ROWS, len(SIGMAS))) < 0.7)
    flags[np.arange(ROWS), rng.integers(0, len(SIGMAS), ROWS)] = 2
    role = rng.permutation(ROWS)  # the first have keypoints, the last are crowds
    flags[role >= ROWS_WITH_KEYPOINTS] = 0
    points = place_joints(boxes, rng, 0.03).round() * (flags > 0)[..., None]
    keypoints = np.concatenate([points, flags[..., None]], axis=2).astype(int)
    rows = [
        {
            "id": row + 1,
            "image_id": int(image),
            "category_id": 1,
            "iscrowd": int(role[row] >= ROWS - CROWD_ROWS),
            "area": float(boxes[row, 2] * boxes[row, 3] * 0.6),
            "bbox": boxes[row].tolist(),
            "num_keypoints": int(np.count_nonzero(flags[row])),
            "keypoints": keypoints[row].reshape(-1).tolist(),
        }
        for row, image in enumerate(np.concatenate([occupied, owner]))
    ]
    return {"images": [{"id": i} for i in images], "annotations": rows, "categories": [{"id": 1}]}


def make_results(dataset: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Result rows: a good, a fair and a poor copy of each person, and false alarms everywhere."""
    rows = dataset["annotations"]
    true_boxes = np.array([row["bbox"] for row in rows])
    true_points = np.array([row["keypoints"] for row in rows], np.float64).reshape(ROWS, -1, 3)
    unlabelled = true_points[..., 2:] == 0
    guessed = place_joints(true_boxes, rng, 0.05)
    copies = [
        np.where(unlabelled, guessed, true_points[..., :2])
        + rng.normal(0, spread, guessed.shape) * true_boxes[:, None, 3:]
        for spread in (0.015, 0.03, 0.08)
    ]
    false_alarms = DETECTIONS - len(copies) * ROWS
    points = np.concatenate([*copies, place_joints(make_boxes(rng, false_alarms), rng, 0.05)])
    images = np.concatenate(
        [
            np.tile([row["image_id"] for row in rows], len(copies)),
            rng.choice([image["id"] for image in dataset["images"]], false_alarms),
        ]
    )
    confidence = np.concatenate(
        [rng.beta(*law, ROWS) for law in ((6, 2), (4, 3), (2, 4))] + [rng.beta(1, 6, false_alarms)]
    )
    keypoints = np.concatenate([points, np.ones_like(points[..., :1])], axis=2).round(3)
    return [
        {
            "image_id": int(images[row]),
            "category_id": 1,
            "keypoints": keypoints[row].reshape(-1).tolist(),
            "score": float(confidence[row].round(4)),
        }
        for row in rng.permutation(DETECTIONS)
    ]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and how many seconds it took; its prints are swallowed."""
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = work()
    return result, time.perf_counter() - begin


def index_rows(dataset: dict[str, Any], results: list[dict[str, Any]]) -> COCOeval:
    """Let pycocotools index parsed files."""
    truth = COCO()
    truth.dataset = dataset
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
    evaluation.params.kpt_oks_sigmas = SIGMAS
    return evaluation


def run_pycocotools(evaluation: COCOeval) -> None:
    """Evaluate and accumulate."""
    evaluation.evaluate()
    evaluation.accumulate()


def main() -> None:
    """Make the set, time both evaluators, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="of ours; the median is printed")
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(SEED)
    dataset = make_annotations(rng)
    results = make_results(dataset, rng)
    print(
        f"{IMAGES:,} pictures, {ROWS:,} annotated rows, {len(results):,} predictions, seed {SEED}"
    )

    (truth, detections), read = timed(
        lambda: (GroundTruth.from_coco(dataset), Detections.from_coco(results))
    )
    runs = [
        timed(lambda: evaluate_oks_ap(truth, detections, sigmas=SIGMAS)) for _ in range(repeats)
    ]
    ours: Evaluation = runs[-1][0]
    fast = float(np.median([seconds for _, seconds in runs]))
    reference, indexed = timed(lambda: index_rows(dataset, results))
    _, slow = timed(lambda: run_pycocotools(reference))
    timed(reference.summarize)

    print("                                pycocotools    poseras    ratio")
    for name, theirs, own in (
        ("evaluate + accumulate, s", slow, fast),
        ("parsed rows to ready, s", indexed, read),
    ):
        print(f"{name:<30s}{theirs:13.3f}{own:11.3f}{own / theirs:9.3f}")
    print(format_table(ours))
    difference = np.abs(np.array(list(ours.stats.values())) - reference.stats).max()
    if difference > TOLERANCE:
        raise SystemExit(f"The ten numbers differ by {difference:g}.")
    print(f"The ten numbers are equal: largest difference {difference:.1e}.")


if __name__ == "__main__":
    main()
