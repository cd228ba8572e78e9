"""What stands behind the people: rooms, landscapes, walls, noise, and the user's photographs.

Rooms and landscapes are seen through the scene's own camera, so that floor and horizon fit. They
are drawn at half size and enlarged, which blurs them as a lens does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .camera import Camera
from .shading import Lighting, ShadowMap
from .textures import checks, look_up, make_pattern, muted_colour, noise

Generator = np.random.Generator
_STEP = 2


def paint_background(
    rng: Generator,
    camera: Camera,
    *,
    difficulty: str,
    lighting: Lighting,
    shadows: ShadowMap | None,
    extent_m: np.ndarray,
    photographs: Sequence[Path] = (),
) -> np.ndarray:
    """(height, width, 3) float32 sRGB 0..1.

    Args:
        rng: draws everything.
        camera: of the scene.
        difficulty: "easy" has plain ground and a plain wall.
        lighting: of the scene.
        shadows: darken the ground; None for none.
        extent_m: (2, 3) lowest and highest corner of everything in the scene.
        photographs: files of which one may be shown instead, for half of the pictures.
    """
    if photographs and rng.random() < 0.5:
        return _photograph(rng, photographs[int(rng.integers(len(photographs)))], camera.size_hw)
    if difficulty == "easy":
        return _enlarge(_plain(rng, camera, lighting, shadows), camera)
    kind = rng.random()
    if kind < 0.42:
        return _enlarge(_room(rng, camera, lighting, shadows, extent_m), camera)
    if kind < 0.84:
        return _enlarge(_landscape(rng, camera, lighting, shadows), camera)
    return _flat(rng, camera.size_hw)


def _enlarge(small: np.ndarray, camera: Camera) -> np.ndarray:
    height, width = camera.size_hw
    return np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def _photograph(rng: Generator, path: Path, size_hw: tuple[int, int]) -> np.ndarray:
    """A random part of a photograph, mirrored half of the time."""
    height, width = size_hw
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} cannot be read as a picture; take it out of the backgrounds.")
    rows, columns = picture.shape[:2]
    largest = min(rows / height, columns / width)
    part = largest * rng.uniform(0.5, 1)
    high, wide = max(int(height * part), 1), max(int(width * part), 1)
    top, left = rng.integers(rows - high + 1), rng.integers(columns - wide + 1)
    cropped = picture[top : top + high, left : left + wide, ::-1]
    if rng.random() < 0.5:
        cropped = cropped[:, ::-1]
    return cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255)


def _flat(rng: Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Colours and shapes without depth: posters, foliage, crowds out of focus."""
    height, width = size_hw
    half = (height // 2, width // 2)
    picture: np.ndarray = np.empty((*half, 3), np.float32)
    cells = int(rng.integers(2, 12))
    fade = rng.uniform(0.4, 0.85)
    shared = noise(rng, half, cells, 5, fade)
    for channel in range(3):
        own = noise(rng, half, cells, 4, fade)
        picture[..., channel] = rng.uniform(60, 200) + 60 * (shared + rng.uniform(0, 0.8) * own)
    _scatter(rng, picture, int(rng.integers(0, 60)))
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 5))
    enlarged = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(enlarged / 255, 0, 1)


