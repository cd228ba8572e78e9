import numpy as np
import pytest

from poseras.synthetic.rotations import (
    angle_between,
    interpolate_rotations,
    swing,
    turn,
    turn_xyz,
    unit,
)


def test_a_quarter_turn_about_z_brings_x_to_y():
    np.testing.assert_allclose(turn([0, 0, 1], 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_turn_xyz_turns_about_x_first():
    expected = turn([0, 0, 1], 30) @ turn([0, 1, 0], 20) @ turn([1, 0, 0], 10)
    np.testing.assert_allclose(turn_xyz(10, 20, 30), expected)


@pytest.mark.parametrize("end", [[0, 1, 0], [1, 0, 0], [-1, 0, 0], [0.3, -0.5, 0.8]])
def test_swing_brings_one_direction_to_another(end):
    rotation = swing(np.array([2.0, 0, 0]), np.array(end, float))
    np.testing.assert_allclose(rotation @ [1, 0, 0], unit(np.array(end, float)), atol=1e-12)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_angle_between_perpendicular_directions_is_90():
    assert angle_between(np.array([3.0, 0, 0]), np.array([0, 0.1, 0])) == pytest.approx(90)


def test_interpolation_goes_from_the_first_to_the_second_at_an_even_pace():
    first, second = turn([0, 1, 0], 20), turn([0, 1, 0], 20) @ turn([1, 2, 3], 80)
    np.testing.assert_allclose(interpolate_rotations(first, second, 0), first, atol=1e-12)
    np.testing.assert_allclose(interpolate_rotations(first, second, 1), second, atol=1e-12)
    quarter = turn([0, 1, 0], 20) @ turn([1, 2, 3], 20)
    np.testing.assert_allclose(interpolate_rotations(first, second, 0.25), quarter, atol=1e-12)
