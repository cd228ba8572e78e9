import cv2
import numpy as np
import pytest

from poseras.synthetic.camera import Camera, look
from poseras.synthetic.raster import (
    check_rasterizer,
    draw_depth,
    draw_triangles,
    find_hits,
    vertex_normals,
)

CAMERA = Camera(np.eye(3), np.zeros(3), 100.0, (48, 64))


def square(left, top, size, depth):
    """Corners in camera metres of a square given in pixels, seen face on."""
    px = np.array([[left, top], [left + size, top], [left + size, top + size], [left, top + size]])
    xy = (px - CAMERA.centre_px) / CAMERA.focal_px * depth
    return np.column_stack([xy, np.full(4, depth)])


TWO = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_pixel_centres_lie_at_integers():
    # From 9.6 to 19.6: the centres 10 to 19 lie inside.
    buffer = draw_triangles(square(9.6, 9.6, 10, 2.0), TWO, CAMERA)
    rows, columns = np.nonzero(buffer.triangle >= 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 19, 10, 19)


def test_the_nearer_triangle_is_seen_whatever_the_order():
    near, far = square(10, 10, 10, 1.0), square(5, 5, 20, 3.0)
    for first, second, expected in ((near, far, {0, 1}), (far, near, {2, 3})):
        points, triangles = np.concatenate([first, second]), np.concatenate([TWO, TWO + 4])
        buffer = draw_triangles(points, triangles, CAMERA)
        assert buffer.triangle[15, 12] in expected
        assert buffer.depth_m[15, 12] == pytest.approx(1.0)
        assert buffer.depth_m[7, 7] == pytest.approx(3.0)
        assert buffer.triangle[40, 40] == -1


def test_a_triangle_with_a_corner_at_the_camera_is_left_out():
    points = np.array([[-1, 0.1, 0.01], [1, 0.1, 3], [0, -1, 3.0]])
    buffer = draw_triangles(points, np.array([[0, 1, 2]], np.int32), CAMERA)
    assert (buffer.triangle == -1).all()


def test_hits_interpolate_in_space_and_not_in_the_picture():
    # A slanted triangle, value = depth: in the picture 1 / depth would be linear instead.
    points = np.array([[-1, -0.4, 2.0], [2, -0.4, 5.0], [-1, 1, 2.0]])
    triangles = np.array([[0, 1, 2]], np.int32)
    buffer = draw_triangles(points, triangles, CAMERA)
    hits = find_hits(buffer, points.astype(np.float32), triangles, CAMERA)
    value = hits.interpolate(points[triangles][..., 2:].astype(np.float32))[:, 0]
    assert len(value) > 200
    # depth buffer and interpolation are both float32
    np.testing.assert_allclose(value, hits.points[:, 2], rtol=2e-4)
    np.testing.assert_allclose(
        CAMERA.project(hits.points.astype(float)),
        np.column_stack([hits.pixels % 64, hits.pixels // 64]),
        atol=1e-3,
    )


def test_the_depth_picture_equals_the_depth_buffer():
    points = np.concatenate([square(10, 10, 10, 1.0), square(5, 5, 30, 3.0)])
    triangles = np.concatenate([TWO, TWO + 4])
    depth = draw_depth(points, triangles, CAMERA)
    np.testing.assert_array_equal(depth, draw_triangles(points, triangles, CAMERA).depth_m)


def test_normals_of_a_square_stand_on_it():
    normals = vertex_normals(square(0, 0, 10, 2.0), TWO)
    np.testing.assert_allclose(np.abs(normals), np.tile([0, 0, 1], (4, 1)), atol=1e-6)


def test_a_level_camera_sees_what_is_higher_higher_up():
    camera = look(np.array([0, 0, 1.5]), 0, 0, 0, focal_px=100, size_hw=(48, 64))
    ahead = camera.to_camera(np.array([[0, 4, 1.5], [0, 4, 2.5], [1, 4, 1.5]]))
    np.testing.assert_allclose(ahead[:, 2], 4)
    middle, above, right = camera.project(ahead)
    np.testing.assert_allclose(middle, camera.centre_px)
    assert above[1] == middle[1] - 25 and right[0] == middle[0] + 25


def test_a_camera_that_looks_down_brings_the_ground_up():
    camera = look(np.array([0, 0, 2.0]), 0, 45, 0, focal_px=100, size_hw=(48, 64))
    np.testing.assert_allclose(
        camera.to_camera(np.array([0, 2.0, 0])), [0, 0, np.sqrt(8)], atol=1e-9
    )


def test_rays_lead_through_their_pixels():
    camera = look(np.array([1, 2, 1.5]), 20, 10, 5, focal_px=80, size_hw=(48, 64))
    rays = camera.rays()
    points = camera.position + 3 * rays[[5, 40], [60, 2]]
    px = camera.project(camera.to_camera(points))
    np.testing.assert_allclose(px, [[60, 5], [2, 40]], atol=1e-3)


def test_an_old_opencv_is_named(monkeypatch):
    monkeypatch.delattr(cv2, "triangleRasterize")
    monkeypatch.setattr(cv2, "__version__", "4.11.0")
    with pytest.raises(ValueError, match=r"OpenCV 5. Received OpenCV 4\.11\.0"):
        check_rasterizer()
