"""Drawing: skeletons on pictures, and pictures side by side.

Two styles: `house`, made for reading (colours of the data set, dark outlines, strokes that grow
with the person, hollow circles and thin limbs where a joint is hidden or doubtful), and `original`,
the drawing of TF-SimpleHumanPose, pixel for pixel. Every function returns a new picture and leaves
its input alone.

Pictures are (height, width, 3) uint8 RGB; pixel centres lie at integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from .skeleton import Skeleton
from .structures import People

Style = Literal["house", "original"]
Colour = tuple[int, int, int]

# States of a joint in the house style.
_ABSENT, _HIDDEN, _SEEN = 0, 1, 2

_OUTLINE: Colour = (16, 16, 16)
_PAPER: Colour = (255, 255, 255)
_PIXELS_PER_STROKE = 80  # a person of this many pixels gets limbs one pixel thick
_THICKEST_STROKE = 16
_SUBPIXEL_BITS = 4  # cv2 takes points in sixteenths of a pixel
_FARTHEST_PX = 1e5  # cv2 draws towards points outside, but counts in int32


def draw_people(
    image_rgb: np.ndarray,
    people: People,
    skeleton: Skeleton,
    *,
    style: Style = "house",
    threshold: float = 0.4,
    faint_threshold: float = 0.1,
    scores: bool = False,
    labels: Sequence[str] = (),
    boxes: bool = False,
) -> np.ndarray:
    """Draw the people that were found in a picture.

    Args:
        image_rgb: (height, width, 3) uint8.
        people: in pixels of that picture; joints with coordinates that are not finite are left out.
        skeleton: of the people.
        style: `house` or `original`.
        threshold: joints with a higher score are drawn as seen.
        faint_threshold: house style only; joints between the two are drawn as hidden.
        scores: house style only; write the score of each person above it.
        labels: house style only; write these above the people instead, one each.
        boxes: house style only; draw the box of each person, where `people` has boxes.

    Returns:
        (height, width, 3) uint8, a new picture.

    Raises:
        ValueError: not such a picture, or people of another joint count.
    """
    picture = _copy_picture(image_rgb)
    _check_joints(people.keypoints_px, skeleton)
    if style == "original":
        for points, confidence in zip(people.keypoints_px, people.keypoint_scores, strict=True):
            picture = draw_original(picture, points, confidence, skeleton, threshold=threshold)
        return picture
    confidence = people.keypoint_scores
    states = np.where(confidence > threshold, _SEEN, _HIDDEN)
    states[~(confidence > faint_threshold)] = _ABSENT
    _draw_house(
        picture,
        people.keypoints_px,
        states,
        skeleton,
        boxes_xywh=people.boxes_xywh if boxes else None,
        labels=labels or [f"{score:.2f}" for score in people.person_scores if scores],
    )
    return picture


def draw_truth(
    image_rgb: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    *,
    boxes_xywh: np.ndarray | None = None,
) -> np.ndarray:
    """Draw annotated people in the house style.

    Args:
        image_rgb: (height, width, 3) uint8.
        keypoints: (people, joints, 3), x px, y px, visibility 0 (left out), 1 hidden, 2 seen.
        skeleton: of the people.
        boxes_xywh: (people, 4) in pixels, drawn when given.

    Returns:
        (height, width, 3) uint8, a new picture.

    Raises:
        ValueError: not such a picture, or people of another joint count.
    """
    picture = _copy_picture(image_rgb)
    _check_joints(keypoints, skeleton)
    states = np.clip(keypoints[..., 2], _ABSENT, _SEEN).astype(int)
    _draw_house(picture, keypoints[..., :2], states, skeleton, boxes_xywh=boxes_xywh)
    return picture


def draw_comparison(
    image_rgb: np.ndarray,
    people: People,
    truth: np.ndarray,
    skeleton: Skeleton,
    *,
    threshold: float = 0.4,
) -> np.ndarray:
    """The annotated people on the left and those that were found on the right.

    Args:
        image_rgb: (height, width, 3) uint8.
        people: that were found.
        truth: (people, joints, 3), as `draw_truth` takes it.
        skeleton: of both.
        threshold: see `draw_people`.

    Returns:
        (height, 2 * width + a gap, 3) uint8.
    """
    left = draw_truth(image_rgb, truth, skeleton)
    right = draw_people(image_rgb, people, skeleton, threshold=threshold)
    return contact_sheet([left, right], columns=2)


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, *, gap: int = 4, background: Colour = _PAPER
) -> np.ndarray:
    """Lay pictures out in rows, each in the middle of a cell as large as the largest picture.

    Args:
        images: (height, width, 3) uint8 each, of any sizes.
        columns: how many stand in a row; a single row is no wider than its pictures.
        gap: pixels between two cells.
        background: RGB 0..255 of gaps and empty cells.

    Raises:
        ValueError: no picture, no column, or something that is no picture.
    """
    if not images or columns < 1:
        raise ValueError(
            "A contact sheet must have at least one picture and one column. "
            f"Received {len(images)} and {columns}."
        )
    pictures = [_copy_picture(image) for image in images]
    height, width = np.max([picture.shape[:2] for picture in pictures], axis=0)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, background, np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top = row * (height + gap) + (height - picture.shape[0]) // 2
        left = column * (width + gap) + (width - picture.shape[1]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def rainbow_colours(count: int) -> np.ndarray:
    """Equidistant colours from violet to red.

    Returns:
        (count, 3) float64, RGB 0..255.

    Source: matplotlib's map "rainbow", |2x - 1/2|, sin(pi x), cos(pi x / 2), kept in a table of
    256 entries in which a position x is entry int(256 x).
    """
    x = np.linspace(0, 1, 256)
    table = np.stack([np.abs(2 * x - 0.5), np.sin(np.pi * x), np.cos(np.pi * x / 2)], axis=-1)
    places = np.minimum((np.linspace(0, 1, count) * 256).astype(int), 255)
    return np.clip(table, 0, 1)[places] * 255


def draw_original(
    image_rgb: np.ndarray,
    keypoints_px: np.ndarray,
    scores: np.ndarray,
    skeleton: Skeleton,
    *,
    threshold: float = 0.4,
    alpha: float = 1.0,
) -> np.ndarray:
    """Draw one person as TF-SimpleHumanPose does; the skeleton's own colours are not used.

    A skeleton with nose, shoulders and hips also gets a neck and a spine, drawn first. Limbs are
    drawn in order, each with its end points, later ones over earlier ones.

    Args:
        image_rgb: (height, width, 3) uint8.
        keypoints_px: (joints, 2); fractions of a pixel are cut off.
        scores: (joints,); a limb is drawn if both its ends lie above the threshold, an end point
            if it does so itself.
        skeleton: gives the limbs.
        threshold: on the scores.
        alpha: opacity of the drawing, 0..1.

    Returns:
        (height, width, 3) uint8, a new picture.

    Source: `vis_keypoints` of TF-SimpleHumanPose.
    """
    picture = _copy_picture(image_rgb)
    _check_joints(keypoints_px[None], skeleton)
    points = np.asarray(keypoints_px, np.float64)
    usable = (np.asarray(scores) > threshold) & np.isfinite(points).all(axis=-1)
    points = np.where(usable[:, None], np.clip(points, -_FARTHEST_PX, _FARTHEST_PX), 0)
    limbs = skeleton.limbs
    colours = rainbow_colours(len(limbs) + 2).tolist()
    _draw_trunk(picture, points, usable, skeleton, colours[-2:])
    for (a, b), colour in zip(limbs, colours[:-2], strict=True):
        if usable[a] and usable[b]:
            ends = _truncate(points[a]), _truncate(points[b])
            cv2.line(picture, *ends, colour, 2, cv2.LINE_AA)
        for joint in (a, b):
            if usable[joint]:
                cv2.circle(picture, _truncate(points[joint]), 3, colour, -1, cv2.LINE_AA)
    return cv2.addWeighted(image_rgb, 1 - alpha, picture, alpha, 0)


def _draw_trunk(
    picture: np.ndarray,
    points: np.ndarray,
    usable: np.ndarray,
    skeleton: Skeleton,
    colours: Sequence[Sequence[float]],
) -> None:
    """The lines nose to mid shoulder and mid shoulder to mid hip of the original style."""
    names = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
    if not set(names) <= set(skeleton.keypoints):
        return
    nose, *shoulders_and_hips = (skeleton.index_of(name) for name in names)
    shoulders, hips = shoulders_and_hips[:2], shoulders_and_hips[2:]
    middle = points[shoulders].mean(axis=0)
    for other, colour in (([nose], colours[0]), (hips, colours[1])):
        if usable[[*shoulders, *other]].all():
            ends = _truncate(middle), _truncate(points[other].mean(axis=0))
            cv2.line(picture, *ends, colour, 2, cv2.LINE_AA)


def _truncate(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _draw_house(
    picture: np.ndarray,
    keypoints_px: np.ndarray,
    states: np.ndarray,
    skeleton: Skeleton,
    *,
    boxes_xywh: np.ndarray | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Draw people into a picture, the largest first, so that small ones in front stay visible.

    Args:
        picture: (height, width, 3) uint8, changed in place.
        keypoints_px: (people, joints, 2).
        states: (people, joints), `_ABSENT`, `_HIDDEN` or `_SEEN`.
        skeleton: of the people.
        boxes_xywh: (people, 4) or None.
        labels: one per person, or none.
    """
    finite = np.isfinite(keypoints_px).all(axis=-1)
    states = np.where(finite, states, _ABSENT)
    points = np.where((states > _ABSENT)[..., None], keypoints_px, 0)
    points = np.clip(points, -_FARTHEST_PX, _FARTHEST_PX)
    extents = _extents(points, states)
    sizes = (extents[:, 2:] - extents[:, :2]).max(axis=-1)  # (people,) longer side
    strokes = np.clip(np.round(sizes / _PIXELS_PER_STROKE), 1, _THICKEST_STROKE).astype(int)
    if boxes_xywh is not None:
        extents = _corners(boxes_xywh)
    for person in np.argsort(-sizes, kind="stable"):
        stroke = int(strokes[person])
        if boxes_xywh is not None:
            _draw_box(picture, extents[person], stroke)
        _draw_person(picture, points[person], states[person], skeleton, stroke)
        if labels and states[person].any():
            _draw_label(picture, extents[person], labels[person], stroke)


