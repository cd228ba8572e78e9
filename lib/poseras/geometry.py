"""Coordinates: boxes, and the affine maps between an image and a network's view of it.

The one convention a reader must know: points are in pixels, x before y, and pixel centres lie at
integers. The published crop (`corner`) nevertheless maps the box centre to width / 2, not to
(width - 1) / 2, so that a crop is half an output pixel off by that convention; every published
top-down number was made so. `udp` is the aligned form.

In space, points are in millimetres, x right, y down, z ahead of the camera. A camera is a row of
nine numbers in pixels of the original picture: fx, fy, cx, cy, k1, k2, k3, p1, p2; where it stands
is apart, as a rotation from world to camera axes and a position in the world.
"""

from __future__ import annotations

import numpy as np

from .structures import CropConvention

_UNDISTORT_STEPS = 20


def expand_box(box_xywh: np.ndarray, aspect_ratio: float, margin: float = 1.25) -> np.ndarray:
    """Grow person boxes to the network's aspect ratio, keeping their centres.

    The shorter side is stretched first, then both sides are multiplied by `margin`, so that the
    crop holds the whole person with some background.

    Args:
        box_xywh: (..., 4), left, top, width, height in image pixels.
        aspect_ratio: width / height of the network input.
        margin: factor on both sides.

    Returns:
        (..., 4) float32, the same layout. A box may reach outside the image.

    Raises:
        ValueError: a width or height is negative, or both are 0.

    Source: Simple Baselines, Xiao et al., ECCV 2018; the margin 1.25 is that of the authors' code.
    """
    box = np.asarray(box_xywh, np.float32)
    size = box[..., 2:]
    # A box without width is kept: the published clipping makes some of narrow ones.
    bad = (size < 0).any(axis=-1) | ~(size > 0).any(axis=-1)
    if bad.any():
        raise ValueError(
            f"box_xywh must have a width and a height of at least 0, not both 0. "
            f"Received {box[bad][0].tolist()}."
        )
    centre = box[..., :2] + size / 2
    width = np.maximum(size[..., 0], size[..., 1] * np.float32(aspect_ratio))
    height = np.maximum(size[..., 1], size[..., 0] / np.float32(aspect_ratio))
    grown = np.stack([width, height], axis=-1) * np.float32(margin)
    return np.concatenate([centre - grown / 2, grown], axis=-1).astype(np.float32)


