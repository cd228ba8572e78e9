"""The score that a DeeperCut network could reach: its true target maps, decoded, cut and scored.

    python bench/deepercut_ceiling.py --model-file SNAPSHOT --dataset Synthetic --split train \
        --set options.pairwise_models=data/Synthetic/data/pairwise

View, statistics, logistic models and the multicut are those of the snapshot, changed by `--set`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-file", required=True, help="a snapshot with its statistics")
    parser.add_argument("--dataset", default="COCO", help="folder of data/")
    parser.add_argument("--split", default="train")
    parser.add_argument("--set", nargs="+", default=[], help="options.* and view.* settings")
    chosen = parser.parse_args()

    from poseras.ceiling import decode_true_maps
    from poseras.data.annotation import read_split
    from poseras.data.dataset import load_dataset
    from poseras.data.image_records import training_pictures
    from poseras.engine import results
    from poseras.engine.snapshot import read_snapshot
    from poseras.metrics.coco import format_table
    from poseras.predictor import build_system
    from poseras.settings import parse_assignments

    snapshot = read_snapshot(chosen.model_file)
    system, view = build_system(snapshot, parse_assignments(chosen.set), ROOT)
    dataset = load_dataset(ROOT, chosen.dataset)
    table = read_split(dataset, chosen.split, skeleton=system.skeleton)
    records = training_pictures(table, small_area=0.0)
    found = decode_true_maps(system, records, view)
    people = {int(records.image_ids[row]): found[row] for row in found if len(found[row])}
    scores = results.score_people(people, table, dataset.skeleton.oks_sigmas, "fast")
    sys.stdout.write(f"{len(records)} pictures\n{format_table(scores)}\n")


if __name__ == "__main__":
    main()
