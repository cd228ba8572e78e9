"""Whose people stay, with which score and in which order: one rule per published code."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from poseras import frame_prediction
from poseras.engine import tester
from poseras.engine.tester import Predictions, Selection, select_people
from poseras.structures import ImageTable, PersonRecords

SIGMAS = (0.05, 0.05)


def make_records():
    """Three boxes on picture 9, of which the first and the last are the same person, one on 4."""
    images = ImageTable(np.array([4, 9]), ("/a.jpg", "/b.jpg"), np.full((2, 2), 100))
    boxes = np.array([[0, 0, 20, 40], [50, 0, 20, 40], [0, 0, 20, 40], [5, 5, 20, 40]], np.float32)
    return PersonRecords(
        images=images,
        image_index=np.array([1, 1, 1, 0], np.int32),
        boxes_xywh=boxes,
        keypoints=np.zeros((4, 2, 3), np.float32),
        scores=np.array([0.5, 1.0, 0.4, 1.0]),
        areas=np.zeros(4),
        annotation_ids=np.array([30, 31, 32, 33]),
    )


def make_predictions():
    points = np.array([[[5, 5], [9, 9]], [[60, 5], [65, 9]], [[5, 5], [9, 9]], [[8, 8], [9, 9]]])
    scores = np.array([[0.6, 0.1], [0.5, 0.3], [0.9, 0.1], [0.2, 0.1]])
    return Predictions(points.astype(float), scores, np.ones(4, bool))


def select(rule, **others):
    selection = Selection(0.5, 1.25, oks_sigmas=SIGMAS, rule=rule, **others)
    found = select_people(make_records(), make_predictions(), selection)
    return {
        image: list(zip(p.annotation_ids.tolist(), p.person_scores.round(3).tolist(), strict=True))
        for image, p in found.items()
    }


def test_coco_scores_by_box_and_keypoints_and_drops_doubles():
    # 0.4 * 0.9 is more than 0.5 * 0.6; 0.1 is below the threshold.
    assert select("coco") == {9: [(31, 0.4), (32, 0.36)], 4: [(33, 0.0)]}


def test_posetrack_scores_by_all_keypoints_alone():
    assert select("posetrack") == {9: [(32, 0.5), (31, 0.4)], 4: [(33, 0.15)]}


def test_mpii_keeps_everybody_in_the_order_of_the_boxes():
    assert select("mpii") == {9: [(30, 0.3), (31, 0.4), (32, 0.36)], 4: [(33, 0.0)]}


@pytest.mark.parametrize("rule", ["coco", "posetrack"])
def test_without_sigmas_everybody_stays_which_is_said_once(rule, caplog):
    tester._warn_of_doubles.cache_clear()
    records, selection = make_records(), Selection(0.5, 1.25, rule=rule)
    assert selection.oks_nms_threshold == 0 and not caplog.messages
    for _ in range(3):
        tester.tell_lacking_sigmas(records, selection)
    (said,) = caplog.messages
    assert "no oks_sigmas" in said and "OKS NMS is off" in said
    assert said.endswith("somebody in two boxes counts twice.")
    tester.tell_lacking_sigmas(records, selection, "Go on.")
    assert caplog.messages[1] == f"{said} Go on."
    found = select_people(records, make_predictions(), selection)
    assert {image: len(people) for image, people in found.items()} == {9: 3, 4: 1}


@pytest.mark.parametrize("rule", ["mpii", "human36m"])
def test_where_everybody_stays_the_threshold_is_0_with_and_without_sigmas(rule, caplog):
    assert Selection(0.5, 1.25, rule=rule).oks_nms_threshold == 0
    usual = Selection(0.5, 1.25, oks_sigmas=SIGMAS)
    assert usual.oks_nms_threshold == 0.9
    assert replace(usual, rule=rule).oks_nms_threshold == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "mpii"},
        {"rule": "human36m"},
        {"box_nms_threshold": 0.5},
        {"oks_sigmas": SIGMAS},
    ],
    ids=str,
)
def test_where_no_double_would_be_dropped_nothing_is_said(changes, caplog):
    tester._warn_of_doubles.cache_clear()
    records, selection = make_records(), Selection(0.5, 1.25)  # made before its rule is known
    tester.tell_lacking_sigmas(records, replace(selection, **changes, oks_nms_threshold=0.9))
    tester.tell_lacking_sigmas(records, Selection(0.5, 1.25, oks_nms_threshold=0.0))
    tester.tell_lacking_sigmas(records.take(np.array([0, 3])), selection)  # one box a picture
    assert not caplog.messages
    tester.tell_lacking_sigmas(records, replace(selection, rule="posetrack"))
    assert caplog.messages


def test_the_demo_warns_of_doubles_without_a_setting_that_it_does_not_read(monkeypatch, caplog):
    tester._warn_of_doubles.cache_clear()
    nobody = SimpleNamespace(joint_count=2)
    predictor = SimpleNamespace(
        skeleton=nobody,
        predict_batches=lambda *given, **more: make_predictions(),
        make_selection=lambda **given: Selection(0.5, 1.25, **given),
    )
    monkeypatch.setattr(frame_prediction, "describe", lambda people, *given: people)
    group = SimpleNamespace(frames=[None], records=make_records(), views=None)
    frame_prediction._look(predictor, group, frame_prediction.Looking())
    (said,) = caplog.messages
    assert "OKS NMS is off" in said and "test." not in said
