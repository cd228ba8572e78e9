"""Whole pictures in their views, and random changes of them."""

from dataclasses import replace

import numpy as np
import pytest

from poseras.data.colours import tint, turn_grey
from poseras.data.image_augment import (
    PictureChange,
    change_matrix,
    draw_pictures,
    find_middle,
    keypoints_in_picture_view,
    shift_keypoints,
)
from poseras.data.image_samples import warp_picture
from poseras.data.image_view import check_image_view, place_picture, view_picture
from poseras.geometry import invert_affine, transform_points
from poseras.structures import Augmentation, View

VIEW = View("long_edge", size_hw=(96, 96), length=128, stride=32, interpolation="cubic")


def with_bright_pixel(size_hw, x, y):
    image = np.zeros((*size_hw, 3), np.uint8)
    image[y, x] = 255
    return image


def centre_of_light(image):
    light = image[..., 0].astype(float)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


@pytest.mark.parametrize(
    ("view", "size_hw", "resized", "view_hw"),
    [
        (VIEW, (60, 90), (85, 128), (128, 128)),
        (VIEW, (90, 60), (128, 85), (128, 128)),
        (replace(VIEW, rule="fixed_height", length=80), (60, 90), (80, 120), (96, 128)),
        (replace(VIEW, rule="scale", factor=0.5), (60, 90), (30, 45), (32, 64)),
        (replace(VIEW, rule="whole"), (60, 90), (60, 90), (64, 96)),
        (VIEW, (1, 1), (128, 128), (128, 128)),
        (VIEW, (1, 4000), (1, 128), (128, 128)),
        (VIEW, (20, 4000), (1, 128), (128, 128)),
        (VIEW, (6000, 8000), (96, 128), (128, 128)),
    ],
)
def test_each_rule_places_pictures_of_any_size(view, size_hw, resized, view_hw):
    placement = place_picture(size_hw, view)
    assert placement.resized_hw == resized and placement.view_hw == view_hw
    assert np.isfinite(invert_affine(placement.matrix)).all()


@pytest.mark.parametrize("rule", ["long_edge", "fixed_height", "scale", "whole"])
def test_a_bright_pixel_and_its_keypoint_move_together(rule):
    view = replace(VIEW, rule=rule, factor=1.7, interpolation="linear")
    image = with_bright_pixel((60, 90), 31, 20)
    placement = place_picture((60, 90), view)
    shown = view_picture(image, placement, view)
    moved = transform_points(np.array([[31.0, 20.0]]), placement.matrix)[0]
    # Kept: pictures and coordinates are scaled half a pixel apart at most.
    assert np.abs(centre_of_light(shown) - moved).max() <= 0.7


def test_a_view_that_would_be_too_large_is_refused():
    with pytest.raises(ValueError, match="whose view by the rule fixed_height has 128000x640"):
        place_picture((20, 4000), replace(VIEW, rule="fixed_height", length=640))


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (replace(VIEW, rule="person_box"), "must be one of long_edge"),
        (replace(VIEW, interpolation="pillow_linear"), "take linear or cubic"),
        (replace(VIEW, length=100), "multiple of the stride 32. Received 100"),
        (replace(VIEW, augmentation=Augmentation(scale_std=0.1)), "of people's views"),
    ],
)
def test_views_that_image_samples_cannot_make_are_refused(view, message):
    with pytest.raises(ValueError, match=message):
        check_image_view(view)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_changed_bright_pixel_and_its_keypoint_move_together(mirrored):
    change = PictureChange(mirrored, 25.0, (1.3, 1.2), (4.0, -3.0))
    keypoints = np.float32([[[31, 20, 2], [50, 40, 2]]])
    matrix = change_matrix(change, (60, 90), (96, 96), find_middle(keypoints, (60, 90)))
    image = warp_picture(with_bright_pixel((60, 90), 31, 20), matrix, VIEW, (0, 0, 0))
    permutation = np.array([1, 0]) if mirrored else None
    shown = keypoints_in_picture_view(keypoints, matrix, (96, 96), permutation)
    moved = shown[0, 1 if mirrored else 0, :2]
    assert np.abs(centre_of_light(image) - moved).max() <= 0.1


def test_the_middle_of_the_people_comes_to_the_middle_of_the_view():
    keypoints = np.float32([[[10, 10, 2], [30, 40, 1], [900, 900, 0]]])
    assert find_middle(keypoints, (60, 90)).tolist() == [20, 25]
    matrix = change_matrix(
        PictureChange(False, 0.0, (2.0, 2.0), (0.0, 0.0)),
        (60, 90),
        (96, 96),
        find_middle(keypoints, (60, 90)),
    )
    np.testing.assert_allclose(transform_points(np.array([[20.0, 25.0]]), matrix), [[47.5, 47.5]])


def test_a_picture_without_labelled_people_is_taken_by_its_middle():
    assert find_middle(np.zeros((0, 3, 3)), (60, 90)).tolist() == [45, 30]
    assert find_middle(np.zeros((2, 3, 3)), (60, 90)).tolist() == [45, 30]


def test_keypoints_outside_the_view_lose_their_label():
    keypoints = np.float32([[[0, 5, 2], [5, 96, 2], [97, 5, 2], [5, 5, 1]]])
    shown = keypoints_in_picture_view(keypoints, np.eye(2, 3), (96, 96), None)
    assert shown[0, :, 2].tolist() == [0, 2, 0, 1]  # row 0 is lost, the far border is not


def test_draws_are_a_function_of_seed_pass_and_row():
    one = draw_pictures(1, np.array([0, 0]), np.array([3, 4]))
    other = draw_pictures(1, np.array([0, 5, 0]), np.array([4, 4, 3]))
    assert one.u_scale[0] == other.u_scale[2] and one.u_scale[1] == other.u_scale[0]
    assert len({*one.u_scale, other.u_scale[1], *draw_pictures(2, *[np.zeros(1)] * 2).u_scale}) == 4


def test_shifted_keypoints_move_right_and_down_by_half_to_one_and_a_half_pixels():
    shifted = shift_keypoints(np.zeros((5, 7, 3), np.float32), np.uint64(9))
    assert shifted[..., :2].min() >= 0.5 and shifted[..., :2].max() < 1.5
    assert (shifted[..., 2] == 0).all()


def test_colours_stay_when_nothing_is_added_and_grey_is_grey():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    grey = turn_grey(image)
    assert (grey[..., 0] == grey[..., 2]).all() and (turn_grey(grey) == grey).all()
    assert (tint(grey, 0, 0, 0) == grey).all()
    assert tint(grey, 0, 0, 255).min() == 255
