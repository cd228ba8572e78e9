"""How fast people become batches, against the bare decoding of their pictures.

    python bench/pipeline.py [--coco FOLDER]

Prints: samples/s by stage and number of workers; each augmentation; the usual loader in a plain
loop; the share of time that a training step waits; the memory over 2,000 steps. Uses the people
of ../shared/samples/COCO where it lies beside the project, else people that it makes up. Rates of
one table are measured in turns, and the best of the turns counts. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from poseras.data import augment, pipeline
from poseras.data.annotation import read_coco
from poseras.data.dataset import load_dataset
from poseras.data.images import decode_image, read_file
from poseras.data.order import Order
from poseras.data.person_samples import PersonSource, read_pictures
from poseras.data.persons import join_records, training_persons
from poseras.data.warp import decode_window, find_windows
from poseras.engine.read_ahead import read_ahead
from poseras.skeleton import Skeleton
from poseras.structures import Augmentation, ImageTable, PersonRecords, View

ROOT = Path(__file__).resolve().parent.parent
BATCH = 32
TURNS = 3
SECONDS = 0.6  # of one measurement
SHEET = Augmentation(scale_std=0.3, rotation_std_deg=40, flip_probability=0.5)
VIEW = View("person_box", size_hw=(256, 192), augmentation=SHEET)
CORES = os.cpu_count() or 1
BARE = "whole picture read and decoded (bare)"
TO_THE_END = "batches of tf.data"
# ImageNet's, as in the usual loader.
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])

#: Makes some samples, the first of them at a position of the training order.
Work = Callable[[np.ndarray], object]


def load_people(samples: Path, skeleton: Skeleton, folder: Path) -> PersonRecords:
    """The people of COCO's train and val samples, or made-up ones."""
    if not samples.is_dir():
        return make_people(folder, skeleton.joint_count)
    return join_records(
        [
            training_persons(
                read_coco(
                    samples / "annotations" / f"person_keypoints_{split}2017.json",
                    samples / "images" / f"{split}2017",
                    skeleton,
                )
            )
            for split in ("train", "val")
        ]
    )


def make_people(folder: Path, joints: int, pictures: int = 30) -> PersonRecords:
    """Noisy 640x480 JPEGs and three boxes on each, from a seed."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(pictures):
        smooth = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (640, 480))
        noise = rng.normal(0, 6, smooth.shape)
        paths.append(str(folder / f"{number}.jpg"))
        cv2.imwrite(paths[-1], (smooth + noise).clip(0, 255).astype(np.uint8))
    people = 3 * pictures
    sizes = rng.uniform([40, 80], [220, 400], (people, 2))
    corners = rng.uniform(0, 1, (people, 2)) * ([640, 480] - sizes)
    points = corners[:, None] + rng.uniform(0, 1, (people, joints, 2)) * sizes[:, None]
    return PersonRecords(
        images=ImageTable(np.arange(pictures), tuple(paths), np.tile([480, 640], (pictures, 1))),
        image_index=np.repeat(np.arange(pictures, dtype=np.int32), 3),
        boxes_xywh=np.concatenate([corners, sizes], axis=1).astype(np.float32),
        keypoints=np.dstack([points, np.full((people, joints), 2)]).astype(np.float32),
        scores=np.ones(people),
        areas=np.ones(people),
        annotation_ids=np.arange(people),
    )


class Rate(NamedTuple):
    """Samples per second of the clock, and per second of processor time of all threads.

    The second is one core's rate, and does not suffer from other programs on the machine.
    """

    clock: float
    cpu: float


def measure_rates(works: Mapping[str, tuple[Work, int]], turns: int = TURNS) -> dict[str, Rate]:
    """The best rate of each work in some turns; a work is done by a number of threads."""
    best = dict.fromkeys(works, Rate(0, 0))
    for _ in range(turns):
        for name, (work, threads) in works.items():
            time.sleep(0.2)  # batches that the work before left in the making
            with ThreadPoolExecutor(threads) as pool:
                run_for(0.25, pool, work, threads)  # uses up what was made in advance
                clock, cpu = time.perf_counter(), time.process_time()
                done = run_for(SECONDS, pool, work, threads)
                clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
            best[name] = Rate(max(best[name].clock, done / clock), max(best[name].cpu, done / cpu))
    return best


def run_for(seconds: float, pool: ThreadPoolExecutor, work: Work, threads: int) -> int:
    """Let every thread do batch after batch for a time; the number of samples."""
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        chunks = [done + np.arange(k * BATCH, (k + 1) * BATCH) for k in range(threads)]
        list(pool.map(work, chunks))
        done += threads * BATCH
    return done


def take_batches(dataset: tf.data.Dataset) -> tuple[Work, int]:
    """The work of asking for the next batch, done by one thread."""
    batches = iter(dataset)
    return lambda _: next(batches), 1


def make_works(source: PersonSource, order: Order) -> dict[str, Work]:
    """Stages of the pipeline, each with those before it, and the bare decode."""
    records = source.records

    def paths_of(positions: np.ndarray) -> list[str]:
        rows = order.rows(positions)[1]
        return [records.images.paths[image] for image in records.image_index[rows]]

    def decode_bare(positions: np.ndarray) -> None:
        for path in paths_of(positions):
            decode_image(read_file(path), path)

    def decode_windows(positions: np.ndarray) -> None:
        passes, rows = order.rows(positions)
        pictures, _ = read_pictures(paths_of(positions))
        sizes = np.array([picture.size_hw for picture in pictures if picture])
        matrices, _ = place(source, rows, augment.draw(order.seed, passes, rows))
        windows = find_windows(matrices, source.view, sizes)
        for picture, window in zip(pictures, windows.tolist(), strict=True):
            if picture and window[0] < window[2] and window[1] < window[3]:
                decode_window(picture, window)

    return {
        BARE: decode_bare,
        "picture read": lambda positions: read_pictures(paths_of(positions)),
        "window decoded": decode_windows,
        "view warped, sample made": lambda p: pipeline.make_training_batch(source, order, p),
    }


def place(
    source: PersonSource, rows: np.ndarray, draws: augment.Draws
) -> tuple[np.ndarray, np.ndarray]:
    """Affines and mirrors of some samples."""
    records, view = source.records, source.view
    still = augment.place_people(records.boxes_xywh[rows], view)
    moved = augment.disturb(still, records.keypoints[rows], draws, view.augmentation)
    return augment.placement_matrices(moved, view), moved.mirrored


def print_stages(source: PersonSource, order: Order) -> None:
    """Table 1: samples/s by stage and number of workers."""
    counts = sorted({1, 2, CORES} & set(range(1, CORES + 1)))
    print(f"{'samples/s, workers:':44}" + "".join(f"{n:>9}" for n in counts))
    columns = []
    for n in counts:
        works = {name: (work, n) for name, work in make_works(source, order).items()}
        columns.append(measure_rates(works | {TO_THE_END: take_batches(train(source, workers=n))}))
    for name in columns[0]:
        print(f"{name:44}" + "".join(f"{rates[name].clock:9.0f}" for rates in columns))
    for label, field in (("clock", "clock"), ("processor time", "cpu")):
        ratios = [getattr(r[TO_THE_END], field) / getattr(r[BARE], field) for r in columns]
        text = f"batches / bare by {label} (target: 0.8)"
        print(f"{text:44}" + "".join(f"{ratio:9.2f}" for ratio in ratios))


def train(source: PersonSource, *, workers: int, **laws: float) -> tf.data.Dataset:
    """Training batches of the bench's people."""
    augmentation = replace(source.view.augmentation, **laws)
    return pipeline.build_training_batches(
        source.records,
        source.flip_permutation,
        replace(source.view, augmentation=augmentation),
        batch_size=BATCH,
        workers=workers,
        upper_body=source.upper_body,
    )


