"""Ids for the people of a made-up PoseTrack set, and what tracking makes of its scores."""

import importlib.util
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import config as main_config
from poseras.data.dataset import load_dataset
from poseras.data.evaluation_set import EvaluationFiles, find_evaluation_files, load_evaluation_set
from poseras.data.posetrack_release import convert_sequences, read_sequences
from poseras.evaluation import Outcome, draw_outcome, write_outcome
from poseras.metrics.posetrack import evaluate_posetrack
from poseras.sequence_tracking import require_sequences, require_sigmas, track_by_settings
from poseras.structures import People

#: Everything moves by STEP a frame, and the second person stands where the first one steps to, so
#: that only who sees the picture move can tell them apart.
STEP, FRAMES, SIZE_WH = 24, 4, (320, 160)
SEQUENCES = ("a.json", "b.json")


def image_id(sequence, frame):
    """Later frames have lower ids: their order is that of the file."""
    return 100 * sequence + 50 - frame


def true_joints(person, frame):
    """(17, 2) joints of somebody 60 px high."""
    x, y = np.meshgrid([0.0, 10, 20], np.linspace(0, 60, 6))
    return np.stack([x.ravel()[:17], y.ravel()[:17]], axis=1) + [40 + STEP * (person + frame), 50]


@pytest.fixture
def project(tmp_path, project_root):
    """A folder with data/PoseTrack: two sequences of a picture that moves, two people on it."""
    folder = tmp_path / "data" / "PoseTrack"
    original = folder / "original_annotations" / "val"
    original.mkdir(parents=True)
    shutil.copy(project_root / "data" / "PoseTrack" / "dataset.yaml", folder)
    names = list(load_dataset(tmp_path, "PoseTrack").skeleton.keypoints)
    texture = np.random.default_rng(0).integers(0, 256, (20, 60, 3)).astype(np.uint8)
    wide = cv2.resize(texture, (3 * SIZE_WH[0], SIZE_WH[1]), interpolation=cv2.INTER_CUBIC)
    for sequence, name in enumerate(SEQUENCES):
        images, people = [], []
        for frame in range(FRAMES):
            file_name = f"images/val/{sequence}/{frame}.png"
            images.append({"id": image_id(sequence, frame), "file_name": file_name})
            path = folder / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            left = SIZE_WH[0] - STEP * frame
            cv2.imwrite(str(path), wide[:, left : left + SIZE_WH[0]])
            for person in range(2):
                joints = np.column_stack([true_joints(person, frame), np.ones(17)])
                people.append(
                    {
                        **{"id": 10 * images[-1]["id"] + person, "image_id": images[-1]["id"]},
                        **{"track_id": person, "bbox_head": [0, 0, 12, 16], "category_id": 1},
                        **{"bbox": [*joints[0, :2].tolist(), 20, 60]},
                        "keypoints": joints.ravel().tolist(),
                    }
                )
        categories = [{"id": 1, "name": "person", "keypoints": names}]
        content = {"images": images, "annotations": people, "categories": categories}
        (original / name).write_text(json.dumps(content))
    sequences = read_sequences(original)
    sizes = {i["file_name"]: SIZE_WH[::-1] for c in sequences.values() for i in c["images"]}
    converted = convert_sequences(sequences, sizes, labelled=True).content
    (folder / "annotations").mkdir()
    (folder / "annotations" / "val2018.json").write_text(json.dumps(converted))
    return tmp_path


@pytest.fixture
def found(project):
    """The outcome of a test that found everybody where they are, in random order."""
    files = find_evaluation_files(project, "PoseTrack", "val", use_gt_box=True)
    skeleton = files.dataset.skeleton
    random = np.random.default_rng(1)
    people = {}
    for sequence in range(2):
        for frame in range(FRAMES):
            joints = np.array([true_joints(p, frame) for p in random.permutation(2)])
            boxes = np.concatenate([joints[:, 0], [[20, 60], [20, 60]]], axis=1)
            at = image_id(sequence, frame)
            people[at] = People(joints, np.full((2, 17), 0.9), np.full(2, 0.9), boxes)
    people = dict(sorted(people.items()))  # as a test gives them, not as the film runs
    return Outcome(load_evaluation_set(files, skeleton), skeleton, people, None, {"boxes": "any"})


def track(outcome, on_bad_sample="stop", **choices):
    choices = {"test.track": "greedy", **{f"test.{k}": v for k, v in choices.items()}}
    config = main_config.build_config({"data.on_bad_sample": on_bad_sample, **choices})
    return track_by_settings(outcome, data=config.data, test=config.test)


def written_files(folder):
    return {path.name: json.loads(path.read_text()) for path in (folder / "val").iterdir()}


