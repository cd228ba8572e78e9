"""The people of a run once more: annotated ones and those that were found, as columns.

They are read from the annotation file that the protocol names and from the result files, so a
report says nothing that is not in the run's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.annotation import AnnotationTable, read_split
from ..data.dataset import Dataset, choose_skeleton, load_dataset
from ..data.first_pictures import on_first_pictures
from ..engine.results import ground_truth_columns
from ..files import sha256_of_file
from ..metrics.columns import Detections, GroundTruth, check_image_ids
from ..metrics.crowdpose import RULES as CROWDPOSE_RULES
from ..metrics.crowdpose import read_crowdpose
from ..metrics.oks_ap import KEYPOINT_RULES, Rules
from ..skeleton import Skeleton, reindex_joints, take_joints
from ..structures import ImageTable
from .runs import Run, read_json


@dataclass(frozen=True)
class RunPeople:
    """Annotated people and predictions of one run, joints in the order of the data set.

    Attributes:
        skeleton: of the data set.
        truth: annotated people; joints that do not count have no label.
        detections: predictions.
        found: (detections, joints) bool, False where the network has no such joint or did not
            find it.
        images: their pictures.
        rules: of the curves of precision and recall.
        notes: what a reader must know of these files, one sentence each.
    """

    skeleton: Skeleton
    truth: GroundTruth
    detections: Detections
    found: np.ndarray
    images: ImageTable
    rules: Rules
    notes: tuple[str, ...]


def read_people(run: Run, root: Path) -> RunPeople | str:
    """The people of a run whose data set has OKS sigmas.

    Args:
        run: of `read_run`.
        root: of the project, to which the files of the protocol are relative.

    Returns:
        The people, or the sentence that says why there are none.

    Raises:
        FileNotFoundError: the run has no result files.
        ValueError: they, or the annotations, are not what they should be.
    """
    dataset = load_dataset(root, str(run.protocol.get("dataset")))
    records = _read_results(run, dataset)
    annotations = root / str(run.protocol.get("annotations"))
    if not dataset.skeleton.oks_sigmas:
        return f"{dataset.name} has no OKS sigmas, by which poses could be compared joint by joint."
    if not annotations.is_file():
        return f"Its annotations are not at {annotations}, so nothing can be compared with them."
    split = str(run.protocol.get("split"))
    more = dataset.split(split).more_annotations if "more_annotations" in run.protocol else ()
    table = read_split(dataset, split, annotations=(annotations, *more), on_bad_sample="skip")
    if not len(table):
        return f"{annotations} has no annotated people, so there is nothing to compare with."
    if not records:
        return "Nobody was found."
    return _gather(run, dataset, table, records, root)


def _read_results(run: Run, dataset: Dataset) -> list[dict[str, Any]]:
    """The predictions of a run as COCO result records, joints in the order of the data set."""
    if dataset.evaluation != "posetrack":
        records = read_json(run.folder / "result.json")
        if not isinstance(records, list):
            raise ValueError(
                f"{run.folder / 'result.json'} must be a list of predictions. Received an object."
            )
        return records
    folder = run.folder / str(run.protocol.get("split"))
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"No result at {folder}. Run main/test.py for this run first, or name another folder."
        )
    return [record for path in paths for record in _read_sequence(path, dataset)]


def _read_sequence(path: Path, dataset: Dataset) -> list[dict[str, Any]]:
    """The records of one PoseTrack file; a person's score is the mean of its keypoint scores."""
    content = read_json(path)
    if not isinstance(content, dict) or not {"categories", "annotations"} <= content.keys():
        raise ValueError(f"{path} must hold categories and annotations. Test the run again.")
    categories = content["categories"]
    spelled = (categories and categories[0].get("keypoints")) or dataset.skeleton.keypoints
    names = [dataset.aliases.get(name, name) for name in spelled]
    order = reindex_joints(names, dataset.skeleton)
    records = []
    for row in content["annotations"]:
        keypoints = take_joints(np.reshape(row["keypoints"], (-1, 3)).astype(np.float64), order)
        score = float(np.mean(row["scores"])) if row.get("scores") else 0.0
        records.append({**row, "score": score, "keypoints": keypoints.ravel().tolist()})
    return records


def _gather(
    run: Run,
    dataset: Dataset,
    table: AnnotationTable,
    records: Sequence[dict[str, Any]],
    root: Path,
) -> RunPeople:
    skeleton = dataset.skeleton
    results = f"the predictions of {run.folder}"
    try:
        detections = Detections.from_coco(records)
        check_image_ids(detections.image_ids, np.unique(table.images.ids), "Predictions")
    except ValueError as error:
        raise ValueError(f"{results}: {error}") from None
    if detections.keypoints is None or detections.keypoints.shape[1] != skeleton.joint_count:
        raise ValueError(
            f"{results} must have the {skeleton.joint_count} joints of {skeleton.name}. Received "
            f"{0 if detections.keypoints is None else detections.keypoints.shape[1]}."
        )
    known = find_known_joints(run, skeleton, root)
    found = (detections.keypoints[..., 2] > 0) & known
    if dataset.evaluation == "crowdpose":
        truth, rules = read_crowdpose(read_json(table.source)), CROWDPOSE_RULES
        shown = np.flatnonzero((detections.keypoints[..., 2] > 0).any(axis=1))
        detections, found = detections.take(shown), found[shown]
    else:
        counted = replace(table, keypoints=np.where(known[:, None], table.keypoints, 0))
        truth, rules = ground_truth_columns(counted), KEYPOINT_RULES
    return RunPeople(
        skeleton=skeleton,
        truth=truth.on_images(_find_scored_images(run, table)),
        detections=detections,
        found=found,
        images=table.images,
        rules=rules,
        notes=_describe_files(run, table, skeleton, known),
    )


def _find_scored_images(run: Run, table: AnnotationTable) -> np.ndarray:
    """(images,) ids of the pictures that the test looked at: `test.most_pictures`, or all."""
    count = int(run.protocol.get("most_pictures") or 0)
    if not count:
        return table.images.ids
    everywhere = run.protocol.get("all_images")
    places = np.arange(len(table.images)) if everywhere else table.image_index
    return table.images.ids[np.unique(places[on_first_pictures(places, count)])]


def find_known_joints(run: Run, skeleton: Skeleton, root: Path) -> np.ndarray:
    """(joints,) bool: which joints of the data set the network has."""
    network = choose_skeleton(root, (), str(run.protocol.get("skeleton") or skeleton.name))
    return np.isin(skeleton.keypoints, network.keypoints)


def _describe_files(
    run: Run, table: AnnotationTable, skeleton: Skeleton, known: np.ndarray
) -> tuple[str, ...]:
    notes = []
    expected = run.protocol.get("annotations_sha256")
    if expected and sha256_of_file(table.source) != expected:
        notes.append(
            f"{table.source} has changed since the run was tested: what follows the table of "
            "numbers is compared with the file as it is now."
        )
    if table.skipped:
        notes.append(f"{len(table.skipped)} bad entries of the annotations were left out.")
    lacking = [name for name, has in zip(skeleton.keypoints, known, strict=True) if not has]
    if lacking:
        notes.append(f"The network lacks {', '.join(lacking)} of {skeleton.name}.")
    return tuple(notes)
