"""A network over a whole test set: poses, scores, the protocol behind them, result files, drawings.

`main/test.py` calls this for a snapshot, `main/train.py` for the network in training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from . import files
from .data.coco_format import OnBadSample
from .data.evaluation_set import EvaluationFiles, EvaluationSet, load_evaluation_set
from .data.first_pictures import keep_first_pictures
from .data.human36m_sequences import ACTIONS
from .data.images import read_image
from .data.mpii_annotations import read_first_pixel
from .data.persons import BoxClipping
from .engine import (
    ai_challenger_results,
    mpii_results,
    posetrack_results,
    results,
    space_results,
    tester,
)
from .engine.progress import progress_bar
from .ensemble import average_networks
from .metrics.coco import Evaluator, Scores, format_table
from .outcome_scores import score_people, sequence_skeleton
from .part_pictures import PartPictures, part_path
from .predictor import Predictor
from .settings import flatten
from .skeleton import Skeleton
from .structures import People, PersonRecords
from .visualize import Style, contact_sheet, draw_people
from .visualize_space import draw_pose_views

log = logging.getLogger("poseras")

#: What a protocol repeats of the metadata of a snapshot that has it.
_FROM_SNAPSHOT = ("imported", "resources_sha256")

#: Records to predictions in image pixels.
Predict = Callable[[PersonRecords], tester.Predictions]


@dataclass(frozen=True)
class Outcome:
    """What a network found in a test set.

    Attributes:
        test: the people that it looked for.
        skeleton: of the network.
        people: image id -> people, joints in the order of the network.
        evaluation: the scores by the protocol of the data set; None where there are none, because
            it has no annotations or no protocol, or the boxes do not fit it.
        protocol: how the people were found and scored, for JSON.
        predictions: for each of the people looked for.
        track_ids: image id -> (people,) int64, who is who in a sequence of PoseTrack; None where
            nobody was tracked.
        joint_threshold: keypoints are written into PoseTrack's files with a score above it.
    """

    test: EvaluationSet
    skeleton: Skeleton
    people: dict[int, People]
    evaluation: Scores | None
    protocol: dict[str, Any]
    predictions: tester.Predictions | None = None
    track_ids: dict[int, np.ndarray] | None = None
    joint_threshold: float = float("-inf")


def evaluate_predictor(
    predictor: Predictor,
    files: EvaluationFiles,
    *,
    root: Path,
    workers: int = 0,
    on_bad_sample: OnBadSample = "stop",
    box_clipping: BoxClipping = "published",
    detection_threshold: float = 0.0,
    flip_test: bool = True,
    batch_size: int = 32,
    keypoint_threshold: float = 0.2,
    box_nms_threshold: float = 0.0,
    oks_nms_threshold: float = 0.9,
    most_pictures: int = 0,
    evaluator: Evaluator = "pycocotools",
    ensemble: Sequence[Predictor] = (),
) -> Outcome:
    """Find the people of a test set with the network of a snapshot, and score them.

    Args:
        predictor: the network.
        files: annotations, pictures and boxes.
        root: of the project; the protocol names files inside it relative to it.
        workers: threads that read pictures; 0 is one per core.
        on_bad_sample: `stop` at a bad entry or an unreadable picture, or `skip` it and list it.
        box_clipping: of annotated boxes of the train split.
        detection_threshold: detections count whose score is above it.
        flip_test: also look at the mirrored views and average.
        batch_size: people per device and step; changes no result.
        keypoint_threshold: of `tester.Selection`, as the next two.
        box_nms_threshold: 0 is off.
        oks_nms_threshold: 0 is off.
        most_pictures: of the test, the first ones of the file; 0 is all.
        evaluator: which one scores.
        ensemble: more networks, averaged with the first one as `average_networks` does.
    """
    test = load_evaluation_set(
        files,
        predictor.skeleton,
        detection_threshold=detection_threshold,
        box_clipping=box_clipping,
        on_bad_sample=on_bad_sample,
        root_box_mm=predictor.root_box_mm,
    )
    test = keep_first_pictures(test, most_pictures)
    selection = predictor.make_selection(
        keypoint_threshold=keypoint_threshold,
        box_nms_threshold=box_nms_threshold,
        oks_nms_threshold=oks_nms_threshold,
    )
    predict = partial(
        average_networks([predictor, *ensemble]),
        flip_test=flip_test,
        batch_size=batch_size,
        workers=workers,
        on_bad_sample=on_bad_sample,
    )
    outcome = evaluate(predict, test, predictor.skeleton, selection=selection, evaluator=evaluator)
    described = describe_test(predictor, test, flip_test=flip_test, root=root)
    if ensemble:
        described["ensemble_sha256"] = [other.snapshot.sha256 for other in ensemble]
    return replace(outcome, protocol={**described, **outcome.protocol})


def evaluate(
    predict: Predict,
    test: EvaluationSet,
    skeleton: Skeleton,
    *,
    selection: tester.Selection,
    evaluator: Evaluator = "pycocotools",
) -> Outcome:
    """Find the people of a test set and score them.

    Args:
        predict: the network.
        test: the people to look for.
        skeleton: of the network.
        selection: rescoring and suppression.
        evaluator: which one scores.
    """
    dataset = test.files.dataset
    if test.records.space is not None:
        selection = replace(selection, rule="human36m")
    elif dataset.evaluation == "crowdpose" or dataset.evaluation == "ai_challenger":
        selection = replace(selection, rule="coco")  # top-down results are rescored as COCO's
    elif dataset.evaluation != "none" and dataset.evaluation != "pck":
        selection = replace(selection, rule=dataset.evaluation)
    if test.files.detections is not None:  # of annotated boxes everybody has one
        advice = "test.box_nms_threshold compares boxes and needs none."
        tester.tell_lacking_sigmas(test.records, selection, advice)
    predictions = predict(test.records)
    people = tester.select_people(test.records, predictions, selection)
    protocol: dict[str, Any] = {
        "people_looked_for": len(test.records),
        "people_skipped": int((~predictions.found).sum()),
        "rescoring": tester.RESCORING[selection.rule],
        "keypoint_threshold": selection.keypoint_threshold,
        "box_nms_threshold": selection.box_nms_threshold,
        "oks_nms_threshold": selection.oks_nms_threshold,
    }
    evaluation: Scores | None = None
    if predictions.joints_camera_mm is not None:
        actions = ACTIONS if dataset.evaluation == "human36m" else {}
        evaluation = space_results.score_poses(test.records, predictions, skeleton, actions)
        protocol["evaluation"] = evaluation.protocol() if evaluation else {}
    elif len(test.table):
        evaluation, described = score_people(people, test, skeleton, evaluator)
        if evaluation is not None:
            protocol["evaluation"] = {**evaluation.protocol(), **described}
    return Outcome(test, skeleton, people, evaluation, protocol, predictions)


def describe_test(
    predictor: Predictor, test: EvaluationSet, *, flip_test: bool, root: Path
) -> dict[str, Any]:
    """The part of a protocol that tells of input and network: files, snapshot, view, versions.

    Args:
        predictor: the network.
        test: the people it looked for.
        flip_test: whether the mirrored views were merged.
        root: of the project; files inside it are named relative to it.
    """
    snapshot = predictor.snapshot
    path = snapshot.path.resolve()
    return {
        **results.describe_origin(test.origin, root),
        "snapshot": str(path.relative_to(root) if path.is_relative_to(root) else path),
        "snapshot_sha256": snapshot.sha256,
        "averaged_weights": predictor.averaged,
        **{k: snapshot.metadata[k] for k in _FROM_SNAPSHOT if k in snapshot.metadata},
        "system": snapshot.metadata["system"],
        "skeleton": predictor.skeleton.name,
        "flip_test": flip_test,
        "options": flatten(predictor.system.options),
        "view": {k: v for k, v in flatten(predictor.view).items() if "augmentation" not in k},
        "versions": results.library_versions(),
    }


def write_outcome(
    outcome: Outcome,
    folder: Path,
    real_keypoint_scores: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write the results in the form of the data set and `metrics.json`, and print the table.

    MPII's results are `result.json`, the submission `pred_keypoints_mpii_multi.mat` and, where
    annotated boxes were tested, `pred.mat`. PoseTrack's are one file per sequence, in a folder
    named after the split. All others are `result.json` in COCO result format.

    Args:
        outcome: of `evaluate`; the joints of the result files stand in the order of its data set.
        folder: where the files go.
        real_keypoint_scores: as `results.coco_results`.
        settings: that differ from their defaults, flat, for the list of all tests of the run.
    """
    test, evaluation = outcome.test, outcome.test.files.dataset.evaluation
    if evaluation == "posetrack":
        written = _write_posetrack(outcome, folder)
    elif evaluation == "mpii":
        written = _write_mpii(outcome, folder)
    else:
        written = folder / "result.json"
        records = results.coco_results(
            _in_order_of_dataset(outcome), real_keypoint_scores=real_keypoint_scores
        )
        files.write_json_atomically(written, records)
    if evaluation == "ai_challenger":
        found = ai_challenger_results.list_predictions(
            _in_order_of_dataset(outcome), test.table.images
        )
        files.write_json_atomically(folder / "result_ai_challenger.json", found)
    people = sum(map(len, outcome.people.values()))
    log.info("%d people on %d pictures: %s", people, len(outcome.people), written)
    if isinstance(outcome.evaluation, space_results.SpaceScores) and outcome.predictions:
        written = space_results.write_poses(
            folder, test.records, outcome.predictions, outcome.skeleton, outcome.evaluation
        )
        log.info("Poses in space: %s", written)
    stats = {} if outcome.evaluation is None else outcome.evaluation.stats
    path = results.write_metrics(folder, stats, outcome.protocol, settings)
    if isinstance(outcome.evaluation, space_results.SpaceScores):
        log.info("%s\n%s", outcome.evaluation.table(), path)
    elif outcome.evaluation is not None:
        log.info("%s\n%s", format_table(outcome.evaluation), path)
    elif not len(test.table):
        log.info("%s has no annotations, so there are no scores. %s", test.table.source, path)
    elif evaluation == "mpii" and test.files.detections is not None:
        log.info(
            "No scores: PCKh compares people with the annotations whose boxes they were looked for "
            "in; --set test.use_gt_box=true does that. %s",
            path,
        )
    else:
        log.info(
            "No scores: the data set names no evaluation, or one that nobody here can be scored "
            "by. %s",
            path,
        )


