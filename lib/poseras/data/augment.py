"""Random changes of a person's view: the draws, the geometry they make, and pasted rectangles.

The one convention a reader must know: a draw is a pure function of (seed, pass, sample index).
The numbers come from a counter-based generator, so that no state runs along with the data and
neither workers nor a restart change a sample. The mirror is part of the affine: a mirrored view
has a negative determinant, and no picture is ever flipped.

Source: the geometry is that of Simple Baselines, Xiao et al., ECCV 2018; the half bodies are
HRNet's, Sun et al., CVPR 2019; the rectangles are Random Erasing, Zhong et al., AAAI 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry import (
    expand_box,
    root_boxes,
    stretched_view_matrix,
    transform_points,
    view_matrix,
)
from ..structures import Augmentation, SpaceColumns, View

# Words by which canonical keypoint names of the lower body are known; the rest is upper body.
_LOWER_BODY_WORDS = frozenset(("pelvis", "hip", "knee", "ankle", "heel", "toe", "foot"))
# HRNet takes the upper half where N(0, 1) < 0.5, which is 0.69; MMPose writes 0.7.
_UPPER_HALF_SHARE = 0.7
# Both of HRNet: joints that a half must have more than, and the factor on their extent.
_HALF_JOINTS = 2
_HALF_MARGIN = 1.5
# Random Erasing: area as a share of the view, and width / height. Its largest area is 0.4; a
# person that fills the view needs more than half of it left.
_OCCLUSION_AREA = (0.02, 0.2)
_OCCLUSION_ASPECT = (0.3, 3.3)

_UNIFORMS = 32
_MASK = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)


@dataclass(frozen=True)
class Draws:
    """The random numbers of some samples; each law reads its own, drawn or not needed.

    Attributes:
        n_scale: (samples,) standard normal.
        u_rotation: (samples,) uniform in 0..1, whether a sample is rotated.
        n_rotation: (samples,) standard normal.
        u_flip: (samples,) uniform, whether it is mirrored.
        u_half_body: (samples, 2) uniform: whether it is halved, and which half.
        u_colour: (samples, 3) uniform, one per channel.
        u_occlusion: (samples,) uniform, whether a rectangle is pasted.
        u_rectangle: (samples, 5) uniform: area, aspect, x, y, noise or one colour.
        paint_keys: (samples,) uint64, key of the generator that paints the rectangle.
        u_shift: (samples, 3) uniform: whether the box is moved, and how far in x and y.
        u_grey: (samples,) uniform, whether colours are taken away.
        u_tint: (samples, 6) uniform: whether hue, saturation and value move, and how far.
        u_blur: (samples, 2) uniform: whether the view is blurred, and how much.
    """

    n_scale: np.ndarray
    u_rotation: np.ndarray
    n_rotation: np.ndarray
    u_flip: np.ndarray
    u_half_body: np.ndarray
    u_colour: np.ndarray
    u_occlusion: np.ndarray
    u_rectangle: np.ndarray
    paint_keys: np.ndarray
    u_shift: np.ndarray
    u_grey: np.ndarray
    u_tint: np.ndarray
    u_blur: np.ndarray


@dataclass(frozen=True)
class Placement:
    """Which part of its picture each person's view shows.

    Attributes:
        boxes_xywh: (people, 4) float64 image pixels, of the aspect ratio of the view.
        rotation_deg: (people,) as in `geometry.view_matrix`.
        mirrored: (people,) bool.
        scale: (people,) float64, the random factor on the box.
    """

    boxes_xywh: np.ndarray
    rotation_deg: np.ndarray
    mirrored: np.ndarray
    scale: np.ndarray


def draw(seed: int, passes: np.ndarray, indices: np.ndarray) -> Draws:
    """The random numbers of samples, which depend on nothing but the three arguments.

    Args:
        seed: of the run, any integer of 64 bits.
        passes: (samples,) how often the data had been gone through before.
        indices: (samples,) rows of the records.
    """
    words = draw_words(seed, passes, indices)  # (samples, _UNIFORMS)
    uniform = (words + 0.5) / 2.0**32  # inside 0..1, never at its ends
    return Draws(
        n_scale=_normal(uniform[:, 0], uniform[:, 1]),
        u_rotation=uniform[:, 2],
        n_rotation=_normal(uniform[:, 3], uniform[:, 4]),
        u_flip=uniform[:, 5],
        u_half_body=uniform[:, 6:8],
        u_colour=uniform[:, 8:11],
        u_occlusion=uniform[:, 11],
        u_rectangle=uniform[:, 12:17],
        paint_keys=words[:, 17] << _WORD | words[:, 18],
        u_shift=uniform[:, 19:22],
        u_grey=uniform[:, 22],
        u_tint=uniform[:, 23:29],
        u_blur=uniform[:, 29:31],
    )


def draw_words(seed: int, passes: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """(samples, 32) uint64, each below 2^32: random words that are a function of the arguments."""
    block = np.arange(_UNIFORMS // 4, dtype=np.uint64)[None, :]
    index = np.asarray(indices, np.uint64)[:, None]
    number = np.asarray(passes, np.uint64)[:, None]
    counter = np.broadcast_arrays(block, index & _MASK, index >> _WORD, number & _MASK)
    key = seed & 0xFFFFFFFFFFFFFFFF
    words = philox_4x32(np.stack(counter), (key & 0xFFFFFFFF, key >> 32))  # (4, samples, blocks)
    return np.ascontiguousarray(np.moveaxis(words, 0, -1)).reshape(len(index), _UNIFORMS)


def philox_4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox-4x32 with ten rounds: random words that are a function of counter and key.

    A generator object per sample costs as much time as a sixth of a warp; this is one call for a
    batch.

    Args:
        counter: (4, ...) uint64, each below 2^32.
        key: two numbers below 2^32.

    Returns:
        (4, ...) uint64, each below 2^32.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    first, second = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    a, b, c, d = counter
    for turn in range(10):
        key_0 = np.uint64((key[0] + turn * 0x9E3779B9) & 0xFFFFFFFF)
        key_1 = np.uint64((key[1] + turn * 0xBB67AE85) & 0xFFFFFFFF)
        product_0, product_1 = a * first, c * second
        a, b = (product_1 >> _WORD) ^ b ^ key_0, product_1 & _MASK
        c, d = (product_0 >> _WORD) ^ d ^ key_1, product_0 & _MASK
    return np.stack([a, b, c, d])


def _normal(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Standard normal numbers from two uniform ones, by Box and Muller."""
    return np.sqrt(-2 * np.log(np.ascontiguousarray(u))) * np.cos(2 * np.pi * v)


