"""How long the data doctor takes for annotations of COCO train2017's size, pictures skipped.

    python bench/check_data.py [--runs 1]

Makes the file of bench/read_annotations.py in a temporary folder (118,287 pictures, 262,465 rows;
its people are drawn at random, so that tens of thousands of them are reported), examines it, then
spoils one entry, so that the typed reading refuses the file, and examines it again. Each
measurement runs in a fresh process. The target, under a minute, is held against the processor time:
the examination runs in one thread, so that is what a machine without other work needs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from read_annotations import write_annotations

ROOT = Path(__file__).resolve().parent.parent
TARGET_S = 60


def measure(path: Path) -> None:
    """Print seconds (clock, processor), peak MiB, pictures, people and findings, as JSON."""
    from poseras.data.dataset import Split, load_dataset
    from poseras.data.doctor.examination import examine

    dataset = replace(
        load_dataset(ROOT, "COCO"), splits={"train": Split(annotations=path, images=path.parent)}
    )
    start, used = time.perf_counter(), time.process_time()
    report = examine(dataset, look_at_pictures=False)
    seconds = [time.perf_counter() - start, time.process_time() - used]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    columns = report.columns["train"]
    counts = {code: report.count(code) for code in report.codes()}
    print(json.dumps([seconds, peak, len(columns.image_ids), len(columns), counts]))


def run_measurement(path: Path) -> tuple[list[float], float, int, int, dict[str, int]]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(json.loads(run.stdout))


def spoil(path: Path) -> None:
    """Turn the id of the last annotation into a text, which no typed reading takes."""
    text = path.read_bytes()
    place = text.rindex(b'"id": ', 0, text.rindex(b'], "categories"')) + len(b'"id": ')
    end = text.index(b"}", place)
    path.write_bytes(text[:place] + b'"' + text[place:end] + b'"' + text[end:])


def print_row(name: str, path: Path, runs: int) -> None:
    """Measure a file and print the best of some runs."""
    results = [run_measurement(path) for _ in range(runs)]
    (clock, used), peak, pictures, people, counts = min(results, key=lambda result: result[0])
    verdict = "met" if used < TARGET_S else "MISSED"
    print(f"{name}: {pictures:,} pictures, {people:,} people, {path.stat().st_size / 1e6:.0f} MB")
    print(f"  {clock:.1f} s by the clock, {used:.1f} s of a processor, {peak:.0f} MiB")
    print(f"  target {TARGET_S} s {verdict}; found: {counts}")


def main() -> None:
    """Parse arguments; without --measure, make the file and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1, help="measurements of each file")
    parser.add_argument("--measure", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    from poseras.data.dataset import load_dataset

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "person_keypoints_train2017.json"
        write_annotations(path, list(load_dataset(ROOT, "COCO").skeleton.keypoints))
        print_row("typed reading", path, arguments.runs)
        spoil(path)
        print_row("one entry of a wrong type", path, arguments.runs)


if __name__ == "__main__":
    main()
