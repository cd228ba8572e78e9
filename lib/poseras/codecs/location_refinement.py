"""Parts as discs of cells, and inside them the vectors from the cells to the joint.

The one convention a reader must know: maps are `stride` pixels coarser than the picture, and cell i
stands at pixel i * stride + stride / 2. Maps are (batch, height, width, joints[, 2]), x before y.

Source: Insafutdinov et al., "DeeperCut", ECCV 2016; the numbers are those of pose-tensorflow.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from .centred_heatmap import count_present

Tensor = Any  # a tensor of whichever backend Keras runs on


class Claims(NamedTuple):
    """Which person each cell belongs to; -1 where nobody is near.

    Attributes:
        owners: (batch, height, width, joints) int32.
        partners: (batch, height, width, joints, joints) int32, whose second joint the cell of the
            first one points to.
    """

    owners: Tensor
    partners: Tensor


class DiscPeaks(NamedTuple):
    """The cells that suppression keeps, best first.

    Attributes:
        rows: (batch, joints, candidates) int32.
        columns: the same shape.
        scores: the same shape, float32; 0 behind the last peak.
        counts: (batch, joints) int32.
    """

    rows: Tensor
    columns: Tensor
    scores: Tensor
    counts: Tensor


def cell_centres(cells: Any, stride: float) -> Tensor:
    """(cells,) float32: the pixel at which each cell stands."""
    return ops.arange(cells, dtype="float32") * stride + stride / 2


def claim_cells(
    keypoints: Tensor,
    *,
    map_hw: tuple[Any, Any],
    stride: float,
    radius_px: Any,
    nearest: bool = True,
    keep_partners: bool = False,
) -> Claims:
    """Give each cell to the person whose joint is within the radius.

    Args:
        keypoints: (batch, people, joints, 3), x px, y px, visibility; joints outside the picture
            still claim the cells near them.
        map_hw: height and width of the maps.
        stride: pixels per cell.
        radius_px: a number or (batch,); the radius itself is inside.
        nearest: of several people the nearest gets a cell, the first of equally near ones;
            otherwise always the first, which is what the published code does for networks without
            location refinement.
        keep_partners: kept from the published code: when a nearer person takes a cell over, what
            the cell said of joints that this person lacks stays, though it is another person's.
    """
    batch, people, joints = ops.shape(keypoints)[:3]
    grid_x, grid_y = cell_centres(map_hw[1], stride), cell_centres(map_hw[0], stride)
    radius = ops.reshape(ops.cast(radius_px, "float32"), (-1, 1, 1, 1))

    def add_person(person: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        owners, squares, partners = state
        points = ops.take(keypoints, person, axis=1)[:, None, None]  # (batch, 1, 1, joints, 3)
        across = points[..., 0] - grid_x[:, None]
        down = points[..., 1] - grid_y[:, None, None]
        square = ops.square(across) + ops.square(down)  # (batch, height, width, joints)
        labelled = points[..., 2] > 0
        near = ops.logical_and(square <= ops.square(radius), labelled)
        near = ops.logical_and(near, square < squares if nearest else owners < 0)
        number = ops.cast(person, "int32")
        if keep_partners:
            written = ops.logical_and(near[..., None], labelled[..., None, :])
            partners = ops.where(written, number, partners)
        return (
            ops.where(near, number, owners),
            ops.where(near, square, squares),
            partners,
        )

    shape = (batch, *map_hw, joints)
    nobody = ops.full(shape, -1, "int32")
    pairs = ops.full((*shape, joints) if keep_partners else (1,), -1, "int32")
    state = (nobody, ops.full(shape, np.inf, "float32"), pairs)
    owners, _, partners = ops.fori_loop(0, count_present(keypoints, people), add_person, state)
    if not keep_partners:
        partners = ops.broadcast_to(owners[..., None], (*shape, joints))
    return Claims(owners, partners)


def encode_location_refinement(
    keypoints: Tensor, owners: Tensor, *, stride: float, deviation_px: float
) -> tuple[Tensor, Tensor]:
    """Parts, and the vectors from the cells to the joint of the person who owns them.

    Args:
        keypoints: (batch, people, joints, 3), as for `claim_cells`.
        owners: of `claim_cells`.
        stride: pixels per cell.
        deviation_px: the vectors are divided by it.

    Returns:
        (batch, height, width, joints) float32, 1 in owned cells, and (batch, height, width, joints,
        2) float32, 0 elsewhere.
    """
    joints = keypoints.shape[2]
    points = gather_joints(keypoints, owners, ops.arange(joints, dtype="int32"))
    offsets = (points[..., :2] - cell_grid(owners, stride)[:, :, None]) / deviation_px
    owned = owners >= 0
    return ops.cast(owned, "float32"), ops.where(owned[..., None], offsets, 0.0)


def gather_joints(keypoints: Tensor, owners: Tensor, joints: Tensor) -> Tensor:
    """The keypoints of the owners of cells.

    Args:
        keypoints: (batch, people, joints, 3).
        owners: (batch, ...) int32 people; -1 gives person 0's.
        joints: int32, which joint of the owner; broadcasts to the owners' shape.

    Returns:
        (*owners, 3).
    """
    batch, people, count = ops.shape(keypoints)[:3]
    first = ops.reshape(ops.arange(batch, dtype="int32"), (-1,) + (1,) * (len(owners.shape) - 1))
    person = ops.maximum(owners, 0) + first * people
    return ops.take(ops.reshape(keypoints, (-1, 3)), person * count + joints, axis=0)


def cell_grid(maps: Tensor, stride: float) -> Tensor:
    """(height, width, 2) float32 px: where the cells of (batch, height, width, ...) maps stand."""
    height, width = ops.shape(maps)[1:3]
    x, y = cell_centres(width, stride), cell_centres(height, stride)
    return ops.stack(ops.meshgrid(x, y), axis=-1)


def find_disc_peaks(
    scores: Tensor, *, radius_cells: float, threshold: float, candidates: int
) -> DiscPeaks:
    """The highest cell, then the highest outside its disc, and so on.

    Args:
        scores: (batch, height, width, joints), not negative.
        radius_cells: cells at most this far away are suppressed. Kept: it is rounded up.
        threshold: cells below it are no peaks.
        candidates: how many to look for; where `counts` reaches it there may be more.
    """
    batch, height, width, joints = ops.shape(scores)
    flat = ops.reshape(
        ops.transpose(ops.cast(scores, "float32"), (0, 3, 1, 2)), (batch, joints, -1)
    )
    least = np.float32(threshold)
    least = least if float(least) >= threshold else np.nextafter(least, np.float32(np.inf))
    reach = math.ceil(radius_cells) ** 2
    cells = ops.arange(height * width, dtype="int32")
    rows, columns = cells // width, cells % width

    def take_one(number: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        left, places, heights = state
        place = ops.cast(ops.argmax(left, axis=-1), "int32")[..., None]  # (batch, joints, 1)
        height_there = ops.max(left, axis=-1, keepdims=True)
        far = ops.square(rows - place // width) + ops.square(columns - place % width)
        left = ops.where(far <= reach, -np.inf, left)
        own = ops.arange(candidates, dtype="int32") == ops.cast(number, "int32")
        return left, ops.where(own, place, places), ops.where(own, height_there, heights)

    shape = (batch, joints, candidates)
    state = flat, ops.zeros(shape, "int32"), ops.full(shape, -np.inf, "float32")
    _, places, heights = ops.fori_loop(0, candidates, take_one, state)
    counts = ops.sum(ops.cast(heights >= least, "int32"), axis=-1)
    real = heights >= least
    places = ops.where(real, places, 0)
    return DiscPeaks(places // width, places % width, ops.where(real, heights, 0.0), counts)


def find_highest(scores: Tensor) -> DiscPeaks:
    """The highest cell of each map, the first of equal ones, for pictures of one person."""
    batch, height, width, joints = ops.shape(scores)
    flat = ops.reshape(
        ops.transpose(ops.cast(scores, "float32"), (0, 3, 1, 2)), (batch, joints, -1)
    )
    place = ops.cast(ops.argmax(flat, axis=-1), "int32")[..., None]
    best = ops.max(flat, axis=-1, keepdims=True)
    return DiscPeaks(place // width, place % width, best, ops.ones((batch, joints), "int32"))


def sample_at_peaks(maps: Tensor, peaks: DiscPeaks) -> Tensor:
    """What the map of each peak's joint says at the peak.

    Args:
        maps: (batch, height, width, joints, values).
        peaks: of the same joints.

    Returns:
        (batch, joints, candidates, values) float32.
    """
    batch, height, width, joints, values = ops.shape(maps)
    flat = ops.reshape(ops.cast(maps, "float32"), (-1, values))
    image = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
    joint = ops.reshape(ops.arange(joints, dtype="int32"), (1, -1, 1))
    cell = (image * height + peaks.rows) * width + peaks.columns
    return ops.take(flat, cell * joints + joint, axis=0)


def place_peaks(peaks: DiscPeaks, stride: float) -> Tensor:
    """(batch, joints, candidates, 2) float32: the pixels at which the cells of peaks stand."""
    cells = ops.stack([peaks.columns, peaks.rows], axis=-1)
    return ops.cast(cells, "float32") * stride + stride / 2


def decode_location_refinement(
    peaks: DiscPeaks, offsets: Tensor | None, *, stride: float, deviation_px: float
) -> Tensor:
    """Where the joints are.

    Args:
        peaks: cells of the part maps.
        offsets: (batch, height, width, joints, 2) as the network gives them; None leaves the
            centres of the cells.
        stride: pixels per cell.
        deviation_px: what the offsets were divided by.

    Returns:
        (batch, joints, candidates, 2) float32 px.
    """
    centres = place_peaks(peaks, stride)
    if offsets is None:
        return centres
    return centres + sample_at_peaks(offsets, peaks) * deviation_px


def merge_flipped_refinement(
    offsets: Tensor, flipped: Tensor, flip_permutation: np.ndarray, deviation_px: float
) -> Tensor:
    """The vectors of a view and of its mirror image, averaged: the flip test.

    Pixel x of a view of width w is pixel w - 1 - x of its mirror image, while the cells, which
    stand at 4, 12, ..., w - 4, mirror onto each other about w / 2. So a mirrored vector is off by
    one pixel.

    Args:
        offsets: (batch, height, width, joints, 2).
        flipped: the same shape, of the mirrored view, as the network gave them.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        deviation_px: what the offsets are divided by.
    """
    back = ops.take(ops.flip(flipped, axis=2), np.asarray(flip_permutation), axis=3)
    back = back * np.array([-1, 1], np.float32) - np.array([1 / deviation_px, 0], np.float32)
    return (offsets + back) * 0.5