def upper_body_joints(keypoints: Sequence[str]) -> np.ndarray:
    """Which joints belong to the upper half of a body.

    Args:
        keypoints: canonical names, as `Skeleton.keypoints`.

    Returns:
        (joints,) bool: all but hips, pelvis, knees, ankles and feet.
    """
    return np.array([not _LOWER_BODY_WORDS & set(name.split("_")) for name in keypoints])


def place_people(
    boxes_xywh: np.ndarray, view: View, space: SpaceColumns | None = None
) -> Placement:
    """The undisturbed view of each person: its box, grown to the aspect ratio and by the margin.

    By the rule `root_box_3d` it is the box of fixed size around the root, as it is, of those whose
    root and camera are known.

    Args:
        boxes_xywh: (people, 4) in image pixels.
        view: gives size and margin.
        space: of these people.

    Raises:
        ValueError: a width or height is not positive.
    """
    height, width = view.size_hw
    boxes = expand_box(boxes_xywh, width / height, view.margin).astype(np.float64)
    people = len(boxes)
    if view.rule == "root_box_3d" and space is not None:
        located = np.flatnonzero(space.located)
        roots, cameras = space.root_camera_mm[located], space.cameras[located]
        boxes[located] = root_boxes(roots, cameras, view.box_mm)
    return Placement(boxes, np.zeros(people), np.zeros(people, bool), np.ones(people))


