"""Which triangle each pixel shows, and where on it: OpenCV draws, NumPy looks closer.

Triangles are drawn with their number as their colour. Whatever is wanted at a pixel (texture
coordinates, normals, owners) is then interpolated for the visible pixels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import Camera
from .rotations import unit

NEAR_M, FAR_M = 0.1, 400.0
_STEP = 1.0 / 2**22  # numbers become colours 0..1; a power of two keeps them exact


@dataclass(frozen=True, eq=False)
class TriangleBuffer:
    """Attributes: `triangle` (height, width) int32, -1 where none; `depth_m` (height, width)."""

    triangle: np.ndarray
    depth_m: np.ndarray


@dataclass(frozen=True, eq=False)
class Hits:
    """The covered pixels.

    Attributes:
        pixels: (hits,) flat index into the picture.
        triangle: (hits,) int32.
        weights: (hits, 3) float32 barycentric coordinates on the triangle, in space.
        points: (hits, 3) float32 camera metres.
    """

    pixels: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    points: np.ndarray

    def interpolate(self, corners: np.ndarray) -> np.ndarray:
        """(hits, channels) of values at corners (triangles, 3, channels)."""
        return np.einsum("hk,hkc->hc", self.weights, corners[self.triangle])


def check_rasterizer() -> None:
    """Say so where OpenCV is too old to draw triangles.

    Raises:
        ValueError: OpenCV is older than 5.
    """
    if not hasattr(cv2, "triangleRasterize"):
        raise ValueError(
            f"Synthetic people are drawn by OpenCV 5. Received OpenCV {cv2.__version__}. "
            "Run: pip install 'opencv-python-headless>=5'"
        )


def draw_triangles(points: np.ndarray, triangles: np.ndarray, camera: Camera) -> TriangleBuffer:
    """Draw triangles, nearer ones over farther ones, both sides of each.

    Args:
        points: (points, 3) camera metres.
        triangles: (triangles, 3) int32. Those with a corner nearer than `NEAR_M` are left out.
        camera: gives size and focal length.
    """
    ahead = points[:, 2] > NEAR_M
    seen = np.flatnonzero(ahead[triangles[:, 0]] & ahead[triangles[:, 1]] & ahead[triangles[:, 2]])
    flipped = points.astype(np.float32) * np.array([1, -1, -1], np.float32)  # OpenGL's axes
    corners = triangles[seen].astype(np.int32)
    # A flat triangle takes the colour of its first corner, so each gets one of its own.
    vertices = np.concatenate([flipped, flipped[corners[:, 0]]])
    corners[:, 0] = len(points) + np.arange(len(seen))
    colours = np.zeros((len(vertices), 3), np.float32)
    colours[len(points) :, 0] = (seen + 1) * _STEP
    painted = np.zeros((*camera.size_hw, 3), np.float32)
    depth = np.full(camera.size_hw, FAR_M, np.float32)
    cv2.triangleRasterize(
        vertices,
        corners,
        colours,
        painted,
        depth,
        np.eye(4, dtype=np.float32),
        _field_of_view(camera),
        NEAR_M,
        FAR_M,
        _flat_settings(),
    )
    numbers = np.rint(painted[..., 0] / _STEP).astype(np.int32) - 1
    return TriangleBuffer(numbers, depth)


def draw_depth(points: np.ndarray, triangles: np.ndarray, camera: Camera) -> np.ndarray:
    """(height, width) float32 metres along the axis, `FAR_M` where nothing is; as above."""
    flipped = points.astype(np.float32) * np.array([1, -1, -1], np.float32)
    depth = np.full(camera.size_hw, FAR_M, np.float32)
    cv2.triangleRasterizeDepth(
        flipped,
        triangles.astype(np.int32),
        depth,
        np.eye(4, dtype=np.float32),
        _field_of_view(camera),
        NEAR_M,
        FAR_M,
        _flat_settings(),
    )
    return depth


def _field_of_view(camera: Camera) -> float:
    return 2 * float(np.arctan(camera.size_hw[0] / 2 / camera.focal_px))


def _flat_settings() -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_FLAT)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    return settings


def find_hits(
    buffer: TriangleBuffer, points: np.ndarray, triangles: np.ndarray, camera: Camera
) -> Hits:
    """Where the ray of each covered pixel meets its triangle.

    With corners A, B, C in camera space the ray r meets the plane at A, B, C weighted by
    r.(B x C), r.(C x A), r.(A x B).
    """
    flat = buffer.triangle.reshape(-1)
    pixels = np.flatnonzero(flat >= 0)
    triangle = flat[pixels]
    used, inverse = np.unique(triangle, return_inverse=True)
    corners = points[triangles[used]].astype(np.float64)  # (used, 3, xyz)
    planes = np.cross(corners[:, [1, 2, 0]], corners[:, [2, 0, 1]]).astype(np.float32)
    width = camera.size_hw[1]
    rays = np.ones((len(pixels), 3), np.float32)
    rays[:, 0] = (pixels % width - camera.centre_px[0]) / camera.focal_px
    rays[:, 1] = (pixels // width - camera.centre_px[1]) / camera.focal_px
    weights = np.einsum("hkc,hc->hk", planes[inverse], rays)
    total = (weights @ np.ones(3, np.float32))[:, None]
    weights /= np.where(np.abs(total) < 1e-12, 1, total)
    # A pixel on the rim of an edge-on triangle may lie a little outside of it.
    weights = np.clip(weights, 0, 1)
    weights /= np.maximum(weights @ np.ones(3, np.float32), 1e-6)[:, None]
    depth = buffer.depth_m.reshape(-1)[pixels]
    return Hits(pixels, triangle, weights, rays * depth[:, None])


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(points, 3) float32 unit normals, the areas of the neighbouring triangles as weights."""
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat, count = triangles.reshape(-1), len(points)
    repeated = np.repeat(faces, 3, axis=0)
    normals = np.stack(
        [np.bincount(flat, repeated[:, axis], minlength=count) for axis in range(3)], axis=1
    )
    return unit(normals.astype(np.float32))
