"""A training or a test on the first pictures of a file: who is learned, looked for and scored."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import config as main_config
from poseras import evaluation
from poseras.data.dataset import load_dataset
from poseras.data.evaluation_set import find_evaluation_files, load_evaluation_set
from poseras.data.first_pictures import keep_first_pictures
from poseras.data.training_samples import load_training_samples
from poseras.image_evaluation import evaluate_by_settings, load_test_pictures
from poseras.outcome_scores import score_people
from poseras.structures import People

#: Picture of each person; 30 has nobody. The file lists pictures in the order of `IMAGES`.
OWNERS, IMAGES = (20, 10, 10, 40), (10, 20, 30, 40)


@pytest.fixture
def folder(tmp_path):
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 200, "width": 300} for i in IMAGES]
    people = [
        {
            "id": number + 1,
            "image_id": image,
            "category_id": 1,
            "iscrowd": 0,
            "area": 4000.0,
            "bbox": [10, 10, 80, 80],
            "num_keypoints": 17,
            "keypoints": [50, 50, 2] * 17,
            "segmentation": [],
        }
        for number, image in enumerate(OWNERS)
    ]
    (tmp_path / "people.json").write_text(json.dumps({"images": images, "annotations": people}))
    for image in IMAGES:
        (tmp_path / f"{image}.jpg").write_bytes(b"")
    return tmp_path


def load_samples(project_root, folder, sample, count):
    files = {"data.annotations": str(folder / "people.json"), "data.images": str(folder)}
    config = main_config.build_config({**files, "data.most_pictures": count})
    skeleton = load_dataset(project_root, "COCO").skeleton
    samples, _ = load_training_samples(project_root, config.data, skeleton, sample=sample, seed=1)
    return samples


@pytest.mark.parametrize(
    ("count", "learned"), [(0, [10, 20, 40]), (1, [10]), (2, [10, 20]), (9, [10, 20, 40])]
)
def test_a_training_sees_the_first_pictures_with_somebody(project_root, folder, count, learned):
    pictures = load_samples(project_root, folder, "image", count)
    assert pictures.image_ids.tolist() == learned
    assert len(pictures.people) == pictures.first_person[-1]
    people = load_samples(project_root, folder, "person", count)
    owners = people.images.ids[people.image_index]
    assert sorted(owners) == sorted(image for image in OWNERS if image in learned)


def find_files(project_root, folder, dataset="COCO", **choices):
    return find_evaluation_files(
        project_root,
        dataset,
        "val",
        str(folder / "people.json"),
        images=str(folder),
        **{"use_gt_box": True, **choices},
    )


def test_a_test_looks_for_the_people_of_the_first_pictures_and_misses_no_others(
    project_root, folder
):
    files = find_files(project_root, folder)
    whole = load_evaluation_set(files, files.dataset.skeleton)
    assert keep_first_pictures(whole, 0) is whole
    test = keep_first_pictures(whole, 2)
    assert sorted(test.table.annotation_ids) == sorted(test.records.annotation_ids) == [1, 2, 3]
    assert test.origin["pictures"] == "the first 2 of 3"
    assert keep_first_pictures(whole, 9).origin["pictures"] == "the first 3 of 3"


def test_the_setting_reaches_a_test_on_people(project_root, folder, monkeypatch):
    files = find_files(project_root, folder)
    predictor = SimpleNamespace(
        sees_whole_pictures=False,
        skeleton=files.dataset.skeleton,
        root_box_mm=None,
        make_selection=lambda **given: None,
        predict_records=print,
    )
    looked_for = []

    def evaluate(predict, test, skeleton, **given):
        looked_for.extend(test.records.annotation_ids.tolist())
        return evaluation.Outcome(test, skeleton, {}, None, {})

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(evaluation, "describe_test", lambda _, test, **given: test.origin)
    config = main_config.build_config({"test.most_pictures": 1})
    outcome = evaluate_by_settings(
        predictor, files, root=project_root, data=config.data, test=config.test
    )
    assert sorted(looked_for) == [2, 3]
    assert outcome.protocol["pictures"] == "the first 1 of 3"


@pytest.mark.parametrize(
    ("all_images", "count", "seen", "told"),
    [
        (False, 3, [10, 20, 40], "the first 3 of 3"),
        (True, 3, [10, 20, 30], "the first 3 of 4"),
        (True, 0, [10, 20, 30, 40], None),
    ],
)
def test_whole_pictures_are_counted_among_those_that_are_looked_at(
    project_root, folder, all_images, count, seen, told
):
    files = find_files(project_root, folder)
    test, records = load_test_pictures(
        files, files.dataset.skeleton, all_images=all_images, most_pictures=count
    )
    assert records.image_ids.tolist() == seen and test.origin.get("pictures") == told
    assert len(records.first_person) == len(seen) + 1
    owners = test.table.images.ids[test.table.image_index]
    assert sorted(owners) == sorted(image for image in OWNERS if image in seen)


def test_without_annotations_the_first_pictures_of_all_are_looked_at(project_root, folder):
    path = folder / "people.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    files = find_files(project_root, folder)
    _, records = load_test_pictures(files, files.dataset.skeleton, most_pictures=2)
    assert records.image_ids.tolist() == [10, 20]


def test_first_pictures_without_a_detection_are_an_error(project_root, folder):
    box = {"image_id": 40, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5}
    (folder / "boxes.json").write_text(json.dumps([box]))
    boxes = {"use_gt_box": False, "detections": str(folder / "boxes.json")}
    files = find_files(project_root, folder, **boxes)
    whole = load_evaluation_set(files, files.dataset.skeleton)
    assert len(keep_first_pictures(whole, 3).records) == 1
    with pytest.raises(ValueError, match="Received none on the first 2; set test.most_pictures"):
        keep_first_pictures(whole, 2)


def test_crowdpose_is_scored_on_the_first_pictures_alone(project_root, folder):
    path = folder / "people.json"
    content = json.loads(path.read_text())
    for person in content["annotations"]:
        person["keypoints"] = [50, 50, 2] * 14
    for image, index in zip(content["images"], (0.0, 0.5, 0.9, 0.9), strict=True):
        image["crowdIndex"] = index
    content["categories"] = [{"id": 1, "name": "person"}]
    path.write_text(json.dumps(content))
    files = find_files(project_root, folder, "CrowdPose")
    skeleton = files.dataset.skeleton
    found = People(np.full((1, 14, 2), 50.0), np.ones((1, 14)), np.ones(1))
    for count, levels, recall in ((1, [1, 0, 0], 0.5), (2, [1, 1, 0], 1 / 3), (0, [1, 1, 2], 0.25)):
        test, _ = load_test_pictures(files, skeleton, most_pictures=count)
        scores, _ = score_people({10: found}, test, skeleton, "fast")
        assert scores.protocol()["images_per_level"] == dict(
            zip(("easy", "medium", "hard"), levels, strict=True)
        )
        assert scores.stats["AR"] == pytest.approx(recall)


def test_posetrack_is_scored_by_whole_sequences(project_root, folder):
    files = find_files(project_root, folder)
    whole = load_evaluation_set(files, files.dataset.skeleton)
    posetrack = replace(files, dataset=replace(files.dataset, evaluation="posetrack"))
    with pytest.raises(ValueError, match="posetrack of COCO scores whole sequences. Received"):
        keep_first_pictures(replace(whole, files=posetrack), 1)


def test_a_negative_number_of_pictures_is_refused():
    for group in ("data", "test"):
        with pytest.raises(ValueError, match=f"{group}.most_pictures must be at least 0"):
            main_config.build_config({f"{group}.most_pictures": -1})
