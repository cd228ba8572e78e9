"""Light on a scene: sun or lamp with shadows, sky and ground, gloss.

Colours are multiplied in linear light and come back as sRGB, 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import Camera
from .raster import FAR_M, Hits, draw_depth, vertex_normals
from .rotations import dot, unit
from .textures import look_up

Generator = np.random.Generator

GAMMA = 2.2
_SHADOW_PX = 320


@dataclass(frozen=True, eq=False)
class Mesh:
    """Everything that is drawn, as one.

    Attributes:
        points: (points, 3) world metres.
        triangles: (triangles, 3) int32.
        uv: (triangles, 3, 2) float32.
        picture: (triangles,) int32, index into `pictures`.
        owner: (triangles,) int32, the person, or -1 for a thing.
        pictures: (height, width, 3) uint8 each.
        texels_per_metre: of each picture.
        gloss: of each picture.
    """

    points: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    picture: np.ndarray
    owner: np.ndarray
    pictures: tuple[np.ndarray, ...]
    texels_per_metre: tuple[float, ...]
    gloss: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Lighting:
    """Attributes: `towards` (3,) unit vector to the lamp; linear RGB (3,) of each light."""

    towards: np.ndarray
    lamp: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    wrap: float


def sample_lighting(rng: Generator) -> Lighting:
    """From a clear noon to a lamp in a room, by strength, colour and direction."""
    height = rng.uniform(15, 80)
    azimuth = rng.uniform(0, 2 * np.pi)
    level = np.cos(np.deg2rad(height))
    towards = np.array(
        [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(np.deg2rad(height))]
    )
    share = rng.beta(1.6, 1.4)  # of the lamp in all the light
    total = rng.uniform(0.75, 1.35)
    warm = np.array([1, 1, 1]) + rng.normal(0, 0.05) * np.array([1.2, 0.1, -1.3])
    cool = np.array([1, 1, 1]) + rng.normal(0, 0.07) * np.array([-1, 0, 1.2])
    return Lighting(
        towards=towards,
        lamp=total * share * 1.5 * np.clip(warm, 0.5, 1.5),
        sky=(total * (1 - share) + 0.22) * np.clip(cool, 0.5, 1.5),
        ground=(total * (1 - share) * rng.uniform(0.3, 0.8) + 0.15)
        * rng.normal(1, 0.08, 3).clip(0.6, 1.4),
        wrap=float(rng.uniform(0, 0.45)),
    )


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """What the lamp sees: its camera and the depths of that picture."""

    camera: Camera
    depth_m: np.ndarray

    def lit(self, points: np.ndarray, bias_m: float = 0.02) -> np.ndarray:
        """(...,) float32, 1 where the lamp reaches world points (..., 3), 0 in shadow."""
        seen = self.camera.to_camera(points)
        place = np.rint(self.camera.project(seen)).astype(np.int64)
        inside = ((place >= 0) & (place < _SHADOW_PX)).all(axis=-1)
        place = np.clip(place, 0, _SHADOW_PX - 1)
        first = self.depth_m[place[..., 1], place[..., 0]]
        return (~inside | (seen[..., 2] <= first + bias_m)).astype(np.float32)


def draw_shadow_map(mesh: Mesh, lighting: Lighting) -> ShadowMap:
    """The scene's people and things from a lamp so far away that its rays are parallel."""
    low, high = np.percentile(mesh.points, [0.5, 99.5], axis=0)
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low) / 2) + 0.3
    distance = min(30 * radius, FAR_M / 2)
    ahead = -lighting.towards
    across = unit(np.cross(ahead, [0.0, 0, 1]))
    rotation = np.stack([across, np.cross(ahead, across), ahead])
    focal = _SHADOW_PX / 2 * (distance - radius) / radius
    camera = Camera(rotation, middle - ahead * distance, focal, (_SHADOW_PX, _SHADOW_PX))
    return ShadowMap(camera, draw_depth(camera.to_camera(mesh.points), mesh.triangles, camera))


def shade(
    mesh: Mesh, hits: Hits, camera: Camera, lighting: Lighting, shadows: ShadowMap | None
) -> np.ndarray:
    """(hits, 3) float32 sRGB 0..1 of the visible pixels."""
    normals = vertex_normals(mesh.points, mesh.triangles)
    normal = unit(hits.interpolate(normals[mesh.triangles])).astype(np.float32)
    world = hits.points @ camera.rotation.astype(np.float32) + camera.position.astype(np.float32)
    view = unit(camera.position.astype(np.float32) - world)
    # Cloth is open and seen from both sides: normals turn towards the camera.
    facing = dot(normal, view)[:, None]
    normal = np.where(facing < 0, -normal, normal)
    falling = normal @ lighting.towards.astype(np.float32)
    lamp = np.clip((falling + lighting.wrap) / (1 + lighting.wrap), 0, 1)
    lit = np.ones(len(lamp), np.float32)
    if shadows is not None:
        lit = _soften(shadows.lit(world + normal * 0.01), hits, camera.size_hw)
    upward = (normal[:, 2:] + 1) / 2
    ground, sky, sun = (
        light.astype(np.float32) for light in (lighting.ground, lighting.sky, lighting.lamp)
    )
    light = ground + upward * (sky - ground) + (lamp * lit)[:, None] * sun
    albedo, gloss = _sample_pictures(mesh, hits, camera)
    half = unit(view + lighting.towards.astype(np.float32))
    shine = np.clip(dot(normal, half), 0, 1) ** 24 * lit * gloss
    colour = albedo * light + shine[:, None] * (sun * np.float32(0.5))
    return cv2.pow(np.clip(colour, 0, 1).astype(np.float32), 1 / GAMMA)


def _soften(values: np.ndarray, hits: Hits, size_hw: tuple[int, int]) -> np.ndarray:
    """Blur over neighbouring covered pixels: the hard steps of the shadow map."""
    plane = np.zeros((2, size_hw[0] * size_hw[1]), np.float32)
    plane[0, hits.pixels], plane[1, hits.pixels] = values, 1
    blurred = [cv2.blur(p.reshape(size_hw), (5, 5)).reshape(-1)[hits.pixels] for p in plane]
    return blurred[0] / np.maximum(blurred[1], 1e-3)


def _sample_pictures(mesh: Mesh, hits: Hits, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """(hits, 3) linear albedo and (hits,) gloss."""
    uv = hits.interpolate(mesh.uv)
    owner = mesh.picture[hits.triangle]
    order = np.argsort(owner, kind="stable")
    numbers, starts = np.unique(owner[order], return_index=True)
    albedo = np.empty((len(owner), 3), np.float32)
    gloss = np.asarray(mesh.gloss, np.float32)[owner]
    for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
        density = camera.focal_px / float(np.median(hits.points[rows, 2]))  # px per metre
        albedo[rows] = _sample(
            mesh.pictures[number], uv[rows], density / mesh.texels_per_metre[number]
        )
    return albedo, gloss


def _sample(picture: np.ndarray, uv: np.ndarray, scale: float) -> np.ndarray:
    """(points, 3) linear colours; the picture is first shrunk to the size at which it is seen."""
    if scale < 0.7:
        size = [max(round(side * scale * 1.2), 2) for side in picture.shape[:2]]
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    linear = cv2.pow(picture.astype(np.float32) / 255, GAMMA)
    height, width = picture.shape[:2]
    return look_up(linear, (uv[:, 0] % 1) * width - 0.5, ((1 - uv[:, 1]) % 1) * height - 0.5)
