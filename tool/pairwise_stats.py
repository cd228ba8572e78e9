"""Measure how far the joints of people lie apart: pairwise_stats.mat for DeeperCut and ArtTrack."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from poseras.settings import one_line_errors

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="pairwise_stats.py",
        description="Mean and deviation of the vectors between the joints of annotated people, in\n"
        "pixels of the pictures, for options.pairwise_statistics. Pictures are not read.",
        epilog="examples:\n"
        "  python tool/pairwise_stats.py --dataset COCO --output output/pairwise_stats.mat\n"
        "  python tool/pairwise_stats.py --dataset COCO --annotations own.json --output own.mat",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", metavar="NAME", required=True, help="a folder of data/ with a dataset.yaml")
    add("--split", default="train", help="of the dataset; default: %(default)s")
    add("--annotations", metavar="FILE", type=Path, help="instead of the split's own file")
    add("--output", metavar="FILE", type=Path, required=True, help="the .mat file to write")
    mirrored = "do not count people mirrored too, for training without mirroring"
    add("--no-mirror", action="store_true", help=mirrored)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    with one_line_errors("pairwise_stats.py"):
        measure(
            chosen.dataset,
            chosen.split,
            chosen.annotations,
            chosen.output,
            mirror=not chosen.no_mirror,
        )


def measure(name: str, split: str, annotations: Path | None, output: Path, *, mirror: bool) -> None:
    """Measure one split, write the file and say what is in it.

    Raises:
        FileNotFoundError: no such dataset or annotations.
        ValueError: nobody has a labelled joint, or the files are wrong.
    """
    from poseras.checkpoints.pairwise_files import write_pairwise_statistics
    from poseras.codecs.pairwise import list_pairs
    from poseras.codecs.pairwise_models import measure_statistics
    from poseras.data.annotation import read_split
    from poseras.data.dataset import load_dataset
    from poseras.engine.files import unfinished_file

    dataset = load_dataset(ROOT, name)
    table = read_split(dataset, split, annotations=annotations or "")
    people = table.keypoints[~table.iscrowd & (table.keypoints[..., 2] > 0).any(axis=1)]
    if not len(people):
        raise ValueError(f"{table.source} must have people with labelled joints. Received none.")
    skeleton = dataset.skeleton
    flip = skeleton.flip_permutation if mirror else None
    statistics, missing = measure_statistics(people, flip)
    with unfinished_file(output) as unfinished:
        pairs = list_pairs(skeleton.joint_count)
        write_pairwise_statistics(unfinished, pairs, statistics.means_px, statistics.deviations_px)
    print(f"{output}: {len(people)} people, {len(pairs) - len(missing)} of {len(pairs)} pairs")
    for a, b in missing:
        joints = f"{skeleton.keypoints[a]} and {skeleton.keypoints[b]}"
        print(f"nobody shows both {joints}: mean 0, deviation 1")


if __name__ == "__main__":
    main()
