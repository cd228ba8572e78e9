"""Cut MPII's training pictures into pictures of one person each, for DeeperCut on single people."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseras.error_lines import one_line_errors

if TYPE_CHECKING:
    from poseras.data.mpii_crops import Crop
    from poseras.data.mpii_release import Release

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "MPII"
#: Of the crops to train on, and of those to test on.
SPLIT_FILES = ("dataset-train.mat", "dataset-test.mat")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="mpii_crops.py",
        description="Cut MPII's training pictures into pictures of one person each, 400 px high.\n"
        "Writes the crops, dataset.mat of all of them in pose-tensorflow's form, and\n"
        "transforms.json with the affine of each crop to the release's pixels, counted from 1.\n"
        "dataset-test.mat lists people to test on, dataset-train.mat those of other pictures.",
        epilog="examples:\n  python tool/mpii_crops.py\n"
        "  python tool/mpii_crops.py --mat mpii_human_pose_v1_u12_1.mat --images photos "
        "--output crops",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    release = FOLDER / "original_annotations" / "mpii_human_pose_v1_u12_1.mat"
    add("--mat", metavar="FILE", type=Path, default=release, help="MPII's release file")
    pictures = "the release's pictures; default: data/MPII/images"
    add("--images", metavar="DIR", type=Path, default=FOLDER / "images", help=pictures)
    target = FOLDER / "data" / "cropped"
    add(
        "--output", metavar="DIR", type=Path, default=target, help="default: data/MPII/data/cropped"
    )
    listed = (
        "whom to test on; default: data/MPII/annot/valid.json, where there is none the people who "
        "stand apart on every tenth picture"
    )
    add("--valid", metavar="FILE", type=Path, help=listed)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("mpii_crops.py"):
        cut(chosen.mat, chosen.images, chosen.output, chosen.valid or find_list())


def find_list() -> Path | None:
    """The list of people to test on in the default layout, None where it is not there."""
    path = FOLDER / "annot" / "valid.json"
    return path if path.is_file() else None


def cut(release_file: Path, images: Path, output: Path, listed: Path | None) -> None:
    """Make the crops and the files that list them.

    Args:
        release_file: MPII's.
        images: folder of its pictures.
        output: folder.
        listed: the people to test on, as `mpii_lists.read_people` reads them; None chooses some.

    Raises:
        FileNotFoundError: the release, the list or a picture is missing.
        ValueError: the file is not the release, or lists nobody who stands apart; or the list has
            nobody of it.
    """
    from poseras.data.image_size import measure_pictures
    from poseras.data.mpii_crops import list_crops
    from poseras.data.mpii_release import read_release

    release = read_release(release_file, details=True)
    if not release.single_person:
        raise ValueError(
            f"{release_file} must have single_person, the people who stand apart. Received none; "
            "the file is mpii_human_pose_v1_u12_1.mat of the release."
        )
    held_out = choose_people(release, listed)
    names = release.list_pictures("train")
    sizes = measure_pictures({name: images / name for name in names}, release_file)
    rows = {row: sizes[name] for row, name in enumerate(release.names) if name in sizes}
    crops = list(list_crops(release, rows))
    output.mkdir(parents=True, exist_ok=True)
    write_crops(crops, release, images, output)
    write_lists(crops, output)
    print(f"{output}: {len(crops)} crops of {len(names)} pictures")
    write_split(crops, held_out, output)


def choose_people(release: Release, listed: Path | None) -> list[tuple[int, int]]:
    """Row of the picture and number there of the people to test on; errors as `cut`."""
    from poseras.data.mpii_crops import choose_single_people, find_listed_people
    from poseras.data.mpii_lists import read_people

    if listed is None:
        return choose_single_people(release)
    if not listed.is_file():
        raise FileNotFoundError(
            f"No list of people at {listed}. valid.json comes with Microsoft's code and the "
            "stacked hourglass networks; without --valid people of the release are chosen."
        )
    people = read_people(listed)
    found = find_listed_people(release, people)
    if not found:
        raise ValueError(
            f"{listed} must list people of the release's training pictures, with their joints. "
            f"Received {len(people)} others; --valid FILE names another list."
        )
    print(f"{listed}: {len(found)} of {len(people)} people are in the release")
    return found


def write_crops(crops: Sequence[Crop], release: Release, images: Path, output: Path) -> None:
    """Write the pictures of all crops, each picture of the release being read once."""
    from poseras.data.images import read_image
    from poseras.engine.progress import progress_bar

    row, picture = -1, None
    for crop in progress_bar(sorted(crops, key=lambda crop: crop.row), unit="crop", desc="crops"):
        if crop.row != row:
            row, picture = crop.row, read_image(images / release.names[crop.row])
        write_crop(output / crop.name, picture, crop)


def write_crop(path: Path, picture: Any, crop: Crop) -> None:
    """Resize a picture (height, width, 3) to the scale of a person, and write the part of it."""
    from poseras.data.matlab_resize import resize_like_matlab
    from poseras.files import write_image_atomically

    factor = 1 / float(crop.crop_to_image[0, 0])
    write_image_atomically(path, resize_like_matlab(picture, factor, crop.corners), flush=False)


def write_lists(crops: Sequence[Crop], output: Path) -> None:
    """Write dataset.mat, and transforms.json with the (3, 3) affine of each crop."""
    from poseras.files import write_json_atomically

    write_list(crops, output / "dataset.mat")
    transforms = {crop.name: crop.crop_to_image.tolist() for crop in crops}
    write_json_atomically(output / "transforms.json", transforms)


def write_split(crops: Sequence[Crop], held_out: Iterable[tuple[int, int]], output: Path) -> None:
    """Write dataset-train.mat and dataset-test.mat; none of a side without crops, which is said."""
    from poseras.data.mpii_crops import hold_out

    for name, part in zip(SPLIT_FILES, hold_out(crops, held_out), strict=True):
        path = output / name
        if part:
            write_list(part, path)
        else:
            path.unlink(missing_ok=True)  # of an earlier run, which would not fit the other side
        print(f"{path}: {f'{len(part)} crops' if part else 'not written, no crop is left for it'}")


def write_list(crops: Sequence[Crop], path: Path) -> None:
    """Write a file in pose-tensorflow's form that lists crops."""
    from scipy.io import savemat

    from poseras.data.mpii_crops import HEAD_SIZE, pack_dataset
    from poseras.files import unfinished_file

    with unfinished_file(path) as unfinished:
        savemat(unfinished, {"dataset": pack_dataset(crops), "head_size_px": HEAD_SIZE})


if __name__ == "__main__":
    main()
