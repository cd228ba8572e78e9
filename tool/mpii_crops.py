"""Cut MPII's training pictures into pictures of one person each, for DeeperCut on single people."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseras.settings import one_line_errors

if TYPE_CHECKING:
    from poseras.data.mpii_crops import Crop

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "MPII"


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="mpii_crops.py",
        description="Cut MPII's training pictures into pictures of one person each, 400 px high.\n"
        "Writes the crops, dataset.mat in pose-tensorflow's form, and transforms.json with the\n"
        "affine of each crop to the pixels of the release, counted from 1.",
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
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("mpii_crops.py"):
        cut(chosen.mat, chosen.images, chosen.output)


def cut(release_file: Path, images: Path, output: Path) -> None:
    """Make the crops and the files that list them.

    Raises:
        FileNotFoundError: the release or a picture is missing.
        ValueError: the file is not the release, or lists nobody who stands apart.
    """
    from tqdm import tqdm

    from poseras.data.image_size import measure_pictures
    from poseras.data.images import read_image
    from poseras.data.mpii_crops import list_crops
    from poseras.data.mpii_release import read_release

    release = read_release(release_file, details=True)
    if not release.single_person:
        raise ValueError(
            f"{release_file} must have single_person, the people who stand apart. Received none; "
            "the file is mpii_human_pose_v1_u12_1.mat of the release."
        )
    names = release.list_pictures("train")
    sizes = measure_pictures({name: images / name for name in names}, release_file)
    rows = {row: sizes[name] for row, name in enumerate(release.names) if name in sizes}
    crops = list(list_crops(release, rows))
    output.mkdir(parents=True, exist_ok=True)
    row, picture = -1, None
    for crop in tqdm(sorted(crops, key=lambda crop: crop.row), unit="crop"):
        if crop.row != row:
            row, picture = crop.row, read_image(images / release.names[crop.row])
        write_crop(output / crop.name, picture, crop)
    write_lists(crops, output)
    print(f"{output}: {len(crops)} crops of {len(names)} pictures")


def write_crop(path: Path, picture: Any, crop: Crop) -> None:
    """Resize a picture (height, width, 3) to the scale of a person, and write the part of it."""
    import cv2

    height, width = crop.resized_hw
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    x1, y1, x2, y2 = crop.corners
    cv2.imwrite(str(path), resized[y1 - 1 : y2, x1 - 1 : x2, ::-1])


def write_lists(crops: Sequence[Crop], output: Path) -> None:
    """Write dataset.mat, and transforms.json with the (3, 3) affine of each crop."""
    from scipy.io import savemat

    from poseras.data.mpii_crops import HEAD_SIZE, pack_dataset
    from poseras.engine.files import unfinished_file, write_json_atomically

    with unfinished_file(output / "dataset.mat") as unfinished:
        savemat(unfinished, {"dataset": pack_dataset(crops), "head_size_px": HEAD_SIZE})
    transforms = {crop.name: crop.crop_to_image.tolist() for crop in crops}
    write_json_atomically(output / "transforms.json", transforms)


if __name__ == "__main__":
    main()
