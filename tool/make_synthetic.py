"""Make a data set of synthetic people: pictures, annotations in COCO format, detections.

The people have real bodies, and everything about them is known: keypoints and which of them are
hidden, joints in space, the camera, masks, tracks. See data/README.md for what the files hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent
DIFFICULTIES = ("easy", "standard", "crowd", "closeup")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SPLITS = ("train", "val", "sequences")
#: Nobody whose box is lower is on the sheet.
SMALLEST_PX = 40
EXAMPLES = """examples:
  python tool/make_synthetic.py                                  # 2000 + 300 pictures
  python tool/make_synthetic.py --difficulty easy --train 1000 --val 200
  python tool/make_synthetic.py --difficulty standard crowd --backgrounds my_photographs --force
  python tool/make_synthetic.py --sheet output/vis/Synthetic/people.jpg
  python tool/make_synthetic.py --train 0 --val 0 --sequences 20 --output data/SyntheticClips
"""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; wrong values end the program with code 2."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--train", type=_count, default=2000, metavar="N", help="pictures (2000)")
    parser.add_argument("--val", type=_count, default=300, metavar="N", help="pictures (300)")
    parser.add_argument(
        "--sequences", type=_count, default=0, metavar="N", help="clips of moving people (0)"
    )
    parser.add_argument(
        "--frames", type=_count, default=50, metavar="N", help="frames of a clip, 25 a second (50)"
    )
    parser.add_argument(
        "--difficulty",
        nargs="+",
        choices=DIFFICULTIES,
        default=["standard"],
        help="easy: one upright person on plain ground; standard: one to four people in any "
        "posture; crowd: up to eight who hide each other; closeup: people near the camera, cut "
        "by the border; several take turns (standard)",
    )
    parser.add_argument("--seed", type=_count, default=0, help="another seed, other people (0)")
    parser.add_argument(
        "--backgrounds", type=Path, metavar="DIR", help="photographs to stand behind the people"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "data" / "Synthetic",
        metavar="DIR",
        help="folder of the data set (data/Synthetic)",
    )
    parser.add_argument(
        "--processes",
        type=_count,
        default=count_cores(),
        metavar="N",
        help="how many draw at the same time (all cores that it may use); the pictures do not "
        "depend on it",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also draw 24 of the people into one picture"
    )
    parser.add_argument("--force", action="store_true", help="delete a set of other settings")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0. Received {text!r}.")
    return int(text)


def count_cores() -> int:
    """How many this process may use: a container or a queue often gives fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_photographs(folder: Path | None) -> tuple[str, ...]:
    """The pictures in a folder, sorted.

    Raises:
        ValueError: there is no such folder, or none in it.
    """
    if folder is None:
        return ()
    found = sorted(p for p in folder.glob("**/*") if p.suffix.lower() in PICTURES)
    if not found:
        raise ValueError(
            f"--backgrounds must be a folder with photographs ({' '.join(PICTURES)}). "
            f"Received {folder}."
        )
    return tuple(str(path.resolve()) for path in found)


def write_dataset_file(folder: Path) -> None:
    """A dataset.yaml for a folder of `data/` that has none, so that `data.trainset` can name it."""
    from poseras.files import write_text_atomically

    path = folder.resolve() / "dataset.yaml"
    if path.exists() or path.parent.parent != ROOT / "data":
        return
    text = (ROOT / "data" / "Synthetic" / "dataset.yaml").read_text(encoding="utf-8")
    text = text.replace("data/Synthetic/", f"data/{folder.name}/")
    write_text_atomically(path, text)


def draw_sheet(folder: Path, path: Path, count: int = 24) -> None:
    """A picture of some of the people that were made, with boxes and keypoints.

    Args:
        folder: of the set.
        path: of the picture.
        count: how many people, taken evenly from the first split that there is.

    Raises:
        ValueError: nobody was made, or the annotations are damaged.
    """
    import cv2
    import numpy as np

    from poseras.data.dataset import load_dataset
    from poseras.files import write_image_atomically
    from poseras.visualize import contact_sheet
    from poseras.visualize_sheet import truth_cell

    skeleton = load_dataset(ROOT, "Synthetic").skeleton
    files = {split: folder / "annotations" / f"{split}.json" for split in SPLITS}
    split = next((split for split, file in files.items() if file.is_file()), None)
    if split is None:
        raise ValueError(f"--sheet needs people to draw. Received none in {folder}.")
    try:
        content = json.loads(files[split].read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{files[split]} must be JSON: {error}. Delete it; the same command makes it again."
        ) from error
    names = {image["id"]: image["file_name"] for image in content["images"]}
    people = [person for person in content["annotations"] if person["bbox"][3] >= SMALLEST_PX]
    chosen = np.linspace(0, len(people) - 1, min(count, len(people))).astype(int)
    cells = []
    for person in (people[index] for index in chosen):
        file = folder / "images" / split / names[person["image_id"]]
        picture = cv2.imread(str(file))[..., ::-1]
        keypoints = np.array(person["keypoints"], float).reshape(-1, 3)
        cells.append(truth_cell(picture, person["bbox"], keypoints, skeleton))
    write_image_atomically(path, contact_sheet(cells, columns=8))


def main(arguments: list[str] | None = None) -> None:
    """Run the program."""
    given = parse_arguments(arguments)
    # One thread a process: the processes share the cores among them.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    with one_line_errors("make_synthetic.py"):
        try:
            make(given)
        except KeyboardInterrupt:
            print("Interrupted. The same command goes on where it stopped.", file=sys.stderr)
            raise SystemExit(130) from None


def make(given: argparse.Namespace) -> None:
    """What the command line asks for.

    Raises:
        ValueError: see `generator.generate`.
        OSError: the same.
    """
    from poseras.engine.progress import progress_bar
    from poseras.synthetic.generator import Settings, generate

    settings = Settings(
        train=given.train,
        val=given.val,
        sequences=given.sequences,
        frames=given.frames,
        difficulty=tuple(given.difficulty),
        seed=given.seed,
        backgrounds=list_photographs(given.backgrounds),
    )
    with progress_bar(unit="picture", desc="make", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        made = generate(
            given.output,
            settings,
            processes=given.processes,
            force=given.force,
            on_progress=show,
        )
    write_dataset_file(given.output)
    if given.sheet:
        draw_sheet(given.output, given.sheet)
    print(f"{given.output}: {'made' if made else 'already there, nothing to do'}.")


if __name__ == "__main__":
    main()
