"""The checks at the door of every suppression function, the same for each way of computing it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def numbers(name: str, values: ArrayLike, shape: str, rank: int) -> np.ndarray:
    """A float64 array of the given rank.

    Args:
        name: what the message calls it.
        values: array, nested list or eager tensor.
        shape: the rule in words, for example `(boxes, 4)`.
        rank: number of axes.

    Raises:
        ValueError: not real numbers, or of another rank.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers. Received dtype {array.dtype}.")
    if array.ndim != rank:
        raise ValueError(f"{name} must have shape {shape}. Received {array.shape}.")
    return array.astype(np.float64)


def check_boxes(boxes_xyxy: ArrayLike, name: str = "boxes_xyxy") -> np.ndarray:
    """(boxes, 4) float64.

    Raises:
        ValueError: another shape, a number that is not finite, or a negative width or height.
    """
    boxes = numbers(name, boxes_xyxy, "(boxes, 4)", 2)
    if boxes.shape[1] != 4:
        raise ValueError(f"{name} must have shape (boxes, 4). Received {boxes.shape}.")
    _refuse(~np.isfinite(boxes).all(axis=1), name, "be finite", boxes)
    backward = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    _refuse(backward, name, "have x2 >= x1 and y2 >= y1 (left, top, right, bottom)", boxes)
    return boxes


def check_keypoints(keypoints: ArrayLike) -> np.ndarray:
    """(people, joints, 2 or 3) float64.

    Raises:
        ValueError: another shape, or a number that is not finite.
    """
    shape = "(people, joints, 2 or 3)"
    points = numbers("keypoints", keypoints, shape, 3)
    if points.shape[1] == 0 or points.shape[2] not in (2, 3):
        raise ValueError(f"keypoints must have shape {shape}. Received {points.shape}.")
    _refuse(~np.isfinite(points).all(axis=(1, 2)), "keypoints", "be finite", points)
    return points


def check_areas(areas: ArrayLike, people: int) -> np.ndarray:
    """(people,) float64.

    Raises:
        ValueError: another length, or an area that is negative or not finite.
    """
    values = _one_each("areas", areas, people, "person")
    _refuse(~(np.isfinite(values) & (values >= 0)), "areas", "be finite and not negative", values)
    return values


def check_sigmas(sigmas: ArrayLike, joints: int) -> np.ndarray:
    """(joints,) float64.

    Raises:
        ValueError: another length, or a sigma that is not positive and finite.
    """
    values = _one_each("sigmas", sigmas, joints, "joint")
    _refuse(~(np.isfinite(values) & (values > 0)), "sigmas", "be finite and positive", values)
    return values


def check_scores(scores: ArrayLike, rows: int, of: str) -> np.ndarray:
    """(rows,) float64.

    Raises:
        ValueError: another length, or NaN.
    """
    values = _one_each("scores", scores, rows, of)
    _refuse(np.isnan(values), "scores", "not be NaN", values)
    return values


def check_threshold(threshold: float, *, above_zero: bool = False) -> float:
    """The threshold as a float.

    Raises:
        ValueError: outside 0..1 (NaN is), or 0 where it is a divisor.
    """
    value = float(threshold)
    if not 0 <= value <= 1 or (above_zero and value == 0):
        rule = "above 0 and at most 1" if above_zero else "between 0 and 1"
        raise ValueError(f"threshold must be {rule}. Received {threshold}.")
    return value


def check_row_splits(row_splits: ArrayLike | None, rows: int) -> np.ndarray:
    """(images + 1,) int64: image i owns the rows row_splits[i] to row_splits[i + 1].

    None makes all rows those of one image.

    Raises:
        ValueError: not whole numbers of rank 1, or they do not run from 0 to `rows` upward.
    """
    splits = np.asarray([0, rows] if row_splits is None else row_splits)
    if splits.ndim != 1 or splits.dtype.kind not in "iu" or len(splits) == 0:
        raise ValueError(
            "row_splits must have shape (images + 1,) and hold integers. "
            f"Received shape {splits.shape}, dtype {splits.dtype}."
        )
    splits = splits.astype(np.int64)
    if splits[0] != 0 or splits[-1] != rows or (np.diff(splits) < 0).any():
        shown = splits.tolist() if len(splits) <= 8 else f"{splits[:8].tolist()}..."
        raise ValueError(f"row_splits must rise from 0 to the {rows} rows. Received {shown}.")
    return splits


def _one_each(name: str, values: ArrayLike, count: int, of: str) -> np.ndarray:
    """(count,) float64, or a ValueError that says what each value belongs to."""
    array = numbers(name, values, f"({count},)", 1)
    if len(array) != count:
        raise ValueError(f"{name} must have one value per {of} ({count}). Received {len(array)}.")
    return array


def _refuse(bad: ArrayLike, name: str, rule: str, values: np.ndarray) -> None:
    """Raise ValueError for the first bad row."""
    if np.any(bad):
        row = int(np.argmax(bad))
        raise ValueError(f"{name} must {rule}. Received {values[row].tolist()} in row {row}.")
