"""Random changes of a whole picture with its people: the draws, the affine, the colours.

The one convention a reader must know: a draw is a pure function of (seed, pass, sample index), as
in `augment`. Points are columns and an affine reads from right to left: turn around the middle of
the picture, stretch, mirror, and shift the people to the middle of the view.

Source: the OffsetGuided code of SimplePose V2, whose odd rules are kept and named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..picture_augmentation import PictureAugmentation
from ..structures import OutsideJoints
from .augment import draw_words
from .colours import tint, turn_grey

# Hue (of 180), saturation and value move by up to this.
_TINT = (10, 40, 30)


@dataclass(frozen=True)
class PictureDraws:
    """The random numbers of some pictures, uniform in 0..1; each law reads its own.

    Attributes:
        u_shift: (pictures,) whether keypoints are shifted.
        u_flip: (pictures,)
        u_rotation: (pictures,)
        u_scale: (pictures,)
        u_stretch: (pictures, 2) x and y.
        u_offset: (pictures, 2) x and y.
        u_grey: (pictures,)
        u_tint: (pictures,) whether colours move.
        u_colours: (pictures, 3) hue, saturation, value.
        shift_keys: (pictures,) uint64, key of the generator that shifts keypoints.
    """

    u_shift: np.ndarray
    u_flip: np.ndarray
    u_rotation: np.ndarray
    u_scale: np.ndarray
    u_stretch: np.ndarray
    u_offset: np.ndarray
    u_grey: np.ndarray
    u_tint: np.ndarray
    u_colours: np.ndarray
    shift_keys: np.ndarray


def draw_pictures(seed: int, passes: np.ndarray, indices: np.ndarray) -> PictureDraws:
    """The random numbers of pictures, which depend on nothing but the three arguments.

    Args:
        seed: of the run, any integer of 64 bits.
        passes: (pictures,) how often the data had been gone through before.
        indices: (pictures,) rows of the records.
    """
    words = draw_words(seed, passes, indices)
    uniform = (words + 0.5) / 2.0**32  # inside 0..1, never at its ends
    return PictureDraws(
        u_shift=uniform[:, 0],
        u_flip=uniform[:, 1],
        u_rotation=uniform[:, 2],
        u_scale=uniform[:, 3],
        u_stretch=uniform[:, 4:6],
        u_offset=uniform[:, 6:8],
        u_grey=uniform[:, 8],
        u_tint=uniform[:, 9],
        u_colours=uniform[:, 10:13],
        shift_keys=words[:, 13] << np.uint64(32) | words[:, 14],
    )


@dataclass(frozen=True)
class PictureChange:
    """How one picture is changed.

    Attributes:
        mirrored: left to right.
        rotation_deg: around the middle of the picture.
        scale_xy: view pixels per picture pixel, stretch included.
        offset_px: of the view, x and y.
    """

    mirrored: bool
    rotation_deg: float
    scale_xy: tuple[float, float]
    offset_px: tuple[float, float]


def choose_change(draws: PictureDraws, slot: int, laws: PictureAugmentation) -> PictureChange:
    """What the draws of one picture make of the laws."""
    scale = _between(laws.scale, draws.u_scale[slot])
    stretch = [_between(laws.stretch, u) for u in draws.u_stretch[slot]]
    offset = np.trunc((2 * draws.u_offset[slot] - 1) * laws.max_shift_px)
    return PictureChange(
        mirrored=bool(draws.u_flip[slot] < laws.flip_probability),
        rotation_deg=float(2 * draws.u_rotation[slot] - 1) * laws.max_rotation_deg,
        scale_xy=(stretch[0] * scale, stretch[1] * scale),
        offset_px=(float(offset[0]), float(offset[1])),
    )


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * float(share)


def find_middle(keypoints: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Where a picture's people are.

    Args:
        keypoints: (people, joints, 3) x px, y px, visibility.
        size_hw: height and width of the picture.

    Returns:
        (2,) float32 x and y, whole pixels: halfway between the outermost labelled joints, rounded
        down; the middle of the picture where there is none.
    """
    points = keypoints[keypoints[..., 2] > 0][:, :2]
    if not len(points):
        return np.array([size_hw[1] // 2, size_hw[0] // 2], np.float32)
    return ((points.min(axis=0) + points.max(axis=0)) // 2).astype(np.float32)


def change_matrix(
    change: PictureChange,
    size_hw: tuple[int, int],
    view_hw: tuple[int, int],
    middle: np.ndarray | None,
) -> np.ndarray:
    """The affine from a picture to its changed view.

    Args:
        change: of this picture.
        size_hw: height and width of the picture.
        view_hw: height and width of the view.
        middle: (2,) x and y px of what comes to the middle of the view; None for the middle of the
            picture. Kept: that shift is neither turned nor mirrored, so that it is exact only
            without both.

    Returns:
        (2, 3) float64.
    """
    centre = (np.array(size_hw[::-1], np.float64) - 1) / 2
    angle = np.deg2rad(change.rotation_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    scale = np.array(change.scale_xy)
    linear = scale[:, None] * np.array([[cosine, sine], [-sine, cosine]])
    if change.mirrored:
        linear[0] *= -1
    shift = np.array(change.offset_px, np.float32)
    if middle is not None:
        # float32, as the authors' matrices are: the last digits would differ.
        shift += (centre.astype(np.float32) - middle) * scale.astype(np.float32)
    offset = shift + (np.array(view_hw[::-1], np.float64) - 1) / 2 - linear @ centre
    return np.concatenate([linear, offset[:, None]], axis=1)


def shift_keypoints(keypoints: np.ndarray, key: np.integer) -> np.ndarray:
    """Every coordinate plus a number of 0.5 to 1.5, unlabelled ones too.

    Kept: the authors suspected their pictures to be off by a pixel.
    """
    generator = np.random.Generator(np.random.Philox(key=int(key)))
    shifted = keypoints.copy()
    shifted[..., :2] += generator.uniform(0.5, 1.5, shifted[..., :2].shape)
    return shifted


def keypoints_in_picture_view(
    keypoints: np.ndarray,
    matrix: np.ndarray,
    view_hw: tuple[int, int],
    flip_permutation: np.ndarray | None,
    outside: OutsideJoints = "drop",
) -> np.ndarray:
    """Keypoints where a view shows them.

    Args:
        keypoints: (people, joints, 3) x px, y px in the picture, visibility.
        matrix: (2, 3), picture to view.
        view_hw: height and width of the view.
        flip_permutation: (joints,) where the view is mirrored, else None.
        outside: whether joints outside keep their visibility.

    Returns:
        (people, joints, 3) float32; under `drop` who lies outside has visibility 0. Kept: so has
        who lies in row or column 0, while the far border belongs to the view.
    """
    if flip_permutation is not None:
        keypoints = keypoints[:, flip_permutation]
    shown = keypoints[..., :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    inside = (shown > 0).all(axis=-1) & (shown <= np.array(view_hw[::-1])).all(axis=-1)
    visibility = np.where(inside | (outside == "keep"), keypoints[..., 2], 0)
    return np.concatenate([shown, visibility[..., None]], axis=-1).astype(np.float32)


def change_colours(
    image: np.ndarray, draws: PictureDraws, slot: int, laws: PictureAugmentation
) -> np.ndarray:
    """A view in grey or in other colours, as the draws of its picture say."""
    if draws.u_grey[slot] <= laws.grey_probability:
        image = turn_grey(image)
    if draws.u_tint[slot] <= laws.tint_probability:
        moves = [
            int(np.floor((2 * most + 1) * share)) - most
            for most, share in zip(_TINT, draws.u_colours[slot], strict=True)
        ]
        image = tint(image, *moves)
    return image
