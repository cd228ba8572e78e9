"""Procedural pictures: cloth, walls, ground. All are (height, width, 3) uint8 RGB and tile."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

Generator = np.random.Generator


def noise(
    rng: Generator, size_hw: tuple[int, int], cells: int = 4, octaves: int = 4, fade: float = 0.55
) -> np.ndarray:
    """(height, width) float32 of mean 0 and roughly -1..1: soft clouds down to fine grain."""
    height, width = size_hw
    total = np.zeros(size_hw, np.float32)
    strength = 1.0
    for _ in range(octaves):
        if cells > max(size_hw):
            break
        rows = min(cells, height)
        columns = min(max(cells * width // height, 1), width)
        small = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        small = np.pad(small, 2, mode="wrap")  # so that the result tiles
        tall, wide = -(-height // rows), -(-width // columns)
        grown = cv2.resize(
            small, (wide * (columns + 4), tall * (rows + 4)), interpolation=cv2.INTER_CUBIC
        )
        total += strength * grown[2 * tall : 2 * tall + height, 2 * wide : 2 * wide + width]
        strength *= fade
        cells *= 2
    return total


def look_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(..., 3) colours of a repeating picture at x and y (...) in texels, interpolated."""
    shape, count = x.shape, x.size
    rows = -(-count // 256)  # OpenCV takes no side longer than 32,767
    places = np.zeros((2, rows * 256), np.float32)
    places[0, :count], places[1, :count] = x.reshape(-1), y.reshape(-1)
    x_map, y_map = places.reshape(2, rows, 256)
    looked = cv2.remap(picture, x_map, y_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return looked.reshape(-1, picture.shape[2])[:count].reshape(*shape, picture.shape[2])


def any_colour(rng: Generator) -> np.ndarray:
    """(3,) float64 RGB 0..255, any hue."""
    hue, saturation, value = rng.random(), rng.beta(1.4, 1.8), rng.uniform(0.12, 1.0)
    return 255 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))


_CLOTH = np.array(
    [
        *([22, 22, 24], [28, 32, 52], [60, 60, 64], [120, 120, 122], [238, 238, 236]),
        *([245, 240, 225], [52, 72, 110], [84, 108, 148], [140, 120, 92], [196, 176, 140]),
        *([74, 82, 52], [110, 26, 32], [190, 36, 40], [90, 60, 44], [36, 84, 60]),
    ],
    np.float64,
)


def muted_colour(rng: Generator) -> np.ndarray:
    """(3,) float64 RGB 0..255, what walls, ground and plants mostly are."""
    colour = any_colour(rng)
    return colour + rng.uniform(0.1, 0.85) * (colour.mean() - colour)


def cloth_colour(rng: Generator) -> np.ndarray:
    """(3,) float64 RGB 0..255: what people wear, the neutral colours more often."""
    if rng.random() < 0.55:
        return np.clip(_CLOTH[rng.integers(len(_CLOTH))] + rng.normal(0, 10, 3), 4, 252)
    return any_colour(rng)


def _fill(size_hw: tuple[int, int], colour: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(colour, np.float32), (*size_hw, 3)).copy()


def _blend(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(height, width, 3) float32 between two colours (3,), by a share (height, width)."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return first + share[..., None].astype(np.float32) * (second - first)


def _wave(size: int, count: float, rng: Generator) -> np.ndarray:
    """(size,) 0 or 1: `count` bands of random width ratio."""
    phase = (np.arange(size) / size * count + rng.random()) % 1
    return (phase < rng.uniform(0.15, 0.6)).astype(np.float32)


def stripes(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """Bands across or along."""
    height, width = size_hw
    if rng.random() < 0.65:
        share = np.repeat(_wave(height, int(rng.integers(3, 28)), rng)[:, None], width, 1)
    else:
        share = np.repeat(_wave(width, int(rng.integers(3, 20)), rng)[None], height, 0)
    return _blend(ink(rng), ink(rng), share)


def checks(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """Chequers, tartans and grids."""
    height, width = size_hw
    count = int(rng.integers(4, 22))
    down = _wave(height, count, rng)[:, None]
    across = _wave(width, max(count * width // height, 2), rng)[None]
    base = _blend(ink(rng), ink(rng), (down + across) / 2)
    return base


def dots(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """Dots in rows, or blossoms anywhere."""
    height, width = size_hw
    picture = _fill(size_hw, ink(rng))
    radius = int(rng.integers(2, max(height // 14, 4)))
    colours = [ink(rng).tolist() for _ in range(int(rng.integers(1, 4)))]
    for index in range(int(rng.integers(20, 110))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(picture, centre, radius, colours[index % len(colours)], -1, cv2.LINE_AA)
    return picture


def camouflage(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """Patches of a few colours, also marble and batik."""
    field = noise(rng, size_hw, int(rng.integers(2, 9)), 3)
    picture = _fill(size_hw, ink(rng))
    for level in np.sort(rng.uniform(-0.6, 0.8, int(rng.integers(1, 4)))):
        picture[field > level] = ink(rng)
    return picture


def panels(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """A few blocks of colour: sports kit, yokes, side stripes."""
    height, width = size_hw
    picture = _fill(size_hw, ink(rng))
    for _ in range(int(rng.integers(1, 4))):
        colour = ink(rng)
        if rng.random() < 0.5:
            top = int(rng.integers(height))
            picture[top : top + int(rng.integers(4, max(height // 3, 6)))] = colour
        else:
            left = int(rng.integers(width))
            picture[:, left : left + int(rng.integers(4, max(width // 3, 6)))] = colour
    return picture


def plain(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """One colour."""
    return _fill(size_hw, ink(rng))


def prints(rng: Generator, size_hw: tuple[int, int], ink: Callable) -> np.ndarray:
    """A word, a number or a badge on a plain ground."""
    height, width = size_hw
    picture = plain(rng, size_hw, ink).astype(np.uint8)  # text needs bytes
    for _ in range(int(rng.integers(1, 4))):
        colour = ink(rng).tolist()
        at = (int(rng.integers(width // 2)), int(rng.integers(height // 6, height)))
        size = height / 200 * float(rng.uniform(0.5, 2.5))
        if rng.random() < 0.6:
            word = "".join(
                rng.choice(list("ABCDEFGHIKLMNOPRSTUVXYZ0123456789"), rng.integers(1, 7))
            )
            font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX]))
            cv2.putText(picture, word, at, font, size, colour, 2, cv2.LINE_AA)
        else:
            axes = (int(20 * size) + 2, int(14 * size) + 2)
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(picture, at, axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
    return picture.astype(np.float32)


_PATTERNS = (
    *((plain, 0.46), (stripes, 0.14), (checks, 0.1), (dots, 0.08), (camouflage, 0.06)),
    *((panels, 0.08), (prints, 0.08)),
)


def make_pattern(
    rng: Generator, size_hw: tuple[int, int], ink: Callable = any_colour, rough: float = 0.1
) -> np.ndarray:
    """A random pattern.

    Args:
        rng: draws everything.
        size_hw: of the picture.
        ink: draws a colour from `rng`.
        rough: relative spread of light and shade within it: folds, dirt, weave.
    """
    makers, weights = zip(*_PATTERNS, strict=True)
    picture = makers[rng.choice(len(makers), p=weights)](rng, size_hw, ink)
    shade = 1 + rough * noise(rng, size_hw, int(rng.integers(3, 9)), 4, 0.6)
    return np.clip(picture * shade[..., None], 0, 255).astype(np.uint8)
