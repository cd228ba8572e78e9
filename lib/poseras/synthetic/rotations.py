"""Rotations in three dimensions, as (..., 3, 3) matrices that act on column vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def unit(vector: np.ndarray) -> np.ndarray:
    """(..., 3) of length 1; a vector of length 0 stays 0."""
    return vector / np.maximum(np.sqrt(dot(vector, vector))[..., None], 1e-12)


def dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(...,) inner products of vectors (..., 3); much faster than a sum over so short an axis."""
    return np.einsum("...i,...i->...", one, other)


def turn(axis: ArrayLike, degrees: float) -> np.ndarray:
    """(3, 3) rotation about an axis (3,), by the right-hand rule (Rodrigues)."""
    x, y, z = unit(np.asarray(axis, np.float64))
    angle = np.deg2rad(degrees)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def turn_xyz(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    """(3, 3): about x, then y, then z, all three axes fixed."""
    return turn([0, 0, 1], z_deg) @ turn([0, 1, 0], y_deg) @ turn([1, 0, 0], x_deg)


def swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3): the shortest rotation that brings direction `start` (3,) to `end` (3,)."""
    start, end = unit(np.asarray(start, np.float64)), unit(np.asarray(end, np.float64))
    axis = np.cross(start, end)
    sine, cosine = np.linalg.norm(axis), float(start @ end)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
    return turn(axis, np.degrees(np.arctan2(sine, cosine)))


def angle_between(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees between two directions (3,)."""
    cosine = float(unit(np.asarray(one)) @ unit(np.asarray(other)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def interpolate_rotations(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """(..., 3, 3): from `first` (share 0) to `second` (share 1), each along its shortest way."""
    relative = np.swapaxes(first, -1, -2) @ second
    cosine = np.clip((np.trace(relative, axis1=-2, axis2=-1) - 1) / 2, -1, 1)
    angle = np.arccos(cosine)[..., None]
    axis = np.stack(
        [
            relative[..., 2, 1] - relative[..., 1, 2],
            relative[..., 0, 2] - relative[..., 2, 0],
            relative[..., 1, 0] - relative[..., 0, 1],
        ],
        axis=-1,
    )
    axis = unit(axis)
    x, y, z = np.moveaxis(axis, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    turned = share * angle[..., None]
    partial = np.eye(3) + np.sin(turned) * cross + (1 - np.cos(turned)) * (cross @ cross)
    return first @ partial
