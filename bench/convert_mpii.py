"""How long MPII's release takes to convert, against scipy's own reading of the file.

    python bench/convert_mpii.py [--images 24987] [--release FILE]

Makes a release of full size by repeating the entries of a small one, with a picture for each, in a
temporary folder, and runs scipy.io.loadmat alone and tool/mpii2coco.py's conversion of both splits
(reading, 25,000 picture sizes, JSON written), each in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat, savemat

ROOT = Path(__file__).resolve().parent.parent
SMALL = ROOT / "tests" / "golden" / "simple_baselines" / "mpii_human_pose_v1_u12_1.mat"
IMAGES = 24_987
TARGET = 1.5


def make_release(small: Path, folder: Path, images: int) -> Path:
    """Repeat a release's entries under new names, each with a picture of 1280x720.

    Those with all joints of a person are repeated, and those of the test split with people, so
    that there is about one annotated person for each picture, as in MPII itself.
    """
    release = loadmat(small)["RELEASE"]
    entries, is_train = release["annolist"][0, 0], release["img_train"][0, 0].ravel()
    people = [entry["annorect"] for entry in entries[0]]
    full = [max(map(count_points, rows.ravel()), default=0) for rows in people]
    worth = [
        rows.size > 0 and (points == 16 or not train)
        for rows, points, train in zip(people, full, is_train, strict=True)
    ]
    chosen = np.resize(np.flatnonzero(worth), images)
    annolist = np.empty((1, images), entries.dtype)
    (folder / "images").mkdir()
    picture = folder / "images" / "picture.jpg"
    cv2.imwrite(str(picture), np.full((720, 1280, 3), 128, np.uint8))
    for number, source in enumerate(chosen):
        name = f"{number:09d}.jpg"
        annolist[0, number] = entries[0, source]
        annolist[0, number]["image"] = {"name": name}
        os.link(picture, folder / "images" / name)
    path = folder / "release.mat"
    content = {"annolist": annolist, "img_train": is_train[chosen][None]}
    savemat(path, {"RELEASE": content}, do_compression=True)
    return path


def count_points(person: np.void) -> int:
    """How many joints of an entry of annorect are annotated."""
    known = person.dtype.names and "annopoints" in person.dtype.names
    return person["annopoints"][0, 0]["point"].size if known and person["annopoints"].size else 0


def measure(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a Python process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments[0]} ended with code {process.returncode}.")
    return seconds, usage.ru_maxrss / 2**10


def print_table(release: Path, images: int) -> None:
    """Measure both and print them with their ratios."""
    reading = ["-c", f"from scipy.io import loadmat; loadmat({str(release)!r})"]
    output = release.parent / "annotations"
    converting = [str(ROOT / "tool" / "mpii2coco.py"), "--mat", str(release)]
    converting += ["--images", str(release.parent / "images"), "--output", str(output)]
    found = {"scipy.io.loadmat": measure(reading), "mpii2coco.py": measure(converting)}
    people = len(json.loads((output / "train.json").read_bytes())["annotations"])
    print(f"{images:,} images, {people:,} people, {release.stat().st_size / 1e6:.0f} MB")
    print(f"{'':24}{'seconds':>8}{'peak MiB':>10}")
    for name, (seconds, peak) in found.items():
        print(f"{name:24}{seconds:8.1f}{peak:10.0f}")
    ours, bare = found["mpii2coco.py"], found["scipy.io.loadmat"]
    print(f"mpii2coco.py / loadmat: time {ours[0] / bare[0]:.2f}, memory {ours[1] / bare[1]:.2f}")
    print(f"(target: {TARGET} or less)")


def main() -> None:
    """Parse arguments, make the release, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES, help="entries of the release made")
    parser.add_argument("--release", type=Path, default=SMALL, help="the small one to repeat")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        release = make_release(arguments.release, Path(folder), arguments.images)
        print_table(release, arguments.images)


if __name__ == "__main__":
    main()
