"""One made-up person: who they are, what they wear, how they move; placed in the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .activities import Activity
from .assets import BodyAssets
from .body import (
    Phenotype,
    Posture,
    Shape,
    blend_shape,
    bone_indices,
    coco_keypoints,
    h36m_keypoints,
    move_points,
    skin_matrices,
)
from .layers import Layer, used_vertices
from .outfits import (
    bag,
    choose_garments,
    hat,
    held_thing,
    long_hair,
    scalp_offsets,
    sunglasses,
    wear,
)
from .poses import sample_pose
from .regions import Regions, find_regions
from .rotations import turn
from .skin import ATLAS, hair_colour, paint_skin, skin_colour

Generator = np.random.Generator
Shares = Mapping[Callable[[Generator], Activity], float]


@dataclass(frozen=True, eq=False)
class Figure:
    """A dressed body at rest: its shape and the layers that are drawn."""

    shape: Shape
    layers: tuple[Layer, ...]


@dataclass(frozen=True, eq=False)
class PlacedPerson:
    """A person in the world, metres.

    Attributes:
        layers: of the figure.
        points: for each layer (points, 3).
        coco: (17, 3) keypoints; `h36m` (18, 3) joints.
        stature_m: of the body at rest.
        activity: what the person does.
    """

    layers: tuple[Layer, ...]
    points: tuple[np.ndarray, ...]
    coco: np.ndarray
    h36m: np.ndarray
    stature_m: float
    activity: str


def sample_phenotype(rng: Generator) -> Phenotype:
    """Grown people mostly, some children and old people, all builds."""
    kind = rng.random()
    if kind < 0.1:
        age = rng.uniform(0.12, 0.3)
    elif kind < 0.86:
        age = rng.uniform(0.4, 0.62)
    else:
        age = rng.uniform(0.62, 0.92)
    races = rng.dirichlet([0.5, 0.5, 0.5])
    return Phenotype(
        gender=float(rng.random() < 0.52),
        age=age,
        muscle=float(np.clip(rng.normal(0.52, 0.17), 0.1, 0.95)),
        weight=float(np.clip(rng.normal(0.52, 0.2), 0.1, 1)),
        height=float(np.clip(rng.normal(0.5, 0.12), 0.22, 0.78)),
        proportions=float(rng.uniform(0.35, 0.8)),
        races=(float(races[0]), float(races[1]), float(races[2])),
    )


def make_figure(
    assets: BodyAssets, rng: Generator, phenotype: Phenotype, shape: Shape, sits: bool = False
) -> Figure:
    """Dress a body.

    Args:
        assets: of the body.
        rng: draws clothes, skin and hair.
        phenotype: of the person.
        shape: the blended body of that phenotype.
        sits: skirts are rarer on people who sit.
    """
    regions = find_regions(assets)
    colour = skin_colour(rng)
    garments = choose_garments(rng, regions, phenotype, sits)
    clothes, hidden = wear(rng, assets, shape, regions, garments=garments, skin_rgb=colour)
    body, extra = _body_and_head(
        assets, rng, shape, regions, phenotype, colour=colour, hidden=hidden
    )
    if rng.random() < 0.14:
        extra.append(bag(rng, assets, shape))
    if rng.random() < 0.25:
        extra.append(held_thing(rng, assets, shape))
    return Figure(shape, (body, *clothes, *extra))


def _body_and_head(
    assets: BodyAssets,
    rng: Generator,
    shape: Shape,
    regions: Regions,
    phenotype: Phenotype,
    *,
    colour: np.ndarray,
    hidden: np.ndarray,
) -> tuple[Layer, list[Layer]]:
    male = phenotype.gender > 0.5
    bald = male and rng.random() < 0.1 + 0.3 * (phenotype.age > 0.62)
    woollen = rng.random() < 0.07
    grown = hair_colour(rng, phenotype.age)
    cover = rng.uniform(10, 240, 3) if woollen else grown
    picture = paint_skin(
        assets,
        rng,
        colour=colour,
        hair=None if bald and not woollen else cover,
        beard=float(male and phenotype.age > 0.4) * float(rng.choice([0, 0.15, 0.4, 0.95])),
        lipstick=float(not male) * float(rng.random() < 0.3),
    )
    extra = []
    if not bald and rng.random() < (0.12 if male else 0.68):
        extra.append(long_hair(rng, assets, shape, regions, grown))
    if rng.random() < 0.13 and not woollen:
        extra.append(hat(rng, assets, shape, regions))
    if rng.random() < 0.08:
        extra.append(sunglasses(shape, regions, assets))
    lift = np.zeros(len(shape.vertices))
    if not bald or woollen:
        lift = scalp_offsets(rng, assets, regions, woollen)
    return _body_layer(assets, shape, hidden, lift, picture), extra


def _body_layer(
    assets: BodyAssets, shape: Shape, hidden: np.ndarray, lift_m: np.ndarray, picture: np.ndarray
) -> Layer:
    """Skin and eyes; triangles under cloth are left out."""
    every = assets.triangles
    chosen = assets.group_triangles("body", "helper-l-eye", "helper-r-eye")
    kept = np.flatnonzero(chosen & ~hidden[every].all(axis=1))
    rows = used_vertices(every[kept])
    outward = shape.vertices - shape.joints[:, bone_indices(assets.bones)["head"]].mean(axis=0)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    points = shape.vertices + outward * lift_m[:, None].astype(np.float32)
    position = np.zeros(len(shape.vertices), np.int32)
    position[rows] = np.arange(len(rows))
    return Layer(
        points=points[rows].astype(np.float32),
        triangles=position[every[kept]],
        uv=assets.triangle_uv[kept],
        picture=picture,
        rows=rows,
        gloss=0.22,
        texels_per_metre=ATLAS * 0.6,
    )


def pose_figure(
    assets: BodyAssets,
    figure: Figure,
    posture: Posture,
    *,
    yaw_deg: float,
    place: np.ndarray,
    activity: str = "",
    clearance_m: float = 0.0,
) -> PlacedPerson:
    """A figure in a posture, on the ground of the world.

    Args:
        assets: of the body.
        figure: to pose.
        posture: of its shape.
        yaw_deg: turn about the vertical; 0 faces -y.
        place: (2,) x and y of the pelvis.
        activity: a name to keep.
        clearance_m: height of the lowest point over the ground.
    """
    matrices = skin_matrices(assets, posture)
    bones = bone_indices(assets.bones)
    vertices = move_points(matrices, figure.shape.vertices)
    points = []
    for layer in figure.layers:
        if layer.rows is not None:
            points.append(move_points(matrices[layer.rows], layer.points))
        else:
            bone = bones[layer.bone]
            points.append(layer.points @ posture.rotations[bone].T + posture.offsets[bone])
    coco = coco_keypoints(assets, vertices)
    h36m = h36m_keypoints(assets, posture, coco)
    lowest = min(
        float(p[:, 2].min())
        for p, layer in zip(points, figure.layers, strict=True)
        if layer.rows is not None
    )
    spin = turn([0, 0, 1], yaw_deg)
    shift = np.array([*place, clearance_m - lowest]) - [*(spin @ h36m[0])[:2], 0]

    def put(values: np.ndarray) -> np.ndarray:
        return values @ spin.T + shift

    rest = figure.shape.vertices[:, 2]
    return PlacedPerson(
        layers=figure.layers,
        points=tuple(put(p) for p in points),
        coco=put(coco),
        h36m=put(h36m),
        stature_m=float(rest.max() - rest.min()),
        activity=activity,
    )


def make_person(
    assets: BodyAssets, rng: Generator, shares: Shares, *, yaw_deg: float, place: np.ndarray
) -> tuple[PlacedPerson, Activity]:
    """A person nobody has seen before, doing one of the activities."""
    phenotype = sample_phenotype(rng)
    shape = blend_shape(assets, phenotype)
    activity, posture = sample_pose(rng, assets, shape, shares)
    figure = make_figure(assets, rng, phenotype, shape, activity.support == "seat")
    clearance = float(rng.uniform(0.05, 0.5)) if activity.support == "air" else 0.0
    person = pose_figure(
        assets,
        figure,
        posture,
        yaw_deg=yaw_deg,
        place=place,
        activity=activity.name,
        clearance_m=clearance,
    )
    return person, activity
