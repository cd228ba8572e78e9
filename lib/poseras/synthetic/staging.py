"""Where the camera stands, where people stand, and what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .camera import Camera, look
from .layers import Layer
from .person import PlacedPerson
from .rotations import turn
from .solids import Solid, box, cylinder, ellipsoid, join, place
from .textures import make_pattern

Generator = np.random.Generator
Difficulty = Literal["easy", "standard", "crowd", "closeup"]
# New ones go to the end: the place of a difficulty is part of the seed.
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "standard", "crowd", "closeup")
_STATURE_M = 1.7
# Of a standing person with moderately spread arms, seen from the camera.
_ROOM_M = 0.55
#: How often furniture and the like stand between the camera and the people.
_IN_FRONT = {"standard": 0.2, "crowd": 0.45, "closeup": 0.45}


@dataclass(frozen=True, eq=False)
class Stage:
    """A camera and a place (2,) and heading for each person; metres, degrees."""

    camera: Camera
    places: np.ndarray
    yaws_deg: np.ndarray


def set_stage(rng: Generator, difficulty: Difficulty, size_hw: tuple[int, int]) -> Stage:
    """A camera aimed at the first person, and the others around it."""
    count = {
        "easy": lambda: 1,
        "standard": lambda: int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.18, 0.12])),
        "crowd": lambda: int(rng.integers(4, 9)),
        "closeup": lambda: int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2])),
    }[difficulty]()
    height, width = size_hw
    focal = height / 2 / np.tan(np.deg2rad(rng.uniform(28, 72)) / 2)
    stature_px = _stature_px(rng, difficulty) * height / 480
    distance = max(focal * _STATURE_M / stature_px, 0.75)
    camera_height = _camera_height(rng, difficulty, distance)
    aimed = _aim_at(rng, difficulty, stature_px / height)
    camera = _aim(
        aimed, focal=focal, camera_height=camera_height, distance=distance, size_hw=size_hw
    )
    places = [_place_at(camera, _column(rng, difficulty, width), distance)]
    for _ in range(60):
        if len(places) == count:
            break
        candidate = _neighbour(rng, difficulty, camera, places, distance)
        apart = min(float(np.linalg.norm(candidate - other)) for other in places)
        if apart > (0.45 if difficulty == "crowd" else 0.6) and not (
            difficulty == "standard" and _overlaps(candidate, places)
        ):
            places.append(candidate)
    towards = np.degrees(np.arctan2([p[0] for p in places], [p[1] for p in places]))
    turned = np.where(
        rng.random(len(places)) < (0.8 if difficulty == "easy" else 0.45),
        rng.normal(0, 35, len(places)),
        rng.uniform(-180, 180, len(places)),
    )
    return Stage(camera, np.array(places), turned - towards)


def _overlaps(candidate: np.ndarray, places: list[np.ndarray]) -> bool:
    """Whether somebody at a place would stand in front of or behind somebody else."""
    columns = [place[0] / place[1] for place in (candidate, *places)]  # tangents, from the camera
    nearest = min(place[1] for place in (candidate, *places))
    return min(abs(column - columns[0]) for column in columns[1:]) < _ROOM_M / nearest


def _stature_px(rng: Generator, difficulty: Difficulty) -> float:
    """How tall a standing person would be in a picture 480 px high."""
    if difficulty == "easy":
        return rng.uniform(240, 400)
    if difficulty == "crowd":
        return float(np.exp(rng.uniform(np.log(110), np.log(560))))
    if difficulty == "closeup":  # cut by the border
        return float(np.exp(rng.uniform(np.log(450), np.log(1400))))
    return float(np.exp(rng.uniform(np.log(110), np.log(460))))


def _camera_height(rng: Generator, difficulty: Difficulty, distance: float) -> float:
    kind = rng.random()
    if difficulty == "easy" or kind < 0.7:
        return float(np.clip(rng.normal(1.45, 0.25), 0.7, 2.0))
    if kind < 0.82:
        return float(rng.uniform(0.25, 0.9))
    return float(rng.uniform(1.8, 2.2 + 0.6 * min(distance, 6)))


def _aim_at(rng: Generator, difficulty: Difficulty, tall: float) -> tuple[float, float, float]:
    """Height over the ground, metres, the row that shows it, 0..1, and the roll of the camera."""
    if difficulty == "easy":
        return 0.85, rng.uniform(0.47, 0.53), rng.normal(0, 1)
    if tall > 0.95:  # taller than the picture: any part of the body
        return rng.uniform(0.25, 1.6), rng.uniform(0.3, 0.7), rng.normal(0, 6)
    return 0.85, rng.uniform(0.3, 0.7), rng.normal(0, 4)


def _aim(
    aimed: tuple[float, float, float],
    *,
    focal: float,
    camera_height: float,
    distance: float,
    size_hw: tuple[int, int],
) -> Camera:
    """The camera that shows what `_aim_at` chose, at a distance, where it is wanted."""
    target, row, roll = aimed
    below = np.degrees(np.arctan2(camera_height - target, distance))
    shift = np.degrees(np.arctan2((row - 0.5) * size_hw[0], focal))
    pitch = float(np.clip(below - shift, -50, 75))
    position = np.array([0, 0, camera_height])
    return look(position, 0.0, pitch, roll, focal_px=focal, size_hw=size_hw)


def _column(rng: Generator, difficulty: Difficulty, width: int) -> float:
    low, high = (0.3, 0.7) if difficulty == "easy" else (0.12, 0.88)
    return width * float(rng.uniform(low, high))


def _place_at(camera: Camera, column: float, distance: float) -> np.ndarray:
    """(2,) on the ground, at a column of the picture and a distance along the axis."""
    return np.array([(column - camera.centre_px[0]) / camera.focal_px * distance, distance])


def _neighbour(
    rng: Generator,
    difficulty: Difficulty,
    camera: Camera,
    places: list[np.ndarray],
    distance: float,
) -> np.ndarray:
    """Beside, behind or before somebody, or anywhere in the picture."""
    if rng.random() < (0.75 if difficulty == "crowd" else 0.4):
        chosen = places[rng.integers(len(places))]
        candidate = chosen + rng.normal(0, [0.45, 0.6])
        candidate[1] = max(candidate[1], 0.75)
        return candidate
    depth = max(distance * float(np.exp(rng.normal(0.15, 0.4))), 0.75)
    return _place_at(camera, _column(rng, difficulty, camera.size_hw[1]), depth)


def _as_layer(rng: Generator, solid: Solid) -> Layer:
    points, triangles, uv = solid
    picture = make_pattern(rng, (96, 96), rough=0.15)
    return Layer(
        points, triangles, uv, picture, gloss=float(rng.uniform(0, 0.5)), texels_per_metre=120
    )


def make_seat(rng: Generator, person: PlacedPerson, yaw_deg: float) -> Layer:
    """A box, stool or chair under somebody who sits."""
    hips = (person.h36m[1] + person.h36m[4]) / 2
    scale = person.stature_m / _STATURE_M
    top = max(float(hips[2]) - 0.11 * scale, 0.05)
    wide, deep = rng.uniform(0.38, 0.6), rng.uniform(0.34, 0.42)
    kind = rng.random()
    if kind < 0.4:
        parts = [place(box((wide * rng.choice([1, 3]), deep, top)), [0, 0.08, top / 2])]
    elif kind < 0.55:
        parts = [place(cylinder(wide / 2, top), [0, 0.06, top / 2])]
    else:
        parts = [place(box((wide, deep, 0.05)), [0, 0.08, top - 0.025])]
        for x in (-0.45, 0.45):
            for y in (-0.4, 0.4):
                leg = box((0.04, 0.04, top))
                parts.append(place(leg, [x * wide, 0.08 + y * deep, top / 2]))
    if kind > 0.3:
        back = box((wide, 0.04, rng.uniform(0.25, 0.6)))
        parts.append(place(back, [0, 0.1 + deep / 2 + 0.06, top + 0.25]))
    spin = turn([0, 0, 1], yaw_deg)
    solid = place(join(parts), [hips[0], hips[1], 0], spin)
    return _as_layer(rng, solid)


def make_things(rng: Generator, difficulty: Difficulty, stage: Stage) -> list[Layer]:
    """Furniture, poles, balls and bushes around people, some of them in front."""
    if difficulty == "easy":
        return []
    things = []
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.22, 0.26, 0.24, 0.18, 0.1]))):
        somebody = stage.places[rng.integers(len(stage.places))]
        in_front = rng.random() < _IN_FRONT[difficulty]
        share = rng.uniform(0.45, 0.85) if in_front else rng.uniform(1.15, 2.5)
        spread = 0.35 if in_front else 1.2
        at = somebody * share + [rng.normal(0, spread) * max(share, 0.5), 0]
        apart = np.linalg.norm(stage.places - at, axis=1).min()
        if at[1] > 0.45 and apart > 0.42:
            solid = _thing(rng, near=in_front)
            spin = turn([0, 0, 1], rng.uniform(0, 360))
            things.append(_as_layer(rng, place(solid, [*at, 0.0], spin)))
    return things


def _thing(rng: Generator, near: bool) -> Solid:
    makers: list[Callable[[Generator], Solid]] = [_crate, _table, _pole, _ball, _bush, _cabinet]
    weights = [0.2, 0.3, 0.2, 0.12, 0.18, 0.0] if near else [0.2, 0.16, 0.2, 0.1, 0.14, 0.2]
    return makers[rng.choice(len(makers), p=weights)](rng)


def _crate(rng: Generator) -> Solid:
    size = rng.uniform([0.2, 0.2, 0.15], [0.8, 0.6, 0.9])
    return place(box(size), [0, 0, size[2] / 2])


def _table(rng: Generator) -> Solid:
    wide, deep, high = rng.uniform([0.6, 0.4, 0.55], [1.6, 0.6, 1.0])
    parts = [place(box((wide, deep, 0.04)), [0, 0, high])]
    for x in (-0.46, 0.46):
        for y in (-0.4, 0.4):
            parts.append(place(box((0.05, 0.05, high)), [x * wide, y * deep, high / 2]))
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform([-0.4, -0.3], [0.4, 0.3]) * [wide, deep]
        size = rng.uniform(0.06, 0.28, 3)
        thing = box(size) if rng.random() < 0.5 else cylinder(size[0] / 2, size[2])
        parts.append(place(thing, [*at, high + 0.02 + size[2] / 2]))
    return join(parts)


def _pole(rng: Generator) -> Solid:
    high = rng.uniform(0.8, 3.5)
    return place(cylinder(rng.uniform(0.02, 0.18), high), [0, 0, high / 2])


def _ball(rng: Generator) -> Solid:
    radius = rng.uniform(0.08, 0.4)
    return place(ellipsoid(np.full(3, radius)), [0, 0, radius * rng.uniform(0.9, 3)])


def _bush(rng: Generator) -> Solid:
    parts = []
    for _ in range(int(rng.integers(5, 14))):
        radii = rng.uniform(0.08, 0.3, 3)
        parts.append(place(ellipsoid(radii), rng.normal([0, 0, 0.45], [0.22, 0.15, 0.2])))
    return join(parts)


def _cabinet(rng: Generator) -> Solid:
    size = rng.uniform([0.5, 0.3, 1.2], [1.8, 0.6, 2.2])
    return place(box(size), [0, 0, size[2] / 2])
