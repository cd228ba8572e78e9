"""The training step by itself, the loader against a step that only sleeps, and memory over time.

    python bench/train_step.py [step] [norm] [waiting] [memory]

1. step: samples/s of ResNet-50 at 256x192 on this machine, float32 and mixed_bfloat16, the graph's
   first call left out. Reported without a target.
2. norm: the same of the small network that comes with poseras, with Keras' BatchNorm and with
   `poseras.batch_norm`, which takes TensorFlow's fused kernel.
3. waiting: the share of the time that the trainer's loop waits for data, when a stand-in step
   sleeps so long that it takes 0.8 of what the pipeline can deliver. Target: under 2 %. It means
   something on an otherwise idle machine only.
4. memory: resident memory of 2,000 steps of a small network, second half against first. Target:
   flat within 1 %.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf
import tiny_project

from poseras.batch_norm import BatchNormalization
from poseras.data.dataset import load_dataset
from poseras.data.pipeline import build_training_batches
from poseras.data.training_set import load_training_people
from poseras.engine.logbook import Stopwatch
from poseras.engine.precision import Precision, set_precision
from poseras.engine.train_step import StepSettings, TrainStep
from poseras.skeleton import Skeleton
from poseras.systems import options_module, system_class

SYSTEM = "simple_baselines"
BATCH = 8
SHIPPED = {
    "form": "pytorch",
    "depth": 18,
    "backbone_width": 32,
    "head_filters": (64, 64, 64),
    "input_shape": (128, 96),
}
SMALL = {
    "form": "pytorch",
    "depth": 18,
    "backbone_width": 8,
    "head_filters": (8, 8, 8),
    "input_shape": (64, 64),
}


def main(parts: Sequence[str]) -> None:
    """Print the tables asked for."""
    chosen = parts or ("step", "norm", "waiting", "memory")
    precisions: tuple[Precision, ...] = ("float32", "mixed_bfloat16")
    if "step" in chosen:
        print(f"{'ResNet-50, 256x192, batch ' + str(BATCH):<34}{'samples/s':>10}")
        for precision in precisions:
            print(f"{precision:<34}{measure_step(precision):>10.2f}", flush=True)
    if "norm" in chosen:
        print(f"{'half ResNet-18, 128x96, batch 64':<34}{'Keras':>10}{'fused':>10}{'ratio':>8}")
        for precision in precisions:
            usual, fused = measure_batch_norm(precision)
            print(f"{precision:<34}{usual:>10.0f}{fused:>10.0f}{fused / usual:>8.2f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tiny_project.make_project(Path(folder), people=256)
        if "waiting" in chosen:
            rate, share = measure_waiting(Path(folder))
            print(f"pipeline alone {rate:.0f} samples/s; a step at 0.8 of it waits {share:.2%}")
        if "memory" in chosen:
            first, second = measure_memory(Path(folder))
            change = second / first - 1
            print(
                f"memory of steps 500-1000 {first:.1f} MiB, 1500-2000 {second:.1f} ({change:+.2%})"
            )


def measure_step(precision: Precision, steps: int = 4) -> float:
    """Samples per second of the default network on made-up pictures."""
    step, batch = prepare_step(precision, BATCH)
    return BATCH * steps / time_steps(step, batch, steps)


def measure_batch_norm(precision: Precision, turns: int = 3, steps: int = 8) -> tuple[float, float]:
    """Samples per second with Keras' BatchNorm and with the fused one, the best of some turns."""
    with patch.object(BatchNormalization, "_has_kernel", return_value=False):
        usual, batch = prepare_step(precision, 64, **SHIPPED)  # traced here, with its first batch
    fused, _ = prepare_step(precision, 64, **SHIPPED)
    best = [min(time_steps(step, batch, steps) for _ in range(turns)) for step in (usual, fused)]
    return 64 * steps / best[0], 64 * steps / best[1]


def prepare_step(
    precision: Precision, batch_size: int, **options: Any
) -> tuple[TrainStep, dict[str, tf.Tensor]]:
    """The traced step of a network, and made-up pictures for it."""
    skeleton = Skeleton("made-up", tuple(f"joint_{n}" for n in range(17)))
    settings = options_module(SYSTEM).Options(**options)
    set_precision(precision)
    system = system_class(SYSTEM)(settings, skeleton)
    step = TrainStep(system, system.build_model(), StepSettings(precision=precision))
    set_precision("float32")
    random = np.random.default_rng(0)
    height, width = settings.input_shape
    keypoints = random.uniform(0, width, (batch_size, 1, 17, 3)).astype(np.float32)
    images = random.integers(0, 256, (batch_size, height, width, 3), dtype=np.uint8)
    batch = {
        "image": tf.constant(images),
        "keypoints": tf.constant(keypoints),
        "channel_gain": tf.ones((batch_size, 3)),
    }
    float(step([batch], 5e-4)["total"])
    return step, batch


def time_steps(step: TrainStep, batch: dict[str, tf.Tensor], steps: int) -> float:
    """Seconds that some steps take."""
    start = time.perf_counter()
    for _ in range(steps):
        float(step([batch], 5e-4)["total"])
    return time.perf_counter() - start


def make_batches(root: Path, size_hw: tuple[int, int], batch_size: int) -> tf.data.Dataset:
    """The training batches of the drawn people."""
    skeleton = load_dataset(root, "Drawn").skeleton
    people = load_training_people(root, ["Drawn"], skeleton)
    module = options_module(SYSTEM)
    view = module.default_view(module.Options(input_shape=size_hw))
    return build_training_batches(
        people, skeleton.flip_permutation, view, batch_size=batch_size, seed=1
    )


def measure_waiting(root: Path, batches: int = 150, batch_size: int = 32) -> tuple[float, float]:
    """The rate of the pipeline, and the share that a sleeping step at 0.8 of it waits."""
    data = make_batches(root, (256, 192), batch_size)
    iterator = iter(data)
    for _ in range(20):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    rate = batch_size * batches / (time.perf_counter() - start)
    watch = Stopwatch()
    for number in range(batches + 20):
        if number == 20:
            watch.restart()
        watch.next_batch(iterator)
        watch.steps += 1
        time.sleep(batch_size / (0.8 * rate))
    return rate, watch.read(batch_size)["waiting_share"]


def measure_memory(root: Path, steps: int = 2000) -> tuple[float, float]:
    """Mean resident MiB of the second and the last quarter of some steps."""
    skeleton = load_dataset(root, "Drawn").skeleton
    keras.utils.set_random_seed(0)
    system = system_class(SYSTEM)(options_module(SYSTEM).Options(**SMALL), skeleton)
    step = TrainStep(system, system.build_model(), StepSettings(ema_decay=0.9))
    iterator = iter(make_batches(root, (64, 64), 4))
    used = []
    for _ in range(steps):
        float(step([next(iterator)], 1e-4)["total"])
        used.append(resident_mib())
    quarter = steps // 4
    return float(np.mean(used[quarter : 2 * quarter])), float(np.mean(used[3 * quarter :]))


def resident_mib() -> float:
    """Memory that this process holds now, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main(sys.argv[1:])
