"""Testing end to end against the bare forward pass: what do pictures, decoding and NMS cost?

Both sides run the same model on the same device in turns, so the ratio holds although the machine
may be busy. `python bench/inference.py --help` lists the choices.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

PICTURES, PEOPLE_PER_PICTURE = 24, 4  # detections on COCO val2017: 4 to 20 a picture


def make_records(folder: Path, seed: int = 0):
    """JPEG pictures of 640x480 with a few boxes each."""
    from poseras.data.pipeline import records_of_boxes
    from poseras.structures import ImageTable, PersonRecords

    random = np.random.default_rng(seed)
    pictures, paths, boxes = [], [], []
    for number in range(PICTURES):
        small = random.integers(0, 256, (30, 40, 3)).astype(np.uint8)
        picture = cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)
        picture = np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
        paths.append(str(folder / f"{number}.jpg"))
        cv2.imwrite(paths[-1], picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        corners = random.uniform(0, (440, 180), (PEOPLE_PER_PICTURE, 2))
        sizes = random.uniform((60, 120), (200, 300), (PEOPLE_PER_PICTURE, 2))
        boxes.append(np.concatenate([corners, sizes], axis=1))
        pictures.append(picture)
    made = records_of_boxes(pictures, boxes, 17)
    images = ImageTable(made.images.ids, tuple(paths), made.images.sizes_hw)
    return PersonRecords(**{**vars(made), "images": images})


def rate(run: Callable[[], None], people: int) -> float:
    """People a second of one call."""
    start = time.perf_counter()
    run()
    return people / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side, in turns")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--depth", type=int, default=50)
    chosen = parser.parse_args()

    import tensorflow as tf

    from poseras.engine import tester
    from poseras.engine.snapshot import Snapshot
    from poseras.predictor import Predictor
    from poseras.skeleton import Skeleton
    from poseras.systems.simple_baselines import System
    from poseras.systems.simple_baselines.options import Options, default_view

    names = tuple(f"joint_{number}" for number in range(17))
    skeleton = Skeleton("Bench/17", names, oks_sigmas=(0.05,) * 17)
    options = Options(depth=chosen.depth)
    system = System(options, skeleton, {})
    model = system.build_model()
    nothing = Snapshot(Path("none"), {}, {}, "")
    view, strategy = default_view(options), tf.distribute.get_strategy()
    predictor = Predictor(system, model, view, strategy, nothing)
    forward = tf.function(lambda images: model(images, training=False))
    batch = tf.zeros((chosen.batch_size, *options.input_shape, 3), tf.uint8)

    with tempfile.TemporaryDirectory() as folder:
        records = make_records(Path(folder))
        people = len(records)
        selection = predictor.make_selection()

        def bare(passes: int) -> None:
            for _ in range(passes * people // chosen.batch_size):
                forward(batch)["heatmaps"].numpy()

        def whole(flip_test: bool) -> None:
            found = predictor.predict_records(
                records, flip_test=flip_test, batch_size=chosen.batch_size, progress=False
            )
            tester.select_people(records, found, selection)

        sides: dict[str, Callable[[], None]] = {
            "bare forward": lambda: bare(1),
            "test, no flip": lambda: whole(False),
            "bare forward, twice": lambda: bare(2),
            "test, flip merged": lambda: whole(True),
        }
        for run in sides.values():
            run()  # traces
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(chosen.rounds):
            for name, run in sides.items():
                rates[name].append(rate(run, people))
    best = {name: float(np.median(values)) for name, values in rates.items()}
    print(
        f"ResNet-{chosen.depth} {options.input_shape[0]}x{options.input_shape[1]}, batch "
        f"{chosen.batch_size}, {people} people on {PICTURES} pictures of 640x480, "
        f"{len(tf.config.list_physical_devices('GPU'))} GPUs, median of {chosen.rounds}"
    )
    print(f"{'':22}{'people/s':>9}{'share of bare':>15}")
    for name, bare_name in zip(
        sides, ("bare forward",) * 2 + ("bare forward, twice",) * 2, strict=True
    ):
        print(f"{name:22}{best[name]:9.2f}{best[name] / best[bare_name]:15.2f}")


if __name__ == "__main__":
    main()