def enclose_points(points_px: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The smallest upright boxes around the known points of people.

    Args:
        points_px: (..., points, 2), x before y.
        known: (..., points) bool.

    Returns:
        (..., 4) float64, left, top, width, height. One point alone has a width and a height of 0.

    Raises:
        ValueError: nothing is known of somebody.
    """
    points, seen = np.asarray(points_px, np.float64), np.asarray(known, bool)[..., None]
    if not seen.any(axis=(-1, -2)).all():
        raise ValueError(
            "A box around a person needs at least one known point of each. Received none of "
            f"{int((~seen.any(axis=(-1, -2))).sum())}; leave them out."
        )
    low = np.where(seen, points, np.inf).min(axis=-2)
    high = np.where(seen, points, -np.inf).max(axis=-2)
    return np.concatenate([low, high - low], axis=-1)


def view_matrix(
    box_xywh: np.ndarray,
    size_hw: tuple[int, int],
    rotation_deg: np.ndarray | float = 0.0,
    convention: CropConvention = "corner",
) -> np.ndarray:
    """The affine that brings a box of the network's aspect ratio to the network input.

    With k = width of the input / width of the box, c and s the cosine and sine of the rotation:
    M = k [[c, s], [-s, c]], translated so that the centre of the box falls on the centre of the
    input. Only the width of the box counts; the height follows from the equal aspect ratio. With
    `udp` k is (width - 1) / width of the box for the first row and (height - 1) / height of the box
    for the second, which are not quite equal.

    Args:
        box_xywh: (..., 4) as `expand_box` gives it.
        size_hw: height and width of the network input.
        rotation_deg: (...), positive turns the picture counter-clockwise on the screen.
        convention: see `structures.View.crop_convention`.

    Returns:
        (..., 2, 3) float64, image pixels to view pixels.

    Source: Simple Baselines' three-point construction in closed form (they agree to 2e-5);
        Huang et al., CVPR 2020, whose code turns the other way round.
    """
    box = np.asarray(box_xywh, np.float64)
    height, width = size_hw
    shrink = 1.0 if convention == "udp" else 0.0
    angle = np.deg2rad(np.asarray(rotation_deg, np.float64))
    across = (width - shrink) / box[..., 2]
    down = (height - 1) / box[..., 3] if convention == "udp" else across
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.stack(
        [
            np.stack([across * cosine, across * sine], axis=-1),
            np.stack([-down * sine, down * cosine], axis=-1),
        ],
        axis=-2,
    )  # (..., 2, 2)
    centre = box[..., :2] + box[..., 2:] / 2
    target = np.array([(width - shrink) / 2, (height - shrink) / 2])
    offset = target - np.einsum("...ij,...j->...i", linear, centre)
    return np.concatenate([linear, offset[..., None]], axis=-1)


def mirror_matrix(image_width: np.ndarray | int) -> np.ndarray:
    """The affine of a mirror image, x -> image_width - 1 - x.

    Args:
        image_width: (...) in pixels.

    Returns:
        (..., 2, 3) float64.
    """
    width = np.asarray(image_width, np.float64)
    matrix = np.zeros((*width.shape, 2, 3))
    matrix[..., 0, 0] = -1
    matrix[..., 0, 2] = width - 1
    matrix[..., 1, 1] = 1
    return matrix


def compose_affine(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The affine that does `first`, then `second`.

    Args:
        second: (..., 2, 3).
        first: (..., 2, 3).

    Returns:
        (..., 2, 3), in the wider of the two dtypes.
    """
    linear = second[..., :2] @ first[..., :2]
    offset = np.einsum("...ij,...j->...i", second[..., :2], first[..., 2]) + second[..., 2]
    return np.concatenate([linear, offset[..., None]], axis=-1)


def invert_affine(matrix: np.ndarray) -> np.ndarray:
    """The inverse affine.

    Args:
        matrix: (..., 2, 3), a_to_b.

    Returns:
        (..., 2, 3) float64, b_to_a.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = np.linalg.inv(matrix[..., :2])
    offset = -np.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return np.concatenate([linear, offset[..., None]], axis=-1)


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points through an affine.

    Args:
        points: (..., points, 2), x before y.
        matrix: (..., 2, 3), broadcast over the points.

    Returns:
        (..., points, 2).
    """
    turned = points @ np.swapaxes(matrix[..., :2], -1, -2)
    return turned + matrix[..., None, :, 2]


def stretched_view_matrix(
    box_xywh: np.ndarray, size_hw: tuple[int, int], rotation_deg: np.ndarray | float = 0.0
) -> np.ndarray:
    """The affine that brings a box of any aspect ratio to the network input, its sides stretched.

    M = diag(width of the input / width of the box, height / height) [[c, s], [-s, c]]: the picture
    is turned first.

    Args:
        box_xywh: (..., 4) in image pixels.
        size_hw: height and width of the network input.
        rotation_deg: (...), positive turns the picture counter-clockwise on the screen.

    Returns:
        (..., 2, 3) float64, image pixels to view pixels.

    Source: Integral Human Pose Regression, Sun et al., ECCV 2018; Moon's three-point construction
    in closed form (its float32 points are off by up to 1e-3 px).
    """
    box = np.asarray(box_xywh, np.float64)
    angle = np.deg2rad(np.asarray(rotation_deg, np.float64))
    cosine, sine = (np.broadcast_to(f(angle), box.shape[:-1]) for f in (np.cos, np.sin))
    turn = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], axis=-2)
    target = np.array(size_hw[::-1], np.float64)
    linear = (target / box[..., 2:])[..., None] * turn  # (..., 2, 2)
    centre = box[..., :2] + box[..., 2:] / 2
    offset = target / 2 - np.einsum("...ij,...j->...i", linear, centre)
    return np.concatenate([linear, offset[..., None]], axis=-1)


