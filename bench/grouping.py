"""Bottom-up decoding and grouping of SimplePose V2: maps to candidates, candidates to people.

Known elsewhere: the original takes about 192 ms a picture at 512x512 for decoding and grouping
together, and OpenPifPaf's C++ decoder 8 to 14 ms. Both were measured on other machines.
`python bench/grouping.py --help` lists the choices.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SIDE = 512
JOINTS = 17


def make_scene(people: int, seed: int = 0) -> np.ndarray:
    """(1, people, 17, 3) keypoints of people of 150 px, spread over a picture as they may fall."""
    random = np.random.default_rng(seed)
    body = random.uniform(0, 1, (people, JOINTS, 2)) * (60, 150)
    corners = random.uniform(5, (SIDE - 70, SIDE - 160), (people, 1, 2))
    points = body + corners
    return np.concatenate([points, np.full((people, JOINTS, 1), 2)], axis=-1)[None].astype("f4")


def measure(run: Callable[[], object], repeats: int) -> float:
    """CPU milliseconds of the cheapest of some runs: other work on the machine counts little."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def make_system(search: str, candidates: int):
    """The published decoder with one of its two searches and room for so many peaks of a joint."""
    from poseras.skeleton import Skeleton
    from poseras.systems.simplepose_v2.limbs import COCO_JOINTS
    from poseras.systems.simplepose_v2.options import Options
    from poseras.systems.simplepose_v2.system import System

    pairs = tuple((j, j + 1) for j in range(1, JOINTS, 2))
    skeleton = Skeleton("bench/coco_17", tuple(COCO_JOINTS), pairs, oks_sigmas=(0.07,) * JOINTS)
    options = Options(stacks=1, peak_search=search, candidates=candidates)
    return System(options, skeleton)


def run_decoder(decode: Callable, outputs: dict) -> np.ndarray:
    """Decode and wait for the result."""
    return decode(outputs)["peak_scores"].numpy()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--repeats", type=int, default=20)
    chosen = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"maps of {SIDE // 4}x{SIDE // 4}, {JOINTS} joints, 19 limbs; CPU ms")
    print("people  candidates  decode dense  decode sparse  grouping  limbs  found")
    for people in chosen.people:
        # The published 32; more people have as many peaks of a joint, for which 64 make room.
        room = max(32, -(-people // 32) * 32)
        systems = {search: make_system(search, room) for search in ("dense", "sparse")}
        decoders = {search: tf.function(system.decode) for search, system in systems.items()}
        system = systems["sparse"]
        batch = {
            "keypoints": make_scene(people),
            "boxes_xywh": np.full((1, people, 4), 100, np.float32),
            "image_to_network": np.eye(2, 3, dtype=np.float32)[None],
            "ignore_mask": np.zeros((1, SIDE, SIDE), bool),
        }
        outputs = system.perfect_outputs(system.encode(batch))
        times = {
            search: measure(partial(run_decoder, decode, outputs), chosen.repeats)
            for search, decode in decoders.items()
        }
        decoded = decoders["sparse"](outputs)
        candidates = {name: value.numpy()[0] for name, value in decoded.items()}
        limbs = int(np.minimum(candidates["peak_count"], room)[np.array(system.limbs)[:, 0]].sum())
        grouping = measure(partial(system.group, candidates), chosen.repeats)
        found = len(system.group(candidates))
        print(
            f"{people:6d}  {room:10d}  {times['dense']:12.1f}  {times['sparse']:13.1f}"
            f"  {grouping:8.2f}  {limbs:5d}  {found:5d}"
        )


if __name__ == "__main__":
    main()
