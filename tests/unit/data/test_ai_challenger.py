"""AI Challenger in COCO format: one picture that a person can check by hand, and wrong files."""

import json
from pathlib import Path

import pytest

from poseras.data.ai_challenger import JOINTS, convert_records, list_pictures, read_records


def make_pose(*labelled, flag=1):
    """42 numbers; joint j stands at (j, 10 j)."""
    values = []
    for joint in range(len(JOINTS)):
        values += [joint, 10 * joint, flag] if joint in labelled else [0, 0, 3]
    return values


def make_record(poses, name="p"):
    return {
        "image_id": name,
        "url": "http://there",
        "human_annotations": {person: [1, 2, 11, 22] for person in poses},
        "keypoint_annotations": poses,
    }


def write(tmp_path, value):
    path = tmp_path / "keypoints.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_fourteen_joints_get_the_flags_and_ids_of_coco():
    poses = {"human2": make_pose(1, 13), "human1": make_pose(0, flag=2)}
    content = convert_records([make_record(poses)], {"p": (30, 40)}).content
    assert content["images"] == [{"id": 1, "file_name": "p.jpg", "width": 40, "height": 30}]
    first, second = content["annotations"]
    assert first["keypoints"][3:6] == [1, 10, 2] and first["keypoints"][-3:] == [13, 130, 2]
    assert second["keypoints"][:3] == [0, 0, 1] and sum(second["keypoints"][3:]) == 0
    assert [(p["id"], p["image_id"], p["num_keypoints"]) for p in (first, second)] == [
        (1, 1, 2),
        (2, 1, 1),
    ]
    assert (first["bbox"], first["area"], first["category_id"]) == ([1, 2, 10, 20], 200, 1)
    assert content["categories"][0]["keypoints"] == list(JOINTS)


def test_the_fork_puts_neck_and_head_at_nose_and_eye_and_does_not_count_the_neck():
    record = make_record({"human1": make_pose(12, 13)})
    content = convert_records([record], {"p": (30, 40)}, "coco17_neckhead").content
    (person,) = content["annotations"]
    assert person["keypoints"][:6] == [13, 130, 2, 12, 120, 2]
    assert person["num_keypoints"] == 1 and person["id"] == 0 and "category_id" not in person
    assert content["images"][0]["file_name"] == "p" and content["neck"] == []


def test_ids_run_over_all_pictures():
    records = [make_record({"a": make_pose(0)}, name) for name in "pq"]
    people = convert_records(records, {"p": (1, 1), "q": (1, 1)}).content["annotations"]
    assert [(person["id"], person["image_id"]) for person in people] == [(1, 1), (2, 2)]


def test_pictures_lie_under_their_id():
    assert list_pictures([make_record({})], Path("d")) == {"p": Path("d/p.jpg")}


def test_a_file_is_read_as_it_is(tmp_path):
    records = [make_record({"human1": make_pose(3)})]
    assert read_records(write(tmp_path, records)) == records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "must be a JSON file"),
        ({"images": []}, "must be a list of pictures.*Received dict"),
        ([{"image_id": "p", "url": "u"}], "take the file of the training or validation phase"),
        ([{"url": "u"}], "must have image_id"),
        ([make_record({"a": [1, 2, 3]})], "Received 4 and 3"),
        ([make_record({"a": make_pose(0, flag=4)})], r"must be 1, 2 or 3. Received \[4\]"),
        (
            [{**make_record({"a": make_pose(0)}), "human_annotations": {}}],
            r"boxes of \[\] and keypoints of \['a'\]",
        ),
    ],
)
def test_wrong_files_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_records(write(tmp_path, content))


def test_an_absent_file_and_an_unknown_layout_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.json"):
        read_records(tmp_path / "no.json")
    with pytest.raises(ValueError, match="layout must be aic14 or coco17_neckhead"):
        convert_records([], {}, "aic15")
