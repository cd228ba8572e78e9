"""Which files a test on PoseTrack needs, and that they must be of one label version."""

import json
import logging
import shutil

import pytest

from poseras.data.annotation import read_split
from poseras.data.dataset import load_dataset
from poseras.data.evaluation_set import find_evaluation_files, load_evaluation_set
from poseras.data.persons import training_persons


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def project(tmp_path, project_root):
    """Two sequences of one frame and one person each, with a detection on both."""
    folder = tmp_path / "data" / "PoseTrack"
    folder.mkdir(parents=True)
    shutil.copy(project_root / "data" / "PoseTrack" / "dataset.yaml", folder)
    names = list(load_dataset(tmp_path, "PoseTrack").skeleton.keypoints)
    images, people = [], []
    categories = [{"id": 1, "name": "person", "keypoints": names}]
    for number in (1, 2):
        image = {"id": number, "file_name": f"images/{number}.jpg", "width": 90, "height": 90}
        person = {
            "id": number,
            "image_id": number,
            "bbox": [1, 2, 30, 40],
            "keypoints": [5, 5, 1] * len(names),
        }
        content = {"images": [image], "annotations": [person], "categories": categories}
        write_json(folder / "original_annotations" / "val" / f"{number}.json", content)
        images.append(image)
        people.append(person)
    whole = {"images": images, "annotations": people, "categories": categories}
    write_json(folder / "annotations" / "val2018.json", whole)
    write_boxes(tmp_path, (1, 2))
    return tmp_path


def write_boxes(root, image_ids):
    boxes = [
        {"image_id": i, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5} for i in image_ids
    ]
    write_json(root / "data" / "PoseTrack" / "dets" / "human_detection.json", boxes)


def load(project, on_bad_sample="stop", **choices):
    files = find_evaluation_files(project, "PoseTrack", "val", **choices)
    skeleton = files.dataset.skeleton
    return load_evaluation_set(files, skeleton, on_bad_sample=on_bad_sample)


def test_a_test_on_posetrack_brings_its_sequences(project):
    test = load(project)
    assert list(test.sequences) == ["1.json", "2.json"] and len(test.records) == 2
    assert load(project, use_gt_box=True).origin["boxes"] == "annotated"


def test_missing_sequences_are_said_before_anything_is_read(project):
    shutil.rmtree(project / "data" / "PoseTrack" / "original_annotations")
    with pytest.raises(FileNotFoundError, match=r"No PoseTrack sequences at .*/val\. .*README"):
        find_evaluation_files(project, "PoseTrack", "val")


def test_detections_of_another_label_version_are_refused_or_said(project, caplog):
    write_boxes(project, (2,))
    with pytest.raises(ValueError, match=r"lie on 1 of the 2 sequences, none on 1\..*=skip"):
        load(project)
    with caplog.at_level(logging.WARNING, "poseras"):
        assert len(load(project, on_bad_sample="skip").records) == 1
    assert "lie on 1 of the 2 sequences" in caplog.text


def test_annotations_of_another_label_version_are_refused(project):
    path = project / "data" / "PoseTrack" / "original_annotations" / "val"
    (path / "3.json").write_text((path / "2.json").read_text().replace('"id": 2', '"id": 3'))
    with pytest.raises(ValueError, match=r"1 of the 3 sequences of .* are not in .*: 3\."):
        load(project)


def test_the_count_of_the_file_is_trusted_as_the_published_loader_does(project):
    """A person with labels 0 but a positive num_keypoints trains on PoseTrack, not on COCO."""
    folder = project / "data" / "PoseTrack"
    content = json.loads((folder / "annotations" / "val2018.json").read_text())
    person = content["annotations"][0]
    person["keypoints"] = [5, 5, 0] * (len(person["keypoints"]) // 3)
    person["num_keypoints"] = 3
    write_json(folder / "annotations" / "train2018.json", content)
    dataset = load_dataset(project, "PoseTrack")
    table = read_split(dataset, "train")
    assert not dataset.skip_unlabelled
    assert len(training_persons(table, skip_unlabelled=dataset.skip_unlabelled)) == 2
    assert len(training_persons(table)) == 1


@pytest.fixture
def coco_project(tmp_path, project_root):
    """A picture with a labelled person, one without labels, and a crowd."""
    folder = tmp_path / "data" / "COCO"
    folder.mkdir(parents=True)
    shutil.copy(project_root / "data" / "COCO" / "dataset.yaml", folder)
    dataset = load_dataset(tmp_path, "COCO")
    joints = dataset.skeleton.joint_count
    people = [
        {"id": 1, "bbox": [10, 20, 30, 40], "keypoints": [15, 25, 2] + [0] * 3 * (joints - 1)},
        {"id": 2, "bbox": [50, 20, 30, 40], "keypoints": [0] * 3 * joints},
        {"id": 3, "bbox": [0, 0, 90, 90], "keypoints": [0] * 3 * joints, "iscrowd": 1},
    ]
    shared = {"image_id": 7, "category_id": 1, "area": 600}
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "width": 90, "height": 90}],
        "annotations": [{"iscrowd": 0, **person, **shared} for person in people],
        "categories": [{"id": 1, "name": "person", "keypoints": list(dataset.skeleton.keypoints)}],
    }
    write_json(dataset.split("val").annotations, content)
    return tmp_path


@pytest.mark.parametrize(
    ("gt_people", "ids", "box"),
    [("all", [1, 2, 3], [10, 20, 30, 40]), ("labelled", [1], [10, 20, 29, 39])],
)
def test_annotated_people_are_all_or_those_that_microsoft_s_code_keeps(
    coco_project, gt_people, ids, box
):
    files = find_evaluation_files(coco_project, "COCO", "val", use_gt_box=True, gt_people=gt_people)
    test = load_evaluation_set(files, files.dataset.skeleton)
    assert test.records.annotation_ids.tolist() == ids
    assert test.records.boxes_xywh[0].tolist() == box
    assert test.origin.get("gt_people", "all") == gt_people
    assert len(test.table) == 3, "all of them stay in the truth"