def _in_order_of_dataset(outcome: Outcome) -> dict[int, People]:
    order = outcome.test.files.dataset.skeleton
    return {
        image_id: results.reorder_people(found, outcome.skeleton, order)
        for image_id, found in outcome.people.items()
    }


def _write_mpii(outcome: Outcome, folder: Path) -> Path:
    """`result.json`, `pred_keypoints_mpii_multi.mat` and, for annotated boxes, `pred.mat`."""
    test, people = outcome.test, _in_order_of_dataset(outcome)
    first_pixel = read_first_pixel(test.files.annotations)
    files.write_json_atomically(folder / "result.json", mpii_results.mpii_results(people))
    submission = folder / "pred_keypoints_mpii_multi.mat"
    mpii_results.write_submission(submission, people, test.table.images, first_pixel)
    if test.files.detections is None:
        keypoints = mpii_results.gather_by_annotation(
            people, test.table.annotation_ids, test.files.dataset.skeleton.joint_count
        )
        mpii_results.write_predictions(folder / "pred.mat", keypoints, first_pixel)
    return folder


def _write_posetrack(outcome: Outcome, folder: Path) -> Path:
    """One file per sequence, in a folder that holds nothing else."""
    test = outcome.test
    sequences = test.sequences or {}
    records = posetrack_results.posetrack_results(
        outcome.people,
        outcome.skeleton,
        sequence_skeleton(test),
        track_ids_of_image=outcome.track_ids,
        joint_threshold=outcome.joint_threshold,
    )
    content = posetrack_results.split_by_sequence(records, sequences)
    posetrack_results.write_sequences(folder / test.files.split, content)
    return folder / test.files.split