def print_augmentations(source: PersonSource, bare: Work) -> None:
    """Table 2: each optional augmentation beside the default recipe."""
    still = {"scale_std": 0.0, "rotation_std_deg": 0.0, "flip_probability": 0.0}
    rows: dict[str, dict[str, float]] = {
        "none": still,
        "default: scale, rotation, mirror": {},
        "default without the mirror": {"flip_probability": 0.0},
        "default and half bodies (0.3)": {"half_body_probability": 0.3},
        "default and colour (0.2)": {"colour_gain": 0.2},
        "default and occlusion (0.5)": {"occlusion_probability": 0.5},
    }
    works = {
        name: take_batches(train(source, workers=CORES, **laws)) for name, laws in rows.items()
    }
    rates = measure_rates({BARE: (bare, CORES), **works})
    print(f"\n{f'augmentation, {CORES} workers':44}{'samples/s':>9}{'/ CPU s':>9}{'/ bare':>9}")
    for name, rate in rates.items():
        share = rate.cpu / rates[BARE].cpu
        print(f"{name:44}{rate.clock:9.0f}{rate.cpu:9.0f}{share:9.2f}")


def make_usual_loader(source: PersonSource, order: Order, *, flips_picture: bool) -> Work:
    """Decode, warp, normalise, heatmaps by joint: one sample after the other, on the CPU.

    Draws and affines are those of a whole batch at once, in its favour.
    """
    records, view = source.records, source.view
    height, width = view.size_hw
    grid_y, grid_x = np.mgrid[: height // 4, : width // 4].astype(np.float32)

    def load(path: str, matrix: np.ndarray, mirrored: bool, keypoints: np.ndarray):
        image = decode_image(read_file(path), path)
        if flips_picture and mirrored:  # a cost only: the affine holds the mirror already
            image = np.ascontiguousarray(image[:, ::-1])
        warped = cv2.warpAffine(image, matrix, (width, height))
        heatmaps = np.zeros((len(keypoints), *grid_x.shape), np.float32)
        for joint, (x, y, visible) in enumerate(keypoints.tolist()):
            if visible:
                square = (grid_x - round(x / 4)) ** 2 + (grid_y - round(y / 4)) ** 2
                heatmaps[joint] = np.exp(square / np.float32(-8))  # sigma 2 cells
        return (warped / np.float32(255) - MEAN) / STD, heatmaps

    def load_batch(positions: np.ndarray) -> list[np.ndarray]:
        passes, rows = order.rows(positions)
        matrices, mirrored = place(source, rows, augment.draw(order.seed, passes, rows))
        paths = [records.images.paths[image] for image in records.image_index[rows]]
        keypoints = augment.keypoints_in_view(
            records.keypoints[rows],
            matrices,
            mirrored,
            image_widths=records.images.sizes_hw[records.image_index[rows], 1],
            flip_permutation=source.flip_permutation,
            view=view,
        )
        samples = [load(*one) for one in zip(paths, matrices, mirrored, keypoints, strict=True)]
        return [np.stack(column) for column in zip(*samples, strict=True)]

    return load_batch


def print_usual_loader(source: PersonSource, order: Order, bare: Work) -> None:
    """Table 4: the usual loader as a plain one-process loop, against ours per core."""
    usual = {
        name: (make_usual_loader(source, order, flips_picture=flips), 1)
        for name, flips in (("usual loader", False), ("usual loader, flips pictures", True))
    }
    ours: dict[str, tuple[Work, int]] = {
        "ours, tf.data with 1 worker": take_batches(train(source, workers=1)),
        "ours, plain loop": (lambda p: pipeline.make_training_batch(source, order, p), 1),
    }
    rates = measure_rates({BARE: (bare, 1), **usual, **ours})
    print(f"\n{'per second of processor time':44}{'samples':>9}{'/ usual':>9}")
    for name, rate in rates.items():
        print(f"{name:44}{rate.cpu:9.0f}{rate.cpu / rates['usual loader'].cpu:9.2f}")
    bound = rates[BARE].cpu / rates["usual loader"].cpu
    print(f"target: 1.35 or more; bound of loaders that decode whole pictures: {bound:.2f}")


def sleep_steps(batches: Iterator[object], pause: float, steps: int) -> float:
    """The share of time that a step of `pause` seconds waits for its batch."""
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        next(batches)
        waited += time.perf_counter() - asked
        time.sleep(pause)
    return waited / (time.perf_counter() - start)


def print_waiting(source: PersonSource) -> None:
    """A step that only sleeps and takes 0.8 of the pipeline's own rate."""
    found = []
    for _ in range(TURNS):
        work = take_batches(train(source, workers=CORES))
        rate = measure_rates({"ours": work}, turns=1)["ours"].clock
        with read_ahead(train(source, workers=CORES)) as batches:
            next(batches)
            share = sleep_steps(batches, BATCH / (0.8 * rate), round(4 * rate / BATCH))
        found.append((share, rate))
    for share, rate in sorted(found):
        print(f"a sleeping step at 0.8 of {rate:.0f} samples/s waits {share:.2%} of the time")
    print("target: under 2 %; a turn during which the machine slows down fails it")


def resident_mib() -> float:
    """Memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def print_memory(source: PersonSource, steps: int = 2000, batch_size: int = 8) -> None:
    """Memory of the process over many steps, after the first tenth of them."""
    dataset = pipeline.build_training_batches(
        source.records, source.flip_permutation, source.view, batch_size=batch_size, workers=CORES
    )
    early = resident_mib()
    for number, _ in enumerate(islice(dataset, steps)):
        if number == steps // 10:
            early = resident_mib()
    late = resident_mib()
    print(
        f"memory over {steps:,} steps of {batch_size}: {early:.0f} MiB, then {late:.0f} MiB, "
        f"{late / early - 1:+.2%} (target: flat within 1 %)"
    )


@contextmanager
def open_source() -> Iterator[tuple[PersonSource, Order]]:
    """Parse the arguments of the program and find or make people."""
    parser = argparse.ArgumentParser(description="Measure how people become batches.")
    parser.add_argument(
        "--coco",
        type=Path,
        default=ROOT.parent / "shared" / "samples" / "COCO",
        help="folder with annotations/ and images/ as COCO has them",
    )
    samples = parser.parse_args().coco
    cv2.setNumThreads(1)  # workers are what is counted
    skeleton = load_dataset(ROOT, "COCO").skeleton
    upper_body = augment.upper_body_joints(skeleton.keypoints)
    with tempfile.TemporaryDirectory() as folder:
        records = load_people(samples, skeleton, Path(folder))
        origin = "of COCO" if samples.is_dir() else "made up"
        print(f"{len(records)} people {origin}, views of 256x192, {CORES} cores")
        source = PersonSource(records, VIEW, skeleton.flip_permutation, upper_body)
        yield source, Order(len(records), 0)


def main() -> None:
    """Print the tables."""
    with open_source() as (source, order):
        bare = make_works(source, order)[BARE]
        print_stages(source, order)
        print_augmentations(source, bare)
        print_usual_loader(source, order, bare)
        print_waiting(source)
        print_memory(source)


if __name__ == "__main__":
    main()
