"""What a dressed body is made of: layers of triangles with a picture on them.

A layer's points follow the skin (each the matrix of one vertex of the body) or one bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assets import BodyAssets
from .body import Shape
from .raster import vertex_normals
from .regions import Regions


@dataclass(frozen=True, eq=False)
class Layer:
    """Triangles at rest.

    Attributes:
        points: (points, 3) float32 metres, the body at rest.
        triangles: (triangles, 3) int32.
        uv: (triangles, 3, 2) float32; the picture repeats beyond 0..1, v counts upwards.
        picture: (height, width, 3) uint8 RGB.
        rows: (points,) vertices of the body whose skinning they follow; None for a rigid layer.
        bone: that a rigid layer follows.
        gloss: 0 dull, 1 shining.
        texels_per_metre: of the picture on the body, for choosing a smaller one at a distance.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    picture: np.ndarray
    rows: np.ndarray | None = None
    bone: str = ""
    gloss: float = 0.1
    texels_per_metre: float = 250.0


@dataclass(frozen=True)
class Cut:
    """Which part of the body a garment covers, in the measures of `regions`.

    Attributes:
        top: from here down.
        bottom: to here; legs and trunk alike.
        sleeve: to here along the arms; negative: the arms are bare.
        neckline: how much lower it ends in front of the neck.
    """

    top: float
    bottom: float
    sleeve: float = -1.0
    neckline: float = 0.0

    def outside(self, assets: BodyAssets, regions: Regions, rows: np.ndarray) -> np.ndarray:
        """(rows,) negative inside the garment, growing outwards, about in leg lengths."""
        points = assets.vertices[rows]
        front = np.clip((0.02 - points[:, 1]) / 0.06, 0, 1)
        middle = np.exp(-((points[:, 0] / 0.07) ** 2))
        top = self.top + self.neckline * front * middle
        trunk = np.maximum(top - regions.down[rows], regions.down[rows] - self.bottom)
        arm = regions.arm[rows]
        on_arm = np.maximum((arm - self.sleeve) * 0.65, top - regions.down[rows])
        return np.where(arm > -0.5, on_arm, trunk)


def used_vertices(triangles: np.ndarray) -> np.ndarray:
    """(vertices,) int64, sorted, those that triangles (triangles, 3) use."""
    return np.flatnonzero(np.bincount(triangles.reshape(-1)))


def cut_garment(
    assets: BodyAssets, group: str, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The triangles of a helper group inside a cut.

    Args:
        assets: of the body.
        group: helper-tights or helper-skirt.
        distance: (vertices,) as `Cut.outside` gives it.

    Returns:
        (kept triangles,) their indices; (rows,) the vertices they use; (rows, 2) where each vertex
        goes so that the hem is straight: index of the row it moves towards and share of the way.
    """
    candidates = np.flatnonzero(assets.group_triangles(group))
    corners = assets.triangles[candidates]
    kept = candidates[(distance[corners] <= 0).any(axis=1)]
    rows = used_vertices(assets.triangles[kept])
    return kept, rows, _pull_in(assets.triangles[kept], distance)[rows]


def _pull_in(triangles: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(vertices, 2): for vertices outside the hem, the inner neighbour and the share of the way."""
    pull = np.stack([np.arange(len(distance), dtype=np.float64), np.zeros(len(distance))], axis=1)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    outer, inner = edges.T
    crossing = (distance[outer] > 0) & (distance[inner] <= 0)
    outer, inner = outer[crossing], inner[crossing]
    pull[outer, 0] = inner
    span = distance[outer] - distance[inner]
    pull[outer, 1] = distance[outer] / np.maximum(span, 1e-9)
    return pull


def garment_layer(
    assets: BodyAssets,
    pushed: np.ndarray,
    *,
    group: str,
    distance: np.ndarray,
    picture: np.ndarray,
    gloss: float = 0.08,
) -> Layer:
    """Cloth cut from a helper group.

    Args:
        assets: of the body.
        pushed: (vertices, 3) the body at rest, the group's vertices pushed out by `push_out`.
        group: helper-tights or helper-skirt.
        distance: (vertices,) as `Cut.outside` gives it.
        picture: of the cloth; it is spread once over the whole group.
        gloss: of the cloth.
    """
    kept, rows, pull = cut_garment(assets, group, distance)
    share = pull[:, 1:].astype(np.float32)
    inner = pushed[pull[:, 0].astype(np.int64)]
    points = pushed[rows] + share * (inner - pushed[rows])
    place = np.zeros(len(assets.vertices), np.int32)
    place[rows] = np.arange(len(rows))
    uv = assets.triangle_uv[assets.group_triangles(group)].reshape(-1, 2)
    low, high = uv.min(axis=0), uv.max(axis=0)
    return Layer(
        points=points.astype(np.float32),
        triangles=place[assets.triangles[kept]],
        uv=(assets.triangle_uv[kept] - low) / (high - low),
        picture=picture,
        rows=rows,
        gloss=gloss,
        texels_per_metre=picture.shape[0] / 1.6,
    )


@dataclass(frozen=True, eq=False)
class Helper:
    """A helper group on one body: its `rows` (group vertices,) and their `normals` outwards."""

    group: str
    rows: np.ndarray
    normals: np.ndarray

    @classmethod
    def on(cls, assets: BodyAssets, shape: Shape, group: str) -> Helper:
        """The group on a shape."""
        triangles = assets.triangles[assets.group_triangles(group)]
        rows = used_vertices(triangles)
        return cls(group, rows, vertex_normals(shape.vertices, triangles)[rows])

    def push_out(self, shape: Shape, offset_m: np.ndarray) -> np.ndarray:
        """(vertices, 3) the body, the group moved along its normals by (group vertices,) metres."""
        moved = shape.vertices.copy()
        moved[self.rows] += self.normals * offset_m[:, None].astype(np.float32)
        return moved


def folds(rng: np.random.Generator, points: np.ndarray, wavelength_m: float) -> np.ndarray:
    """(points,) -1..1, a smooth random field over points at rest: wrinkles of cloth."""
    total = np.zeros(len(points))
    for _ in range(4):
        direction = rng.normal(size=3)
        direction *= rng.uniform(0.6, 1.6) * 2 * np.pi / wavelength_m / np.linalg.norm(direction)
        total += np.sin(points @ direction + rng.uniform(0, 2 * np.pi))
    return total / 4
