"""What a test on PoseTrack leaves behind: result files that poseval reads, and its scores.

Source: TF-SimpleHumanPose's PoseTrack loader; leonid-pishchulin/poseval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..metrics.posetrack import PoseTrackEvaluation, evaluate_posetrack
from ..skeleton import Skeleton, reindex_joints
from ..structures import People
from . import files, rescoring, results

#: Content of one file per sequence, by file name.
SequenceFiles = Mapping[str, Mapping[str, Any]]


def posetrack_results(
    people_of_image: Mapping[int, People], source: Skeleton, target: Skeleton
) -> list[dict[str, Any]]:
    """People as records of PoseTrack 2018, image by image, best person first.

    There is no tracker here: each person of a frame gets its rank in that frame as track_id,
    because poseval stops where two people of a frame have the same one.

    Args:
        people_of_image: image id -> people, joints in the order of `source`.
        source: the skeleton of the network.
        target: the order of the joints in the files. One that the network lacks is 0, 0, 0, which
            is how a joint is left out.
    """
    lacking = [joint for joint, at in enumerate(reindex_joints(source.keypoints, target)) if at < 0]
    records = []
    for image_id, found in people_of_image.items():
        people = results.reorder_people(found, source, target)
        for rank in range(len(people)):
            record = rescoring.posetrack_record(
                image_id, people.keypoints_px[rank], people.keypoint_scores[rank]
            )
            for joint in lacking:
                record["keypoints"][3 * joint : 3 * joint + 3] = [0.0, 0.0, 0.0]
            records.append({**record, "track_id": rank})
    return records


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
) -> PoseTrackEvaluation | None:
    """PoseTrack's AP by poseval's rules; None where the sequences have no annotated people.

    Tracking is not scored, because ranks are no tracks.

    Args:
        people_of_image: image id -> people, joints in the order of `source`.
        sequences: the annotation files.
        source: the skeleton of the network.
        target: the order of the joints in the files.
    """
    if not any(content.get("annotations") for content in sequences.values()):
        return None
    records = posetrack_results(people_of_image, source, target)
    return evaluate_posetrack(sequences, split_by_sequence(records, sequences), tracking=False)


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
