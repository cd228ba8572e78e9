import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from poseras import person_boxes
from poseras.box_choice import choose_boxes
from poseras.data.frames import Frame, FrameSource
from poseras.person_boxes import BottomUpBoxes, ListedBoxes, WholePictures
from poseras.structures import People

FRAMES = [Frame(np.zeros((40, 60, 3), np.uint8), n, n, "clip.mp4", n / 25) for n in range(3)]
VIDEO = FrameSource("video", "clip", lambda: iter(FRAMES), 3, 25.0)


def write_boxes(folder, *entries):
    path = folder / "boxes.json"
    rows = [{"category_id": 1, "score": 0.5, **entry} for entry in entries]
    path.write_text(json.dumps(rows))
    return path


def test_whole_pictures_are_boxes_from_edge_to_edge():
    found = WholePictures().find(FRAMES[:2])
    assert [boxes.boxes_xywh.tolist() for boxes in found] == [[[0, 0, 60, 40]]] * 2
    assert choose_boxes(VIDEO, Path()) == WholePictures()


@pytest.mark.parametrize(("given", "expected"), [(None, 0.3), (0.0, 0.0), (0.55, 0.55)])
def test_a_least_score_goes_to_the_detector(monkeypatch, given, expected):
    monkeypatch.setattr("poseras.detection.load_detector", lambda *told: told)
    chosen = choose_boxes(VIDEO, Path(), detector="dfine_nano_coco", min_score=given)
    assert chosen == ("dfine_nano_coco", expected)


@pytest.mark.parametrize(
    ("detector", "score", "received"),
    [
        (None, 0.5, "0.5 without --detector"),
        ("dfine_nano_coco", 1.0, "1.0 with --detector dfine_nano_coco"),
        ("dfine_nano_coco", -0.1, "-0.1 with"),
        ("dfine_nano_coco", float("nan"), "nan with"),
    ],
)
def test_a_least_score_that_does_nothing_is_refused(detector, score, received):
    with pytest.raises(ValueError, match=f"--min-score goes with --detector.*{received}"):
        choose_boxes(VIDEO, Path(), detector=detector, min_score=score)


def test_boxes_of_a_video_name_their_frame_by_its_number(tmp_path):
    path = write_boxes(
        tmp_path,
        {"image_id": 2, "bbox": [1, 2, 3, 4]},
        {"image_id": 0, "bbox": [5, 6, 7, 8], "category_id": 3},
        {"image_id": "0", "bbox": [5, 6, 7, 9]},
        {"image_id": 2, "bbox": [1, 2, 3, 0]},
    )
    source = choose_boxes(VIDEO, tmp_path, str(path))
    found = source.find(FRAMES)
    expected = [[[5, 6, 7, 9]], [], [[1, 2, 3, 4]]]
    assert [boxes.boxes_xywh.tolist() for boxes in found] == expected
    assert source.description == "detections of boxes.json" and source.finds_people


def test_boxes_of_other_frames_are_refused(tmp_path):
    path = write_boxes(tmp_path, {"image_id": 3, "bbox": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match="0 of 1 boxes .* from 0 on to 2"):
        ListedBoxes.read(path, VIDEO)


def test_boxes_of_pictures_name_them(tmp_path):
    paths = (tmp_path / "a.jpg", tmp_path / "000012.jpg")
    pictures = FrameSource("pictures", "folder", lambda: iter(()), 2, paths=paths, files=paths)
    path = write_boxes(
        tmp_path,
        {"image_id": 12, "bbox": [1, 2, 3, 4]},
        {"file_name": "a.jpg", "bbox": [5, 6, 7, 8]},
    )
    found = ListedBoxes.read(path, pictures).find(FRAMES[:2])
    assert [boxes.boxes_xywh.tolist() for boxes in found] == [[[5, 6, 7, 8]], [[1, 2, 3, 4]]]


@dataclass
class BottomUp:
    """Stands for a predictor, of which only this is asked."""

    sees_whole_pictures: bool = True


def test_people_of_a_bottom_up_network_become_grown_boxes(monkeypatch):
    points = np.array([[[10, 10], [20, 30], [0, 0]], [[5, 5], [0, 0], [0, 0]]], float)
    scores = np.array([[0.9, 0.8, 0], [0.9, 0, 0]])
    people = People(points, scores, np.array([0.7, 0.3]))
    monkeypatch.setattr(person_boxes, "find_in_pictures", lambda *_, **__: [people])
    (found,) = BottomUpBoxes(BottomUp()).find(FRAMES[:1])
    # 10 x 20 grown by 15 % about (15, 20); the person of a single joint has no box.
    np.testing.assert_allclose(found.boxes_xywh, [[9.25, 8.5, 11.5, 23]], rtol=1e-6)
    assert found.scores.tolist() == [0.7]


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no snapshot of a run finder in .*model_dump"):
        choose_boxes(VIDEO, tmp_path, detector_run="finder")


def test_a_run_of_several_data_sets_must_be_named_whole(tmp_path):
    from poseras.snapshot_choice import find_run

    for dataset in ("COCO", "CrowdPose"):
        folder = tmp_path / "output" / "model_dump" / dataset / "finder"
        folder.mkdir(parents=True)
        for number in (2, 10):
            (folder / f"snapshot_{number}.safetensors").touch()
    with pytest.raises(ValueError, match="for several data sets. Name one of .*snapshot_10"):
        find_run(tmp_path, "finder")
    one = tmp_path / "output" / "model_dump" / "COCO" / "finder" / "snapshot_2.safetensors"
    assert find_run(tmp_path, str(one)) == one
    one.with_name("snapshot_10.safetensors").rename(one.with_name("other"))
    (tmp_path / "output" / "model_dump" / "CrowdPose").rename(tmp_path / "elsewhere")
    assert find_run(tmp_path, "finder") == one
