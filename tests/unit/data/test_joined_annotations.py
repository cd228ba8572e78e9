"""A split of several annotation files: everybody of all files is learned and tested."""

import json

import numpy as np
import pytest
import yaml

from poseras.data.annotation import read_split
from poseras.data.dataset import load_dataset
from poseras.data.evaluation_set import (
    describe_annotations,
    find_evaluation_files,
    load_evaluation_set,
)
from poseras.data.space_by_file import attach_space_by_file
from poseras.data.training_samples import load_training_pictures
from poseras.data.training_set import load_training_parts
from poseras.image_evaluation import load_test_pictures

JOINTS = ["pelvis", "left_hip", "right_hip"]
BOX_MM = (2000.0, 2000.0)
OUTLINE = [[1, 1, 9, 1, 9, 9]]


def person(number, image, depth_mm=4000.0):
    return {
        **{"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 400.0},
        **{"bbox": [20, 20, 40, 40], "num_keypoints": 3, "segmentation": OUTLINE},
        "keypoints": [50, 50, 2, 55, 50, 2, 45, 50, 2],
        "joints_camera_mm": [[0, 0, depth_mm], [100, 0, depth_mm], [-100, 0, depth_mm]],
    }


def write_file(root, name, people, images, focal_length=1000):
    camera = {"f": [focal_length, focal_length], "c": [50, 50]}
    pictures = [
        {"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100, "camera": camera}
        for i in images
    ]
    categories = [{"id": 1, "name": "person", "keypoints": JOINTS}]
    content = {"images": pictures, "annotations": people, "categories": categories}
    (root / name).write_text(json.dumps(content))
    (root / "images").mkdir(exist_ok=True)
    for picture in pictures:
        (root / "images" / picture["file_name"]).touch()


def write_dataset(root, names, evaluation="coco"):
    files = {"annotations": names, "images": "images"}
    keypoints = {"keypoints": JOINTS, "oks_sigmas": [0.1] * 3}
    content = {
        "keypoint_sets": {"own": keypoints},
        "evaluation": evaluation,
        "splits": {"train": files, "val": files},
    }
    (root / "data" / "Own").mkdir(parents=True, exist_ok=True)
    (root / "data" / "Own" / "dataset.yaml").write_text(yaml.safe_dump(content))
    return load_dataset(root, "Own")


@pytest.fixture
def dataset(tmp_path):
    """Three files: person 7 on picture 30, nobody on picture 31, person 5 on picture 20."""
    write_file(tmp_path, "a.json", [person(7, 30)], [29, 30])
    write_file(tmp_path, "nobody.json", [], [31])
    write_file(tmp_path, "b.json", [person(5, 20, depth_mm=2000.0)], [20], focal_length=500)
    return write_dataset(tmp_path, ["a.json", "nobody.json", "b.json"])


def test_all_files_of_a_split_are_one_table(dataset, tmp_path):
    table = read_split(dataset, "val", segmentations=True)
    assert [path.name for path in table.sources] == ["a.json", "nobody.json", "b.json"]
    assert table.annotation_ids.tolist() == [7, 5] and table.first_images == (0, 2, 3)
    assert table.images.ids[table.image_index].tolist() == [30, 20]
    assert [table.segmentation(row) for row in range(2)] == [OUTLINE, OUTLINE]
    assert table.take(np.array([1])).segmentation(0) == OUTLINE
    assert read_split(dataset, "val").segmentations is None


def test_named_files_take_the_place_of_all(dataset, tmp_path):
    one = read_split(dataset, "val", annotations=tmp_path / "b.json")
    assert one.annotation_ids.tolist() == [5] and one.sources == (tmp_path / "b.json",)
    named = (tmp_path / "b.json", tmp_path / "a.json")
    assert read_split(dataset, "val", annotations=named).annotation_ids.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("people", "images", "message"),
    [
        ([person(8, 30)], [30], r"Each image id .* 30 in .*a\.json and .*b\.json; number one"),
        ([person(7, 40)], [40], r"Each annotation id .* 7 in .*a\.json and .*b\.json; number one"),
    ],
)
def test_an_id_that_stands_in_two_files_is_refused(dataset, tmp_path, people, images, message):
    write_file(tmp_path, "b.json", people, images)
    with pytest.raises(ValueError, match=message):
        read_split(dataset, "val")


def test_people_of_all_files_are_learned_one_by_one_and_by_picture(dataset, tmp_path):
    (people,) = load_training_parts(tmp_path, ["Own"], dataset.skeleton)
    assert people.annotation_ids.tolist() == [7, 5] and people.space is None
    pictures = load_training_pictures(tmp_path, ["Own"], dataset.skeleton)
    assert sorted(pictures.image_ids.tolist()) == [20, 30]


def test_a_split_without_anybody_in_its_files_is_refused(dataset, tmp_path):
    for name, image in (("a.json", 1), ("b.json", 2)):
        write_file(tmp_path, name, [], [image])
    with pytest.raises(ValueError, match="Nobody is annotated in the 3 files of the split train"):
        load_training_parts(tmp_path, ["Own"], dataset.skeleton)


def check_space(people):
    """Each of both knows the depth and the camera of its own file."""
    at = {int(number): row for row, number in enumerate(people.annotation_ids)}
    rows = [at[7], at[5]]
    assert people.space.root_camera_mm[rows, 2].tolist() == [4000, 2000]
    assert people.space.cameras[rows, 0].tolist() == [1000, 500]
    assert people.image_ids[rows].tolist() == [30, 20]


def test_people_in_space_know_what_their_own_file_says(dataset, tmp_path):
    (people,) = load_training_parts(tmp_path, ["Own"], dataset.skeleton, root_box_mm=BOX_MM)
    assert people.annotation_ids.tolist() == [7, 5]
    check_space(people)


@pytest.mark.parametrize("root_box_mm", [None, BOX_MM])
def test_people_of_all_files_are_tested_and_the_origin_names_the_files(
    dataset, tmp_path, root_box_mm
):
    files = find_evaluation_files(tmp_path, "Own", "val", use_gt_box=True)
    test = load_evaluation_set(files, dataset.skeleton, root_box_mm=root_box_mm)
    assert test.records.annotation_ids.tolist() == [5, 7]  # by the ids of their pictures
    assert test.table.annotation_ids.tolist() == [7, 5]
    assert test.records.images is test.table.images
    assert test.origin["annotations"] == tmp_path / "a.json"
    assert test.origin["more_annotations"] == ["nobody.json", "b.json"]
    if root_box_mm:
        check_space(test.records)


def test_boxes_of_a_detector_that_found_nobody_are_tested_on_all_files_in_space(dataset, tmp_path):
    table = read_split(dataset, "val")
    (tmp_path / "boxes.json").write_text("[]")
    named = {"detections": str(tmp_path / "boxes.json")}
    files = find_evaluation_files(tmp_path, "Own", "val", **named)
    test = load_evaluation_set(files, dataset.skeleton, root_box_mm=BOX_MM)
    assert len(test.records) == 0 and len(test.table) == 2
    nobody = load_evaluation_set(
        find_evaluation_files(tmp_path, "Own", "val", use_gt_box=True), dataset.skeleton
    ).records.take(np.zeros(0, int))
    people = attach_space_by_file(nobody, table, dataset, dataset.skeleton, box_mm=BOX_MM)
    assert len(people) == 0 and people.space.joints_camera_mm.shape == (0, 3, 3)


def test_a_bottom_up_test_looks_at_the_pictures_of_all_files(dataset, tmp_path):
    files = find_evaluation_files(tmp_path, "Own", "val", use_gt_box=True)
    test, pictures = load_test_pictures(files, dataset.skeleton)
    assert sorted(pictures.image_ids.tolist()) == [20, 30]
    assert test.origin["more_annotations"] == ["nobody.json", "b.json"]


def test_a_named_file_is_tested_alone_and_the_origin_says_so(dataset, tmp_path):
    named = str(tmp_path / "b.json")
    files = find_evaluation_files(tmp_path, "Own", "val", named, use_gt_box=True)
    test = load_evaluation_set(files, dataset.skeleton)
    assert test.records.annotation_ids.tolist() == [5]
    assert describe_annotations(files)["annotations"] == tmp_path / "b.json"
    assert "more_annotations" not in test.origin


def test_each_file_of_a_test_must_be_there_before_it_begins(dataset, tmp_path):
    (tmp_path / "b.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"No annotations at .*b\.json"):
        find_evaluation_files(tmp_path, "Own", "val", use_gt_box=True)


@pytest.mark.parametrize("evaluation", ["crowdpose", "mpii"])
def test_protocols_that_score_by_the_file_itself_take_one_alone(dataset, tmp_path, evaluation):
    write_dataset(tmp_path, ["a.json", "b.json"], evaluation)
    with pytest.raises(ValueError, match=f"{evaluation} of Own is scored by one .* Received 2"):
        find_evaluation_files(tmp_path, "Own", "val", use_gt_box=True)
    named = str(tmp_path / "b.json")
    assert find_evaluation_files(tmp_path, "Own", "val", named, use_gt_box=True)