def _scatter(rng: Generator, picture: np.ndarray, count: int) -> None:
    """Draws shapes: discs, rectangles, strokes."""
    height, width = picture.shape[:2]
    for _ in range(count):
        colour = muted_colour(rng).tolist()
        at = rng.integers(0, [width, height])
        size = np.exp(rng.uniform(np.log(4), np.log(height / 2), 2)).astype(int)
        kind = rng.integers(3)
        if kind == 0:
            cv2.rectangle(picture, at.tolist(), (at + size).tolist(), colour, -1)
        elif kind == 1:
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(picture, at.tolist(), (size // 2 + 1).tolist(), angle, 0, 360, colour, -1)
        else:
            end = (at + rng.integers(-height, height, 2)).tolist()
            cv2.line(picture, at.tolist(), end, colour, int(rng.integers(1, 14)))


def _ground_light(points: np.ndarray, lighting: Lighting, shadows: ShadowMap | None) -> np.ndarray:
    """(..., 1) factor on sRGB colours of the ground at world points (..., 3)."""
    if shadows is None:
        return np.ones((*points.shape[:-1], 1), np.float32)
    lamp = float(lighting.lamp.mean()) * float(lighting.towards[2])
    sky = float(lighting.sky.mean())
    lit = cv2.GaussianBlur(shadows.lit(points), (5, 5), 0)[..., None]
    return ((sky + lamp * lit) / (sky + lamp)) ** np.float32(1 / 2.2)


def _meet_ground(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rays, (…, 3) points where they meet the ground, (…) whether they do within 60 m."""
    rays = camera.rays(_STEP)
    down = np.minimum(rays[..., 2], -1e-4)
    distance = camera.position[2].astype(np.float32) / -down
    points = camera.position.astype(np.float32) + rays * distance[..., None]
    return rays, points, (rays[..., 2] < -1e-3) & (distance < 60)


def _tile(picture: np.ndarray, across: np.ndarray, along: np.ndarray, size_m: float) -> np.ndarray:
    """Colours 0..1 of a repeated picture at places in metres."""
    height, width = picture.shape[:2]
    x, y = (across / size_m) % 1 * width, (along / size_m) % 1 * height
    return look_up(picture, x, y).astype(np.float32) / 255


def _plain(
    rng: Generator, camera: Camera, lighting: Lighting, shadows: ShadowMap | None
) -> np.ndarray:
    """One colour of ground, one of wall."""
    rays, points, on_ground = _meet_ground(camera)
    floor, wall = muted_colour(rng) / 255, muted_colour(rng) / 255
    wall = wall * 0.6 + rng.uniform(0.1, 0.4)
    up = np.clip(rays[..., 2:] + 0.4, 0, 1)
    picture = wall * (0.85 + 0.3 * up)
    ground = floor * 0.7 + 0.15
    light = _ground_light(points, lighting, shadows)
    return np.where(on_ground[..., None], ground * light, picture).astype(np.float32)


def _room(
    rng: Generator,
    camera: Camera,
    lighting: Lighting,
    shadows: ShadowMap | None,
    extent_m: np.ndarray,
) -> np.ndarray:
    """The inside of a box with patterned floor, walls with pictures and doors, and a ceiling."""
    low = np.minimum(extent_m[0], camera.position) - rng.uniform(0.3, 3, 3)
    high = np.maximum(extent_m[1], camera.position) + rng.uniform(0.3, 3, 3)
    low[2], high[2] = 0, max(rng.uniform(2.4, 4), camera.position[2] + 0.3)
    rays = camera.rays(_STEP)
    ahead = np.where(rays > 0, high, low).astype(np.float32) - camera.position.astype(np.float32)
    distance = ahead / np.where(np.abs(rays) < 1e-5, 1e-5, rays)
    axis = np.argmin(distance, axis=-1)
    reach = np.take_along_axis(distance, axis[..., None], -1)
    points = camera.position.astype(np.float32) + rays * reach
    side = np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0
    picture = np.empty((*rays.shape[:2], 3), np.float32)
    paper = muted_colour(rng) * 0.5 + rng.uniform(50, 120)
    floor = make_pattern(rng, (128, 128), muted_colour, 0.12) * 0.7 + 30
    for face, (wall_axis, positive) in enumerate((a, p) for a in range(3) for p in (0, 1)):
        chosen = (axis == wall_axis) & (side == bool(positive))
        if not chosen.any():
            continue
        across, along = [i for i in range(3) if i != wall_axis]
        where = points[chosen][:, None]  # (pixels, 1, 3)
        if face == 4:
            size = float(rng.uniform(0.5, 3))
            colour = _tile(floor.astype(np.uint8), where[..., 0], where[..., 1], size)
        elif face == 5:
            colour = np.full((len(where), 1, 3), rng.uniform(0.6, 0.95), np.float32)
        else:
            wall = _wall(rng, paper)
            height = high[along] - low[along]
            up = 1 - (where[..., along] - low[along]) / height
            colour = _tile(wall, where[..., across], up * 3.0, 3.0)
            colour *= float(rng.uniform(0.7, 1.1))
        picture[chosen] = colour[:, 0]
    ground = ((axis == 2) & ~side)[..., None]
    return np.where(ground, picture * _ground_light(points, lighting, shadows), picture)


def _wall(rng: Generator, paper: np.ndarray) -> np.ndarray:
    """(128, 192, 3) uint8: wallpaper with windows, doors, pictures, shelves."""
    if rng.random() < 0.35:
        picture = make_pattern(rng, (128, 192), muted_colour, 0.1).astype(np.float32)
    else:
        picture = np.broadcast_to(paper.astype(np.float32), (128, 192, 3)).copy()
        picture *= (1 + 0.05 * noise(rng, (128, 192), 4, 4))[..., None]
    for _ in range(int(rng.integers(0, 7))):
        left, top = int(rng.integers(0, 180)), int(rng.integers(5, 90))
        wide, high = int(rng.integers(8, 60)), int(rng.integers(8, 100))
        colour = muted_colour(rng)
        inside = picture[top : top + high, left : left + wide]
        if rng.random() < 0.4:
            inside[:] = make_pattern(rng, (128, 192))[: inside.shape[0], : inside.shape[1]]
        else:
            inside[:] = colour
        edge = (colour * rng.uniform(0.3, 0.8)).tolist()
        cv2.rectangle(
            picture, (left, top), (left + wide, top + high), edge, int(rng.integers(1, 4))
        )
    return np.clip(picture, 0, 255).astype(np.uint8)


_GROUND = np.array(
    [
        *([86, 112, 52], [120, 134, 74], [196, 176, 134], [118, 116, 114], [82, 82, 86]),
        *([226, 230, 236], [150, 120, 88], [60, 104, 124], [168, 92, 66], [70, 120, 160]),
    ],
    np.float64,
)


def _landscape(
    rng: Generator, camera: Camera, lighting: Lighting, shadows: ShadowMap | None
) -> np.ndarray:
    """Ground to the horizon, and a panorama of sky, hills, trees or houses around."""
    rays, points, on_ground = _meet_ground(camera)
    base = _GROUND[rng.integers(len(_GROUND))] + rng.normal(0, 12, 3)
    grain = 1 + rng.uniform(0.05, 0.25) * noise(rng, (256, 256), 8, 6, 0.8)
    soil = np.clip(base * grain[..., None], 0, 255)
    if rng.random() < 0.25:
        soil = soil * 0.75 + 0.25 * checks(rng, (256, 256), muted_colour)
    if rng.random() < 0.25:
        cv2.line(
            soil, (0, int(rng.integers(256))), (255, int(rng.integers(256))), (240, 240, 240), 5
        )
    size = float(rng.uniform(1.5, 6))
    ground = _tile(soil.astype(np.uint8), points[..., 0], points[..., 1], size)
    ground *= _ground_light(points, lighting, shadows)
    panorama = _panorama(rng, base)
    azimuth = np.arctan2(rays[..., 0], rays[..., 1]) / (2 * np.pi) * 3
    rise = rays[..., 2] / np.hypot(rays[..., 0], rays[..., 1])
    row = np.clip(0.8 - rise, 0, 0.999) * panorama.shape[0]
    column = ((azimuth + rng.random()) % 1) * panorama.shape[1]
    far = look_up(panorama, column, row)
    # Ground beyond the last sharp metre fades into the foot of the panorama.
    reach = np.linalg.norm(points[..., :2] - camera.position[:2], axis=-1)
    near = np.clip((45 - reach) / 30, 0, 1)[..., None] * on_ground[..., None]
    return (far / 255 + near * (ground - far / 255)).astype(np.float32)


def _panorama(rng: Generator, ground: np.ndarray) -> np.ndarray:
    """(200, 600, 3) float32 0..255; the horizon lies at four fifths of the height."""
    height, width, horizon = 200, 600, 160
    top = np.array([rng.uniform(60, 190), rng.uniform(120, 210), rng.uniform(180, 250)])
    low = np.array([rng.uniform(170, 250), rng.uniform(180, 245), rng.uniform(190, 250)])
    if rng.random() < 0.3:
        top = low = np.full(3, rng.uniform(120, 240))
    fall = np.clip(np.linspace(0, 1.25, height), 0, 1)[:, None, None]
    picture = (top + fall * (low - top)).repeat(width, 1).astype(np.float32)
    clouds = np.clip(noise(rng, (height, width), 3, 5, 0.6), 0, 1)[..., None] * rng.uniform(0, 1)
    clouds *= np.clip(np.linspace(0, 4, height), 0, 1)[:, None, None]  # the zenith is one colour
    picture += clouds * (np.array([245, 245, 248], np.float32) - picture)
    picture[horizon:] = ground
    for _ in range(int(rng.integers(1, 4))):
        _skyline(rng, picture, horizon)
    return picture


def _skyline(rng: Generator, picture: np.ndarray, horizon: int) -> None:
    """Draws a row of hills, trees or houses on the horizon."""
    kind = rng.integers(3)
    width = picture.shape[1]
    if kind == 0:
        rise = 12 + 40 * rng.random() * (1 + noise(rng, (64, width), 2, 4)[0]) / 2
        colour = np.clip(_GROUND[rng.integers(4)] * rng.uniform(0.5, 1.1), 0, 255)
        for column in range(width):
            picture[max(horizon - int(max(rise[column], 2)), 0) : horizon, column] = colour
    elif kind == 1:
        green = np.array([50, 80, 36]) * rng.uniform(0.5, 1.5) + rng.normal(0, 8, 3)
        for _ in range(int(rng.integers(20, 90))):
            at = (int(rng.integers(width)), horizon - int(rng.integers(0, 60)))
            shade = np.clip(green * rng.uniform(0.6, 1.3), 0, 255).tolist()
            cv2.circle(picture, at, int(rng.integers(4, 18)), shade, -1)
    else:
        for _ in range(int(rng.integers(3, 16))):
            left, wide = int(rng.integers(width)), int(rng.integers(14, 90))
            roof = max(horizon - int(rng.integers(15, 150)), 0)
            front = picture[roof:horizon, left : left + wide]
            front[:] = muted_colour(rng) * 0.5 + rng.uniform(20, 100)
            gap = int(rng.integers(6, 14))
            front[gap // 2 :: gap, ::2] *= rng.uniform(0.4, 0.9)
            front[:, gap // 2 :: gap] *= rng.uniform(0.5, 1.2)
