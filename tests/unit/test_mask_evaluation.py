"""The oracle of pose-tensorflow as a test: true maps read inside true masks, and who is refused."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import config as main_config
from poseras import mask_evaluation
from poseras.data.dataset import choose_skeleton
from poseras.data.evaluation_set import find_evaluation_files
from poseras.engine.snapshot import Snapshot
from poseras.image_evaluation import evaluate_by_settings
from poseras.predictor import Predictor
from poseras.systems.deepercut_arttrack.options import Options, default_view
from poseras.systems.deepercut_arttrack.system import System

SIZE_HW = (112, 208)
HALVES = ((0, 0, 104, 112), (104, 0, 104, 112))


@pytest.fixture
def skeleton(project_root):
    return choose_skeleton(project_root, ["COCO"])


@pytest.fixture
def people(skeleton):
    """(2, joints, 3): one person in each half of the picture."""
    random = np.random.default_rng(2)
    points = random.integers(20, 84, (2, skeleton.joint_count, 2)).astype(float)
    points[1, :, 0] += 104
    return np.concatenate([points, np.full((*points.shape[:2], 1), 2.0)], axis=-1)


def write_set(folder, people, skeleton, *, masks=True):
    """A picture with these people, whose masks are the halves of it, and a crowd."""
    cv2.imwrite(str(folder / "1.png"), np.zeros((*SIZE_HW, 3), np.uint8))
    rows = []
    for number, (points, (x, y, w, h)) in enumerate(zip(people, HALVES, strict=True), 1):
        outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        row = {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": w * h}
        row |= {"bbox": [x, y, w, h], "num_keypoints": len(points)}
        row |= {"keypoints": points.ravel().tolist(), "segmentation": outline if masks else []}
        rows.append(row)
    nobody = {"keypoints": [0] * 51, "num_keypoints": 0, "iscrowd": 1}
    rows.append({**rows[0], **nobody, "id": 3})
    height, width = SIZE_HW
    image = {"id": 1, "file_name": "1.png", "height": height, "width": width}
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints)}
    content = {"images": [image], "annotations": rows, "categories": [category]}
    (folder / "people.json").write_text(json.dumps(content))


def make_predictor(people, skeleton, outputs=("parts", "refinement")):
    """A network that answers with the true maps of these people."""
    system = System(Options(intermediate_supervision=False), skeleton)
    batch = {
        "keypoints": people[None].astype(np.float32),
        "image_to_network": np.float32([[[1, 0, 0], [0, 1, 0]]]),
        "ignore_mask": np.zeros((1, *SIZE_HW), bool),
    }
    true = system.perfect_outputs(system.encode(batch))
    maps = {name: np.asarray(true[name]) for name in outputs}
    network = SimpleNamespace(output=maps, predict_on_batch=lambda images: maps)
    snapshot = Snapshot("true maps", {}, {"system": "deepercut_arttrack"}, "")
    return Predictor(system, network, default_view(system.options), None, snapshot)


def evaluate(predictor, folder, project_root, monkeypatch, changes=None, **settings):
    monkeypatch.setattr("poseras.image_evaluation.describe_test", lambda *given, **named: named)
    told = {f"test.{name}": value for name, value in settings.items()}
    config = main_config.build_config(
        {"test.true_masks": True, "data.workers": 1, **told, **(changes or {})}
    )
    files = find_evaluation_files(
        project_root,
        "COCO",
        "val",
        str(folder / "people.json"),
        images=str(folder),
        use_gt_box=True,
    )
    return evaluate_by_settings(
        predictor, files, root=project_root, data=config.data, test=config.test
    )


def test_true_maps_in_true_masks_are_the_people(
    people, skeleton, tmp_path, project_root, monkeypatch
):
    write_set(tmp_path, people, skeleton)
    predictor = make_predictor(people, skeleton)
    outcome = evaluate(predictor, tmp_path, project_root, monkeypatch)
    found = outcome.people[1]
    assert found.person_scores.tolist() == [1, 1] and (found.keypoint_scores > 0.9).all()
    # Whole pixels, rounded down from what float32 maps say.
    difference = people[..., :2] - found.keypoints_px
    assert (difference > -1e-3).all() and (difference <= 1).all()
    assert outcome.evaluation.stats["AP"] > 0.9
    assert not outcome.protocol["flip_test"] and outcome.protocol["person_score"] == "1"
    assert "inside their annotated masks" in outcome.protocol["people"]


def test_the_first_pictures_alone_are_looked_at_and_scored(
    people, skeleton, tmp_path, project_root, monkeypatch
):
    write_set(tmp_path, people, skeleton)
    path = tmp_path / "people.json"
    content = json.loads(path.read_text())
    content["images"].append({**content["images"][0], "id": 2})
    # Nobody stands where these people are said to be.
    for row in content["annotations"][:2]:
        moved = np.reshape(row["keypoints"], (-1, 3)) + [200, 200, 0]
        row = {**row, "id": row["id"] + 10, "image_id": 2, "keypoints": moved.ravel().tolist()}
        content["annotations"].append(row)
    path.write_text(json.dumps(content))
    predictor = make_predictor(people, skeleton)
    whole = evaluate(predictor, tmp_path, project_root, monkeypatch)
    first = evaluate(predictor, tmp_path, project_root, monkeypatch, most_pictures=1)
    assert set(whole.people) == {1, 2} and set(first.people) == {1}
    assert first.evaluation.stats["AP"] > 0.9 > 0.6 > whole.evaluation.stats["AP"]


def test_people_are_gathered_by_picture_in_the_order_of_the_file():
    table = SimpleNamespace(
        iscrowd=np.array([False, False, True, False, False]),
        num_keypoints=np.array([3, 1, 2, 0, 4]),
        image_index=np.array([2, 0, 2, 2, 2], np.int32),
    )
    gathered = mask_evaluation.people_by_picture(table, np.array([2, 1, 0]))
    assert [rows.tolist() for rows in gathered] == [[0, 4], [], [1]]


def test_a_missing_picture_stops_the_test_or_is_skipped(
    people, skeleton, tmp_path, project_root, monkeypatch, caplog
):
    write_set(tmp_path, people, skeleton)
    path = tmp_path / "people.json"
    content = json.loads(path.read_text())
    content["images"].append({**content["images"][0], "id": 2, "file_name": "lost.png"})
    content["annotations"].append({**content["annotations"][0], "id": 12, "image_id": 2})
    path.write_text(json.dumps(content))
    predictor = make_predictor(people, skeleton)
    with pytest.raises(FileNotFoundError, match="lost.png"):
        evaluate(predictor, tmp_path, project_root, monkeypatch)
    changes = {"data.on_bad_sample": "skip"}
    outcome = evaluate(predictor, tmp_path, project_root, monkeypatch, changes)
    assert set(outcome.people) == {1} and outcome.protocol["pictures_skipped"] == 1
    assert "lost.png" in caplog.text


def test_without_refinement_joints_stand_at_the_centres_of_cells(
    people, skeleton, tmp_path, project_root, monkeypatch
):
    write_set(tmp_path, people, skeleton)
    predictor = make_predictor(people, skeleton, ("parts",))
    found = evaluate(predictor, tmp_path, project_root, monkeypatch).people[1]
    assert (found.keypoints_px % 8 == 4).all()


def test_a_mask_of_another_size_than_its_picture_is_named(
    people, skeleton, tmp_path, project_root, monkeypatch
):
    write_set(tmp_path, people, skeleton)
    content = json.loads((tmp_path / "people.json").read_text())
    content["annotations"][1]["segmentation"] = {"size": [10, 10], "counts": [50, 50]}
    (tmp_path / "people.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="people.json: annotation 2: A segmentation must have the"):
        evaluate(make_predictor(people, skeleton), tmp_path, project_root, monkeypatch)


def test_people_without_masks_and_networks_without_parts_are_refused(
    people, skeleton, tmp_path, project_root, monkeypatch
):
    write_set(tmp_path, people, skeleton, masks=False)
    predictor = make_predictor(people, skeleton)
    with pytest.raises(ValueError, match="needs people with keypoints and a segmentation"):
        evaluate(predictor, tmp_path, project_root, monkeypatch)
    predictor.snapshot.metadata["system"] = "simple_baselines"
    del predictor.model.output["parts"]
    with pytest.raises(ValueError, match=r"true_masks reads the maps.*of simple_baselines, which"):
        evaluate(predictor, tmp_path, project_root, monkeypatch)
