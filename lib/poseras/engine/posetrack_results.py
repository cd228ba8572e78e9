"""What a test on PoseTrack leaves behind: result files that poseval reads, and its scores.

Source: TF-SimpleHumanPose's PoseTrack loader; leonid-pishchulin/poseval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..metrics.posetrack import PoseTrackEvaluation, evaluate_posetrack
from ..skeleton import Skeleton, reindex_joints
from ..structures import People
from . import rescoring, results

#: Content of one file per sequence, by file name.
SequenceFiles = Mapping[str, Mapping[str, Any]]


def posetrack_results(
    people_of_image: Mapping[int, People],
    source: Skeleton,
    target: Skeleton,
    *,
    track_ids_of_image: Mapping[int, np.ndarray] | None = None,
    joint_threshold: float = float("-inf"),
) -> list[dict[str, Any]]:
    """People as records of PoseTrack 2018, image by image, in their order.

    Args:
        people_of_image: image id -> people, joints in the order of `source`.
        source: the skeleton of the network.
        target: the order of the joints in the files. One that the network lacks is 0, 0, 0, which
            is how a joint is left out.
        track_ids_of_image: image id -> (people,) int, `tracking.Tracker.update`. Without them each
            person of a frame gets its rank in that frame, because poseval stops where two people
            of a frame have the same id.
        joint_threshold: a joint must score more, or it is left out. AP wants all of them, the
            default; MOTA counts each wrong joint, and Simple Baselines tracks those above 0.4.
            People without any joint left are left out, too.

    Raises:
        ValueError: an image has another number of ids than of people, or an id is doubled in it.
    """
    lacking = [joint for joint, at in enumerate(reindex_joints(source.keypoints, target)) if at < 0]
    records = []
    for image_id, found in people_of_image.items():
        people = results.reorder_people(found, source, target)
        track_ids = _ids_of(image_id, len(people), track_ids_of_image)
        for rank in range(len(people)):
            record = rescoring.posetrack_record(
                image_id, people.keypoints_px[rank], people.keypoint_scores[rank]
            )
            faint = np.flatnonzero(people.keypoint_scores[rank] <= joint_threshold).tolist()
            left_out = {*lacking, *faint}
            if len(left_out) == target.joint_count:
                continue
            for joint in left_out:
                record["keypoints"][3 * joint : 3 * joint + 3] = [0.0, 0.0, 0.0]
            records.append({**record, "track_id": track_ids[rank]})
    return records


def _ids_of(
    image_id: int, people: int, track_ids_of_image: Mapping[int, np.ndarray] | None
) -> list[int]:
    """One id for each person of an image."""
    if track_ids_of_image is None:
        return list(range(people))
    track_ids = np.asarray(track_ids_of_image.get(image_id, ())).tolist()
    if len(track_ids) != people or len(set(track_ids)) != people:
        raise ValueError(
            f"track_ids_of_image must hold one id of its own for each of the {people} people of "
            f"image {image_id}. Received {track_ids}."
        )
    return track_ids


def split_by_sequence(
    records: Iterable[Mapping[str, Any]], sequences: SequenceFiles
) -> dict[str, dict[str, Any]]:
    """One result file for each annotation file, of the same name.

    Args:
        records: of all sequences; those on other pictures go nowhere.
        sequences: the annotation files.

    Returns:
        File name -> `images` and `categories` of the annotation file, and as `annotations` the
        records on its pictures, in their order.
    """
    split: dict[str, dict[str, Any]] = {}
    rows_of_image: dict[int, list[Any]] = {}
    for name, content in sequences.items():
        rows: list[Any] = []
        split[name] = {
            "images": content["images"],
            "categories": content["categories"],
            "annotations": rows,
        }
        rows_of_image.update({int(image["id"]): rows for image in content["images"]})
    for record in records:
        if record["image_id"] in rows_of_image:
            rows_of_image[record["image_id"]].append(record)
    return split


def score_people(
    people_of_image: Mapping[int, People],
    sequences: SequenceFiles,
    source: Skeleton,
    target: Skeleton,
    *,
    track_ids_of_image: Mapping[int, np.ndarray] | None = None,
    joint_threshold: float = float("-inf"),
) -> PoseTrackEvaluation | None:
    """PoseTrack's AP by poseval's rules; None where the sequences have no annotated people.

    Tracking (MOTA, MOTP, switches) is scored where there are track ids; ranks are no tracks.

    Args:
        people_of_image: image id -> people, joints in the order of `source`.
        sequences: the annotation files.
        source: the skeleton of the network.
        target: the order of the joints in the files.
        track_ids_of_image: see `posetrack_results`.
        joint_threshold: see `posetrack_results`.
    """
    if not any(content.get("annotations") for content in sequences.values()):
        return None
    records = posetrack_results(
        people_of_image,
        source,
        target,
        track_ids_of_image=track_ids_of_image,
        joint_threshold=joint_threshold,
    )
    return evaluate_posetrack(
        sequences,
        split_by_sequence(records, sequences),
        tracking=track_ids_of_image is not None,
    )


def write_sequences(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the result files of a split into a folder of their own, which poseval is pointed at.

    Result files of other sequences, which an earlier test may have left there, are removed:
    poseval would read them.
    """
    for name, values in content.items():
        files.write_json_atomically(folder / name, values)
    for path in folder.glob("*.json"):
        if path.name not in content:
            path.unlink()