def track_of_person(content, sequence):
    """The ids of the first and of the second person, frame by frame."""
    tracks = []
    for frame in range(FRAMES):
        rows = [r for r in content["annotations"] if r["image_id"] == image_id(sequence, frame)]
        rows = sorted(rows, key=lambda row: row["keypoints"][0])
        tracks.append([row["track_id"] for row in rows])
    return tracks


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_people_keep_their_ids_where_the_picture_moves_as_they_do(found, tmp_path, matching):
    outcome = track(found, track=matching)
    assert outcome.evaluation.tracking.mota["total"] == 100
    assert outcome.protocol["tracking"]["matching"] == matching
    write_outcome(outcome, tmp_path / "result")
    written = written_files(tmp_path / "result")
    for sequence, name in enumerate(SEQUENCES):
        tracks = track_of_person(written[name], sequence)
        assert sorted(tracks[0]) == [1, 2], "each sequence begins anew"
        assert tracks == [tracks[0]] * FRAMES
    content = json.loads((tmp_path / "result" / "metrics.json").read_text())
    stats = evaluate_posetrack(outcome.test.sequences, written).stats
    assert content["metrics"] == stats, "the written files give the printed numbers"
    assert {"MOTA Total", "MOTP matched only", "Precision Total", "Recall Total"} <= stats.keys()
    assert content["protocol"]["boxes"] == "any" and content["protocol"]["evaluation"]


def test_who_is_expected_in_place_is_taken_for_the_neighbour(found):
    outcome = track(found, track_motion="none")
    switches = outcome.evaluation.tracking.counts.switches
    assert (switches > 0).all() and outcome.evaluation.tracking.mota["total"] < 100


def test_without_flow_no_picture_is_read(found, project):
    shutil.rmtree(project / "data" / "PoseTrack" / "images")
    assert track(found, track_motion="motion").track_ids
    with pytest.raises(FileNotFoundError, match="No picture at .*0.png"):
        track(found)


def test_an_unreadable_picture_on_which_nobody_is_found_may_be_skipped(found, project, caplog):
    at = image_id(1, 2)
    (project / "data" / "PoseTrack" / "images" / "val" / "1" / "2.png").write_bytes(b"no picture")
    people = {i: p for i, p in found.people.items() if i != at}
    outcome = track(replace(found, people=people), on_bad_sample="skip")
    assert outcome.track_ids.keys() == people.keys()
    assert "Skipped while tracking: " in caplog.text


def test_faint_joints_are_neither_written_nor_scored(found, tmp_path):
    people = {}
    for at, everybody in found.people.items():
        scores = everybody.keypoint_scores.copy()
        scores[:, 0] = 0.4  # not above the threshold
        people[at] = replace(everybody, keypoint_scores=scores)
    outcome = track(replace(found, people=people))
    nose = found.skeleton.keypoints[0]
    assert outcome.evaluation.tracking.recall[nose] == 0
    assert outcome.evaluation.tracking.recall["left_knee"] == 100
    write_outcome(outcome, tmp_path / "result")
    rows = written_files(tmp_path / "result")["a.json"]["annotations"]
    assert all(row["keypoints"][:3] == [0, 0, 0] and row["keypoints"][3] for row in rows)
    kept = track(replace(found, people=people), track_threshold=0.3)
    assert kept.evaluation.tracking.recall[nose] == 100


def test_frames_without_anybody_are_part_of_the_film(found):
    people = {i: p for i, p in found.people.items() if i != image_id(0, 2)}
    outcome = track(replace(found, people=people))
    assert len(outcome.track_ids[image_id(0, 2)]) == 0
    assert sorted(outcome.track_ids[image_id(0, 3)]) == [1, 2], "they walked on"


def test_drawings_show_the_ids(found, tmp_path):
    outcome = track(found)
    for name, shown in (("tracked", outcome), ("found", found)):
        draw_outcome(shown, tmp_path / name, 1)
    (tracked,) = (tmp_path / "tracked").rglob("*.jpg")
    (plain,) = (tmp_path / "found").rglob("*.jpg")
    assert tracked.read_bytes() != plain.read_bytes()


def test_data_without_sequences_is_refused(project_root, tmp_path):
    dataset = load_dataset(project_root, "COCO")
    files = EvaluationFiles(dataset, "val", tmp_path / "a.json", tmp_path, None)
    with pytest.raises(
        ValueError, match="test.track follows .* Received COCO, whose evaluation is"
    ):
        require_sequences(files)


def test_a_network_without_sigmas_is_refused_before_it_looks_at_a_picture(
    found, project_root, monkeypatch
):
    spec = importlib.util.spec_from_file_location("test_program", project_root / "main" / "test.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    skeleton = replace(found.skeleton, name="Mine/17", oks_sigmas=())
    looked, predictor = [], SimpleNamespace(skeleton=skeleton)
    monkeypatch.setattr(program.snapshot_choice, "open_snapshot", lambda *given: None)
    monkeypatch.setattr("poseras.predictor.load_predictor", lambda *given, **more: predictor)
    monkeypatch.setattr(
        "poseras.image_evaluation.evaluate_by_settings", lambda *given, **more: looked.append(1)
    )
    config = main_config.build_config({"test.track": "greedy"})
    with pytest.raises(
        ValueError, match="test.track compares .* Received Mine/17, which has none; leave"
    ):
        program.run(config, project_root / "snapshot_1.safetensors", found.test.files, None)
    assert not looked
    require_sigmas(skeleton, "none")
    with pytest.raises(ValueError, match="test.track compares"):
        track(replace(found, skeleton=skeleton))
