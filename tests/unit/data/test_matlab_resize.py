"""MATLAB's bicubic resizing: its weights by hand, and stripes that must not flicker."""

import cv2
import numpy as np
import pytest

from poseras.data.matlab_resize import resize_like_matlab


def resize(rows, factor, corners):
    """One channel, or as many as there are."""
    pixels = np.array(rows, np.uint8)
    return resize_like_matlab(pixels.reshape(*pixels.shape[:2], -1), factor, corners)


def test_a_dot_is_enlarged_by_the_cubic_of_keys():
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 255
    # Weights at 0.25, 0.75 and 1.25 old pixels: 0.867, 0.227 and -0.070, which is cut off at 0.
    line = np.array([0, 0, 0, 58, 221, 221, 58, 0, 0, 0])
    enlarged = resize(dot, 2.0, (1, 1, 10, 10))[..., 0]
    np.testing.assert_array_equal(enlarged[:, 4], [0, 0, 0, 50, 192, 192, 50, 0, 0, 0])
    np.testing.assert_array_equal(resize(dot[2:3], 2.0, (1, 1, 10, 1))[0, :, 0], line)


def test_a_line_is_halved_with_a_kernel_twice_as_wide():
    line = np.zeros((1, 8), np.uint8)
    line[0, 3] = 200
    # It is 2.5, 0.5 and 1.5 old pixels from the first three new ones, half as many of the wider
    # kernel, whose weights are half as large: -0.035, 0.434 and 0.113.
    wanted = [0, 87, 23, 0]
    np.testing.assert_array_equal(resize(line, 0.5, (1, 1, 4, 1))[0, :, 0], wanted)


def test_stripes_of_one_pixel_become_grey_where_they_are_shrunk():
    stripes = np.zeros((120, 160, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = resize(stripes, 0.4, (5, 5, 60, 44))
    assert shrunk.shape == (40, 56, 3)
    assert np.abs(shrunk.astype(float) - 127.5).max() < 12
    aliased = cv2.resize(stripes, (64, 48), interpolation=cv2.INTER_CUBIC)[4:44, 4:60]
    assert np.abs(aliased.astype(float) - 127.5).max() > 60


@pytest.mark.parametrize("factor", [0.37, 1.0, 1.9])
def test_a_part_is_that_part_of_the_whole_and_an_even_picture_stays_even(factor):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 41, 3), dtype=np.uint8)
    width, height = int(np.ceil(41 * factor)), int(np.ceil(30 * factor))
    whole = resize(pixels, factor, (1, 1, width, height))
    part = resize(pixels, factor, (3, 2, width - 1, height - 4))
    np.testing.assert_array_equal(part, whole[1 : height - 4, 2 : width - 1])
    if factor == 1:
        np.testing.assert_array_equal(whole, pixels)
    even = np.full_like(pixels, 93)
    assert (resize(even, factor, (1, 1, width, height)) == 93).all()
