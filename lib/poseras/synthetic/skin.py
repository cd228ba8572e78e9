"""The picture that is spread over the body: skin, face, eyes, hair close to the head.

The body's texture coordinates form an atlas. Once, the base mesh is drawn into it, so that every
texel knows its place on the body; a person's picture is then painted by place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .assets import BodyAssets
from .regions import find_regions
from .textures import noise

ATLAS = 384
#: Where the atlas holds head and face.
_HEAD = (slice(ATLAS * 16 // 100, ATLAS * 87 // 100), slice(ATLAS * 63 // 100, ATLAS))
_SKIN = np.array(
    [
        *([58, 36, 27], [82, 52, 38], [112, 74, 54], [146, 101, 74], [176, 128, 98]),
        *([204, 156, 124], [224, 178, 148], [238, 198, 172], [246, 214, 194]),
    ],
    np.float64,
)
_HAIR = np.array(
    [
        *([16, 14, 14], [30, 22, 18], [52, 36, 26], [84, 56, 36], [126, 88, 52]),
        *([176, 140, 88], [214, 186, 132], [140, 64, 30], [150, 148, 146], [220, 218, 214]),
    ],
    np.float64,
)


@dataclass(frozen=True, eq=False)
class Atlas:
    """Masks 0..1 (ATLAS, ATLAS) of the face, and where the irises are.

    `hair` is where hair grows, `beard` the lower face; `irises` (2, 2) texels, x before y.
    """

    hair: np.ndarray
    beard: np.ndarray
    brows: np.ndarray
    lips: np.ndarray
    irises: np.ndarray


def skin_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB 0..255, from dark to pale."""
    place = rng.uniform(0, len(_SKIN) - 1)
    low = int(place)
    mixed = _SKIN[low] + (place - low) * (_SKIN[min(low + 1, len(_SKIN) - 1)] - _SKIN[low])
    return np.clip(mixed * rng.normal(1, 0.05, 3), 12, 252)


def hair_colour(rng: np.random.Generator, age: float) -> np.ndarray:
    """(3,) RGB 0..255; dark ones are frequent, grey ones come with age (0.5 young, 1 old)."""
    if rng.random() < (age - 0.55) * 1.8:
        base = _HAIR[rng.integers(8, 10)]
    elif rng.random() < 0.04:
        base = rng.uniform(20, 230, 3)
    else:
        base = _HAIR[min(int(rng.exponential(2.2)), 7)]
    return np.clip(base * rng.normal(1, 0.1, 3), 8, 250)