def _extents(points: np.ndarray, states: np.ndarray) -> np.ndarray:
    """(people, 4) left, top, right, bottom of the joints that are drawn, 0 where there are none."""
    drawn = (states > _ABSENT)[..., None]
    low = np.where(drawn, points, np.inf).min(axis=1)
    high = np.where(drawn, points, -np.inf).max(axis=1)
    extents = np.concatenate([low, high], axis=-1)
    return np.where(drawn.any(axis=1), extents, 0)


def _corners(boxes_xywh: np.ndarray) -> np.ndarray:
    """(people, 4) left, top, right, bottom of boxes."""
    boxes = np.nan_to_num(np.asarray(boxes_xywh, np.float64))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=-1)
    return np.clip(corners, -_FARTHEST_PX, _FARTHEST_PX)


def _draw_person(
    picture: np.ndarray, points: np.ndarray, states: np.ndarray, skeleton: Skeleton, stroke: int
) -> None:
    """Limbs first, then joints; under each its dark outline, so that it reads on any ground."""
    limb_colours, joint_colours = _colours(skeleton)
    edge = 1 + stroke // 3
    widths = {_HIDDEN: 1 + (stroke - 1) // 3, _SEEN: stroke}
    fixed = _fix(points)
    limbs = [
        (fixed[a], fixed[b], colour, widths[min(states[a], states[b])])
        for (a, b), colour in zip(skeleton.limbs, limb_colours, strict=True)
        if states[a] and states[b]
    ]
    for start, end, _, width in limbs:
        _line(picture, start, end, _OUTLINE, width + 2 * edge)
    for start, end, colour, width in limbs:
        _line(picture, start, end, colour, width)
    radius = stroke + 1
    for joint in np.flatnonzero(states):
        centre, colour = fixed[joint], joint_colours[joint]
        _disc(picture, centre, _OUTLINE, radius + edge)
        _disc(picture, centre, colour, radius)
        if states[joint] == _HIDDEN:
            _disc(picture, centre, _OUTLINE, radius - 1 - stroke // 4)


def _colours(skeleton: Skeleton) -> tuple[list[Colour], list[Colour]]:
    """One colour per limb, and one per joint: that of the first limb that ends there."""
    limbs = list(skeleton.colours) or _whole(rainbow_colours(len(skeleton.limbs)))
    joints = [_PAPER] * skeleton.joint_count
    for pair, colour in reversed(list(zip(skeleton.limbs, limbs, strict=True))):
        for joint in pair:
            joints[joint] = colour
    return limbs, joints


def _whole(colours: np.ndarray) -> list[Colour]:
    return [(int(r), int(g), int(b)) for r, g, b in np.round(colours)]


def _fix(points: np.ndarray) -> list[tuple[int, int]]:
    """Points (points, 2) in the fixed-point numbers of cv2's drawing functions."""
    return [(int(x), int(y)) for x, y in np.round(points * (1 << _SUBPIXEL_BITS)).tolist()]


def _line(
    picture: np.ndarray, start: tuple[int, int], end: tuple[int, int], colour: Colour, width: int
) -> None:
    cv2.line(picture, start, end, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _disc(picture: np.ndarray, centre: tuple[int, int], colour: Colour, radius: int) -> None:
    fixed_radius = radius << _SUBPIXEL_BITS
    cv2.circle(picture, centre, fixed_radius, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_box(picture: np.ndarray, corners: np.ndarray, stroke: int) -> None:
    first, last = _fix(corners.reshape(2, 2))
    width = 1 + stroke // 4
    for colour, thickness in ((_OUTLINE, width + 2), (_PAPER, width)):
        cv2.rectangle(picture, first, last, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_label(picture: np.ndarray, corners: np.ndarray, text: str, stroke: int) -> None:
    """Write a text on a dark ground above a person, moved inside where it would leave."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.35 + 0.05 * stroke
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    left = int(np.clip(corners[0], 2, max(picture.shape[1] - width - 2, 2)))
    lowest = max(picture.shape[0] - below, height + 2)
    bottom = int(np.clip(corners[1] - 2 * stroke - below, height + 2, lowest))
    first, last = (left - 2, bottom - height - 2), (left + width + 2, bottom + below)
    cv2.rectangle(picture, first, last, _OUTLINE, -1)
    cv2.putText(picture, text, (left, bottom), font, scale, _PAPER, 1, cv2.LINE_AA)


def _copy_picture(image_rgb: np.ndarray) -> np.ndarray:
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3:
        raise ValueError(
            "A picture must be uint8 of shape (height, width, 3). "
            f"Received {image_rgb.dtype} of {image_rgb.shape}."
        )
    return np.array(image_rgb, order="C")


def _check_joints(keypoints: np.ndarray, skeleton: Skeleton) -> None:
    if keypoints.ndim != 3 or keypoints.shape[1] != skeleton.joint_count:
        raise ValueError(
            f"Keypoints must have shape (people, {skeleton.joint_count}, ...), as {skeleton.name} "
            f"has them. Received {keypoints.shape}."
        )
