import json

import numpy as np
import pytest

from poseras.engine import posetrack_results
from poseras.metrics.posetrack_columns import JOINTS
from poseras.skeleton import Skeleton
from poseras.structures import People

NETWORK = Skeleton("A/network", ("left_wrist", "nose"))
FILES = Skeleton("B/files", ("nose", "head_top", "left_wrist"))


def make_people(count):
    points = np.arange(count * 4, dtype=float).reshape(count, 2, 2) + 1
    return People(points, np.full((count, 2), 0.5), np.ones(count))


def sequence(*ids):
    return {"images": [{"id": i, "x": 1} for i in ids], "categories": ["c"], "more": 1}


def test_without_a_tracker_each_person_of_a_frame_has_its_own_track_id():
    records = posetrack_results.posetrack_results(
        {8: make_people(2), 9: make_people(1)}, NETWORK, NETWORK
    )
    assert [(r["image_id"], r["track_id"]) for r in records] == [(8, 0), (8, 1), (9, 0)]


def test_track_ids_go_into_the_records_of_their_people():
    records = posetrack_results.posetrack_results(
        {8: make_people(2), 9: make_people(1)},
        NETWORK,
        NETWORK,
        track_ids_of_image={8: np.array([7, 3]), 9: np.array([3])},
    )
    assert [(r["image_id"], r["track_id"]) for r in records] == [(8, 7), (8, 3), (9, 3)]
    json.dumps(records)  # plain numbers


@pytest.mark.parametrize("ids", [{8: np.array([1])}, {8: np.array([1, 1])}, {}])
def test_track_ids_that_do_not_fit_are_refused(ids):
    with pytest.raises(ValueError, match="one id of its own for each of the 2 people of image 8"):
        posetrack_results.posetrack_results(
            {8: make_people(2)}, NETWORK, NETWORK, track_ids_of_image=ids
        )


def test_a_joint_that_the_network_lacks_is_left_out_as_poseval_reads_it():
    (record,) = posetrack_results.posetrack_results({8: make_people(1)}, NETWORK, FILES)
    assert record["keypoints"] == [3, 4, 1, 0, 0, 0, 1, 2, 1]
    assert record["scores"] == [0.5, 0, 0.5]


def test_every_sequence_has_a_file_even_without_people():
    records = posetrack_results.posetrack_results({9: make_people(1)}, NETWORK, NETWORK)
    sequences = {"a.json": sequence(8), "b.json": sequence(9, 10)}
    split = posetrack_results.split_by_sequence([*records, {"image_id": 77}], sequences)
    assert list(split) == ["a.json", "b.json"]
    assert list(split["a.json"]) == ["images", "categories", "annotations"]
    assert split["a.json"]["annotations"] == []
    assert split["b.json"]["annotations"] == records
    assert split["b.json"]["images"] == sequences["b.json"]["images"]


def test_the_folder_of_a_split_holds_its_sequences_alone(tmp_path):
    posetrack_results.write_sequences(tmp_path / "val", {"a.json": {}, "old.json": {}})
    posetrack_results.write_sequences(tmp_path / "val", {"a.json": {"images": [1]}})
    assert [path.name for path in (tmp_path / "val").iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "val" / "a.json").read_text()) == {"images": [1]}


def test_sequences_without_annotated_people_have_no_scores():
    people = {8: make_people(1)}
    assert posetrack_results.score_people(people, {"a.json": sequence(8)}, NETWORK, FILES) is None


def posetrack_file(skeleton, tracks_of_frame):
    """An annotation file whose people stand 100 px apart by track; the heads measure 10 px."""
    people = [
        {
            "image_id": frame,
            "track_id": track,
            "bbox_head": [0, 0, 10, 40 / 3],
            "keypoints": [100.0 * track + 1, 5.0, 1.0] * skeleton.joint_count,
        }
        for frame, tracks in tracks_of_frame.items()
        for track in tracks
    ]
    categories = [{"id": 1, "keypoints": list(skeleton.keypoints)}]
    images = [{"id": frame} for frame in tracks_of_frame]
    return {"images": images, "annotations": people, "categories": categories}


def test_tracking_is_scored_where_there_are_track_ids():
    skeleton = Skeleton("A/evaluated", tuple(JOINTS.values()))
    truth = {"walk.json": posetrack_file(skeleton, {1: [0, 1], 2: [0, 1], 3: [0, 1]})}
    points = np.array([[1.0, 5.0], [101.0, 5.0]])[:, None].repeat(len(JOINTS), axis=1)
    people = People(points, np.ones(points.shape[:2]), np.ones(2))
    found = {frame: people for frame in (1, 2, 3)}
    ids = {1: np.array([4, 9]), 2: np.array([4, 9]), 3: np.array([4, 9])}

    def score(**ids):
        return posetrack_results.score_people(found, truth, skeleton, skeleton, **ids).tracking

    assert score(track_ids_of_image=ids).mota["total"] == 100
    exchanged = score(track_ids_of_image={**ids, 2: np.array([9, 4])})
    assert exchanged.counts.switches.tolist() == [2] * len(JOINTS)
    assert exchanged.mota["total"] == 50  # 2 switches of 4 joints in the two frames that count
    assert score() is None


def test_joints_below_the_threshold_are_left_out():
    scores = np.array([[0.4, 0.41], [0.1, 0.4]])  # the second person loses them all
    people = People(np.full((2, 2, 2), 7.0), scores, np.ones(2))
    (record,) = posetrack_results.posetrack_results(
        {8: people}, NETWORK, NETWORK, joint_threshold=0.4
    )
    assert record["keypoints"] == [0, 0, 0, 7, 7, 1]
