"""Data set roots of pose-tensorflow, and files and pictures of different phases."""

import json

import numpy as np
import pytest

from poseras.data.dataset import load_dataset
from poseras.data.evaluation_set import find_evaluation_files
from poseras.data.training_samples import load_training_pictures

PERSON = {"category_id": 1, "iscrowd": 0, "num_keypoints": 17, "bbox": [1, 1, 9, 9], "area": 81}


def write_root(root, names, phase="train2014"):
    """`annotations/person_keypoints_<phase>.json` and `images/<phase>` with empty files."""
    images = [
        {"id": number, "file_name": name, "height": 20, "width": 30}
        for number, name in enumerate(names)
    ]
    people = [
        {**PERSON, "id": n, "image_id": n, "keypoints": [5, 5, 2] * 17} for n in range(len(names))
    ]
    content = {"images": images, "annotations": people, "neck": []}
    annotations = root / "annotations" / f"person_keypoints_{phase}.json"
    annotations.parent.mkdir(parents=True, exist_ok=True)
    annotations.write_text(json.dumps(content))
    folder = root / "images" / phase
    folder.mkdir(parents=True)
    for name in names:
        (folder / (name if "." in name else f"{name}.jpg")).write_bytes(b"")
    return annotations, folder


def load(project_root, annotations, images):
    skeleton = load_dataset(project_root, "COCO").skeleton
    return load_training_pictures(
        project_root,
        ["COCO"],
        skeleton,
        annotations=str(annotations),
        images=str(images),
        small_area=0.0,
    )


def test_names_without_an_ending_are_jpeg_files(tmp_path, project_root):
    annotations, images = write_root(tmp_path, ["a1b2", "c.png"])
    records = load(project_root, annotations, images)
    assert records.images.paths == (f"{images}/a1b2.jpg", f"{images}/c.png")
    assert len(records) == 2 and (records.people.keypoints[..., 2] == 2).all()


def test_small_people_are_learned_when_no_area_is_small(tmp_path, project_root):
    annotations, images = write_root(tmp_path, ["a.jpg"])
    skeleton = load_dataset(project_root, "COCO").skeleton
    files = {"annotations": str(annotations), "images": str(images)}
    hidden = load_training_pictures(project_root, ["COCO"], skeleton, **files)
    assert not np.any(hidden.people.keypoints[..., 2])


def test_annotations_of_another_phase_than_the_pictures_are_refused(tmp_path, project_root):
    annotations, _ = write_root(tmp_path, ["a.jpg", "b.jpg"])
    _, others = write_root(tmp_path, ["c.jpg"], "val2014")
    with pytest.raises(FileNotFoundError, match="val2014; it lists a.jpg.*release and phase"):
        load(project_root, annotations, others)


def test_a_file_without_people_cannot_be_trained_on(tmp_path, project_root):
    annotations, images = write_root(tmp_path, ["a.jpg"])
    content = json.loads(annotations.read_text())
    annotations.write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(ValueError, match="needs pictures with labelled keypoints.*has none"):
        load(project_root, annotations, images)


def test_a_test_reads_the_files_that_it_is_told(tmp_path, project_root):
    annotations, images = write_root(tmp_path, ["a.jpg"])
    files = find_evaluation_files(
        project_root, "COCO", "val", str(annotations), use_gt_box=True, images=str(images)
    )
    assert (files.annotations, files.images) == (annotations, images)
    assert files.dataset.split("val").images == images and files.dataset.evaluation == "coco"
    matlab = annotations.with_name("dataset.mat")
    matlab.write_bytes(b"")
    found = find_evaluation_files(project_root, "MPII", "val", str(matlab), use_gt_box=True)
    assert found.dataset.evaluation == "pck" and found.images == matlab.parent


def test_of_a_missing_matlab_file_the_tool_is_named_that_makes_it(project_root):
    message = r"No annotations at .*gone-test\.mat\. python tool/mpii_crops\.py makes MPII's"
    with pytest.raises(FileNotFoundError, match=message):
        find_evaluation_files(project_root, "MPII", "val", "data/gone-test.mat", use_gt_box=True)
