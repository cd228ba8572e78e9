import json

import numpy as np

from poseras.engine import posetrack_results
from poseras.skeleton import Skeleton
from poseras.structures import People

NETWORK = Skeleton("A/network", ("left_wrist", "nose"))
FILES = Skeleton("B/files", ("nose", "head_top", "left_wrist"))


def make_people(count):
    points = np.arange(count * 4, dtype=float).reshape(count, 2, 2) + 1
    return People(points, np.full((count, 2), 0.5), np.ones(count))


def sequence(*ids):
    return {"images": [{"id": i, "x": 1} for i in ids], "categories": ["c"], "more": 1}


def test_each_person_of_a_frame_has_its_own_track_id():
    records = posetrack_results.posetrack_results(
        {8: make_people(2), 9: make_people(1)}, NETWORK, NETWORK
    )
    assert [(r["image_id"], r["track_id"]) for r in records] == [(8, 0), (8, 1), (9, 0)]


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
