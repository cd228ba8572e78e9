"""Things pasted over a person's view, so that a network learns to live with hidden joints.

Objects are RGBA pictures from a folder, or drawn shapes. One to seven of them are pasted, each at
0.2 to 1 times its size for a view of 256 pixels, its centre anywhere in the view, and blended by
its alpha.

Source: Sarandi et al., "Synthetic Occlusion Augmentation with Volumetric Heatmaps for the 2018
ECCV PoseTrack Challenge", arXiv 1809.04987; there the objects are cut from Pascal VOC.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..structures import Augmentation

_MOST = 7
_SMALLEST, _LARGEST = 0.2, 1.0
_REFERENCE_PX = 256
#: Drawn shapes, and the side of their pictures.
_SHAPES, _SHAPE_PX = 64, 128
_SUFFIXES = (".png", ".webp", ".tif", ".tiff")


def choose_occluders(laws: Augmentation) -> tuple[np.ndarray, ...]:
    """The objects that augmentation pastes, as `load_occluders` gives them; none for rectangles.

    Args:
        laws: say what is pasted, how often, and where objects come from.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a folder is named but objects are never pasted, or it holds none.
    """
    if laws.occlusion_kind == "objects" and laws.occlusion_probability > 0:
        return load_occluders(laws.occluder_folder)
    if laws.occluder_folder:
        raise ValueError(
            "view.augmentation.occluder_folder is read where objects are pasted alone. Received "
            f"occlusion_kind {laws.occlusion_kind} and occlusion_probability "
            f"{laws.occlusion_probability}; --set view.augmentation.occlusion_kind=objects "
            "view.augmentation.occlusion_probability=0.5 pastes them over every other view."
        )
    return ()


def load_occluders(folder: str) -> tuple[np.ndarray, ...]:
    """The pictures of a folder, or drawn shapes where none is named.

    Args:
        folder: with RGBA pictures (PNG, WebP, TIFF) of single objects on a transparent ground, best
            as large as they should be in a view of 256 pixels at most; "" takes shapes.

    Returns:
        (height, width, 4) uint8 RGBA each.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no picture with a transparent ground.
    """
    if not folder:
        return draw_shapes()
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"No folder {folder}. view.augmentation.occluder_folder names a folder of RGBA "
            "pictures; leave it empty for drawn shapes."
        )
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in _SUFFIXES)
    pictures = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths]
    usable = [
        cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
        for picture in pictures
        if picture is not None and picture.ndim == 3 and picture.shape[2] == 4
    ]
    if not usable:
        raise ValueError(
            f"{folder} must hold RGBA pictures of objects on a transparent ground. Received "
            f"{len(paths)} pictures, none of them with an alpha channel."
        )
    return tuple(picture.astype(np.uint8) for picture in usable)


def draw_shapes() -> tuple[np.ndarray, ...]:
    """Ellipses, polygons and bars, plain, striped or speckled; always the same ones."""
    rng = np.random.default_rng(1809)
    return tuple(_draw_shape(rng) for _ in range(_SHAPES))


def _draw_shape(rng: np.random.Generator) -> np.ndarray:
    side = _SHAPE_PX
    mask = np.zeros((side, side), np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        axes = rng.integers(side // 6, side // 2 - 4, 2).tolist()
        cv2.ellipse(mask, (side // 2, side // 2), axes, float(rng.integers(180)), 0, 360, 255, -1)
    elif kind == 1:
        corner_count = int(rng.integers(3, 8))
        turns = (np.arange(corner_count) + rng.uniform(0, 0.6, corner_count)) / corner_count
        angles = 2 * np.pi * turns
        radius = rng.uniform(side / 5, side / 2 - 4, len(angles))
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] + side / 2
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
    else:
        low = rng.integers(4, side // 3, 2)
        cv2.rectangle(mask, low.tolist(), (side - low).tolist(), 255, -1)
    soft = cv2.GaussianBlur(mask, (5, 5), 0)
    colour, other = rng.integers(0, 256, (2, 3))
    rows = np.arange(side)[:, None, None]
    stripes = rows // int(rng.integers(4, 20)) % 2 * bool(rng.integers(2))
    picture = np.where(stripes, other, colour) + rng.normal(0, 20 * rng.random(), (side, side, 3))
    return np.dstack([np.clip(picture, 0, 255).astype(np.uint8), soft])


def paste_occluders(
    image: np.ndarray, occluders: Sequence[np.ndarray], paint_key: np.integer
) -> None:
    """Paste some objects into a view, in place.

    Args:
        image: (height, width, 3) uint8.
        occluders: (height, width, 4) uint8 RGBA each.
        paint_key: of the generator of everything random.
    """
    rng = np.random.Generator(np.random.Philox(key=int(paint_key)))
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, _MOST + 1))):
        chosen = occluders[int(rng.integers(len(occluders)))]
        factor = rng.uniform(_SMALLEST, _LARGEST) * min(height, width) / _REFERENCE_PX
        centre = rng.random(2) * (width, height)
        _blend(image, _resize(chosen, factor), centre)


def _resize(picture: np.ndarray, factor: float) -> np.ndarray:
    size = [max(1, round(side * factor)) for side in picture.shape[1::-1]]
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=method)


def _blend(image: np.ndarray, picture: np.ndarray, centre: np.ndarray) -> None:
    """Lay an RGBA picture over an image around a point; what reaches over the border is cut."""
    height, width = picture.shape[:2]
    left, top = round(centre[0] - width / 2), round(centre[1] - height / 2)
    first_x, first_y = max(0, -left), max(0, -top)
    last_x, last_y = min(width, image.shape[1] - left), min(height, image.shape[0] - top)
    if last_x <= first_x or last_y <= first_y:
        return
    part = picture[first_y:last_y, first_x:last_x].astype(np.float32)
    place = image[top + first_y : top + last_y, left + first_x : left + last_x]
    alpha = part[..., 3:] / 255
    place[:] = np.rint(alpha * part[..., :3] + (1 - alpha) * place).astype(np.uint8)
