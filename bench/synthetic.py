"""Time the generator of synthetic people by stage, on one core.

    python bench/synthetic.py

The same pictures are drawn several times and the fastest time of each stage counts. Times are those
of one core at 640x480, processor time, so that other programs disturb little.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import cv2

from poseras.synthetic import person, scene
from poseras.synthetic.assets import BodyAssets, load_assets
from poseras.synthetic.staging import DIFFICULTIES, Difficulty

#: Read by NumPy at import, so the program starts itself again with them.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

#: Function, module that calls it, what the table says of it.
STAGES: tuple[tuple[ModuleType, str, str], ...] = (
    (person, "blend_shape", "shape"),
    (person, "sample_pose", "pose"),
    (person, "make_figure", "clothes, skin, hair"),
    (person, "pose_figure", "skinning"),
    (scene, "draw_triangles", "rasterise"),
    (scene, "draw_shadow_map", "shadows"),
    (scene, "paint_background", "background"),
    (scene, "find_hits", "pixels to triangles"),
    (scene, "shade", "textures and light"),
    (scene, "soften_edges", "soft edges"),
    (scene, "photograph", "lens"),
    (scene, "tell_truth", "truth"),
)


@contextmanager
def timed_stages(spent: dict[str, float]) -> Iterator[None]:
    """Adds the processor time of every call of a stage to `spent`."""
    originals = [(module, name, getattr(module, name)) for module, name, _ in STAGES]

    def timed(function: Callable[..., Any], title: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            result = function(*arguments, **named)
            spent[title] = spent.get(title, 0.0) + time.process_time() - start
            return result

        return call

    for (module, name, function), (_, _, title) in zip(originals, STAGES, strict=True):
        setattr(module, name, timed(function, title))
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


def measure(assets: BodyAssets, difficulty: Difficulty, pictures: int) -> tuple[int, dict]:
    """People drawn, and seconds by stage with the whole under "all"."""
    spent: dict[str, float] = {}
    people = 0
    start = time.process_time()
    with timed_stages(spent):
        for index in range(pictures):
            drawn = scene.make_scene(assets, seed=1, index=index, difficulty=difficulty)
            people += len(drawn.people)
    spent["all"] = time.process_time() - start
    return people, spent


def main() -> None:
    """Print a table of milliseconds a person, and people a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=24, help="of each difficulty")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    cv2.setNumThreads(1)
    assets = load_assets()
    scene.make_scene(assets, seed=0, index=0)  # fills what is computed once
    columns: dict[str, dict[str, float]] = {}
    for difficulty in DIFFICULTIES:
        runs = [measure(assets, difficulty, given.pictures) for _ in range(given.repeats)]
        people = max(runs[0][0], 1)
        fastest = {
            title: min(spent.get(title, 0.0) for _, spent in runs) / people for title in runs[0][1]
        }
        columns[difficulty] = fastest
    print(f"{'ms a person':22}" + "".join(f"{difficulty:>10}" for difficulty in DIFFICULTIES))
    for title in [*(title for _, _, title in STAGES), "all"]:
        row = "".join(f"{columns[d].get(title, 0.0) * 1000:10.1f}" for d in DIFFICULTIES)
        print(f"{title:22}{row}")
    rates = "".join(f"{1 / columns[d]['all']:10.1f}" for d in DIFFICULTIES)
    print(f"{'people a second, core':22}{rates}")


if __name__ == "__main__":
    main()
