"""Guiding offsets: near the start of a limb, the vector to its end; and limbs from peaks.

Li, Xiang, Chen, Wang, "Greedy Offset-Guided Keypoint Grouping for Human Pose Estimation", 2021.

The one convention a reader must know: a vector goes from the centre of its cell, not from the
joint, to the end of the limb, in pixels of the picture. Maps are (batch, height, width, limbs, 2),
x before y. Everything here is `keras.ops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from .centred_heatmap import Peaks, cell_centres, count_present, inside_window
from .resampling import ResizeMode, sample_pixels

Tensor = Any  # a tensor of whichever backend Keras runs on
Limbs = Sequence[tuple[int, int]]

#: Where candidates stand that are none: no limb reaches as far.
NOWHERE_PX = -100_000.0
#: Scale of a joint where the network has no scale maps.
USUAL_SCALE_PX = 4.0


class OffsetTargets(NamedTuple):
    """What `encode_guiding_offsets` renders.

    Attributes:
        offsets: (batch, height, width, limbs, 2) float32, 0 where there is none.
        known: (batch, height, width, limbs) bool, where there is one.
        instance_scales: (batch, height, width, limbs) float32, sqrt(area of the person's box) in
            px, 0 where the box has no area, 1 where there is no offset.
        scales: (batch, height, width, joints) float32, that times the joint's sigma, 0 where
            unknown.
        scales_known: (batch, height, width, joints) bool.
    """

    offsets: Tensor
    known: Tensor
    instance_scales: Tensor
    scales: Tensor
    scales_known: Tensor


def encode_guiding_offsets(
    keypoints: Tensor,
    person_scales: Tensor,
    *,
    limbs: Limbs,
    sigmas: Sequence[float],
    input_hw: tuple[Any, Any],
    stride: int,
    window_cells: int,
    min_scale: float,
    label_ends: bool = False,
) -> OffsetTargets:
    """Render the offsets around the start of every limb whose both joints are labelled.

    Where people overlap the shorter vector stays. Kept: the scale of a joint is written by the
    limbs that start there, the last one on top, so that joints that start none have no scale.

    Args:
        keypoints: (batch, people, joints, 3), x px, y px, visibility.
        person_scales: (batch, people), sqrt(area of the box) in px of the picture.
        limbs: pairs of joints, start and end.
        sigmas: one per joint.
        input_hw: height and width of the picture, multiples of the stride.
        stride: pixels per cell.
        window_cells: side of the square around a start that is written.
        min_scale: px; where a joint's scale is lower, it counts as unknown.
        label_ends: also write the scale around the ends of limbs, on cells that have none.
    """
    sizes = input_hw[0] // stride, input_hw[1] // stride
    batch, people, joints = ops.shape(keypoints)[:3]
    starts, ends = np.array(limbs, np.int32).reshape(-1, 2).T
    grid_x, grid_y = cell_centres(sizes[1], stride), cell_centres(sizes[0], stride)

    def window_of(x: Tensor, y: Tensor) -> Tensor:
        """(batch, points) each -> (batch, height, width, points) bool."""
        down = ops.transpose(inside_window(y, window_cells, sizes[0], stride), (0, 2, 1))
        across = ops.transpose(inside_window(x, window_cells, sizes[1], stride), (0, 2, 1))
        return ops.logical_and(down[:, :, None], across[:, None])

    def add_person(person: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        offsets, lengths, scales, end_scales = state
        points = ops.take(keypoints, person, axis=1)  # (batch, joints, 3)
        scale = ops.take(person_scales, person, axis=1)[:, None, None, None]
        start, end = ops.take(points, starts, axis=1), ops.take(points, ends, axis=1)
        labelled = ops.logical_and(start[..., 2] > 0, end[..., 2] > 0)[:, None, None]
        across = (end[..., 0][:, None] - grid_x[:, None])[:, None]  # (batch, 1, width, limbs)
        down = (end[..., 1][:, None] - grid_y[:, None])[:, :, None]
        length = ops.square(across) + ops.square(down)  # (batch, height, width, limbs)
        nearer = ops.logical_and(window_of(start[..., 0], start[..., 1]), labelled)
        nearer = ops.logical_and(nearer, length < lengths)
        vector = ops.stack(
            [
                ops.broadcast_to(across, ops.shape(length)),
                ops.broadcast_to(down, ops.shape(length)),
            ],
            axis=-1,
        )
        if label_ends:
            around = ops.logical_and(window_of(end[..., 0], end[..., 1]), labelled)
            end_scales = ops.where(around, scale, end_scales)
        return (
            ops.where(nearer[..., None], vector, offsets),
            ops.where(nearer, length, lengths),
            ops.where(nearer, scale, scales),
            end_scales,
        )

    shape = (batch, *sizes, len(limbs))
    state = (
        ops.zeros((*shape, 2), "float32"),
        ops.full(shape, np.inf, "float32"),
        ops.ones(shape, "float32"),
        ops.zeros(shape, "float32"),
    )
    state = ops.fori_loop(0, count_present(keypoints, people), add_person, state)
    offsets, lengths, scales, end_scales = state
    known = ops.isfinite(lengths)
    own = [(joint, limb) for limb, joint in enumerate(starts)]
    written = _joint_scales(ops.where(known, scales, 0.0), own, sigmas)
    if label_ends:
        own = [(joint, limb) for limb, joint in enumerate(ends)]
        written = ops.where(written > 0, written, _joint_scales(end_scales, own, sigmas))
    large = written >= max(min_scale, np.finfo(np.float32).tiny)
    return OffsetTargets(offsets, known, scales, ops.where(large, written, 0.0), large)


def _joint_scales(
    scales: Tensor, joint_limbs: Sequence[tuple[int, int]], sigmas: Sequence[float]
) -> Tensor:
    """From (batch, height, width, limbs), 0 where unknown, to joints; the last limb on top."""
    maps: list[Tensor] = [ops.zeros_like(scales[..., 0])] * len(sigmas)
    for joint, limb in joint_limbs:
        value = scales[..., limb]
        maps[joint] = ops.where(value > 0, value * sigmas[joint], maps[joint])
    return ops.stack(maps, axis=-1)


def encode_jitter(
    keypoints: Tensor, *, input_hw: tuple[Any, Any], stride: int, window_cells: int
) -> tuple[Tensor, Tensor]:
    """Render the vectors from cells to the nearest joint of any kind.

    Args:
        keypoints: (batch, people, joints, 3), x px, y px, visibility.
        input_hw: height and width of the picture, multiples of the stride.
        stride: pixels per cell.
        window_cells: side of the square around a joint that is written.

    Returns:
        (batch, height, width, 2) float32, 0 where there is none, and (batch, height, width) bool.
    """
    rows, columns = input_hw[0] // stride, input_hw[1] // stride
    batch, people, joints = ops.shape(keypoints)[:3]
    # Joint after joint, as the original goes, which decides where two are equally near.
    points = ops.reshape(ops.transpose(keypoints, (0, 2, 1, 3)), (batch, people * joints, 3))
    grid_x, grid_y = cell_centres(columns, stride), cell_centres(rows, stride)

    def add_point(number: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        vectors, lengths = state
        point = ops.take(points, number, axis=1)  # (batch, 3)
        x, y = point[:, :1], point[:, 1:2]
        across, down = (x - grid_x)[:, None], (y - grid_y)[:, :, None]
        length = ops.square(across) + ops.square(down)  # (batch, height, width)
        inside = ops.logical_and(
            inside_window(y[:, 0], window_cells, rows, stride)[:, :, None],
            inside_window(x[:, 0], window_cells, columns, stride)[:, None],
        )
        inside = ops.logical_and(inside, (point[:, 2] > 0)[:, None, None])
        nearer = ops.logical_and(inside, length < lengths)
        shape = ops.shape(length)
        vector = ops.stack([ops.broadcast_to(v, shape) for v in (across, down)], axis=-1)
        return (
            ops.where(nearer[..., None], vector, vectors),
            ops.where(nearer, length, lengths),
        )

    shape = (batch, rows, columns)
    state = ops.zeros((*shape, 2), "float32"), ops.full(shape, np.inf, "float32")
    vectors, lengths = ops.fori_loop(0, people * joints, add_point, state)
    return vectors, ops.isfinite(lengths)


def merge_flipped_offsets(
    offsets: Tensor,
    flipped: Tensor,
    limb_permutation: np.ndarray,
    kept: Sequence[int],
    *,
    concatenate: bool = False,
) -> Tensor:
    """The offsets of a view and of its mirror image, the flip test.

    Args:
        offsets: (batch, height, width, limbs, 2).
        flipped: the same shape, of the mirrored view, as the network gave them.
        limb_permutation: (limbs,), mirrored limb l is limb `limb_permutation[l]`.
        kept: limbs that are their own mirror image the other way round; they stay as they are.
        concatenate: put both side by side, four values, instead of averaging.
    """
    back = ops.flip(flipped, axis=2) * np.array([-1, 1], np.float32)
    back = ops.take(back, np.asarray(limb_permutation), axis=3)
    keeps = np.zeros((len(limb_permutation), 1), bool)
    keeps[list(kept)] = True
    if concatenate:
        return ops.concatenate([offsets, ops.where(keeps, offsets, back)], axis=-1)
    return ops.where(keeps, offsets, (offsets + back) * 0.5)


def pair_limbs(
    peaks: Peaks,
    offsets: Tensor,
    *,
    limbs: Limbs,
    stride: int,
    min_length_px: float,
    jitter: Tensor | None = None,
) -> dict[str, Tensor]:
    """For the start of each limb the end that its offset leads to.

    Args:
        peaks: of the joints.
        offsets: (batch, height, width, limbs, 2), or 4 values as `merge_flipped_offsets`
            concatenates them.
        limbs: pairs of joints.
        stride: pixels per cell.
        min_length_px: shorter limbs count as that long in the score.
        jitter: (batch, height, width, 2), added to where an offset leads; None without.

    Returns:
        `limb_ends` (batch, limbs, candidates) int32, which peak of the end joint is nearest, the
        first of equally near ones; `limb_distances_px`, how near; `limb_scores`, product of the
        peaks' heights times exp(-distance / length), all of that shape.
    """
    starts, ends = np.array(limbs, np.int32).reshape(-1, 2).T
    x, y = (ops.take(values, starts, axis=1) for values in (peaks.x, peaks.y))
    guide = sample_pixels(offsets, x, y, stride, "bilinear")  # (batch, limbs, candidates, 2)
    points = place_peaks(peaks)
    repeat = offsets.shape[-1] // 2
    start, end = (
        ops.tile(ops.take(points, joints, axis=1), (1, 1, 1, repeat)) for joints in (starts, ends)
    )
    guide = start + guide
    if jitter is not None:
        guide = guide + _jitter_at(jitter, guide, stride)
    # (batch, limbs, start candidates, end candidates)
    distance = ops.sqrt(ops.sum(ops.square(guide[:, :, :, None] - end[:, :, None]), axis=-1))
    nearest = ops.argmin(distance, axis=-1)[..., None]
    shortest = ops.take_along_axis(distance, nearest, axis=-1)[..., 0]
    chosen = ops.take_along_axis(end[..., :2], nearest, axis=2)
    length = ops.sqrt(ops.sum(ops.square(start[..., :2] - chosen), axis=-1))
    heights = ops.take_along_axis(ops.take(peaks.scores, ends, axis=1), nearest[..., 0], axis=-1)
    closeness = ops.exp(-shortest / ops.maximum(length, min_length_px))
    return {
        "limb_ends": ops.cast(nearest[..., 0], "int32"),
        "limb_distances_px": shortest,
        "limb_scores": ops.take(peaks.scores, starts, axis=1) * heights * closeness,
    }


def place_peaks(peaks: Peaks) -> Tensor:
    """(batch, joints, candidates, 2) float32, x before y; `NOWHERE_PX` off where there is none."""
    points = ops.cast(ops.stack([peaks.x, peaks.y], axis=-1), "float32")
    return ops.where((peaks.scores > 0)[..., None], points, points + NOWHERE_PX)


def joint_scales_at(peaks: Peaks, scales: Tensor | None, stride: int, mode: ResizeMode) -> Tensor:
    """(batch, joints, candidates) px: the scale maps at the peaks, else `USUAL_SCALE_PX`."""
    if scales is None:
        return ops.full_like(peaks.scores, USUAL_SCALE_PX)
    return sample_pixels(scales[..., None], peaks.x, peaks.y, stride, mode)[..., 0]


def jitter_at_peaks(peaks: Peaks, jitter: Tensor, stride: int) -> Tensor:
    """(batch, joints, candidates, 2) px: the jitter maps at the peaks."""
    return _jitter_at(jitter, ops.cast(ops.stack([peaks.x, peaks.y], axis=-1), "float32"), stride)


def _jitter_at(jitter: Tensor, points_px: Tensor, stride: int) -> Tensor:
    """Jitter (batch, height, width, 2) at the pixels of (batch, lists, points, 2 or 4)."""
    height, width = ops.shape(jitter)[1:3]
    batch, lists, count, values = ops.shape(points_px)
    x = ops.cast(ops.clip(ops.round(points_px[..., 0]), 0, width * stride - 1), "int32")
    y = ops.cast(ops.clip(ops.round(points_px[..., 1]), 0, height * stride - 1), "int32")
    flat = (batch, 1, lists * count)
    found = sample_pixels(
        jitter[:, :, :, None], ops.reshape(x, flat), ops.reshape(y, flat), stride, "bilinear"
    )
    found = ops.reshape(found, (batch, lists, count, 2))
    return ops.tile(found, (1, 1, 1, points_px.shape[-1] // 2))