def world_to_camera(
    points_mm: np.ndarray, rotation: np.ndarray, position_mm: np.ndarray
) -> np.ndarray:
    """Points of the world in the axes of a camera: R (X - T).

    Args:
        points_mm: (..., points, 3) in the world.
        rotation: (..., 3, 3), world axes to camera axes.
        position_mm: (..., 3) of the camera in the world.

    Returns:
        (..., points, 3).
    """
    moved = points_mm - np.asarray(position_mm)[..., None, :]
    return moved @ np.swapaxes(rotation, -1, -2)


def camera_to_world(
    points_mm: np.ndarray, rotation: np.ndarray, position_mm: np.ndarray
) -> np.ndarray:
    """The inverse of `world_to_camera`: R^T X + T, shapes as there."""
    return points_mm @ np.asarray(rotation) + np.asarray(position_mm)[..., None, :]


def project_points(points_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Where a camera shows points: pinhole projection and lens distortion.

    On x, y of the pinhole picture at distance 1, with r^2 = x^2 + y^2:
    x' = x (1 + k1 r^2 + k2 r^4 + k3 r^6 + 2 (p1 y + p2 x)) + p2 r^2, y' the same with y and p1 r^2.

    Args:
        points_mm: (..., points, 3) in camera space, z positive.
        camera: (..., 9); zeros from the fifth number on are a pinhole camera.

    Returns:
        (..., points, 2) px.

    Source: Human3.6M, Ionescu et al., TPAMI 2014; its release's camera model.
    """
    camera = np.asarray(camera)[..., None, :]
    flat = points_mm[..., :2] / points_mm[..., 2:]
    return _distort(flat, camera) * camera[..., :2] + camera[..., 2:4]


def back_project_points(
    points_px: np.ndarray, depths_mm: np.ndarray, camera: np.ndarray
) -> np.ndarray:
    """The inverse of `project_points` for points of known depth.

    Lens distortion is undone by fixed-point steps, to below 1e-6 px for the lenses of Human3.6M.

    Args:
        points_px: (..., points, 2).
        depths_mm: (..., points) z in camera space.
        camera: (..., 9) as in `project_points`.

    Returns:
        (..., points, 3) in camera space.
    """
    camera = np.asarray(camera)[..., None, :]
    seen = (points_px - camera[..., 2:4]) / camera[..., :2]
    flat = seen
    if np.any(camera[..., 4:]):
        for _ in range(_UNDISTORT_STEPS):
            flat = flat + seen - _distort(flat, camera)
    depths = np.asarray(depths_mm)[..., None]
    return np.concatenate([flat * depths, depths], axis=-1)


def _distort(flat: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """(..., points, 2) at distance 1 through the lens of (..., 1, 9)."""
    if not np.any(camera[..., 4:]):
        return flat
    k1, k2, k3, p1, p2 = np.moveaxis(camera[..., 4:], -1, 0)  # each (..., 1)
    x, y = flat[..., 0], flat[..., 1]
    square = x**2 + y**2
    factor = 1 + square * (k1 + square * (k2 + square * k3)) + 2 * (p1 * y + p2 * x)
    return np.stack([x * factor + p2 * square, y * factor + p1 * square], axis=-1)


def root_boxes(
    root_camera_mm: np.ndarray, camera: np.ndarray, size_hw_mm: tuple[float, float]
) -> np.ndarray:
    """The picture of a rectangle of fixed size around the root, parallel to the picture.

    Args:
        root_camera_mm: (..., 3) in camera space.
        camera: (..., 9), taken as a pinhole camera.
        size_hw_mm: height and width of the rectangle.

    Returns:
        (..., 4) float64: left, top, right - left + 1, bottom - top + 1 in pixels (kept: the
        published coordinates were made with this added pixel).

    Source: Moon's PyTorch code of Integral Human Pose Regression.
    """
    root, camera = np.asarray(root_camera_mm, np.float64), np.asarray(camera, np.float64)
    half = np.array(size_hw_mm[::-1], np.float64) / 2
    first, last = (
        (root[..., :2] + sign * half) / root[..., 2:] * camera[..., :2] + camera[..., 2:4]
        for sign in (-1, 1)
    )
    return np.concatenate([first, last - first + 1], axis=-1)
