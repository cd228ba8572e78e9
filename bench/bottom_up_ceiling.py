"""The AP that SimplePose V2 could reach on a split: its true target maps, decoded and grouped.

    python bench/bottom_up_ceiling.py --dataset COCO --split train

`--length` takes sizes of the longer side in px.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="COCO", help="folder of data/")
    parser.add_argument("--split", default="train")
    parser.add_argument("--length", type=int, nargs="+", default=[256, 384, 512, 640])
    parser.add_argument("--set", nargs="+", default=[], help="options, such as limbs=tree_16")
    chosen = parser.parse_args()

    from poseras.ceiling import decode_true_maps
    from poseras.data.annotation import read_split
    from poseras.data.dataset import load_dataset
    from poseras.data.image_records import SMALL_AREA, training_pictures
    from poseras.engine import crowdpose_results, results
    from poseras.metrics.coco import format_table
    from poseras.settings import apply_differences, parse_assignments
    from poseras.systems.simplepose_v2.options import Options, default_view
    from poseras.systems.simplepose_v2.system import System

    dataset = load_dataset(ROOT, chosen.dataset)
    table = read_split(dataset, chosen.split)
    crowded = dataset.evaluation == "crowdpose"
    records = training_pictures(table, small_area=0.0 if crowded else SMALL_AREA)
    options = apply_differences(
        Options(input_shape=(64, 64), units=(1, 1, 1, 1)), parse_assignments(chosen.set)
    )
    system = System(options, dataset.skeleton)
    for length in chosen.length:
        view = replace(default_view(options), length=length, stride=options.input_multiple)
        found = decode_true_maps(system, records, view)
        people = {int(records.image_ids[row]): found[row] for row in found if len(found[row])}
        if crowded:
            path = dataset.split(chosen.split).annotations
            scores = crowdpose_results.score_people(people, path, dataset.skeleton.oks_sigmas)
        else:
            scores = results.score_people(people, table, dataset.skeleton.oks_sigmas, "fast")
        sys.stdout.write(f"long edge {length}, {len(records)} pictures\n{format_table(scores)}\n")


if __name__ == "__main__":
    main()
