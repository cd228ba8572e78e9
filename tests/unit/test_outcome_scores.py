"""People found, scored by the protocol of their data set: AI Challenger's real sample."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf
from scipy.io import loadmat, savemat

import config as main_config
from poseras.codecs.pairwise_models import measure_statistics
from poseras.data.ai_challenger import convert_records, list_pictures, read_records
from poseras.data.annotation import read_split
from poseras.data.dataset import choose_skeleton, load_dataset, replace_files
from poseras.data.evaluation_set import (
    EvaluationFiles,
    EvaluationSet,
    find_evaluation_files,
    load_evaluation_set,
)
from poseras.data.image_records import require_pictures, training_pictures
from poseras.data.image_size import measure_pictures
from poseras.engine import tester
from poseras.engine.snapshot import Snapshot
from poseras.evaluation import evaluate, write_outcome
from poseras.image_evaluation import evaluate_by_settings, load_test_pictures, score_pictures
from poseras.outcome_scores import score_people
from poseras.predictor import Predictor
from poseras.structures import People
from poseras.systems.simple_baselines import options as simple_baselines
from poseras.systems.simple_baselines.system import System


@pytest.fixture
def converted(samples, tmp_path, project_root):
    """The sample through the converter, as data set and annotations."""
    source = samples / "AIChallenger" / "keypoint_train_annotations_20170909.json"
    images = samples / "AIChallenger" / "images"
    records = read_records(source)
    sizes = measure_pictures(list_pictures(records, images), source)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(convert_records(records, sizes).content))
    dataset = replace_files(load_dataset(project_root, "AIChallenger"), "train", path, images)
    return dataset, read_split(dataset, "train")


def score(people, dataset, table):
    files = dataset.split("train")
    read = EvaluationFiles(dataset, "train", files.annotations, files.images, None)
    records = training_pictures(table, small_area=0.0).people
    test = EvaluationSet(table, records, read, {})
    return score_people(people, test, dataset.skeleton, "fast")[0]


def true_people(table):
    people = {}
    for image in np.unique(table.image_index).tolist():
        keypoints = table.keypoints[table.image_index == image].astype(np.float64)
        people[int(table.images.ids[image])] = People(
            keypoints[..., :2], (keypoints[..., 2] > 0).astype(np.float64), np.ones(len(keypoints))
        )
    return people


def test_the_people_of_the_sample_have_the_full_score_of_the_challenge(converted):
    dataset, table = converted
    require_pictures(table)
    assert dataset.evaluation == "ai_challenger" and len(table)
    people = true_people(table)
    scores = score(people, dataset, table)
    seen = (table.keypoints[..., 2] == 2).any(axis=1)
    assert scores.stats["AP"] == pytest.approx(seen.mean())
    moved = {
        i: People(p.keypoints_px + 200, p.keypoint_scores, p.person_scores)
        for i, p in people.items()
    }
    assert score(moved, dataset, table).stats["AP"] == 0


def test_statistics_of_the_sample_are_of_its_fourteen_joints(converted):
    _, table = converted
    statistics, _ = measure_statistics(table.keypoints, table.skeleton.flip_permutation)
    assert statistics.joint_count == 14


def write_one_person(folder, root, dataset, **choices):
    """The files of a test on one picture with one person, and the skeleton."""
    skeleton = choose_skeleton(root, [dataset])
    points = np.random.default_rng(1).integers(0, 40, (skeleton.joint_count, 2))
    person = {
        "keypoints": np.column_stack([points, np.full(len(points), 2)]).ravel().tolist(),
        **{"id": 1, "image_id": 5, "category_id": 1, "num_keypoints": len(points)},
        **{"bbox": [0, 0, 40, 40], "area": 1600, "iscrowd": 0},
    }
    image = {"id": 5, "file_name": "5.png", "height": 50, "width": 50, "crowdIndex": 0.5}
    categories = [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}]
    content = {"images": [image], "annotations": [person], "categories": categories}
    (folder / "people.json").write_text(json.dumps(content))
    (folder / "5.png").touch()
    named = {"annotations": str(folder / "people.json"), "images": str(folder), **choices}
    return find_evaluation_files(root, dataset, "val", **named), skeleton


def check_score_of_nobody(outcome, folder):
    """Nobody is found, which costs the whole score and is written as such."""
    assert outcome.people == {}
    stats = outcome.evaluation.stats
    assert (stats["AP"], stats["AP .5"], stats["AP .75"]) == (0, 0, 0)
    assert all(value in (0, -1) for value in stats.values())  # -1: nobody is of that size
    write_outcome(outcome, folder / "result")
    assert json.loads((folder / "result" / "result.json").read_text()) == []
    metrics = json.loads((folder / "result" / "metrics.json").read_text())
    assert metrics["metrics"]["AP"] == 0 and metrics["protocol"]["evaluation"]


@pytest.mark.parametrize("dataset", ["COCO", "CrowdPose", "AIChallenger"])
@pytest.mark.parametrize("evaluator", ["fast", "both"])
def test_a_test_in_which_nobody_is_found_has_the_score_0(
    tmp_path, project_root, dataset, evaluator
):
    files, skeleton = write_one_person(tmp_path, project_root, dataset, use_gt_box=True)
    test, records = load_test_pictures(files, skeleton)
    nobody = np.zeros((0, skeleton.joint_count, 2))
    found = {0: People(nobody, nobody[..., 0], np.zeros(0))}
    outcome = score_pictures(lambda _: found, test, records, skeleton, evaluator)
    check_score_of_nobody(outcome, tmp_path)


@pytest.mark.parametrize("dataset", ["COCO", "CrowdPose", "AIChallenger"])
@pytest.mark.parametrize("scores", [(), (0.5, 0.3)], ids=["no box", "faint boxes"])
def test_a_test_on_boxes_of_a_detector_that_found_nobody_has_the_score_0(
    tmp_path, project_root, caplog, dataset, scores
):
    boxes = [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 9, 9], "score": s} for s in scores]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    detections = str(tmp_path / "boxes.json")
    files, skeleton = write_one_person(tmp_path, project_root, dataset, detections=detections)
    options = simple_baselines.Options()
    system, view = System(options, skeleton), simple_baselines.default_view(options)
    snapshot = Snapshot(tmp_path / "s.safetensors", {}, {"system": "simple_baselines"}, "")
    # Nobody is looked at, so there need not be a network.
    predictor = Predictor(system, None, view, tf.distribute.get_strategy(), snapshot)
    config = main_config.build_config({"test.detection_threshold": 0.5, "data.workers": 1})
    outcome = evaluate_by_settings(
        predictor, files, root=project_root, data=config.data, test=config.test
    )
    assert outcome.protocol["people_looked_for"] == 0
    check_score_of_nobody(outcome, tmp_path)
    assert "Nobody was found on any picture, so everybody annotated is missed." in caplog.text


@pytest.mark.parametrize(
    ("dataset", "detected", "told"), [("COCO", True, 1), ("COCO", False, 0), ("MPII", False, 0)]
)
def test_doubles_are_warned_of_before_anybody_is_looked_for(
    tmp_path, project_root, caplog, dataset, detected, told
):
    tester._warn_of_doubles.cache_clear()
    boxes = [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}] * 2
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    named = {"detections": str(tmp_path / "boxes.json")} if detected else {"use_gt_box": True}
    files, skeleton = write_one_person(tmp_path, project_root, dataset, **named)
    test = load_evaluation_set(files, skeleton)
    if not detected:  # two people whose boxes are annotated
        test = replace(test, records=test.records.take(np.array([0, 0])))
    said = []

    def predict(records):
        said.extend(message for message in caplog.messages if "OKS NMS is off" in message)
        shape = (len(records), skeleton.joint_count)
        nowhere = np.zeros(len(records), bool)
        return tester.Predictions(np.zeros((*shape, 2)), np.zeros(shape), nowhere)

    outcome = evaluate(predict, test, skeleton, selection=tester.Selection(1.0, 1.25))
    assert len(said) == told and all("test.box_nms_threshold" in message for message in said)
    assert outcome.protocol["oks_nms_threshold"] == 0
    write_outcome(outcome, tmp_path / "result")
    if dataset == "MPII":  # where nobody is found, each annotated person has a row without numbers
        predictions = loadmat(tmp_path / "result" / "pred.mat")["preds"]
        assert predictions.shape == (1, 16, 2) and np.isnan(predictions).all()
        assert outcome.evaluation.stats["Mean"] == 0


def test_people_of_a_matlab_file_are_scored_by_pck_and_written(tmp_path, project_root):
    random = np.random.default_rng(0)
    dataset = np.zeros((1, 2), [("image", object), ("size", object), ("joints", object)])
    poses = []
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((9, 9, 3), np.uint8))
        points = random.integers(0, 200, (14, 2))
        cell = np.zeros((1, 1), object)
        cell[0, 0] = np.column_stack([np.arange(14), points]).astype(np.int32)
        dataset[0, number] = (f"{number}.png", np.array([[3, 9, 9]]), cell)
        poses.append(points.astype(np.float64))
    savemat(tmp_path / "dataset.mat", {"dataset": dataset, "head_size_px": 50.0})
    path = str(tmp_path / "dataset.mat")
    files = find_evaluation_files(project_root, "MPII", "val", path, use_gt_box=True)
    skeleton = choose_skeleton(project_root, ["MPII"], "MPII/mpii_14")
    test, records = load_test_pictures(files, skeleton)
    assert len(records) == 2

    def find(_):
        found = [People(pose[None], np.ones((1, 14)), np.ones(1)) for pose in poses]
        found[1].keypoints_px[0, 0] += 500
        return dict(enumerate(found))

    outcome = score_pictures(find, test, records, skeleton)
    stats = outcome.evaluation.stats
    assert stats["PCK@0.05"] == pytest.approx(100 * (13 + 0.5) / 14)
    assert stats["PCKh@0.5"] == pytest.approx(100 * 27 / 28)
    assert outcome.protocol["evaluation"]["head_size_px"] == 50
    write_outcome(outcome, tmp_path / "result")
    metrics = json.loads((tmp_path / "result" / "metrics.json").read_text())
    assert metrics["metrics"]["PCK@0.2"] == stats["PCK@0.2"]