def hairness(points: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """(...,) 0..1, whether hair grows at points of the base mesh (..., 3)."""
    x, y, z = np.moveaxis(points - eye, -1, 0)
    # The hairline: high over the forehead, down before the ears, low in the nape.
    line = np.interp(y, [-0.02, 0.03, 0.075, 0.1, 0.16], [0.074, 0.058, 0.01, -0.03, -0.062])
    line = line - 0.012 * np.clip(np.abs(x) / 0.05 - 0.6, 0, 1) * (y < 0.04)
    above = np.clip((z - line) / 0.006 + 0.5, 0, 1)
    ear = np.exp(-(((y - 0.105) / 0.022) ** 2 + ((z + 0.012) / 0.032) ** 2)) * (np.abs(x) > 0.066)
    return above * (1 - np.clip(ear * 1.6, 0, 1))


@lru_cache(maxsize=1)
def draw_atlas(assets: BodyAssets) -> Atlas:
    """The atlas of a body; computed once."""
    place = _draw_places(assets)
    regions = find_regions(assets)
    x, y, z = np.moveaxis(place - regions.eye, -1, 0)
    head = (z > -0.13) & (np.abs(x) < 0.1)
    front = head & (y < 0.02)
    hair = np.where(head, hairness(place, regions.eye), 0)
    jaw = np.clip((-0.03 - z - 0.4 * np.clip(np.abs(x) - 0.03, 0, 1)) / 0.008, 0, 1)
    beard = jaw * (y < 0.085) * head * (z > -0.118)
    side = np.clip((np.abs(x) - 0.014) / 0.004, 0, 1) * np.clip((0.05 - np.abs(x)) / 0.008, 0, 1)
    height = 0.021 - 3.2 * (np.abs(x) - 0.034) ** 2 * 4
    brows = np.clip(1 - (np.abs(z - height) - 0.0025) / 0.002, 0, 1) * side * front
    lips = np.exp(-(((z + 0.071) / 0.0075) ** 4 + (x / 0.025) ** 4)) * (y < 0.0) * front
    return Atlas(
        hair=cv2.GaussianBlur(hair.astype(np.float32), (3, 3), 0),
        beard=cv2.GaussianBlur(beard.astype(np.float32), (3, 3), 0),
        brows=brows.astype(np.float32),
        lips=lips.astype(np.float32),
        irises=_find_irises(assets),
    )


def _draw_places(assets: BodyAssets) -> np.ndarray:
    """(ATLAS, ATLAS, 3) metres; texels outside take the place of the nearest one inside."""
    chosen = assets.group_triangles("body")
    uv = assets.triangle_uv[chosen].reshape(-1, 2)
    points = np.stack([uv[:, 0] * 2 - 1, uv[:, 1] * 2 - 1, np.full(len(uv), -1.0)], axis=1)
    place = assets.vertices[assets.triangles[chosen]].reshape(-1, 3)
    low, high = place.min(axis=0), place.max(axis=0)
    colours = ((place - low) / (high - low)).astype(np.float32)
    painted = np.zeros((ATLAS, ATLAS, 3), np.float32)
    depth = np.full((ATLAS, ATLAS), 9.0, np.float32)
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    cv2.triangleRasterize(
        points.astype(np.float32),
        np.arange(len(uv), dtype=np.int32).reshape(-1, 3),
        colours,
        painted,
        depth,
        np.eye(4, dtype=np.float32),
        np.pi / 2,
        0.1,
        9.0,
        settings,
    )
    empty = (depth > 5).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside = np.flatnonzero(empty.reshape(-1) == 0)
    nearest = np.zeros(labels.max() + 1, np.int64)
    nearest[labels.reshape(-1)[inside]] = inside
    return painted.reshape(-1, 3)[nearest[labels]] * (high - low) + low


def _find_irises(assets: BodyAssets) -> np.ndarray:
    """(2, 2) texel centres of the two irises, x before y."""
    centres = []
    for group in ("helper-l-eye", "helper-r-eye"):
        chosen = assets.group_triangles(group)
        uv = assets.triangle_uv[chosen].reshape(-1, 2)
        middle = uv[np.argmin(assets.vertices[assets.triangles[chosen]].reshape(-1, 3)[:, 1])]
        centres.append([middle[0] * ATLAS, (1 - middle[1]) * ATLAS])
    return np.array(centres)


def paint_skin(
    assets: BodyAssets,
    rng: np.random.Generator,
    *,
    colour: np.ndarray,
    hair: np.ndarray | None,
    beard: float,
    lipstick: float,
) -> np.ndarray:
    """One person's skin.

    Args:
        assets: of the body.
        rng: for blemishes.
        colour: (3,) of the skin.
        hair: (3,) its colour; None for a bald head.
        beard: 0 none to 1 full.
        lipstick: 0 none to 1.

    Returns:
        (ATLAS, ATLAS, 3) uint8 RGB.
    """
    atlas = draw_atlas(assets)
    patch = noise(rng, (ATLAS // 2, ATLAS // 2), 8, 4, 0.7)
    mottled = 1 + 0.05 * np.tile(patch, (2, 2))
    picture = colour.astype(np.float32) * mottled[..., None]
    blood = np.array([1.02, 0.72, 0.72], np.float32) + np.array(
        [0.15, -0.2, -0.1], np.float32
    ) * np.float32(lipstick)
    _paint(picture, atlas.lips * 0.8, colour * blood)
    tuft = hair if hair is not None else colour * 0.35
    _paint(picture, atlas.brows * 0.85, tuft * 0.8)
    if beard > 0:
        ragged = np.clip(beard + 0.3 * (mottled - 1) / 0.05 * 0.3, 0, 1)
        _paint(picture, atlas.beard * ragged, tuft)
    if hair is not None:
        strands = 1 + 0.25 * np.tile(noise(rng, (ATLAS // 4, ATLAS // 4), 16, 3, 0.8), (4, 4))
        _paint(picture, atlas.hair, hair * strands[..., None])
    _paint_eyes(picture, atlas.irises, rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _paint(picture: np.ndarray, share: np.ndarray, colour: np.ndarray) -> None:
    """Mix a colour (3,) or a picture of colours in, where a mask of the head says so."""
    part = picture[_HEAD]
    paint = colour[_HEAD] if colour.ndim == 3 else colour
    part += share[_HEAD][..., None] * (paint.astype(np.float32) - part)


def _paint_eyes(picture: np.ndarray, centres: np.ndarray, rng: np.random.Generator) -> None:
    iris = [(70, 44, 24), (96, 66, 36), (70, 110, 150), (84, 116, 84)][rng.integers(4)]
    for x, y in centres:
        at = (round(x * 16), round(y * 16))
        for radius, colour in ((6.5, (228, 222, 216)), (2.6, iris), (1.2, (10, 10, 10))):
            size = round(radius * ATLAS / 384 * 16)
            cv2.circle(picture, at, size, colour, -1, cv2.LINE_AA, 4)
