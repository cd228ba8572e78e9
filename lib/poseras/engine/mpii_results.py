"""What a test on MPII leaves behind: result records, .mat files for MATLAB's evaluation, PCKh.

Source: TF-SimpleHumanPose; human-pose-estimation.pytorch (Microsoft) for `pred.mat`; MPII's
evaluation toolkit for the submission.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import unfinished_file
from ..metrics.pckh import PckhEvaluation, arrange_predictions, evaluate_pckh
from ..metrics.pckh_truth import PckhTruth
from ..structures import People
from . import rescoring


def mpii_results(people_of_image: Mapping[int, People]) -> list[dict[str, Any]]:
    """People as the records of the Simple Baselines code, image by image.

    Args:
        people_of_image: image id -> people.
    """
    return [
        rescoring.mpii_record(image_id, people.keypoints_px[row], people.keypoint_scores[row])
        for image_id, people in people_of_image.items()
        for row in range(len(people))
    ]


def gather_by_annotation(
    people_of_image: Mapping[int, People], annotation_ids: np.ndarray, joint_count: int = 0
) -> np.ndarray:
    """The predictions for annotated people, in their order.

    Args:
        people_of_image: image id -> people that were looked for in annotated boxes.
        annotation_ids: (annotations,) int64.
        joint_count: joints of the result where nobody was found.

    Returns:
        (annotations, joints, 2) float64, px; NaN for people who were not looked for.
    """
    found = [people for people in people_of_image.values() if people.annotation_ids is not None]
    place = {int(annotation): row for row, annotation in enumerate(annotation_ids)}
    joints = found[0].keypoints_px.shape[1] if found else joint_count
    gathered = np.full((len(annotation_ids), joints, 2), np.nan)
    for people in found:
        for annotation, keypoints in zip(
            np.asarray(people.annotation_ids), people.keypoints_px, strict=True
        ):
            if int(annotation) in place:
                gathered[place[int(annotation)]] = keypoints
    return gathered


def score_people(
    people_of_image: Mapping[int, People], table: Any, sizes_of_id: Mapping[int, float]
) -> PckhEvaluation | None:
    """PCKh of people that were looked for in annotated boxes.

    Predictions are compared with the numbers of the annotation file, which networks trained on it
    have learnt, whether it counts pixels from 0 or from 1.

    Args:
        people_of_image: image id -> people, joints in the order of the table.
        table: a `data.annotation.AnnotationTable`.
        sizes_of_id: annotation id -> head size in pixels. People without one are left out.

    Returns:
        None where nobody has labelled joints and a head.
    """
    sizes = np.array([sizes_of_id.get(int(i), np.nan) for i in table.annotation_ids])
    labelled = table.keypoints[..., 2] > 0
    rows = np.flatnonzero(~np.isnan(sizes) & labelled.any(axis=1) & ~table.iscrowd)
    if not len(rows):
        return None
    truth = PckhTruth(
        names=table.skeleton.keypoints,
        keypoints_px=table.keypoints[rows, :, :2].astype(np.float64),
        labelled=labelled[rows],
        head_sizes_px=sizes[rows],
        ids=table.annotation_ids[rows],
    )
    found = [p for p in people_of_image.values() if len(p) and p.annotation_ids is not None]
    nobody = np.zeros((0, table.skeleton.joint_count, 2))
    ids = np.concatenate([np.zeros(0, np.int64), *(p.annotation_ids for p in found)])
    keypoints = np.concatenate([nobody, *(p.keypoints_px for p in found)])
    return evaluate_pckh(truth, arrange_predictions(truth, ids, keypoints))


def write_predictions(path: Path, keypoints_px: np.ndarray, first_pixel: int) -> None:
    """Write `pred.mat` as Microsoft's code does: `preds`, one row for each annotated person.

    Args:
        path: of the file.
        keypoints_px: (people, 16, 2), NaN for people without a prediction.
        first_pixel: what the predictions call the first pixel, 0 or 1. The file counts from 1.
    """
    from scipy.io import savemat

    with unfinished_file(path) as unfinished:
        savemat(unfinished, {"preds": keypoints_px + (1 - first_pixel)}, do_compression=True)


def write_submission(
    path: Path, people_of_image: Mapping[int, People], images: Any, first_pixel: int
) -> None:
    """Write MPII's multi-person submission, `pred(i).annorect(r).annopoints.point(p)`.

    A point has x, y (px, counted from 1), id (the joint, counted from 0) and score. `pred(i).image`
    has the name of the picture, in the order of the annotation file; `annorect` is empty where
    nobody was found.

    Args:
        path: of the file.
        people_of_image: image id -> people, joints in MPII's order.
        images: an `ImageTable`, all pictures of the split.
        first_pixel: what the predictions call the first pixel, 0 or 1.
    """
    from scipy.io import savemat

    prediction = np.empty((1, len(images)), [("image", object), ("annorect", object)])
    for column, (image_id, name) in enumerate(zip(images.ids.tolist(), images.paths, strict=True)):
        people = people_of_image.get(image_id)
        prediction[0, column] = (
            {"name": Path(name).name},
            _list_people(people, 1 - first_pixel) if people else np.zeros((0, 0)),
        )
    with unfinished_file(path) as unfinished:
        savemat(unfinished, {"pred": prediction}, do_compression=True)


def _list_people(people: People, shift: int) -> np.ndarray:
    """(1, people) struct with annopoints.point, itself a (1, joints) struct."""
    listed = np.empty((1, len(people)), [("annopoints", object)])
    names = [(name, object) for name in ("x", "y", "id", "score")]
    for row in range(len(people)):
        points = np.empty((1, people.keypoints_px.shape[1]), names)
        for joint, ((x, y), score) in enumerate(
            zip(people.keypoints_px[row], people.keypoint_scores[row], strict=True)
        ):
            values = (x + shift, y + shift, joint, score)
            points[0, joint] = tuple(float(value) for value in values)
        listed[0, row] = ({"point": points},)
    return listed
