import numpy as np
import pytest

from poseras.engine import snapshot
from poseras.predictor import load_predictor
from poseras.settings import flatten
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines.options import Options, default_view

SKELETON = Skeleton(
    "Mine/three", ("left_hand", "right_hand", "nose"), flip_pairs=((0, 1),), oks_sigmas=(0.1,) * 3
)
OPTIONS = Options(input_shape=(64, 64), backbone_width=8, head_filters=(8, 8, 8))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    from poseras.systems.simple_baselines import System

    model = System(OPTIONS, SKELETON, {}).build_model()
    path = tmp_path_factory.mktemp("weights") / "snapshot_1.safetensors"
    metadata = {
        "system": "simple_baselines",
        "options": flatten(OPTIONS),
        "skeleton": SKELETON.to_dict(),
        "view": flatten(default_view(OPTIONS)),
    }
    snapshot.write_snapshot(path, snapshot.collect_weights(model), metadata)
    return path


@pytest.fixture(scope="module")
def predictor(weights_file):
    return load_predictor(weights_file)


def make_picture(seed=0, height=70, width=90):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_one_picture_gives_one_record_of_people(predictor):
    people = predictor.predict(make_picture(), np.array([[5, 5, 40, 50], [30, 10, 40, 60.0]]))
    assert people.keypoints_px.shape == (2, 3, 2)
    assert people.keypoint_scores.shape == (2, 3)
    np.testing.assert_allclose(people.person_scores, people.keypoint_scores.mean(axis=1))


def test_without_boxes_the_whole_picture_is_one_box(predictor):
    picture = make_picture()
    whole = predictor.predict(picture, np.array([[0, 0, 90, 70.0]]))
    np.testing.assert_array_equal(predictor.predict(picture).keypoints_px, whole.keypoints_px)


def test_a_list_of_pictures_gives_a_list_with_the_same_results(predictor):
    pictures = [make_picture(0), make_picture(1, 50, 60)]
    boxes = [np.array([[5, 5, 40, 50.0]]), np.array([[1, 1, 30, 40], [9, 9, 20, 30.0]])]
    together = predictor.predict(pictures, boxes)
    assert [len(people) for people in together] == [1, 2]
    for picture, rows, people in zip(pictures, boxes, together, strict=True):
        alone = predictor.predict(picture, rows)
        np.testing.assert_allclose(people.keypoints_px, alone.keypoints_px, atol=1e-3)


def test_a_picture_without_boxes_among_others_is_empty(predictor):
    pictures = [make_picture(0), make_picture(1)]
    boxes = [np.zeros((0, 4)), np.array([[1, 1, 30, 40.0]])]
    assert [len(people) for people in predictor.predict(pictures, boxes)] == [0, 1]


def test_nobody_to_look_for_is_no_error(predictor):
    assert len(predictor.predict(make_picture(), np.zeros((0, 4)))) == 0


def test_a_path_is_read(predictor, tmp_path):
    import cv2

    picture = make_picture()
    cv2.imwrite(str(tmp_path / "a.png"), picture[..., ::-1])
    from_path = predictor.predict(tmp_path / "a.png")
    np.testing.assert_array_equal(from_path.keypoints_px, predictor.predict(picture).keypoints_px)


def test_differences_change_options_and_the_view_follows(weights_file):
    changed = load_predictor(weights_file, differences={"options.input_shape": "96,64"})
    assert changed.view.size_hw == (96, 64)
    assert changed.model.input_shape == (None, 96, 64, 3)


def test_settings_of_other_groups_are_refused(weights_file):
    with pytest.raises(ValueError, match=r"must begin with options\. or view\."):
        load_predictor(weights_file, differences={"test.flip_test": False})


@pytest.mark.parametrize(
    ("picture", "rule"),
    [
        (np.zeros((4, 4), np.uint8), r"Received \(4, 4\) uint8"),
        (np.zeros((4, 4, 3), np.float32), r"Received \(4, 4, 3\) float32"),
    ],
)
def test_other_arrays_than_rgb_pictures_are_refused(predictor, picture, rule):
    with pytest.raises(ValueError, match=rule):
        predictor.predict(picture)


def test_boxes_of_another_shape_are_refused(predictor):
    with pytest.raises(ValueError, match=r"shape \(people, 4\).*Received \(4,\)"):
        predictor.predict(make_picture(), np.array([0, 0, 5, 5.0]))


def test_there_must_be_boxes_for_each_picture(predictor):
    with pytest.raises(ValueError, match=r"one array per picture \(2\). Received 1"):
        predictor.predict([make_picture(), make_picture()], [np.zeros((0, 4))])


def test_metadata_without_a_system_is_named(tmp_path):
    path = tmp_path / "snapshot_1.safetensors"
    snapshot.write_snapshot(path, {"weights/a": np.zeros(1)}, {"options": {}})
    with pytest.raises(ValueError, match="none for system, skeleton, view"):
        load_predictor(path)