def draw_outcome(
    outcome: Outcome,
    folder: Path,
    count: int,
    style: Style = "house",
    threshold: float = 0.4,
    *,
    parts: PartPictures | None = None,
) -> None:
    """Draw the people of the pictures with the best-scored people.

    Args:
        outcome: of `evaluate`.
        folder: one JPEG per picture goes there, under the file name in the annotations.
        count: how many pictures.
        style: `house` or `original`.
        threshold: joints with a higher score are drawn as seen.
        parts: also draws what the network says of each of them.
    """
    test, skeleton = outcome.test, outcome.skeleton
    best = {i: float(p.person_scores.max()) for i, p in outcome.people.items() if len(p)}
    chosen = sorted(best, key=lambda image_id: -best[image_id])[:count]
    place = {int(image_id): row for row, image_id in enumerate(test.table.images.ids)}
    for image_id in progress_bar(chosen, unit="picture", desc="draw", disable=not chosen):
        path = Path(test.table.images.paths[place[image_id]])
        target = folder / path.relative_to(test.files.images.absolute()).with_suffix(".jpg")
        picture, people = read_image(path), outcome.people[image_id]
        ids = [] if outcome.track_ids is None else [f"{i}" for i in outcome.track_ids[image_id]]
        drawn = draw_people(picture, people, skeleton, style=style, threshold=threshold, labels=ids)
        if isinstance(outcome.evaluation, space_results.SpaceScores):
            drawn = _draw_in_space(drawn, outcome, image_id)
        files.write_image_atomically(target, drawn)
        for kind, other in (parts.draw(picture, people) if parts else {}).items():
            files.write_image_atomically(part_path(target, kind), other)
    if chosen:
        log.info("%d drawings in %s", len(chosen), folder)


def _draw_in_space(drawn: np.ndarray, outcome: Outcome, image_id: int) -> np.ndarray:
    """A drawing, and beside it the first person of the picture in space, from two sides."""
    found = outcome.predictions
    if found is None:
        return drawn
    known = space_results.find_known(outcome.test.records, found)
    if known is None:
        return drawn
    space, poses, rows = known
    here = rows[outcome.test.records.image_ids[rows] == image_id]
    if not len(here):
        return drawn
    truth = np.where(space.joints_valid[here[0], :, None], space.joints_camera_mm[here[0]], np.nan)
    height = drawn.shape[0]
    views = draw_pose_views(poses[here[0]], outcome.skeleton, height=height, truth_mm=truth)
    return contact_sheet([drawn, views], columns=2)
