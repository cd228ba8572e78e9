"""Tables for DeeperCut and ArtTrack: how far joints lie apart, and logistic models of pairs."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseras.error_lines import one_line_errors

if TYPE_CHECKING:
    from poseras.data.annotation import AnnotationTable
    from poseras.skeleton import Skeleton

ROOT = Path(__file__).resolve().parent.parent


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="pairwise_stats.py",
        description="Before training: mean and deviation of the vectors between the joints of\n"
        "annotated people, in pixels of the pictures, for options.pairwise_statistics; pictures\n"
        "are not read. After it, with --model-file: the logistic models that tell by the network\n"
        "which joints are one person's, for options.pairwise_models.",
        epilog="examples:\n"
        "  python tool/pairwise_stats.py --dataset COCO --output data/COCO/data/pairwise\n"
        "  python tool/pairwise_stats.py --dataset COCO --annotations own.json --output own.mat\n"
        "  python tool/pairwise_stats.py --dataset COCO --output data/COCO/data/pairwise \\\n"
        "    --model-file output/model_dump/COCO/deepercut_coco/snapshot_32.safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--dataset", metavar="NAME", required=True, help="a folder of data/ with a dataset.yaml")
    add("--split", default="train", help="of the dataset; default: %(default)s")
    add("--annotations", metavar="FILE", type=Path, help="instead of the split's own file")
    add("--images", metavar="DIR", type=Path, help="instead of the split's own folder")
    written = "a folder, or the .mat file of the statistics"
    add("--output", metavar="PATH", type=Path, required=True, help=written)
    mirrored = "do not count people mirrored too, for training without mirroring"
    add("--no-mirror", action="store_true", help=mirrored)
    add("--model-file", metavar="FILE", type=Path, help="train the models with this snapshot")
    most = "pictures that the models are trained on, at most; default: %(default)s"
    add("--pictures", metavar="N", type=int, default=4000, help=most)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program."""
    chosen = make_parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with one_line_errors("pairwise_stats.py"):
        if chosen.model_file:
            train(chosen)
        else:
            measure(read_people(chosen), chosen.output, mirror=not chosen.no_mirror)


def read_people(chosen: argparse.Namespace, skeleton: Skeleton | None = None) -> AnnotationTable:
    """The annotated people of a split or a file, joints in the order of a network or their own.

    Raises:
        FileNotFoundError: no such dataset or annotations.
        ValueError: nobody has a labelled joint, or the files are wrong.
    """
    from poseras.data.annotation import read_split
    from poseras.data.dataset import load_dataset, replace_files

    dataset = load_dataset(ROOT, chosen.dataset)
    dataset = replace_files(dataset, chosen.split, chosen.annotations, chosen.images)
    table = read_split(dataset, chosen.split, skeleton=skeleton)
    if not (~table.iscrowd & (table.keypoints[..., 2] > 0).any(axis=1)).any():
        named = " or ".join(map(str, table.sources))
        raise ValueError(f"{named} must have people with labelled joints. Received none.")
    return table


def measure(table: AnnotationTable, output: Path, *, mirror: bool) -> None:
    """Measure the people, write the file and say what is in it."""
    from poseras.checkpoints.pairwise_files import STATISTICS_FILE, write_pairwise_statistics
    from poseras.codecs.pairwise import list_pairs
    from poseras.codecs.pairwise_models import measure_statistics

    people = table.keypoints[~table.iscrowd & (table.keypoints[..., 2] > 0).any(axis=1)]
    skeleton = table.skeleton
    flip = skeleton.flip_permutation if mirror else None
    statistics, missing = measure_statistics(people, flip)
    output = output if output.suffix == ".mat" else output / STATISTICS_FILE
    pairs = list_pairs(skeleton.joint_count)
    write_pairwise_statistics(
        output, pairs, statistics.means_px, statistics.deviations_px, skeleton.keypoints
    )
    print(f"{output}: {len(people)} people, {len(pairs) - len(missing)} of {len(pairs)} pairs")
    for pair in missing:
        print(f"nobody shows both {_name(skeleton, pair)}: mean 0, deviation 1")


def train(chosen: argparse.Namespace) -> None:
    """Train the models, write a file for each and say which pairs have none.

    Raises:
        FileNotFoundError: no such snapshot, or a picture is missing.
        ValueError: the snapshot is of another system or of other joints, or nothing can be learned.
    """
    from poseras.checkpoints.pairwise_files import write_logistic_models
    from poseras.data.image_records import training_pictures
    from poseras.pairwise_training import train_pairwise_models
    from poseras.predictor import load_predictor

    output, pictures = chosen.output, chosen.pictures
    if output.suffix == ".mat":
        raise ValueError(
            f"The models are a file each, so --output must be a folder. Received {output}."
        )
    predictor = load_predictor(chosen.model_file)
    table = read_people(chosen, predictor.skeleton)
    records = training_pictures(table, small_area=0.0)
    models, missing = train_pairwise_models(predictor, records, pictures=pictures)
    parts: tuple[Any, ...] = (models.pairs, models.lower, models.upper, models.weights)
    write_logistic_models(output, *parts)
    print(f"{output}: {len(models.pairs)} models of {min(pictures, len(records))} pictures")
    if missing:
        named = ", ".join(_name(table.skeleton, pair) for pair in missing)
        print(
            f"no model, as no picture has examples: {named}. A test does not compare these pairs; "
            "train on more pictures, in which both joints are labelled."
        )


def _name(skeleton: Skeleton, pair: tuple[int, int]) -> str:
    return " and ".join(skeleton.keypoints[joint] for joint in pair)


if __name__ == "__main__":
    main()