def disturb(
    placement: Placement,
    keypoints: np.ndarray,
    draws: Draws,
    augmentation: Augmentation,
    upper_body: np.ndarray | None = None,
) -> Placement:
    """Change placements as the laws and the draws say.

    Args:
        placement: as `place_people` gives it.
        keypoints: (people, joints, 3) x px, y px in the image, visibility.
        draws: of these people.
        augmentation: the laws.
        upper_body: (joints,) bool, for half bodies.

    Source: TF-SimpleHumanPose and Microsoft's code; `<=` against the uniform numbers is theirs.
    """
    laws = augmentation
    boxes = placement.boxes_xywh
    if laws.half_body_probability > 0 and upper_body is not None:
        boxes = _halve_boxes(boxes, keypoints, draws.u_half_body, laws, upper_body)
    if laws.shift_probability > 0:
        boxes = _shift_boxes(boxes, draws.u_shift, laws)
    scale = np.clip(1 + laws.scale_std * draws.n_scale, 1 - laws.scale_std, 1 + laws.scale_std)
    limit = 2 * laws.rotation_std_deg
    angle = np.clip(laws.rotation_std_deg * draws.n_rotation, -limit, limit)
    return Placement(
        boxes_xywh=_scale_boxes(boxes, scale),
        rotation_deg=np.where(draws.u_rotation <= laws.rotation_probability, angle, 0.0),
        mirrored=draws.u_flip <= laws.flip_probability,
        scale=scale,
    )


