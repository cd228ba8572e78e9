"""Cameras and boxes in space: both ways, and by hand."""

import numpy as np
import pytest

from poseras import geometry

PINHOLE = np.array([1000.0, 900, 500, 400, 0, 0, 0, 0, 0])
#: The strongest lens of Human3.6M's four cameras.
LENS = np.array([1145.0, 1144, 512, 515, -0.207, 0.248, -0.003, -0.0014, -0.001])


def turned(angles):
    x, y, z = angles
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_x) @ about_y @ about_z


def test_the_world_comes_back_from_the_camera():
    rng = np.random.default_rng(0)
    rotation = np.stack([turned(angles) for angles in rng.normal(size=(4, 3))])
    position, points = rng.normal(0, 3000, (4, 3)), rng.normal(0, 1000, (4, 7, 3))
    camera = geometry.world_to_camera(points, rotation, position)
    np.testing.assert_allclose(
        camera, np.einsum("bij,bpj->bpi", rotation, points - position[:, None]), atol=1e-9
    )
    back = geometry.camera_to_world(camera, rotation, position)
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_the_camera_itself_lies_at_its_own_origin():
    position = np.array([10.0, 20, 30])
    assert not geometry.world_to_camera(position[None], turned((1, 2, 3)), position).any()


def test_a_pinhole_divides_by_depth():
    points = geometry.project_points(np.array([[200.0, -100, 2000], [0, 0, 1]]), PINHOLE)
    np.testing.assert_allclose(points, [[600, 355], [500, 400]])


def test_a_lens_bends_as_its_formula_says():
    camera = np.array([1.0, 1, 0, 0, 0.1, 0.01, 0.001, 0.02, 0.03])
    x, y, square = 0.5, -0.25, 0.3125
    factor = 1 + 0.1 * square + 0.01 * square**2 + 0.001 * square**3 + 2 * (0.02 * y + 0.03 * x)
    expected = [x * factor + 0.03 * square, y * factor + 0.02 * square]
    got = geometry.project_points(np.array([[x, y, 1.0]]), camera)
    np.testing.assert_allclose(got, [expected], atol=1e-12)


@pytest.mark.parametrize("camera", [PINHOLE, LENS], ids=["pinhole", "lens"])
def test_back_projection_undoes_projection(camera):
    rng = np.random.default_rng(1)
    depths = rng.uniform(2000, 7000, (3, 9))
    # Wide angles: the corners of a picture of 1000 px lie at 0.45.
    points = np.concatenate([rng.uniform(-0.45, 0.45, (3, 9, 2)), np.ones((3, 9, 1))], axis=-1)
    points *= depths[..., None]
    cameras = np.tile(camera, (3, 1))
    pixels = geometry.project_points(points, cameras)
    np.testing.assert_allclose(
        geometry.back_project_points(pixels, depths, cameras), points, rtol=0, atol=1e-5
    )


def test_the_box_of_a_root_is_two_metres_wide_and_one_pixel_more():
    box = geometry.root_boxes(np.array([100.0, 200, 4000]), PINHOLE, (1800.0, 2000.0))
    np.testing.assert_allclose(box, [275, 242.5, 501, 406])


def test_a_stretched_view_shows_the_corners_of_its_box_in_its_own():
    box = np.array([30.0, 20, 150, 90])
    matrix = geometry.stretched_view_matrix(box, (64, 48))
    corners = np.array([[30.0, 20], [180, 20], [30, 110], [105, 65]])
    np.testing.assert_allclose(
        geometry.transform_points(corners, matrix), [[0, 0], [48, 0], [0, 64], [24, 32]], atol=1e-9
    )


def test_a_box_of_the_same_aspect_is_not_stretched():
    box, angle = np.array([[30.0, 20, 90, 120], [0, 0, 30, 40]]), np.array([25.0, -40])
    np.testing.assert_allclose(
        geometry.stretched_view_matrix(box, (64, 48), angle),
        geometry.view_matrix(box, (64, 48), angle),
        atol=1e-9,
    )


def test_a_box_encloses_the_known_points_alone():
    points = np.array([[[1.0, 8], [5, 2], [90, 90]], [[3, 4], [0, 0], [0, 0]]])
    known = np.array([[True, True, False], [True, False, False]])
    np.testing.assert_array_equal(
        geometry.enclose_points(points, known), [[1, 2, 4, 6], [3, 4, 0, 0]]
    )
    with pytest.raises(ValueError, match="at least one known point of each. Received none of 1"):
        geometry.enclose_points(points, known & [[True], [False]])
