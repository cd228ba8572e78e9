import numpy as np
import pytest

from poseras.data.augment import draw
from poseras.data.colours import change_colours, tint, turn_grey
from poseras.structures import Augmentation

DRAWS = draw(3, np.zeros(400, int), np.arange(400))


def views():
    return np.random.default_rng(0).integers(0, 256, (400, 8, 6, 3), np.uint8)


def changed(**laws):
    images = views()
    change_colours(images, DRAWS, Augmentation(**laws))
    return images


def share_changed(images):
    return (images != views()).any(axis=(1, 2, 3)).mean()


def test_the_default_laws_leave_colours_alone():
    assert share_changed(changed()) == 0


@pytest.mark.parametrize("law", ["grey_probability", "blur_probability"])
def test_a_law_acts_as_often_as_it_says(law):
    # Five standard errors of a share of 400.
    assert share_changed(changed(**{law: 0.3})) == pytest.approx(0.3, abs=0.115)
    assert share_changed(changed(**{law: 1.0})) == 1


def test_grey_views_have_three_equal_channels():
    images = changed(grey_probability=1.0)
    assert (images == images[..., :1]).all()


def test_blurred_views_are_smoother_and_as_bright():
    images = changed(blur_probability=1.0)
    assert images.std(axis=(1, 2)).mean() < 0.6 * views().std(axis=(1, 2)).mean()
    assert images.mean() == pytest.approx(views().mean(), abs=2)


def test_each_of_hue_saturation_and_value_moves_half_of_the_time():
    # All three stay in one case of eight.
    assert share_changed(changed(hsv_delta=(20, 60, 60))) == pytest.approx(7 / 8, abs=0.085)
    grey = turn_grey(views()[0])
    images = np.repeat(grey[None], 400, axis=0)
    change_colours(images, DRAWS, Augmentation(hsv_delta=(0, 0, 30)))
    difference = images.astype(int) - grey
    assert np.abs(difference).max() == pytest.approx(30, abs=1)
    assert (difference != 0).any(axis=(1, 2, 3)).mean() == pytest.approx(0.5, abs=0.13)


def test_a_hue_goes_round_the_circle_where_it_may():
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    assert (tint(red, -60, 0, 0, hue_wraps=True) == (0, 0, 255)).all()
    assert (tint(red, -60, 0, 0) == red).all()
