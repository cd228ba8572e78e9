from types import SimpleNamespace

import numpy as np
import pytest

import config as main_config
from poseras.engine.tester import Predictions
from poseras.ensemble import average_networks, average_predictions
from poseras.image_evaluation import evaluate_by_settings
from poseras.skeleton import Skeleton


def made(value, found=(True, True), in_space=True):
    return Predictions(
        np.full((2, 3, 2), value),
        np.full((2, 3), value / 10),
        np.array(found),
        np.full((2, 3, 3), 100 * value) if in_space else None,
    )


def network(name, answer, joints=("nose", "neck"), whole=False):
    seen = []

    def predict_records(records, **choices):
        seen.append((records, choices))
        return answer

    return SimpleNamespace(
        snapshot=SimpleNamespace(path=name),
        skeleton=Skeleton(f"made/{name}", joints),
        sees_whole_pictures=whole,
        predict_records=predict_records,
        seen=seen,
    )


def test_coordinates_are_averaged_in_the_picture_and_in_space():
    mean = average_predictions([made(1.0), made(2.0, found=(True, False)), made(6.0)])
    np.testing.assert_allclose(mean.keypoints_px, np.full((2, 3, 2), 3.0))
    np.testing.assert_allclose(mean.keypoint_scores, 0.3)
    np.testing.assert_allclose(mean.joints_camera_mm, 300)
    assert mean.found.tolist() == [True, False]
    assert average_predictions([made(1.0, in_space=False)] * 2).joints_camera_mm is None


def test_networks_with_and_without_depths_are_not_averaged():
    with pytest.raises(ValueError, match="all tell depths, or none of them. Received 1 of 2"):
        average_predictions([made(1.0), made(1.0, in_space=False)])


def test_every_network_looks_at_the_same_people_with_the_same_choices():
    networks = [network("a", made(1.0)), network("b", made(3.0))]
    mean = average_networks(networks)("people", flip_test=True)
    assert [n.seen for n in networks] == [[("people", {"flip_test": True})]] * 2
    np.testing.assert_allclose(mean.keypoints_px, 2)
    alone = average_networks(networks[:1])("people")
    np.testing.assert_allclose(alone.keypoints_px, 1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (network("b", None, joints=("neck", "nose")), "joints of a. Received b, for made/b"),
        (network("c", None, whole=True), "Received c, for made/c in whole pictures"),
    ],
)
def test_networks_that_do_not_fit_are_named(other, message):
    with pytest.raises(ValueError, match=message):
        average_networks([network("a", None), other])


def test_whole_pictures_are_not_averaged(tmp_path):
    config = main_config.build_config({})
    bottom_up = network("a", None, whole=True)
    with pytest.raises(ValueError, match="people in boxes. Received a bottom-up network"):
        evaluate_by_settings(
            bottom_up,
            None,
            root=tmp_path,
            data=config.data,
            test=config.test,
            ensemble=[bottom_up],
        )
