"""Join PoseTrack 2018's files, one per sequence, to one file in COCO format per split."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "PoseTrack"
SPLITS = ("train", "val", "test")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="posetrack2coco.py",
        description="Join PoseTrack 2018's files, one per sequence, to one file in COCO format per "
        "split, as\nthe published converter does. Without options it reads "
        "data/PoseTrack/original_annotations/\n{train,val,test}/ of this project and writes "
        "data/PoseTrack/annotations/<split>2018.json.",
        epilog="examples:\n  python tool/posetrack2coco.py\n"
        "  python tool/posetrack2coco.py --split val\n"
        "  python tool/posetrack2coco.py --annotations labels --images images --output joined",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    originals = "holds train/, val/, test/; default: data/PoseTrack/original_annotations"
    add("--annotations", metavar="DIR", type=Path, help=originals)
    pictures = "the folder images/ of the release; default: data/PoseTrack/images"
    add("--images", metavar="DIR", type=Path, help=pictures)
    add("--output", metavar="DIR", type=Path, help="default: data/PoseTrack/annotations")
    splits = "which of train, val and test; default: those that are there"
    add("--split", nargs="+", choices=SPLITS, help=splits)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("posetrack2coco.py"):
        annotations = chosen.annotations or FOLDER / "original_annotations"
        convert(
            annotations,
            chosen.images or FOLDER / "images",
            chosen.output or FOLDER / "annotations",
            list(dict.fromkeys(chosen.split or find_splits(annotations))),
        )


def find_splits(annotations: Path) -> list[str]:
    """The splits that have a folder.

    Raises:
        FileNotFoundError: none has.
    """
    splits = [split for split in SPLITS if (annotations / split).is_dir()]
    if not splits:
        raise FileNotFoundError(
            f"No PoseTrack labels at {annotations}. It must hold the folders train, val or test "
            "with the release's .json files; --annotations DIR names it elsewhere."
        )
    return splits


def convert(annotations: Path, images: Path, output: Path, splits: Sequence[str]) -> None:
    """Convert some splits; files are written when all of them are ready.

    Args:
        annotations: folder with a folder of sequence files per split.
        images: folder with the folders train, val and test of pictures.
        output: folder for `<split>2018.json`.
        splits: train, val, test.
    """
    from poseras.data.image_size import measure_pictures
    from poseras.data.posetrack_release import convert_sequences, list_pictures, read_sequences
    from poseras.engine.progress import progress_bar
    from poseras.files import write_json_atomically

    conversions = {}
    for split in splits:
        sequences = read_sequences(annotations / split)
        paths = list_pictures(sequences, images)
        with progress_bar(total=len(paths), unit="picture", desc=split) as bar:
            sizes_hw = measure_pictures(paths, annotations / split, lambda _, b=bar: b.update())
        conversions[split] = convert_sequences(sequences, sizes_hw, labelled=split != "test")
    for split, conversion in conversions.items():
        write_json_atomically(output / f"{split}2018.json", conversion.content)
        print(f"{output / split}2018.json: {conversion.summary()}")


if __name__ == "__main__":
    main()
