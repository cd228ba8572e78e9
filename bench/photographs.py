"""How well a network that never saw a photograph finds people on photographs.

Annotated boxes of COCO pictures, the flip test: mean OKS, the share of people above OKS 0.5, AP,
and PCK@0.1 (joints nearer than a tenth of the box's longer side), for all and by how much of a
person is labelled. By default the shipped weights and every picture of the COCO folder at hand.

  python bench/photographs.py [SNAPSHOT] [--splits train val] [--coco DIR] [--sheet FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from poseras.data.evaluation_set import EvaluationSet, find_evaluation_files, load_evaluation_set
from poseras.data.images import read_image
from poseras.engine.results import coco_results, ground_truth_columns
from poseras.engine.tester import Predictions, Selection
from poseras.evaluation import Outcome, evaluate
from poseras.files import write_image_atomically
from poseras.metrics import coco
from poseras.metrics.columns import GroundTruth
from poseras.predictor import load_predictor
from poseras.shipped import shipped_weights
from poseras.structures import PersonRecords
from poseras.visualize import contact_sheet
from poseras.visualize_sheet import pose_cell

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "data" / "COCO", ROOT.parent / "shared" / "samples" / "COCO")
#: Labelled joints of a person, from and to.
GROUPS = ((1, 17), (13, 17), (7, 12), (1, 6))


def load_people(folder: Path, split: str) -> EvaluationSet:
    """The annotated people of a split."""
    files = find_evaluation_files(
        ROOT,
        "COCO",
        split,
        annotations=str(folder.resolve() / f"annotations/person_keypoints_{split}2017.json"),
        images=str(folder.resolve() / f"images/{split}2017"),
        use_gt_box=True,
    )
    return load_evaluation_set(files, files.dataset.skeleton)


def similarities(records: PersonRecords, found: Predictions, sigmas: np.ndarray) -> np.ndarray:
    """(people,) COCO's OKS of each pose with the person in whose box it was looked for."""
    truth = records.keypoints
    squared = ((found.keypoints_px - truth[..., :2]) ** 2).sum(axis=-1)
    each = np.exp(-squared / (8 * sigmas**2 * np.maximum(records.areas[:, None], 1)))
    labelled = truth[..., 2] > 0
    return np.where(labelled, each, 0).sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)


def share_near(records: PersonRecords, found: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """(people,) joints nearer than a tenth of the box's longer side, and labelled joints."""
    apart = np.linalg.norm(found.keypoints_px - records.keypoints[..., :2], axis=-1)
    labelled = records.keypoints[..., 2] > 0
    near = apart < 0.1 * records.boxes_xywh[:, 2:].max(axis=1)[:, None]
    return (near & labelled).sum(axis=1), labelled.sum(axis=1)


def join_truth(sets: Sequence[EvaluationSet]) -> GroundTruth:
    """The annotations of several splits as one."""
    columns = [ground_truth_columns(people.table) for people in sets]
    joined: dict[str, Any] = {"categories": columns[0].categories}
    for field in fields(GroundTruth):
        values = [getattr(part, field.name) for part in columns]
        if field.name not in joined and values[0] is not None:
            joined[field.name] = np.concatenate(values)
    joined["images"] = np.sort(joined["images"])
    return GroundTruth(**joined)


def report(sets: Sequence[EvaluationSet], outcomes: Sequence[Outcome]) -> None:
    """The table."""
    sigmas = outcomes[0].skeleton.oks_sigmas
    people = {k: v for outcome in outcomes for k, v in outcome.people.items()}
    scores = coco.score(join_truth(sets), coco_results(people), sigmas=sigmas, evaluator="fast")
    pairs = [
        (test.records, outcome.predictions) for test, outcome in zip(sets, outcomes, strict=True)
    ]
    oks = np.concatenate([similarities(*pair, np.array(sigmas)) for pair in pairs])
    near, labelled = np.concatenate([np.stack(share_near(*pair)) for pair in pairs], axis=1)
    print(
        f"{len(people)} pictures, {int((labelled > 0).sum())} people: AP {scores.stats['AP']:.3f}"
    )
    print(f"{'labelled joints':<18}{'people':>8}{'mean OKS':>10}{'above 0.5':>11}{'PCK@0.1':>9}")
    for low, high in GROUPS:
        rows = (labelled >= low) & (labelled <= high)
        if rows.any():
            share, pck = (oks[rows] > 0.5).mean(), near[rows].sum() / labelled[rows].sum()
            numbers = f"{rows.sum():>8}{oks[rows].mean():>10.3f}{share:>11.3f}{pck:>9.3f}"
            print(f"{f'{low} to {high}':<18}{numbers}")


def draw(sets: Sequence[EvaluationSet], outcomes: Sequence[Outcome], path: Path) -> None:
    """A sheet of 24 people, taken evenly, with the poses that were found."""
    rows = [(n, row) for n, test in enumerate(sets) for row in range(len(test.records))]
    cells = []
    for place in np.linspace(0, len(rows) - 1, min(24, len(rows))).astype(int):
        number, row = rows[place]
        records, found = sets[number].records, outcomes[number].predictions
        image = read_image(records.images.paths[records.image_index[row]])
        pose = np.column_stack([found.keypoints_px[row], found.keypoint_scores[row]])
        cells.append(pose_cell(image, records.boxes_xywh[row], pose, outcomes[number].skeleton))
    write_image_atomically(path, contact_sheet(cells, columns=8))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snapshot", nargs="?", type=Path, default=None)
    parser.add_argument("--splits", nargs="+", default=["train", "val"])
    parser.add_argument("--coco", type=Path, default=None)
    parser.add_argument("--sheet", type=Path, default=None, help="draw the poses of 24 people")
    given = parser.parse_args()
    folder = given.coco or next((f for f in FOLDERS if (f / "annotations").is_dir()), None)
    if folder is None:
        print("No COCO pictures at hand; --coco DIR names a folder with images/ and annotations/.")
        return
    predictor = load_predictor(given.snapshot or shipped_weights())
    height, width = predictor.view.size_hw
    selection = Selection(
        aspect_ratio=width / height,
        margin=predictor.view.margin,
        oks_sigmas=predictor.skeleton.oks_sigmas,
    )
    sets = [load_people(folder, split) for split in given.splits]
    predict = partial(predictor.predict_records, progress=False)
    outcomes = [
        evaluate(predict, test, predictor.skeleton, selection=selection, evaluator="fast")
        for test in sets
    ]
    report(sets, outcomes)
    if given.sheet:
        draw(sets, outcomes, given.sheet)


if __name__ == "__main__":
    main()
