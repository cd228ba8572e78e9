"""A test of whole pictures: maps of mirrored and resized looks are merged where they belong."""

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tensorflow as tf

import config as main_config
from poseras import image_evaluation
from poseras.data.dataset import choose_skeleton
from poseras.data.evaluation_set import find_evaluation_files
from poseras.engine.snapshot import Snapshot
from poseras.image_evaluation import evaluate_by_settings
from poseras.image_prediction import find_in_pictures, pad_for_merging
from poseras.predictor import Predictor
from poseras.structures import View
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.system import System

HEIGHT = 90
POINT = (60, 40)


@pytest.fixture
def system(project_root):
    skeleton = choose_skeleton(project_root, ["COCO"])
    return System(Options(intermediate_supervision=False), skeleton)


def make_predictor(system, folder):
    """A network to whom the brightest pixel is every joint, on pictures as they are."""

    def network(images, training=False):
        width = tf.shape(images)[2]
        brightness = tf.reshape(tf.cast(images[..., 0], tf.float32), [1, -1])
        brightest = tf.cast(tf.argmax(brightness, axis=1)[0], tf.int32)
        point = tf.cast(tf.stack([brightest % width, brightest // width, 2]), tf.float32)
        batch = {
            "keypoints": tf.tile(point[None, None, None], [1, 1, system.skeleton.joint_count, 1]),
            "image_to_network": tf.constant([[[1.0, 0, 0], [0, 1, 0]]]),
            "ignore_mask": tf.zeros(tf.shape(images)[:3], tf.bool),
        }
        return system.perfect_outputs(system.encode(batch))

    snapshot = Snapshot(folder / "s.safetensors", {}, {"system": "deepercut_arttrack"}, "")
    view = View(rule="scale", interpolation="pillow_linear")
    return Predictor(system, network, view, tf.distribute.get_strategy(), snapshot)


def find_point(system, folder, root, width, settings):
    """Where a test finds the bright pixel of a picture, and its protocol."""
    picture = np.zeros((HEIGHT, width, 3), np.uint8)
    picture[POINT[1], POINT[0]] = 255
    cv2.imwrite(str(folder / "1.png"), picture)
    image = {"id": 1, "file_name": "1.png", "height": HEIGHT, "width": width}
    (folder / "images.json").write_text(json.dumps({"images": [image]}))
    told = {"test.flip_test": False, "data.workers": 1, **settings}
    config = main_config.build_config(told)
    named = {"annotations": str(folder / "images.json"), "images": str(folder)}
    files = find_evaluation_files(root, "COCO", "val", use_gt_box=True, **named)
    outcome = evaluate_by_settings(
        make_predictor(system, folder), files, root=root, data=config.data, test=config.test
    )
    return outcome.people[1].keypoints_px[0, 0], outcome.protocol


@pytest.mark.parametrize("width", [128, 133, 139])
def test_the_flip_test_finds_joints_where_they_are_whatever_the_width(
    system, tmp_path, project_root, width
):
    found, protocol = find_point(system, tmp_path, project_root, width, {"test.flip_test": True})
    np.testing.assert_allclose(found, POINT, atol=1e-3)
    assert protocol["view"]["stride"] == 16 and protocol["flip_test"]


def test_pictures_in_memory_are_padded_for_the_flip_test_too(system, tmp_path):
    picture = np.zeros((HEIGHT, 133, 3), np.uint8)
    picture[POINT[1], POINT[0]] = 255
    (people,) = find_in_pictures(make_predictor(system, tmp_path), [picture])
    np.testing.assert_allclose(people.keypoints_px[0, 0], POINT, atol=1e-3)


def test_a_picture_that_is_looked_at_once_is_not_padded(system, tmp_path, project_root):
    found, protocol = find_point(system, tmp_path, project_root, 133, {})
    np.testing.assert_allclose(found, POINT, atol=1e-3)
    assert protocol["view"]["stride"] == 1


def test_a_second_size_finds_joints_where_they_are_whatever_the_width(
    system, tmp_path, project_root
):
    found, _ = find_point(system, tmp_path, project_root, 133, {"test.scales": (1.0, 0.5)})
    # Half a pixel of the smaller picture, which is averaged with the other.
    np.testing.assert_allclose(found, POINT, atol=1.0)


@pytest.mark.parametrize(
    ("stride", "flip_test", "scales", "padded"),
    [
        (1, False, (1.0,), 1),
        (1, True, (1.0,), 16),
        (1, False, (1.0, 0.5), 16),
        (8, True, (1.0,), 16),
        (24, True, (1.0,), 48),
        (64, True, (1.0, 0.5), 64),
    ],
)
def test_views_are_padded_to_a_multiple_of_both_strides(
    system, tmp_path, stride, flip_test, scales, padded
):
    predictor = make_predictor(system, tmp_path)
    predictor = replace(predictor, view=replace(predictor.view, stride=stride))
    looking = pad_for_merging(predictor, flip_test=flip_test, scales=scales)
    assert looking.view == replace(predictor.view, stride=padded)


def test_the_views_of_a_system_that_asks_for_no_multiple_stay(tmp_path):
    predictor = make_predictor(SimpleNamespace(), tmp_path)
    assert pad_for_merging(predictor, flip_test=True, scales=(1.0, 2.0)) is predictor


@pytest.mark.parametrize(
    ("whole", "name", "value", "usual"),
    [
        (False, "scales", (1.0, 0.5), r"\(1.0,\)"),
        (False, "all_images", True, "False"),
        (True, "detections", "boxes.json", "''"),
        (True, "use_gt_box", True, "False"),
        (True, "gt_people", "labelled", "'all'"),
        (True, "detection_threshold", 0.1, "0.0"),
        (True, "keypoint_threshold", 0.1, "0.2"),
        (True, "box_nms_threshold", 0.5, "0.0"),
        (True, "oks_nms_threshold", 0.5, "0.9"),
    ],
)
def test_a_test_refuses_settings_that_its_kind_of_network_does_not_read(
    tmp_path, monkeypatch, whole, name, value, usual
):
    for reached in ("evaluate_pictures", "evaluate_predictor"):
        monkeypatch.setattr(image_evaluation, reached, lambda *given, **named: "tested")

    def run(whole, settings):
        config = main_config.build_config(settings)
        network = SimpleNamespace(sees_whole_pictures=whole)
        return evaluate_by_settings(
            network, None, root=tmp_path, data=config.data, test=config.test
        )

    told = {f"test.{name}": value}
    assert run(whole, {}) == run(not whole, told) == "tested"
    kind = "in boxes alone. .* bottom-up" if whole else "whole pictures alone. .* top-down"
    with pytest.raises(ValueError, match=f"test.{name} .* {kind} network; .* back to {usual}"):
        run(whole, told)
