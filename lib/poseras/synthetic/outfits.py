"""What a person wears: garments cut from the body's own helper meshes, hair, hats and bags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assets import BodyAssets
from .body import Phenotype, Shape, bone_indices
from .layers import Cut, Helper, Layer, folds, garment_layer, used_vertices
from .raster import vertex_normals
from .regions import Regions
from .rotations import turn, unit
from .skin import hairness
from .solids import Solid, box, cylinder, ellipsoid, join, place
from .textures import cloth_colour, make_pattern, noise

Generator = np.random.Generator

_CLOTH_HW = (160, 112)


@dataclass(frozen=True)
class Garment:
    """A piece of clothing.

    Attributes:
        cut: what it covers.
        group: the helper mesh that it is cut from.
        loose_m: metres off the helper mesh.
        flare_m: further metres, growing towards the lower hem.
        gloss: 0 dull, 1 shining.
    """

    cut: Cut
    group: str = "helper-tights"
    loose_m: float = 0.0
    flare_m: float = 0.0
    gloss: float = 0.08


def choose_garments(
    rng: Generator, regions: Regions, phenotype: Phenotype, sits: bool
) -> list[Garment]:
    """Clothes from the inside out; swimmers wear little."""
    if rng.random() < 0.05:
        return _swimwear(rng, phenotype)
    neck = regions.neck_seam + rng.uniform(-0.03, 0.05)
    garments = _lower(rng, phenotype, sits)
    dress = garments[0].group == "helper-skirt" and rng.random() < 0.4
    sleeve = float(rng.choice([-0.05, rng.uniform(0.12, 0.48), rng.uniform(0.55, 0.85), 1.0]))
    hem = -0.1 if dress else rng.uniform(-0.12, 0.13)
    top = Cut(neck, hem, sleeve, neckline=rng.choice([0, 0, rng.uniform(0.03, 0.16)]))
    loose = rng.choice([0.001, 0.006, 0.014], p=[0.25, 0.45, 0.3]) + garments[0].loose_m * 0.4
    garments.append(Garment(top, loose_m=loose, flare_m=rng.uniform(0, 0.015)))
    if rng.random() < 0.27:
        coat = Cut(neck + 0.02, rng.uniform(-0.1, 0.3), 1.02, rng.uniform(0, 0.2))
        garments.append(Garment(coat, loose_m=loose + rng.uniform(0.012, 0.026), flare_m=0.02))
    if rng.random() < 0.93:
        ankle = rng.choice([rng.uniform(0.93, 1.0), rng.uniform(0.6, 0.9)], p=[0.8, 0.2])
        garments.append(Garment(Cut(ankle, 9.0), loose_m=0.006, gloss=rng.uniform(0, 0.4)))
    return garments


def _lower(rng: Generator, phenotype: Phenotype, sits: bool) -> list[Garment]:
    waist = rng.uniform(-0.2, -0.08)
    skirt_share = 0.3 * (1 - phenotype.gender) * (0.5 if sits else 1.0)
    if rng.random() < skirt_share:
        cut = Cut(-0.2, rng.choice([rng.uniform(0.2, 0.6), rng.uniform(0.6, 0.98)]))
        return [Garment(cut, "helper-skirt", rng.uniform(0, 0.01), rng.uniform(0, 0.05))]
    if rng.random() < 0.27:
        length, loose, flare = rng.uniform(0.14, 0.58), rng.uniform(0.002, 0.018), 0.02
    else:
        length = rng.uniform(0.84, 1.02)
        loose, flare = rng.uniform(0, 0.012), rng.choice([0.0, rng.uniform(0, 0.035)])
    return [Garment(Cut(waist, length), loose_m=loose, flare_m=flare)]


def _swimwear(rng: Generator, phenotype: Phenotype) -> list[Garment]:
    trunks = Garment(Cut(-0.1, rng.choice([0.06, 0.3])), loose_m=0.0)
    if phenotype.gender > 0.5:
        return [trunks]
    if rng.random() < 0.5:
        return [Garment(Cut(-0.5, 0.06, neckline=0.06))]
    return [trunks, Garment(Cut(-0.5, -0.36))]


def wear(
    rng: Generator,
    assets: BodyAssets,
    shape: Shape,
    regions: Regions,
    *,
    garments: list[Garment],
    skin_rgb: np.ndarray,
) -> tuple[list[Layer], np.ndarray]:
    """The garments as layers.

    Returns:
        The layers, and (vertices,) bool: vertices of the body that cloth hides.
    """
    hidden = np.zeros(len(assets.vertices), bool)
    every = np.arange(len(assets.vertices))
    layers = []
    scale = float(np.linalg.norm(shape.joints[0, 0] - shape.joints[1, 0])) / 0.0924
    helpers = {
        group: Helper.on(assets, shape, group)
        for group in dict.fromkeys(garment.group for garment in garments)
    }
    for garment in garments:
        helper = helpers[garment.group]
        distance = garment.cut.outside(assets, regions, every)
        hidden |= distance < -0.025
        offset = _offsets(rng, assets, regions, garment, helper) * np.clip(scale, 0.4, 1.2)
        layers.append(
            garment_layer(
                assets,
                helper.push_out(shape, offset),
                group=garment.group,
                distance=distance,
                picture=cloth_picture(rng, skin_rgb),
                gloss=garment.gloss,
            )
        )
    if garments[0].group == "helper-skirt" and len(garments) > 1 and garments[1].cut.bottom == -0.1:
        layers[1] = _same_cloth(layers[1], layers[0])
    return layers, hidden


def _same_cloth(layer: Layer, other: Layer) -> Layer:
    return Layer(**{**vars(layer), "picture": other.picture})


def _offsets(
    rng: Generator, assets: BodyAssets, regions: Regions, garment: Garment, helper: Helper
) -> np.ndarray:
    """(group vertices,) metres: loose, flaring towards hem and cuffs, with folds."""
    rows = helper.rows
    cut, down, arm = garment.cut, regions.down[rows], regions.arm[rows]
    span = max(min(cut.bottom, 1.0) - cut.top, 0.1)
    towards = np.clip((down - cut.top) / span, 0, 1)
    cuff = np.clip(arm / max(cut.sleeve, 0.1), 0, 1) * 0.6
    towards = np.where(arm > -0.5, cuff, towards)
    offset = garment.loose_m + garment.flare_m * towards
    ripple = folds(rng, assets.vertices[rows], rng.uniform(0.06, 0.22))
    offset = offset + ripple * (0.0015 + 0.22 * offset)
    if cut.bottom > 5:  # shoes: a sole under the foot
        offset = np.where(down > 1.02, garment.loose_m + 0.004, garment.loose_m)
    return offset


def cloth_picture(rng: Generator, skin_rgb: np.ndarray) -> np.ndarray:
    """(height, width, 3) uint8 cloth; one in ten looks like skin at first and is drawn again."""
    picture = make_pattern(rng, _CLOTH_HW, cloth_colour, rng.uniform(0.06, 0.3))
    if np.abs(picture.mean(axis=(0, 1)) - skin_rgb).max() < 28:
        picture = make_pattern(rng, _CLOTH_HW, cloth_colour, rng.uniform(0.06, 0.3))
    return picture


def scalp_offsets(rng: Generator, assets: BodyAssets, regions: Regions, hat: bool) -> np.ndarray:
    """(vertices,) metres by which hair (or a woollen cap) stands off the head."""
    thick = rng.choice(
        [0.004, rng.uniform(0.008, 0.025), rng.uniform(0.03, 0.075)], p=[0.45, 0.43, 0.12]
    )
    if hat:
        thick = rng.uniform(0.012, 0.03)
    rows = np.flatnonzero(regions.head)
    grown = hairness(assets.vertices[rows], regions.eye)
    ragged = 1 + 0.35 * folds(rng, assets.vertices[rows], rng.uniform(0.03, 0.1))
    offset = np.zeros(len(assets.vertices))
    offset[rows] = thick * grown * ragged
    return offset


def long_hair(
    rng: Generator, assets: BodyAssets, shape: Shape, regions: Regions, colour: np.ndarray
) -> Layer:
    """Hair that falls: strips of the hair helper, those before the face left out."""
    chosen = assets.group_triangles("helper-hair")
    every = assets.triangles[chosen]
    lowest = rng.uniform(-0.42, -0.06)
    relative = assets.vertices - regions.eye
    face = (relative[:, 1] < rng.uniform(0.05, 0.09)) & (relative[:, 2] < 0.055)
    kept = np.flatnonzero(chosen)[
        (~face[every]).all(axis=1) & (relative[every, 2] > lowest).any(axis=1)
    ]
    rows = used_vertices(assets.triangles[kept])
    normals = vertex_normals(shape.vertices, every)[rows]
    points = shape.vertices[rows] + normals * rng.uniform(0, 0.015)
    # Strips end at one height: what hangs lower is drawn up to it.
    floor = shape.joints[1, bone_indices(assets.bones)["head"], 2] - 0.105 + lowest
    points[:, 2] = np.maximum(points[:, 2], floor)
    position = np.zeros(len(assets.vertices), np.int32)
    position[rows] = np.arange(len(rows))
    strips = position[assets.triangles[kept]]
    axis = shape.joints[0, bone_indices(assets.bones)["head"]]
    turned = [
        (points - axis) @ turn([0, 0, 1], degrees).T * [wide, wide, 1] + axis
        for degrees, wide in ((-9, 0.96), (0, 1.0), (9, 0.96))  # the outer two fill the gaps
    ]
    return Layer(
        points=np.concatenate(turned).astype(np.float32),
        triangles=np.concatenate([strips + copy * len(rows) for copy in range(3)]),
        uv=np.tile(assets.triangle_uv[kept] * 12, (3, 1, 1)),
        picture=hair_picture(rng, colour),
        rows=np.tile(rows, 3),
        gloss=0.35,
        texels_per_metre=300,
    )


def hair_picture(rng: Generator, colour: np.ndarray) -> np.ndarray:
    """(64, 64, 3) uint8 strands."""
    strands = 1 + 0.3 * noise(rng, (1, 64), 1, 1) + 0.3 * rng.normal(0, 0.6, (1, 64))
    shade = strands * (1 + 0.1 * noise(rng, (64, 64), 8, 2))
    return np.clip(colour * shade[..., None], 0, 255).astype(np.uint8)


def hat(rng: Generator, assets: BodyAssets, shape: Shape, regions: Regions) -> Layer:
    """A cap, a brimmed hat or a helmet; it follows the head bone."""
    points = shape.vertices[np.flatnonzero(regions.head & (regions.down < 0))]
    low, high = points.min(axis=0), points.max(axis=0)
    half = (high - low) / 2
    centre = np.array([0, (low[1] + high[1]) / 2 + half[1] * 0.12, high[2] - half[2] * 0.62])
    radii = np.array([half[0] * 1.14, half[1] * 1.0, half[2] * 0.72]) + rng.uniform(0.004, 0.016)
    parts: list[Solid] = [ellipsoid(radii, rng.uniform(0.46, 0.6))]
    kind = rng.random()
    if kind < 0.45:
        brim = cylinder(1.0, 0.006, 16)[0] * [radii[0] * 0.8, radii[1] * 0.75, 1]
        parts.append((brim.astype(np.float32), *cylinder(1.0, 0.006, 16)[1:]))
        facing = turn([0, 0, 1], 0 if rng.random() < 0.85 else 180)
        shift = facing @ np.array([0, -radii[1] * 0.9, 0.01])
        parts[1] = place(parts[1], shift, turn([1, 0, 0], 8))
    elif kind < 0.7:
        wide = rng.uniform(1.3, 1.9)
        brim, triangles, uv = cylinder(1.0, 0.006, 18)
        parts.append(
            ((brim * [radii[0] * wide, radii[1] * wide, 1]).astype(np.float32), triangles, uv)
        )
    solid = place(join(parts), centre)
    return _rigid(
        solid, "head", make_pattern(rng, (64, 64), cloth_colour, 0.1), rng.uniform(0, 0.6)
    )


def sunglasses(shape: Shape, regions: Regions, assets: BodyAssets) -> Layer:
    """A dark bar before the eyes."""
    eyes = shape.vertices[np.unique(assets.triangles[assets.group_triangles("helper-l-eye")])]
    high, front = eyes[:, 2].mean(), eyes[:, 1].min()
    wide = float(np.abs(eyes[:, 0]).max()) * 2.9
    solid = place(box((wide, 0.012, 0.034)), [0, front - 0.009, high])
    return _rigid(solid, "head", np.full((4, 4, 3), 18, np.uint8), 0.8)


def bag(rng: Generator, assets: BodyAssets, shape: Shape) -> Layer:
    """On the back, or hanging at a side."""
    bones = bone_indices(assets.bones)
    chest = shape.joints[0, bones["spine02"]]
    size = rng.uniform([0.22, 0.1, 0.28], [0.34, 0.22, 0.5])
    if rng.random() < 0.7:
        solid, bone = place(box(size), chest + [0, 0.1 + size[1] / 2, 0.02]), "spine02"
    else:
        side = rng.choice([-1.0, 1.0])
        hip = shape.joints[0, bones["root"]]
        solid = place(box(size[[1, 0, 2]] * 0.8), hip + [side * 0.24, 0.0, -0.02])
        bone = "root"
    return _rigid(solid, bone, make_pattern(rng, (96, 96), cloth_colour, 0.2), 0.15)


def held_thing(rng: Generator, assets: BodyAssets, shape: Shape) -> Layer:
    """Something in a hand: bottle, book, telephone, ball, racket, stick, disc."""
    bones = bone_indices(assets.bones)
    side = rng.choice(["L", "R"])
    wrist, knuckle = (shape.joints[0, bones[f"{n}.{side}"]] for n in ("wrist", "finger3-1"))
    fingers = unit(knuckle - wrist)
    palm = knuckle + 0.03 * fingers + rng.normal(0, 0.006, 3)
    kind = rng.integers(6)
    if kind == 0:
        solid: Solid = cylinder(rng.uniform(0.02, 0.045), rng.uniform(0.08, 0.26))
    elif kind == 1:
        solid = box(rng.uniform([0.05, 0.01, 0.1], [0.25, 0.05, 0.32]))
    elif kind == 2:
        solid = ellipsoid(np.full(3, rng.uniform(0.03, 0.13)))
    elif kind == 3:
        length = rng.uniform(0.5, 1.7)
        solid = place(cylinder(rng.uniform(0.008, 0.03), length, 8), [0, 0, length * 0.4])
    elif kind == 4:
        head = cylinder(rng.uniform(0.09, 0.15), 0.02)
        head = place(head, [0, 0, 0.45], turn([1, 0, 0], 90))
        solid = join([place(cylinder(0.015, 0.4, 8), [0, 0, 0.17]), head])
    else:
        solid = cylinder(rng.uniform(0.1, 0.16), 0.025, 18)
    spun = turn(rng.normal(size=3), rng.uniform(0, 90))
    picture = make_pattern(rng, (64, 64), rough=0.1)
    return _rigid(place(solid, palm, spun), f"wrist.{side}", picture, rng.uniform(0, 0.6))


def _rigid(solid: Solid, bone: str, picture: np.ndarray, gloss: float) -> Layer:
    points, triangles, uv = solid
    return Layer(
        points.astype(np.float32),
        triangles,
        uv,
        picture,
        bone=bone,
        gloss=gloss,
        texels_per_metre=200,
    )
