"""Convert AI Challenger's keypoint files to COCO format."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "AIChallenger"
#: Our name of a split: the release's file, and its folder of pictures.
SPLITS = {
    "train": (
        "keypoint_train_annotations_20170909.json",
        "keypoint_train_images_20170902",
    ),
    "val": (
        "keypoint_validation_annotations_20170911.json",
        "keypoint_validation_images_20170911",
    ),
}
LAYOUTS = ("aic14", "coco17_neckhead")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="ai2coco.py",
        description="Convert AI Challenger's keypoint files to COCO format.\n"
        "Without options it reads data/AIChallenger/original_annotations/ and the pictures in\n"
        "data/AIChallenger/images/ of this project, and writes data/AIChallenger/annotations/.",
        epilog="examples:\n  python tool/ai2coco.py\n  python tool/ai2coco.py --split val\n"
        "  python tool/ai2coco.py --annotations keypoints.json --images photos --output coco.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--split", nargs="+", choices=SPLITS, help="default: those whose file is there")
    add("--annotations", metavar="FILE", type=Path, help="convert this file; needs the next two")
    add("--images", metavar="DIR", type=Path, help="the pictures of --annotations")
    add("--output", metavar="FILE", type=Path, help="what to write for --annotations")
    layouts = (
        "aic14: the release's 14 joints (default); coco17_neckhead: COCO's 17 places with neck and "
        "head top at nose and left eye, as the published fork writes them"
    )
    add("--layout", choices=LAYOUTS, default=LAYOUTS[0], help=layouts)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("ai2coco.py"):
        for annotations, images, output in list_jobs(chosen):
            convert(annotations, images, output, chosen.layout)


def list_jobs(chosen: argparse.Namespace) -> list[tuple[Path, Path, Path]]:
    """The file, the pictures and the result of each conversion.

    Raises:
        ValueError: options that do not go together.
        FileNotFoundError: no file of the release is in its place.
    """
    single = (chosen.annotations, chosen.images, chosen.output)
    if any(single):
        if not all(single) or chosen.split:
            raise ValueError(
                "--annotations, --images and --output are given together, without --split."
            )
        return [single]
    originals = FOLDER / "original_annotations"
    splits = chosen.split or [s for s, (name, _) in SPLITS.items() if (originals / name).is_file()]
    if not splits:
        names = " nor ".join(name for name, _ in SPLITS.values())
        raise FileNotFoundError(
            f"Neither {names} is in {originals}. Put them there, or name a file with --annotations."
        )
    return [
        (
            originals / SPLITS[split][0],
            FOLDER / "images" / SPLITS[split][1],
            FOLDER / "annotations" / f"{split}.json",
        )
        for split in dict.fromkeys(splits)
    ]


def convert(annotations: Path, images: Path, output: Path, layout: Any) -> None:
    """Convert one file and say what is in the result."""
    from poseras.data.ai_challenger import convert_records, list_pictures, read_records
    from poseras.data.image_size import measure_pictures
    from poseras.engine.progress import progress_bar
    from poseras.files import write_json_atomically

    records = read_records(annotations)
    with progress_bar(total=len(records), unit="picture", desc="sizes") as bar:
        paths = list_pictures(records, images)
        sizes_hw = measure_pictures(paths, annotations, lambda _: bar.update())
    conversion = convert_records(records, sizes_hw, layout)
    write_json_atomically(output, conversion.content)
    print(f"{output}: {conversion.summary()}")


if __name__ == "__main__":
    main()
