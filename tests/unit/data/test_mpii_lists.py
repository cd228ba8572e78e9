"""MPII's lists of single people: boxes that a person can check by hand, and wrong entries."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from poseras.data.mpii_lists import convert_people, place_box, read_head_boxes, read_people


def make_person(**others):
    person = {
        "image": "a.jpg",
        "center": [101.0, 51.0],
        "scale": 2.0,
        "joints": [[11.0, 21.0]] * 15 + [[-1.0, -1.0]],
        "joints_vis": [1] * 15 + [0],
    }
    return {**person, **others}


def write(path, people):
    path.write_text(json.dumps(people))
    return path


def test_a_box_is_200_scales_wide_around_the_lowered_centre():
    # The centre (101, 51) counted from 1 is (100, 50) from 0; 15 * 2 lower is 80.
    assert place_box([101.0, 51.0], 2.0) == [100 - 200, 80 - 200, 400, 400]
    assert place_box([-1.0, -1.0], -1.0) == [0, 0, 0, 0]


def test_people_keep_their_rows_and_pixels_count_from_0():
    people = [make_person(image="b.jpg"), make_person(), make_person(image="b.jpg")]
    sizes = {"a.jpg": (10, 20), "b.jpg": (30, 40)}
    content = convert_people(people, sizes, np.arange(12.0).reshape(3, 4)).content
    assert [(i["id"], i["file_name"], i["width"]) for i in content["images"]] == [
        (0, "images/b.jpg", 40),
        (1, "images/a.jpg", 20),
    ]
    rows = content["annotations"]
    assert [(row["id"], row["image_id"]) for row in rows] == [(0, 0), (1, 1), (2, 0)]
    assert rows[0]["keypoints"][:3] == [10, 20, 1] and rows[0]["keypoints"][-3:] == [0, 0, 0]
    assert rows[0]["num_keypoints"] == 15
    assert rows[1]["bbox_head"] == [4, 5, 6, 7]
    assert content["info"] == {"first_pixel": 0}


def test_people_of_the_test_split_have_no_joints():
    person = {"image": "a.jpg", "center": [101.0, 51.0], "scale": 2.0}
    (row,) = convert_people([person], {"a.jpg": (1, 1)}).content["annotations"]
    assert row["num_keypoints"] == 0 and not any(row["keypoints"]) and row["bbox"][2] == 400


def test_head_boxes_count_from_0(tmp_path):
    corners = np.array([[[1.0, 11], [2, 12]], [[4, 21], [6, 32]]])  # (corner, xy, people)
    savemat(tmp_path / "gt.mat", {"headboxes_src": corners})
    boxes = read_head_boxes(tmp_path / "gt.mat", 2)
    assert boxes.tolist() == [[0, 1, 3, 4], [10, 11, 10, 20]]
    with pytest.raises(ValueError, match=r"shape \(2, 2, 3\).* Received \(2, 2, 2\)"):
        read_head_boxes(tmp_path / "gt.mat", 3)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({}, "must be a list of people"),
        ([], "must be a list of people"),
        ([make_person(), {"image": "a.jpg"}], r"Person 1 of .*Received no center and no scale"),
        ([make_person(center=[1.0])], "Person 0 of .* must have image, center"),
        ([make_person(scale="big")], "Person 0 of"),
        ([make_person(joints=[[1.0, 2.0]] * 14)], "Person 0 of .* 16 joints"),
        ([make_person(joints="none")], "Person 0 of"),
        ([make_person(joints_vis=[1])], "Person 0 of"),
    ],
)
def test_a_wrong_list_is_one_line_that_names_the_entry(tmp_path, people, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_people(write(tmp_path / "valid.json", people))
    assert "\n" not in str(caught.value)


def test_missing_and_cut_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No list of people at .*valid\.json"):
        read_people(tmp_path / "valid.json")
    (tmp_path / "valid.json").write_text('[{"image"')
    with pytest.raises(ValueError, match="It is not JSON"):
        read_people(tmp_path / "valid.json")
