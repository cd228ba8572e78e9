"""A finished picture of made-up people and the truth about them, from a seed and a number.

`make_scene` needs no files but the assets, so training may draw fresh pictures in its workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .assets import BodyAssets
from .backgrounds import paint_background
from .camera import Camera
from .layers import Layer
from .lens import photograph, soften_edges
from .person import PlacedPerson, make_person
from .poses import EASY, EVERYDAY
from .raster import TriangleBuffer, draw_triangles, find_hits
from .shading import Lighting, Mesh, draw_shadow_map, sample_lighting, shade
from .staging import DIFFICULTIES, Difficulty, make_seat, make_things, set_stage
from .truth import PersonTruth, tell_truth

Generator = np.random.Generator
SIZE_HW = (480, 640)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its truth.

    Attributes:
        image_rgb: (height, width, 3) uint8.
        people: those of whom at least one pixel is seen.
        camera: that saw them.
    """

    image_rgb: np.ndarray
    people: tuple[PersonTruth, ...]
    camera: Camera


@dataclass(frozen=True, eq=False)
class Staging:
    """Everything in place, before it is drawn.

    Attributes:
        people: in the world, in the order of their tracks.
        things: layers whose points are in the world already.
        camera: that looks at them.
        lighting: of the scene.
        difficulty: of the scene.
        paint_seed: of background and lens; equal seeds paint alike.
    """

    people: tuple[PlacedPerson, ...]
    things: tuple[Layer, ...]
    camera: Camera
    lighting: Lighting
    difficulty: Difficulty
    paint_seed: tuple[int, ...]


def make_scene(
    assets: BodyAssets,
    *,
    seed: int,
    index: int,
    difficulty: Difficulty = "standard",
    backgrounds: Sequence[Path] = (),
    size_hw: tuple[int, int] = SIZE_HW,
) -> Scene:
    """One finished scene; the same arguments give the same pixels and truth.

    Args:
        assets: of the body.
        seed: of the whole set, not negative.
        index: of the picture, not negative.
        difficulty: "easy" one upright person on plain ground; "standard" one to four people in any
            posture, side by side; "crowd" up to eight who hide each other; "closeup" one to three
            near the camera, cut by the border of the picture.
        backgrounds: photographs of which half of the pictures take one.
        size_hw: of the picture, px.

    Raises:
        ValueError: an unknown difficulty.
    """
    if difficulty not in DIFFICULTIES:
        raise ValueError(
            f"difficulty must be one of {', '.join(DIFFICULTIES)}. Received {difficulty!r}."
        )
    words = (seed, index, DIFFICULTIES.index(difficulty))
    staging = stage_scene(assets, np.random.default_rng(words), difficulty, (*words, 1), size_hw)
    return draw_scene(staging, backgrounds=backgrounds)


def stage_scene(
    assets: BodyAssets,
    rng: Generator,
    difficulty: Difficulty,
    paint_seed: tuple[int, ...],
    size_hw: tuple[int, int] = SIZE_HW,
) -> Staging:
    """People, things, camera and light of one scene."""
    stage = set_stage(rng, difficulty, size_hw)
    shares = EASY if difficulty == "easy" else EVERYDAY
    people, things = [], []
    for place, yaw in zip(stage.places, stage.yaws_deg, strict=True):
        person, activity = make_person(assets, rng, shares, yaw_deg=float(yaw), place=place)
        people.append(person)
        if activity.support == "seat":
            things.append(make_seat(rng, person, float(yaw)))
    things += make_things(rng, difficulty, stage)
    lighting = sample_lighting(rng)
    return Staging(tuple(people), tuple(things), stage.camera, lighting, difficulty, paint_seed)


def draw_scene(staging: Staging, *, backgrounds: Sequence[Path] = (), frame: int = 0) -> Scene:
    """Draw what was staged and tell the truth about it.

    Args:
        staging: what to draw.
        backgrounds: photographs, see `make_scene`.
        frame: of a clip: the grain of the picture differs from frame to frame.
    """
    camera, mesh = staging.camera, join_layers(staging)
    points = camera.to_camera(mesh.points).astype(np.float32)
    buffer = draw_triangles(points, mesh.triangles, camera)
    picture = _paint(staging, mesh, points, buffer, backgrounds)
    easy = staging.difficulty == "easy"
    rng = np.random.default_rng((*staging.paint_seed, 2))
    grain_rng = np.random.default_rng((*staging.paint_seed, 3, frame))
    image = photograph(rng, picture, grain_rng, clean=easy)
    owners = np.where(buffer.triangle >= 0, mesh.owner[buffer.triangle], -2)
    truths = [
        tell_truth(person, track, owners, buffer, camera)
        for track, person in enumerate(staging.people, 1)
    ]
    return Scene(image, tuple(truth for truth in truths if truth is not None), camera)


def join_layers(staging: Staging) -> Mesh:
    """All layers of people and things as one mesh."""
    parts = [
        (layer, points, owner)
        for owner, person in enumerate(staging.people)
        for layer, points in zip(person.layers, person.points, strict=True)
    ]
    parts += [(layer, layer.points, -1) for layer in staging.things]
    starts = np.cumsum([0, *(len(points) for _, points, _ in parts[:-1])])
    counts = [len(layer.triangles) for layer, _, _ in parts]
    layers = [layer for layer, _, _ in parts]
    return Mesh(
        points=np.concatenate([points for _, points, _ in parts]),
        triangles=np.concatenate(
            [layer.triangles + start for layer, start in zip(layers, starts, strict=True)]
        ).astype(np.int32),
        uv=np.concatenate([layer.uv for layer in layers]),
        picture=np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        owner=np.repeat(np.array([owner for _, _, owner in parts], np.int32), counts),
        pictures=tuple(layer.picture for layer in layers),
        texels_per_metre=tuple(layer.texels_per_metre for layer in layers),
        gloss=tuple(layer.gloss for layer in layers),
    )


def _paint(
    staging: Staging,
    mesh: Mesh,
    points: np.ndarray,
    buffer: TriangleBuffer,
    backgrounds: Sequence[Path],
) -> np.ndarray:
    """(height, width, 3) float32 sRGB 0..1: background, people and things, soft edges."""
    rng = np.random.default_rng(staging.paint_seed)
    camera, lighting = staging.camera, staging.lighting
    shadows = draw_shadow_map(mesh, lighting) if rng.random() < 0.85 else None
    extent = np.stack([mesh.points.min(axis=0), mesh.points.max(axis=0)])
    picture = paint_background(
        rng,
        camera,
        difficulty=staging.difficulty,
        lighting=lighting,
        shadows=shadows,
        extent_m=extent,
        photographs=backgrounds,
    )
    if staging.difficulty != "easy" and rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 4)))
    hits = find_hits(buffer, points, mesh.triangles, camera)
    picture = np.ascontiguousarray(picture, np.float32)
    if len(hits.pixels):  # a close look may show nobody and nothing
        picture.reshape(-1, 3)[hits.pixels] = shade(mesh, hits, camera, lighting, shadows)
    labels = np.where(buffer.triangle >= 0, mesh.picture[buffer.triangle], -1)
    return soften_edges(picture, labels)
