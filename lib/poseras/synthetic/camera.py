"""A pinhole camera, and the rays of its pixels.

World: metres, z up. Camera: x right, y down, z ahead. Pixel centres lie at integers, so the
principal point of a picture is (width - 1) / 2, (height - 1) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rotations import turn


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the camera stands and how it sees.

    Attributes:
        rotation: (3, 3), world axes to camera axes.
        position: (3,) metres in the world.
        focal_px: the same in both directions.
        size_hw: height and width of the picture, px.
    """

    rotation: np.ndarray
    position: np.ndarray
    focal_px: float
    size_hw: tuple[int, int]

    @property
    def centre_px(self) -> np.ndarray:
        """(2,) the principal point, x before y."""
        height, width = self.size_hw
        return np.array([(width - 1) / 2, (height - 1) / 2])

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) world metres to camera metres, in the dtype of the points."""
        dtype = points.dtype
        return (points - self.position.astype(dtype)) @ self.rotation.T.astype(dtype)

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) camera metres to (..., 2) px; points must lie ahead."""
        centre = self.centre_px.astype(points.dtype)
        return points[..., :2] / points[..., 2:] * self.focal_px + centre

    def rays(self, step: int = 1) -> np.ndarray:
        """(height / step, width / step, 3) float32 world directions, 1 long along the axis.

        With a step, each ray stands in the middle of a block of step x step pixels.
        """
        height, width = self.size_hw
        shift = (step - 1) / 2
        x = (np.arange(0, width, step) + shift - self.centre_px[0]) / self.focal_px
        y = (np.arange(0, height, step) + shift - self.centre_px[1]) / self.focal_px
        across, down, ahead = self.rotation.astype(np.float32)
        level = x.astype(np.float32)[:, None] * across + ahead  # (width, 3)
        return y.astype(np.float32)[:, None, None] * down + level

    def to_record(self) -> dict[str, list]:
        """{R, T, f, c, k, p} as Human3.6M's tools name them: X_camera = R (X_world - T), in mm."""
        return {
            "R": self.rotation.tolist(),
            "T": (self.position * 1000).tolist(),
            "f": [self.focal_px, self.focal_px],
            "c": self.centre_px.tolist(),
            "k": [0.0, 0.0, 0.0],
            "p": [0.0, 0.0],
        }


def look(
    position: np.ndarray,
    yaw_deg: float,
    pitch_deg: float,
    roll_deg: float,
    *,
    focal_px: float,
    size_hw: tuple[int, int],
) -> Camera:
    """A camera that looks along +y, turned left by yaw, down by pitch, clockwise by roll."""
    level = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    tilt = turn([1, 0, 0], pitch_deg)  # in camera axes: what was ahead comes up in the picture
    tilt = turn([0, 0, 1], roll_deg) @ tilt
    rotation = tilt @ level @ turn([0, 0, 1], -yaw_deg)
    return Camera(rotation, np.asarray(position, np.float64), float(focal_px), size_hw)
