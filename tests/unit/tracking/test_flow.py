import cv2
import numpy as np
import pytest

from poseras.tracking.flow import FlowField, FlowMeter

POINTS = np.array([[60.0, 50.0], [100.5, 80.25], [140.0, 40.0]])


def make_scene(seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (240, 320, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def cut(scene, shift_x, shift_y):
    """A window whose content lies (shift_x, shift_y) px farther right and down."""
    return np.ascontiguousarray(scene[40 - shift_y : 200 - shift_y, 50 - shift_x : 270 - shift_x])


@pytest.mark.parametrize(("length_px", "tolerance_px"), [(500, 0.3), (110, 0.6)])
def test_points_move_with_the_picture_at_any_size(length_px, tolerance_px):
    meter = FlowMeter(length_px)
    scene = make_scene()
    assert meter.advance(cut(scene, 0, 0)) is None
    step, sure = meter.advance(cut(scene, 7, -4)).move(POINTS)
    assert sure.all()
    assert np.abs(step - [7, -4]).max() < tolerance_px  # of a pixel and of half one


def test_points_outside_the_picture_are_not_sure():
    meter, scene = FlowMeter(320), make_scene()
    meter.advance(cut(scene, 0, 0))
    points = np.array([[-5.0, 50.0], [219.0, 80.0], [100.0, 400.0], [100.0, 80.0]])
    step, sure = meter.advance(cut(scene, 8, 0)).move(points)
    assert sure.tolist() == [False, False, False, True]  # the second one leaves it
    assert np.isfinite(step).all()


def test_flows_that_disagree_are_not_sure():
    there, back = np.full((20, 20, 2), 3.0), np.full((20, 20, 2), -3.0)
    back[:, :10] = 0  # what hides the left half stands still
    field = FlowField(there, back, np.ones(2))
    _, sure = field.move(np.array([[4.0, 4.0], [14.0, 4.0]]))
    assert sure.tolist() == [False, True]


def test_a_field_is_read_between_its_pixels_in_pixels_of_the_picture():
    x = np.arange(8.0)
    forward = np.stack(np.broadcast_arrays(x[None, :], 10 * x[:, None]), axis=-1)
    field = FlowField(forward, -forward, np.array([0.5, 0.5]))
    # (6, 3) px is the place (6.5 / 2 - 0.5, 3.5 / 2 - 0.5) = (2.75, 1.25) of the shrunk picture
    step, _ = field.move(np.array([6.0, 3.0]))
    assert step.tolist() == [2 * 2.75, 2 * 12.5]


def test_another_size_and_a_reset_begin_anew():
    meter, scene = FlowMeter(320), make_scene()
    meter.advance(scene)
    assert meter.advance(cut(scene, 0, 0)) is None
    assert meter.advance(cut(scene, 1, 0)) is not None
    meter.reset()
    assert meter.advance(cut(scene, 0, 0)) is None


@pytest.mark.parametrize("size_hw", [(1, 1), (5, 400), (400, 5), (16, 16)])
def test_pictures_of_odd_sizes_have_a_flow(size_hw):
    meter = FlowMeter(320)
    image = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8)
    meter.advance(image)
    step, _ = meter.advance(image).move(np.zeros((2, 3, 2)))
    assert step.shape == (2, 3, 2)
    assert np.isfinite(step).all()


def test_plain_pictures_stand_still():
    meter, image = FlowMeter(320), np.full((60, 80, 3), 90, np.uint8)
    meter.advance(image)
    step, sure = meter.advance(image).move(np.array([[20.0, 20.0]]))
    assert (step.tolist(), sure.tolist()) == ([[0, 0]], [True])
