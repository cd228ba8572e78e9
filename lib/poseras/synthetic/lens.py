"""What a cheap camera does to a picture: blur, exposure, colour cast, noise, JPEG, grey."""

from __future__ import annotations

import cv2
import numpy as np

Generator = np.random.Generator


def soften_edges(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Smooth the stairs along the borders of labels (height, width); the rest is unchanged."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    blurred = cv2.GaussianBlur(picture, (3, 3), 0.8)
    return np.where(edge[..., None], blurred, picture)


def photograph(
    rng: Generator, picture: np.ndarray, grain_rng: Generator, clean: bool = False
) -> np.ndarray:
    """(height, width, 3) uint8 of a float32 sRGB picture 0..1.

    Args:
        rng: draws what goes wrong; the same for all frames of a clip.
        picture: as it came in through the lens.
        grain_rng: draws the noise, which differs from frame to frame.
        clean: a good camera: a little exposure and noise, nothing else.
    """
    picture = _expose(rng, picture, 0.4 if clean else 1.0)
    if not clean:
        picture = _blur(rng, picture)
        if rng.random() < 0.05:
            picture = np.repeat(_grey(picture), 3, axis=-1)
    grain = rng.uniform(0, 0.012 if clean else 0.045) * (clean or rng.random() < 0.7)
    if grain > 0.002:
        picture = picture + np.float32(grain) * _grain(grain_rng, picture.shape)
    finished = cv2.convertScaleAbs(np.clip(picture, 0, 1), alpha=255)
    if not clean and rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        _, encoded = cv2.imencode(".jpg", finished, quality)
        finished = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return finished


def _grey(picture: np.ndarray) -> np.ndarray:
    """(height, width, 1) mean of the channels."""
    return (picture @ np.full(3, 1 / 3, np.float32))[..., None]


def _expose(rng: Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    """Gamma, contrast, colour cast, saturation."""
    spread = strength * rng.normal(0, 1, 6)
    gain = np.exp(0.1 * spread[1] + 0.05 * spread[2:5])
    saturation = np.clip(rng.normal(0.95, 0.22 * strength), 0.2, 1.5)
    mix = saturation * np.diag(gain) + (1 - saturation) / 3 * gain
    offset = mix.sum(axis=1) * -0.5 + 0.5 + 0.02 * spread[5]
    picture = cv2.pow(picture, float(np.exp(0.18 * spread[0])))
    return np.clip(cv2.transform(picture, np.column_stack([mix, offset])), 0, 1)


def _grain(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise; one patch, repeated at a random place, is as good as all of it."""
    patch = rng.standard_normal((192, 224, 3), np.float32)
    rows = (np.arange(shape[0]) + rng.integers(192)) % 192
    columns = (np.arange(shape[1]) + rng.integers(224)) % 224
    return patch[rows][:, columns]


def _blur(rng: Generator, picture: np.ndarray) -> np.ndarray:
    """Out of focus, moved, or fetched from a small picture."""
    kind = rng.random()
    if kind < 0.35:
        return cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.3)))
    if kind < 0.45:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        end = np.rint((length - 1) * rng.random(2)).astype(int).tolist()
        cv2.line(kernel, (length - 1 - end[0], length - 1 - end[1]), (end[0], end[1]), 1.0)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())
    if kind < 0.55:
        height, width = picture.shape[:2]
        share = rng.uniform(0.35, 0.8)
        small = (max(int(width * share), 8), max(int(height * share), 8))
        shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture
