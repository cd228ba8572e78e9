"""How long annotations of COCO train2017's size take to read, against bare parsing.

    python bench/read_annotations.py [--runs 3]

Makes a file of 118,287 images and 262,465 rows, 149,813 of them with keypoints, in a temporary
folder (0.3 GB), and reads it in a fresh process for each measurement. The best of all runs counts.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

IMAGES, ROWS, LABELLED = 118_287, 262_465, 149_813
ROOT = Path(__file__).resolve().parent.parent
PATTERNS = 500


def write_annotations(path: Path, names: list[str], seed: int = 0) -> None:
    """A file like person_keypoints_train2017.json; rows repeat a few hundred drawn people."""
    rng = np.random.default_rng(seed)
    people = [[draw_person(rng, len(names), hidden) for _ in range(PATTERNS)] for hidden in (0, 1)]
    category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": names}
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"year": 2017}, "licenses": [], "images": [')
        file.write(", ".join(make_images()))
        file.write('], "annotations": [')
        file.write(", ".join(make_rows(people)))
        file.write(f'], "categories": [{json.dumps(category)}]}}')


def draw_person(rng: np.random.Generator, joints: int, hidden: bool) -> dict:
    """A polygon of COCO's usual length, a box, and keypoints, which a hidden person lacks."""
    left, top, width, height = (rng.random(4) * 300).round(2).tolist()
    corners = rng.random((int(rng.integers(15, 60)), 2)) * (width, height) + (left, top)
    visibility = np.zeros(joints, int) if hidden else rng.integers(0, 3, joints)
    visibility[0] = 0 if hidden else 2
    points = np.stack([rng.integers(0, 640, joints), rng.integers(0, 480, joints), visibility], 1)
    return {
        "segmentation": [corners.round(2).ravel().tolist()],
        "num_keypoints": int((visibility > 0).sum()),
        "area": round(width * height * 0.6, 4),
        "iscrowd": 0,
        "keypoints": (points * (visibility > 0)[:, None]).ravel().tolist(),
        "bbox": [left, top, width, height],
        "category_id": 1,
    }


def make_images() -> Iterator[str]:
    """The picture rows, as JSON."""
    for number in range(1, IMAGES + 1):
        name = f"{number:012}.jpg"
        yield json.dumps(
            {
                "license": 1,
                "file_name": name,
                "coco_url": f"http://images.cocodataset.org/train2017/{name}",
                "height": 480,
                "width": 640,
                "date_captured": "2013-11-14 20:12:47",
                "flickr_url": f"http://farm4.staticflickr.com/3138/{number}_e9fc0baa5c_z.jpg",
                "id": number,
            }
        )


def make_rows(people: list[list[dict]]) -> Iterator[str]:
    """The people, as JSON; labelled and unlabelled ones are mixed."""
    labelled = np.arange(ROWS) < LABELLED
    np.random.default_rng(1).shuffle(labelled)
    texts = [[json.dumps(person)[1:-1] for person in group] for group in people]
    for row, seen in enumerate(labelled):
        person = texts[0 if seen else 1][row % PATTERNS]
        yield f'{{{person}, "image_id": {1 + row % IMAGES}, "id": {100_000 + row}}}'


def load_parsers() -> dict[str, Callable[[], Callable[[Path], object]]]:
    """By name: a function that imports a parser and returns the bare reading to be timed."""

    def python_json() -> Callable[[Path], object]:
        return lambda path: json.loads(path.read_bytes())

    def orjson_loads() -> Callable[[Path], object]:
        import orjson

        return lambda path: orjson.loads(path.read_bytes())

    def simdjson_parse() -> Callable[[Path], object]:
        import simdjson

        # Without as_dict it is a view of the text, and every field would still have to be fetched.
        return lambda path: simdjson.Parser().parse(path.read_bytes()).as_dict()

    def msgspec_untyped() -> Callable[[Path], object]:
        import msgspec

        return lambda path: msgspec.json.decode(path.read_bytes())

    def msgspec_typed() -> Callable[[Path], object]:
        import msgspec

        from poseras.data.coco_format import CocoFile, PersonEntry

        return lambda path: msgspec.json.decode(path.read_bytes(), type=CocoFile[PersonEntry])

    def msgspec_typed_uncollected() -> Callable[[Path], object]:
        from poseras.data.coco_format import pause_collector

        read = msgspec_typed()

        def read_uncollected(path: Path) -> object:
            with pause_collector():
                return read(path)

        return read_uncollected

    def records_ready() -> Callable[[Path], object]:
        from poseras.data.annotation import read_split
        from poseras.data.dataset import load_dataset
        from poseras.data.persons import training_persons

        dataset = load_dataset(ROOT, "COCO")
        return lambda path: training_persons(read_split(dataset, "train", annotations=path))

    return {
        "json": python_json,
        "orjson": orjson_loads,
        "simdjson": simdjson_parse,
        "msgspec, all fields": msgspec_untyped,
        "msgspec, our fields": msgspec_typed,
        "the same, gc paused": msgspec_typed_uncollected,
        "poseras, records ready": records_ready,
    }


def measure(name: str, path: Path) -> None:
    """Print seconds, peak memory in MiB and whether TensorFlow was imported, as JSON."""
    read = load_parsers()[name]()
    start = time.perf_counter()
    kept = read(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    if name == "poseras, records ready" and len(kept) != LABELLED:
        raise ValueError(f"{LABELLED} people were written. Received {len(kept)}.")
    print(json.dumps([seconds, peak, "tensorflow" in sys.modules]))


def run_measurement(name: str, path: Path) -> tuple[float, float, bool]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--file", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(json.loads(run.stdout))


def print_table(path: Path, runs: int) -> None:
    """Measure every parser that is installed, in turns."""
    modules = {"orjson": "orjson", "simdjson": "simdjson"}
    names = [
        name
        for name in load_parsers()
        if name not in modules or importlib.util.find_spec(modules[name])
    ]
    found: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            found[name].append(run_measurement(name, path))
    print(f"{IMAGES:,} images, {ROWS:,} rows, {path.stat().st_size / 1e6:.0f} MB")
    print(f"{'':24}{'seconds':>8}{'peak MiB':>10}  best of {runs}")
    best = {name: min(seconds for seconds, _, _ in found[name]) for name in names}
    for name in names:
        print(f"{name:24}{best[name]:8.2f}{max(peak for _, peak, _ in found[name]):10.0f}")
    ours = "poseras, records ready"
    print(f"records ready / msgspec, our fields: {best[ours] / best['msgspec, our fields']:.2f}")
    print("(target: 1.3 or less, under 2048 MiB)")
    print(f"TensorFlow imported: {'yes' if any(t for _, _, t in found[ours]) else 'no'}")


def main() -> None:
    """Parse arguments; without --measure, make the file and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="measurements of each parser")
    parser.add_argument("--measure", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure, arguments.file)
        return
    from poseras.data.dataset import load_dataset

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "person_keypoints_train2017.json"
        write_annotations(path, list(load_dataset(ROOT, "COCO").skeleton.keypoints))
        print_table(path, arguments.runs)


if __name__ == "__main__":
    main()