def _scale_boxes(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Boxes with both sides multiplied, around their centres."""
    centre, size = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:] * scale[:, None]
    return np.concatenate([centre - size / 2, size], axis=1)


def _shift_boxes(boxes: np.ndarray, uniform: np.ndarray, laws: Augmentation) -> np.ndarray:
    """Boxes moved along both axes, as a detector that is a little wrong would place them."""
    moves = laws.shift_factor * (2 * uniform[:, 1:] - 1) * boxes[:, 2:]
    moves = np.where(uniform[:, :1] < laws.shift_probability, moves, 0.0)
    return np.concatenate([boxes[:, :2] + moves, boxes[:, 2:]], axis=1)


def _halve_boxes(
    boxes: np.ndarray,
    keypoints: np.ndarray,
    uniform: np.ndarray,
    laws: Augmentation,
    upper_body: np.ndarray,
) -> np.ndarray:
    """Boxes around the labelled joints of one half of some people, HRNet's law."""
    labelled = keypoints[:, :, 2] > 0
    upper, lower = labelled & upper_body, labelled & ~upper_body
    wants_upper = (uniform[:, 1] < _UPPER_HALF_SHARE) & (upper.sum(axis=1) > _HALF_JOINTS)
    takes_lower = ~wants_upper & (lower.sum(axis=1) > _HALF_JOINTS)
    chosen = np.where(takes_lower[:, None], lower, upper)  # (people, joints)
    count = chosen.sum(axis=1)
    points = keypoints[:, :, :2].astype(np.float64)
    inside = chosen[:, :, None]
    extent = np.where(inside, points, -np.inf).max(axis=1) - np.where(inside, points, np.inf).min(
        axis=1
    )
    centre = np.where(inside, points, 0).sum(axis=1) / np.maximum(count, 1)[:, None]
    aspect = boxes[:, 2] / boxes[:, 3]
    width = np.maximum(extent[:, 0], extent[:, 1] * aspect) * _HALF_MARGIN
    size = np.stack([width, width / aspect], axis=1)
    halved = (
        (uniform[:, 0] <= laws.half_body_probability)
        & (labelled.sum(axis=1) >= laws.half_body_min_joints)
        & (count >= _HALF_JOINTS)
        & (width > 0)
    )
    return np.where(halved[:, None], np.concatenate([centre - size / 2, size], axis=1), boxes)


def placement_matrices(placement: Placement, view: View) -> np.ndarray:
    """The affines from pictures to views, the mirror included.

    A mirrored view is the view of a mirrored picture in which the box has its mirrored place.
    The width of the picture drops out: the distance to the centre of the box changes its sign
    in x, and that is all.

    Args:
        placement: of the people.
        view: gives size and convention.

    Returns:
        (people, 2, 3) float64, pixels of the stored picture to view pixels.
    """
    boxes = placement.boxes_xywh
    if view.rule == "root_box_3d":  # its box may be of another shape than the view
        matrices = stretched_view_matrix(boxes, view.size_hw, placement.rotation_deg)
    else:
        matrices = view_matrix(boxes, view.size_hw, placement.rotation_deg, view.crop_convention)
    centre_x = boxes[:, 0] + boxes[:, 2] / 2
    mirrored = matrices.copy()
    mirrored[:, :, 0] *= -1
    mirrored[:, :, 2] += 2 * matrices[:, :, 0] * centre_x[:, None]
    return np.where(placement.mirrored[:, None, None], mirrored, matrices)


def keypoints_in_view(
    keypoints: np.ndarray,
    image_to_network: np.ndarray,
    mirrored: np.ndarray,
    *,
    image_widths: np.ndarray,
    flip_permutation: np.ndarray,
    view: View,
) -> np.ndarray:
    """Keypoints where the views show them.

    Args:
        keypoints: (people, joints, 3) x px, y px in the stored picture, visibility.
        image_to_network: (people, 2, 3), mirror included.
        mirrored: (people,) bool: left and right joints change places.
        image_widths: (people,) in pixels.
        flip_permutation: (joints,) as `Skeleton.flip_permutation`.
        view: gives size and what becomes of joints outside.

    Returns:
        (people, joints, 3) float32. An unlabelled joint keeps its coordinates in the picture,
        mirrored where the view is (kept: both published codes do so, and nothing reads them).
    """
    swapped = np.where(mirrored[:, None, None], keypoints[:, flip_permutation], keypoints)
    labelled = swapped[:, :, 2:] > 0
    raw = swapped[:, :, :2].astype(np.float64)
    reflected = raw.copy()
    reflected[:, :, 0] = np.asarray(image_widths, np.float64)[:, None] - 1 - raw[:, :, 0]
    unlabelled = np.where(mirrored[:, None, None], reflected, raw)
    shown = np.where(labelled, transform_points(raw, image_to_network), unlabelled)
    shown = shown.astype(np.float32)
    visibility = swapped[:, :, 2].astype(np.float32)
    if view.outside_joints == "drop":
        limit = np.array(view.size_hw[::-1], np.float32)
        inside = ((shown >= 0) & (shown < limit)).all(axis=2)
        visibility = np.where(inside, visibility, np.float32(0))
    return np.concatenate([shown, visibility[:, :, None]], axis=2)


def colour_gains(draws: Draws, augmentation: Augmentation) -> np.ndarray:
    """(samples, 3) float32 factors on the channels, multiplied and clipped on the device."""
    return (1 + augmentation.colour_gain * (2 * draws.u_colour - 1)).astype(np.float32)


def paste_rectangle(image: np.ndarray, uniform: np.ndarray, paint_key: np.integer) -> None:
    """Paint a rectangle of noise or of one colour into a view, in place.

    Its centre lies anywhere in the view, and what reaches over the border is cut.

    Args:
        image: (height, width, 3) uint8.
        uniform: (5,) area, aspect, x, y, and noise below one half.
        paint_key: of the generator of the colours.

    Source: Random Erasing Data Augmentation, Zhong et al., AAAI 2020.
    """
    height, width = image.shape[:2]
    smallest, largest = _OCCLUSION_AREA
    area = (smallest + (largest - smallest) * uniform[0]) * height * width
    narrow, wide = _OCCLUSION_ASPECT
    aspect = narrow * (wide / narrow) ** uniform[1]
    half_w, half_h = np.sqrt(area * aspect) / 2, np.sqrt(area / aspect) / 2
    x, y = uniform[2] * width, uniform[3] * height
    part = image[
        max(0, round(y - half_h)) : round(y + half_h), max(0, round(x - half_w)) : round(x + half_w)
    ]
    generator = np.random.Generator(np.random.Philox(key=int(paint_key)))
    shape = part.shape if uniform[4] < 0.5 else (3,)
    part[:] = generator.integers(0, 256, shape, np.uint8)
