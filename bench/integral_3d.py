"""What reading 3D annotations and soft-argmax cost.

    python bench/integral_3d.py [--records 312000] [--batch 4]

Reading: files of five subjects as tool/human36m2coco.py writes them, made by repetition in a
temporary folder (0.5 GB), read in a fresh process. Soft-argmax: 64 x 64 x 64 cells, 18 joints, with
its gradient, against a plain one that transposes the volume and normalises it, each in a fresh
process, and as a share of the training step of the published network.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SUBJECTS = (1, 5, 6, 7, 8)
JOINTS, CELLS = 18, 64
REPEATS = 5


def write_subject(path: Path, subject: int, people: int) -> None:
    """A file like s_01_every_5.json; a few hundred made-up poses are repeated."""
    from poseras.data.human36m_coco import CATEGORY

    rng = np.random.default_rng(subject)
    camera = {"R": np.eye(3).tolist(), "T": [0.0] * 3, "f": [1145.0495, 1143.7811]}
    camera |= {"c": [512.5415, 515.4515], "k": [-0.207, 0.2478, -0.0031], "p": [-0.0014, -0.001]}
    bodies = []
    for _ in range(300):
        joints = rng.normal([0, 0, 5000], 250, (JOINTS, 3)).round(4)
        points = (joints[:, :2] / joints[:, 2:] * 1144 + 512).round(3)
        labelled = np.concatenate([points, np.full((JOINTS, 1), 2)], axis=1)
        bodies.append(
            json.dumps(
                {"keypoints": labelled.ravel().tolist(), "joints_camera_mm": joints.tolist()}
            )
        )
    shown = json.dumps(camera)
    with path.open("w") as file:
        rows = (
            f'{{"id": {subject * 1_000_000 + n}, "file_name": "s_{subject:02d}/{n:06d}.jpg", '
            f'"height": 1002, "width": 1000, "camera": {shown}}}'
            for n in range(people)
        )
        file.write('{"images": [' + ", ".join(rows) + '], "annotations": [')
        rows = (
            f'{{"id": {subject * 1_000_000 + n}, "image_id": {subject * 1_000_000 + n}, '
            f'"category_id": 1, "iscrowd": 0, "bbox": [300.5, 200.25, 400.0, 400.0], '
            f'"area": 160000.0, "num_keypoints": {JOINTS}, "subject": {subject}, "action": 2, '
            f"{bodies[n % len(bodies)][1:]}"
            for n in range(people)
        )
        file.write(", ".join(rows) + f'], "categories": [{json.dumps(CATEGORY)}]}}')


def make_project(folder: Path, records: int) -> None:
    """A project with Human3.6M's annotations alone."""
    dataset = folder / "data" / "Human36M"
    (dataset / "annotations").mkdir(parents=True)
    text = (ROOT / "data" / "Human36M" / "dataset.yaml").read_text()
    (dataset / "dataset.yaml").write_text(text)
    for subject in SUBJECTS:
        path = dataset / "annotations" / f"s_{subject:02d}_every_5.json"
        write_subject(path, subject, records // len(SUBJECTS))


def read_project(folder: str) -> dict[str, float]:
    """Seconds and peak MiB of reading all training people, TensorFlow not imported."""
    from poseras.data.dataset import choose_skeleton
    from poseras.data.training_set import load_training_parts

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, busy = time.perf_counter(), time.process_time()
    skeleton = choose_skeleton(folder, ["Human36M"])
    parts = load_training_parts(folder, ["Human36M"], skeleton, root_box_mm=(2000.0, 2000.0))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "people": len(parts[0]),
        "seconds": seconds,
        "cpu_seconds": busy,
        "peak_mib": (peak - before) / 1024,
    }


def measure_soft_argmax(kind: str, batch: int) -> dict[str, float]:
    """Milliseconds of cells and gradient, and the peak MiB above the volume itself."""
    import tensorflow as tf

    from poseras.codecs.integral import soft_argmax_3d

    def plain(logits: tf.Tensor) -> tf.Tensor:
        volumes = tf.reshape(logits, (batch, CELLS, CELLS, JOINTS, CELLS))
        volumes = tf.reshape(tf.transpose(volumes, (0, 3, 4, 1, 2)), (batch, JOINTS, -1))
        shares = tf.reshape(tf.nn.softmax(volumes), (batch, JOINTS, CELLS, CELLS, CELLS))
        places = tf.range(CELLS, dtype=tf.float32)
        margins = [tf.reduce_sum(shares, axes) for axes in ((2, 3), (2, 4), (3, 4))]
        return tf.stack([tf.reduce_sum(m * places, -1) for m in margins], -1)

    read = plain if kind == "plain" else lambda logits: soft_argmax_3d(logits, CELLS)

    @tf.function
    def step(logits: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = tf.reduce_sum(read(logits))
        return tape.gradient(total, logits)

    logits = tf.random.normal((batch, CELLS, CELLS, JOINTS * CELLS), stddev=2.5)
    tf.zeros(()).numpy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"ms": best_of(lambda: step(logits)), "peak_mib": peak_above(before)}


def measure_step(batch: int) -> dict[str, float]:
    """Milliseconds of a training step of ResNet-50 at 256x256 with 64 depth bins."""
    import keras
    import tensorflow as tf

    from poseras.engine.train_step import StepSettings, TrainStep
    from poseras.skeleton import Skeleton
    from poseras.systems.integral_3d.options import Options
    from poseras.systems.integral_3d.system import System

    keras.utils.set_random_seed(0)
    skeleton = Skeleton("bench", tuple(f"joint_{n}" for n in range(JOINTS)))
    system = System(Options(), skeleton)
    step = TrainStep(system, system.build_model(), StepSettings(weight_decay=0))
    batches = [
        {
            "image": tf.zeros((batch, 256, 256, 3), tf.uint8),
            "keypoints": tf.ones((batch, 1, JOINTS, 3)) * 100,
            "view_scale": tf.ones(batch),
        }
    ]
    return {"ms": best_of(lambda: step(batches, 1e-3)["total"].numpy())}


def best_of(work) -> float:
    """The shortest of some runs after a first one, in milliseconds."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times[1:])


def peak_above(before: int) -> float:
    """MiB that the process has grown by at most."""
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def run_alone(*arguments: str) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, __file__, "--only", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=312_000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        kind, value = chosen.only
        measured = {
            "read": lambda: read_project(value),
            "step": lambda: measure_step(int(value)),
        }.get(kind, lambda: measure_soft_argmax(kind, int(value)))()
        print(json.dumps(measured))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), chosen.records)
        read = run_alone("read", folder)
    print(
        f"reading {read['people']:,} people of Human3.6M: {read['seconds']:.1f} s, "
        f"{read['cpu_seconds']:.1f} s of them computing, {read['peak_mib']:.0f} MiB at most"
    )
    ours, plain = (run_alone(kind, str(chosen.batch)) for kind in ("ours", "plain"))
    step = run_alone("step", str(chosen.batch))
    volume = chosen.batch * JOINTS * CELLS**3 * 4 / 2**20
    print(f"soft-argmax with gradient, batch {chosen.batch}, a volume of {volume:.0f} MiB:")
    for name, row in (("ours", ours), ("plain", plain)):
        copies = row["peak_mib"] / volume
        print(f"  {name:6} {row['ms']:6.0f} ms  {row['peak_mib']:5.0f} MiB ({copies:.1f} volumes)")
    share = 100 * ours["ms"] / step["ms"]
    print(f"  training step of ResNet-50, 256x256: {step['ms']:.0f} ms; soft-argmax {share:.1f} %")


if __name__ == "__main__":
    main()
