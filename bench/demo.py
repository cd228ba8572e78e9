"""The demo against the bare forward pass: what do decoding, drawing and encoding a video cost?

A clip of 640x480 with the same people on every frame goes through `demonstrate`, and the same
number of views goes through the network alone, in turns, so the ratio holds although the machine
may be busy. Beside it stands the ratio of the processor times, which is that of the rates where all
cores are at work. Memory is looked at all along the longest clip.
`python bench/demo.py --help` lists the choices.
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

HEIGHT, WIDTH = 480, 640
RATE = 25.0
GROUP = 8  # frames that share a forward pass


def write_clip(path: Path, frames: int) -> None:
    """A camera that moves over blurred blocks with a little noise, as photographs have it."""
    from poseras.engine.video_writer import open_video_writer

    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (24, 40, 3)).astype(np.uint8)
    wide = cv2.resize(blocks, (WIDTH + 400, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wide = np.clip(wide + random.normal(0, 4, wide.shape), 0, 255).astype(np.uint8)
    with open_video_writer(path, RATE) as writer:
        for number in range(frames):
            left = abs(400 - number * 2 % 800)
            writer.write(np.ascontiguousarray(wide[:, left : left + WIDTH]), number / RATE)


def resident_mib() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(run: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the clock and of all cores together that a call takes."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model-file", help="a snapshot; by default half a ResNet-18 at 128x96")
    parser.add_argument("--people", type=int, default=4, help="on every frame")
    timed = f"of the clip that is timed, a multiple of {GROUP}"
    parser.add_argument("--frames", type=int, default=200, help=timed)
    parser.add_argument("--long", type=int, default=2000, help="of the clip for memory; 0 is none")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side, in turns")
    parser.add_argument("--flip", action="store_true", help="with the flip test")
    chosen = parser.parse_args()

    import tensorflow as tf

    from poseras.data.frames import open_frames
    from poseras.data.pictures import Boxes
    from poseras.demonstration import demonstrate
    from poseras.frame_prediction import Looking
    from poseras.person_boxes import ListedBoxes
    from poseras.predictor import load_predictor

    predictor = load_predictor(chosen.model_file) if chosen.model_file else make_predictor()
    corners = np.linspace((20, 30), (WIDTH - 180, 60), chosen.people)
    boxes = np.concatenate([corners, np.full((chosen.people, 2), (150, 380))], axis=1)
    found = Boxes(boxes.astype(np.float32), np.ones(chosen.people))
    listed = ListedBoxes(dict.fromkeys(range(max(chosen.frames, chosen.long)), found))
    batch = chosen.people * GROUP
    looking = Looking(
        listed, flip_test=chosen.flip, batch_size=batch, frames_at_a_time=GROUP, oks_nms_threshold=0
    )
    forward = tf.function(lambda images: predictor.model(images, training=False))
    views = tf.zeros((batch, *predictor.view.size_hw, 3), tf.uint8)

    def bare() -> None:
        for _ in range(chosen.frames // GROUP * (2 if chosen.flip else 1)):
            next(iter(forward(views).values())).numpy()

    with tempfile.TemporaryDirectory() as folder:
        clip, output = Path(folder, "clip.mp4"), Path(folder, "out")
        write_clip(clip, chosen.frames)

        def whole() -> None:
            demonstrate(predictor, open_frames(clip), output, looking)

        bare(), whole()  # traces
        turns = [(measure(bare), measure(whole)) for _ in range(chosen.rounds)]
        (wall, processor), (wall_demo, processor_demo) = np.median(turns, axis=0) / chosen.frames
        print(
            f"{WIDTH}x{HEIGHT}, {chosen.people} people a frame, views "
            f"{predictor.view.size_hw[0]}x{predictor.view.size_hw[1]}, "
            f"{'flip test, ' if chosen.flip else ''}median of {chosen.rounds}\n"
            f"{'':14}{'frames/s':>10}{'processor ms a frame':>22}\n"
            f"{'bare forward':14}{1 / wall:10.1f}{1e3 * processor:22.2f}\n"
            f"{'demo':14}{1 / wall_demo:10.1f}{1e3 * processor_demo:22.2f}\n"
            f"{'share of bare':14}{wall / wall_demo:10.2f}{processor / processor_demo:22.2f}"
        )
        if chosen.long:
            print_memory(predictor, looking, chosen.long, Path(folder))


def make_predictor():
    """Half a ResNet-18 with a 3x64 head and random weights, so sure of all joints that it draws."""
    import tensorflow as tf

    from poseras.engine.snapshot import Snapshot
    from poseras.predictor import Predictor
    from poseras.skeleton import Skeleton
    from poseras.systems.simple_baselines import System
    from poseras.systems.simple_baselines.options import Options, default_view

    limbs = tuple((joint, joint + 1) for joint in range(16))
    names = tuple(f"joint_{number}" for number in range(17))
    skeleton = Skeleton("Bench/17", names, limbs=limbs, oks_sigmas=(0.05,) * 17)
    options = Options(
        input_shape=(128, 96),
        form="pytorch",
        depth=18,
        backbone_width=32,
        head_filters=(64, 64, 64),
    )
    system = System(options, skeleton, {})
    model = system.build_model()
    for variable in model.weights:
        if variable.path.endswith("bias") and variable.shape == (len(names),):
            variable.assign(np.full(len(names), 0.9, np.float32))
    nothing = Snapshot(Path("none"), {}, {"system": "simple_baselines"}, "")
    strategy = tf.distribute.get_strategy()
    return Predictor(system, model, default_view(options), strategy, nothing)


def print_memory(predictor, looking, frames: int, folder: Path) -> None:
    """Look through a long clip and print the memory every tenth of it."""
    from dataclasses import replace

    from poseras.data.frames import Frame, open_frames
    from poseras.demonstration import demonstrate

    write_clip(folder / "long.mp4", frames)
    source = open_frames(folder / "long.mp4")
    seen: list[float] = []

    def read():
        frame: Frame
        for frame in source:
            if frame.number % (frames // 10) == 0:
                seen.append(resident_mib())
            yield frame

    demonstrate(predictor, replace(source, read=read), folder / "long", looking)
    print(f"memory over {frames} frames, MiB: {' '.join(f'{mib:.0f}' for mib in seen)}")


if __name__ == "__main__":
    main()
