"""Parameters, multiply-accumulates and speed of every network that looks at one person.

    python bench/models.py [--time] [--names REGEX]

The networks are those of main/configs/, at their input sizes; configs of one network share a row,
which is named after the first of them. GMAC are 10^9 products that are added up for one picture, in
convolutions, transposed convolutions (at the positions of their input) and dense layers; those of
attention between tokens stand beside. Normalisations, activations, poolings and resizings are not
counted.

`--time` also runs the networks on one core, float32, one picture at a time, and gives pictures per
second of processor time, so that other programs disturb little. The faster of two runs counts.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from poseras.data.dataset import choose_skeleton, list_datasets
from poseras.layers import count_multiply_accumulates
from poseras.settings import apply_differences, read_differences
from poseras.systems import options_module, system_class

ROOT = Path(__file__).resolve().parent.parent
RUNS = 2


def find_systems(names: str) -> Iterator[tuple[str, Any]]:
    """Name and system of every config whose system looks at one person, and whose name matches."""
    for path in sorted((ROOT / "main" / "configs").glob("*.yaml")):
        told = read_differences(path)
        module = options_module(told["system"])
        if module.SAMPLE != "person" or not re.search(names, path.stem):
            continue
        given = {key.removeprefix("options."): v for key, v in told.items() if "options." in key}
        trainset = told.get("data.trainset", "COCO")
        trainset = trainset.split(",") if isinstance(trainset, str) else trainset
        if trainset[0] not in list_datasets(ROOT):
            print(f"(left out: {path.stem}, because data/{trainset[0]}/dataset.yaml is not there)")
            continue
        skeleton = choose_skeleton(ROOT, trainset, told.get("data.skeleton", ""))
        options = apply_differences(module.Options(), given)
        yield path.stem, system_class(told["system"])(options, skeleton)


def build(system: Any, with_values: bool) -> keras.Model:
    """The network, without memory for its variables (2.5 GB for the largest) unless asked for."""
    if with_values:
        return system.build_model()
    with keras.StatelessScope(initialize_variables=False):
        return system.build_model()


def measure_speed(model: keras.Model) -> float:
    """Pictures per second of processor time, the first call left out."""
    run = tf.function(lambda images: model(images, training=False), jit_compile=False)
    images = tf.zeros((1, *model.input.shape[1:]))
    run(images)
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        run(images)
        times.append(time.process_time() - start)
    return 1 / min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--time", action="store_true", help="also measure the speed, minutes")
    parser.add_argument("--names", default="", metavar="REGEX", help="of configs; all by default")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    titles = f"| {'network':48} | input | parameters | GMAC | attention |"
    print(titles + (" crops/s |" if given.time else ""))
    print("|---" * (6 if given.time else 5) + "|")
    seen = set()
    for name, system in find_systems(given.names):
        model = build(system, given.time)
        parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        by_weights, between = count_multiply_accumulates(model)
        height, width, _ = model.input.shape[1:]
        row = (parameters, by_weights, height, width)
        if row in seen:
            continue
        seen.add(row)
        attention = f"{between / 1e9:.3f}" if between else ""
        text = f"| {name:48} | {height}x{width} | {parameters:,} | {by_weights / 1e9:.3f}"
        speed = f" {measure_speed(model):.2f} |" if given.time else ""
        print(f"{text} | {attention} |{speed}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()
