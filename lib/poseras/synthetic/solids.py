"""Simple solids: furniture, hats, bags, things in hands.

Each is (points (points, 3), triangles (triangles, 3), uv (triangles, 3, 2)), around the origin, and
every face shows the whole picture unless said otherwise.
"""

from __future__ import annotations

import numpy as np

Solid = tuple[np.ndarray, np.ndarray, np.ndarray]

_QUAD_UV = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)


def box(size: np.ndarray | tuple[float, float, float]) -> Solid:
    """A box of a size (3,), its middle at the origin."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
    points = signs * np.asarray(size, np.float32) / 2
    quads = [[0, 4, 5, 1], [6, 2, 3, 7], [2, 0, 1, 3], [4, 6, 7, 5], [1, 5, 7, 3], [2, 6, 4, 0]]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)
    return points, triangles, np.tile(_QUAD_UV, (6, 1, 1))


def revolve(profile: np.ndarray, sides: int = 14) -> Solid:
    """A profile (levels, 2) of radius and height turned about the z axis.

    The picture goes once around and from the first level to the last.
    """
    levels = len(profile)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.empty((levels, sides + 1, 3), np.float32)
    points[..., :2] = profile[:, None, :1] * ring
    points[..., 2] = profile[:, None, 1]
    grid = np.arange(levels * (sides + 1)).reshape(levels, sides + 1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    u, v = np.meshgrid(np.linspace(0, 1, sides + 1), np.linspace(0, 1, levels))
    uv = np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32)
    return points.reshape(-1, 3), triangles.astype(np.int32), uv[triangles]


def cylinder(radius: float, height: float, sides: int = 12) -> Solid:
    """Closed, its middle at the origin."""
    half = height / 2
    return revolve(np.array([[0, -half], [radius, -half], [radius, half], [0, half]]), sides)


def ellipsoid(radii: np.ndarray | tuple[float, float, float], share: float = 1.0) -> Solid:
    """An ellipsoid with radii (3,), or its upper `share` of the height angle (0.5: a dome)."""
    angle = np.linspace(np.pi * (0.5 - share), np.pi / 2, 9)
    points, triangles, uv = revolve(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return points * np.asarray(radii, np.float32), triangles, uv


def join(solids: list[Solid]) -> Solid:
    """Several as one."""
    offsets = np.cumsum([0, *(len(points) for points, _, _ in solids[:-1])])
    return (
        np.concatenate([points for points, _, _ in solids]),
        np.concatenate([t + offset for (_, t, _), offset in zip(solids, offsets, strict=True)]),
        np.concatenate([uv for _, _, uv in solids]),
    )


def place(
    solid: Solid, offset: np.ndarray | list[float], rotation: np.ndarray | None = None
) -> Solid:
    """Turned by (3, 3), then moved by (3,)."""
    points, triangles, uv = solid
    if rotation is not None:
        points = points @ rotation.T.astype(np.float32)
    return (points + np.asarray(offset, np.float32)).astype(np.float32), triangles, uv
