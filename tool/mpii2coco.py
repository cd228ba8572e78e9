"""Convert MPII's release file, or Microsoft's lists of its people, to COCO format."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poseras.error_lines import one_line_errors

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "MPII"
MAT = "mpii_human_pose_v1_u12_1.mat"
#: Where the release file may lie: beside the converted files, or as it was unpacked.
MAT_FOLDERS = ("original_annotations", "mpii_human_pose_v1_u12_2", "annotations", "annot", "")
SPLITS = ("train", "test")
#: Our name of a split: the list of its people in Microsoft's code.
LISTS = {"train": "train.json", "val": "valid.json", "test": "test.json"}
HEADS = "gt_valid.mat"


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="mpii2coco.py",
        description="Convert MPII's release file to COCO format, as the published converter does.\n"
        "Without options it reads data/MPII/ of this project and writes data/MPII/annotations/.",
        epilog="examples:\n  python tool/mpii2coco.py\n"
        "  python tool/mpii2coco.py --mat release.mat --images photos --output annotations\n"
        "  python tool/mpii2coco.py --details --visibility --zero-based\n"
        "  python tool/mpii2coco.py --annot data/MPII/annot --split val",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--mat", metavar="FILE", type=Path, help=f"default: {MAT} in data/MPII/ or a folder there")
    add("--images", metavar="DIR", type=Path, help="the pictures; default: data/MPII/images")
    add("--output", metavar="DIR", type=Path, help="default: data/MPII/annotations")
    splits = "the release has train and test, --annot has all three; default: those there are"
    add("--split", nargs="+", choices=LISTS, help=splits)
    lists = (
        "convert Microsoft's lists of single people, {train,valid,test}.json, instead of the "
        "release; valid.json becomes val.json, with the head boxes of gt_valid.mat"
    )
    add("--annot", metavar="DIR", type=Path, help=lists)
    base = "count pixels from 0; without it from 1, as MPII and the published converter do"
    add("--zero-based", action="store_true", help=base)
    seen = "mark hidden joints with 1 and seen ones with 2; without it all are 1"
    add("--visibility", action="store_true", help=seen)
    details = "keep each person's scale, centre (objpos) and head box (bbox_head), PCKh's unit"
    add("--details", action="store_true", help=details)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    images, output = chosen.images or FOLDER / "images", chosen.output or FOLDER / "annotations"
    with one_line_errors("mpii2coco.py"):
        if chosen.annot:
            reject_release_options(chosen)
            convert_lists(chosen.annot, images, output, chosen.split or find_lists(chosen.annot))
            return
        if "val" in (chosen.split or ()):
            raise ValueError("The release has no split val: --annot DIR converts valid.json.")
        convert_release_file(
            chosen.mat or find_mat(),
            images,
            output,
            splits=list(dict.fromkeys(chosen.split or SPLITS)),
            zero_based=chosen.zero_based,
            visibility=chosen.visibility,
            details=chosen.details,
        )


def reject_release_options(chosen: argparse.Namespace) -> None:
    """Refuse options that the lists have no use for: they count from 0 and know no visibility.

    Raises:
        ValueError: one was given.
    """
    given = [name for name in ("mat", "zero_based", "visibility", "details") if vars(chosen)[name]]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} belongs to the release file. Leave it out with "
            "--annot, whose lists count pixels from 0 and have no visibility."
        )


def find_mat() -> Path:
    """The release file in the default layout; where there is none, the first place it may have."""
    places = [FOLDER / folder / MAT for folder in MAT_FOLDERS]
    return next((path for path in places if path.is_file()), places[0])


def find_lists(annot: Path) -> list[str]:
    """The splits whose list is in a folder.

    Raises:
        FileNotFoundError: none is.
    """
    splits = [split for split, name in LISTS.items() if (annot / name).is_file()]
    if not splits:
        raise FileNotFoundError(f"None of {', '.join(LISTS.values())} is in {annot}.")
    return splits


def convert_release_file(
    mat: Path, images: Path, output: Path, *, splits: Sequence[str], **settings: bool
) -> None:
    """Convert some splits; files are written when all of them are ready.

    Args:
        mat: the release file.
        images: folder of the pictures.
        output: folder for `<split>.json`.
        splits: train, test.
        **settings: fields of `mpii_release.Settings`.
    """
    from poseras.data.mpii_conversion import Settings, convert_release
    from poseras.data.mpii_release import read_release

    print(f"reading {mat} (the full release takes a minute)")
    chosen = Settings(**settings)
    release = read_release(mat, details=chosen.details)
    listed = [name for split in splits for name in release.list_pictures(split)]
    sizes_hw = measure(listed, images, mat)
    write(output, {split: convert_release(release, sizes_hw, split, chosen) for split in splits})


def convert_lists(annot: Path, images: Path, output: Path, splits: Sequence[str]) -> None:
    """Convert Microsoft's lists of single people.

    Args:
        annot: folder of the lists.
        images: folder of the pictures.
        output: folder for `<split>.json`.
        splits: train, val, test.
    """
    from poseras.data.mpii_lists import convert_people, read_head_boxes, read_people

    conversions = {}
    for split in dict.fromkeys(splits):
        people = read_people(annot / LISTS[split])
        names = list(dict.fromkeys(person["image"] for person in people))
        sizes_hw = measure(names, images, annot / LISTS[split])
        has_heads = split == "val" and (annot / HEADS).is_file()
        heads = read_head_boxes(annot / HEADS, len(people)) if has_heads else None
        conversions[split] = convert_people(people, sizes_hw, heads)
    write(output, conversions)


def measure(names: Sequence[str], images: Path, source: Path) -> dict[str, tuple[int, int]]:
    """Height and width of some pictures of a folder, with a progress bar."""
    from poseras.data.image_size import measure_pictures
    from poseras.engine.progress import progress_bar

    with progress_bar(total=len(names), unit="picture", desc="sizes") as bar:
        paths = {name: images / name for name in names}
        return measure_pictures(paths, source, lambda _: bar.update())


def write(output: Path, conversions: Mapping[str, Any]) -> None:
    """Write the files, when all of them are ready, and say what is in them."""
    from poseras.files import write_json_atomically

    for split, conversion in conversions.items():
        write_json_atomically(output / f"{split}.json", conversion.content)
        print(f"{output / split}.json: {conversion.summary()}")


if __name__ == "__main__":
    main()
