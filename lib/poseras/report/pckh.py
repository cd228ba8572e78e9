"""MPII's people: the truth, the predictions of `pred.mat`, and how far joints are in head sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data.annotation import AnnotationTable, read_split
from ..data.dataset import load_dataset
from ..data.mpii_annotations import read_first_pixel, read_head_sizes
from ..engine.mpii_results import score_people
from ..matlab_files import read_matlab
from ..metrics.pckh import PckhEvaluation
from ..structures import People
from .people import find_known_joints
from .pictures import Drawing, Picture, draw_picture, find_path
from .runs import Run


@dataclass(frozen=True)
class PckhPoses:
    """Annotated people of MPII and their predictions, row by row.

    Attributes:
        table: annotated people; joints that the network lacks have no label.
        predictions_px: (people, joints, 2) in the pixels of the table, NaN for people that were
            not looked for.
        first_pixel: what the table calls the first pixel, 0 or 1.
        evaluation: PCKh over the distance.
        distances: (people, joints) in head sizes; infinite without a prediction, NaN without label
            or head.
    """

    table: AnnotationTable
    predictions_px: np.ndarray
    first_pixel: int
    evaluation: PckhEvaluation
    distances: np.ndarray


def read_pckh(run: Run, root: Path) -> PckhPoses | None:
    """The people of a run on MPII that was tested on annotated boxes; None for other runs.

    Raises:
        FileNotFoundError: the dataset is gone.
        ValueError: `pred.mat` is damaged, or has other people than the annotations.
    """
    dataset = load_dataset(root, str(run.protocol.get("dataset")))
    annotations, path = root / str(run.protocol.get("annotations")), run.folder / "pred.mat"
    if dataset.evaluation != "mpii" or not path.is_file() or not annotations.is_file():
        return None
    split = str(run.protocol.get("split"))
    table = read_split(dataset, split, annotations=annotations, on_bad_sample="skip")
    known = find_known_joints(run, table.skeleton, root)
    table = replace(table, keypoints=np.where(known[:, None], table.keypoints, 0))
    first_pixel = read_first_pixel(annotations)
    predictions = _read_predictions(path, table) - (1 - first_pixel)
    heads = read_head_sizes(annotations, dataset.aliases)
    sizes = dict(zip(heads.ids.tolist(), heads.sizes_px.tolist(), strict=True))
    looked_for = np.flatnonzero(np.isfinite(predictions).all(axis=(1, 2)))
    people = People(
        keypoints_px=predictions[looked_for],
        keypoint_scores=np.ones((len(looked_for), predictions.shape[1])),
        person_scores=np.ones(len(looked_for)),
        annotation_ids=table.annotation_ids[looked_for],
    )
    evaluation = score_people({0: people}, table, sizes) if len(people) else None
    if evaluation is None:
        return None
    head_px = np.array([sizes.get(int(i), np.nan) for i in table.annotation_ids])
    return PckhPoses(
        table=table,
        predictions_px=predictions,
        first_pixel=first_pixel,
        evaluation=evaluation,
        distances=_measure(table, predictions, head_px),
    )


def _read_predictions(path: Path, table: AnnotationTable) -> np.ndarray:
    """(people, joints, 2), pixels counted from 1."""
    try:
        predictions = np.asarray(read_matlab(path).get("preds", ()), np.float64)
    except (ValueError, TypeError) as error:  # the latter where preds holds something else
        raise ValueError(
            f"{path} must be a MATLAB 5 file with numbers in preds. scipy cannot read it: "
            f"{error}. Test the run again."
        ) from error
    wanted = (len(table), table.skeleton.joint_count, 2)
    if predictions.shape != wanted:
        raise ValueError(
            f"preds of {path} must have shape {wanted}, a row for each annotated person. Received "
            f"{predictions.shape}; test the run again."
        )
    return predictions


def _measure(table: AnnotationTable, predictions_px: np.ndarray, head_px: np.ndarray) -> np.ndarray:
    counted = (table.keypoints[..., 2] > 0) & ~table.iscrowd[:, None] & (head_px > 0)[:, None]
    offsets = np.linalg.norm(predictions_px - table.keypoints[..., :2], axis=-1)
    distances = offsets / np.where(head_px > 0, head_px, 1.0)[:, None]
    return np.where(counted, np.where(np.isnan(distances), np.inf, distances), np.nan)


def score_pictures(poses: PckhPoses) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids of the pictures with joints that count, PCKh at 0.5, and its mean from 0 to 0.5.

    Returns:
        Three (pictures,), ids rising, percent.
    """
    counted = ~np.isnan(poses.distances)
    ids_of_joint = np.broadcast_to(_image_ids(poses)[:, None], counted.shape)[counted]
    ids, picture = np.unique(ids_of_joint, return_inverse=True)
    limits = poses.evaluation.thresholds
    within = 1 - np.searchsorted(limits, poses.distances[counted]) / len(limits)
    total = np.bincount(picture, minlength=len(ids))
    shares = [
        100 * np.bincount(picture, weights=values, minlength=len(ids)) / total
        for values in (poses.distances[counted] <= limits[-1], within)
    ]
    return ids, shares[0], shares[1]


def show_people(
    every: Sequence[PckhPoses], names: Sequence[str], image_ids: Sequence[int]
) -> list[Picture]:
    """Truth beside the predictions of each run for the same people."""
    scores = [dict(zip(*score_pictures(poses)[:2], strict=True)) for poses in every]
    pictures = []
    for image_id in image_ids:
        rows = np.flatnonzero(_image_ids(every[0]) == image_id)
        path = find_path(every[0].table.images, image_id)
        shown = " / ".join(f"{known[image_id]:.0f}" for known in scores)
        caption = f"{path.rpartition('/')[2]}, PCKh@0.5 {shown} %"
        truth = every[0].table.keypoints[rows].astype(np.float64)
        truth[..., :2] -= every[0].first_pixel
        drawings = [_draw(p, name, rows) for p, name in zip(every, names, strict=True)]
        skeleton = every[0].table.skeleton
        pictures.append(draw_picture(path, caption, truth, drawings, skeleton))
    return pictures


def _draw(poses: PckhPoses, name: str, rows: np.ndarray) -> Drawing:
    found = poses.predictions_px[rows] - poses.first_pixel
    lacking = (poses.table.keypoints[..., 2] == 0).all(axis=0)
    seen = np.isfinite(found).all(axis=-1) & ~lacking
    people = People(found, seen.astype(float), np.ones(len(rows)))
    return Drawing(name, people, np.full(seen.shape, -1))


def _image_ids(poses: PckhPoses) -> np.ndarray:
    return poses.table.images.ids[poses.table.image_index]
