"""Drawing for bottom-up networks: people who keep their colours, score maps, arrows along limbs.

Over the frames of a film a person keeps the colour of the person of the frame before whose point of
reference lies nearest. Pictures are (height, width, 3) uint8 RGB; every function returns a new one.

Source: the drawing of DeeperCut and ArtTrack, Insafutdinov et al., CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from .skeleton import Skeleton
from .structures import People
from .visualize import contact_sheet, rainbow_colours

Reference = Literal["mean", "last_joint"]

#: Colours of people; RGB, whose channels the published drawing exchanges.
PERSON_COLOURS = np.array(
    [
        *((30, 89, 245), (251, 112, 56), (176, 93, 254), (145, 166, 180), (63, 5, 67)),
        *((177, 117, 52), (18, 38, 100), (61, 180, 179), (254, 155, 221), (141, 148, 40)),
        *((83, 157, 233), (70, 43, 1), (163, 45, 157), (10, 34, 4), (34, 203, 98)),
        *((145, 143, 238), (56, 22, 215), (58, 97, 0), (24, 137, 49), (255, 112, 183)),
        *((145, 192, 130), (51, 19, 108), (5, 52, 151), (178, 156, 177), (123, 38, 246)),
        *((137, 68, 40), (23, 191, 151), (156, 137, 59), (19, 24, 147), (182, 118, 250)),
    ]
)
#: People of fewer joints are not drawn, nor limbs that end this near to the border.
_FEWEST_JOINTS, _MARGIN_PX = 3, 10
_LINE, _MARKER, _DETECTION = 2, 3, 4  # width and radii in pixels
#: Stands for the distance to a person without a joint.
_FAR_PX = 1e9
_MAP_OPACITY = 0.5
#: The longer side of a picture of arrows, about; smaller ones are enlarged, or discs hide arrows.
_ARROWS_PX = 640


@dataclass
class ColourKeeper:
    """Gives people numbers of colours, the same to the same person frame after frame.

    Attributes:
        farthest_px: how far a person's point of reference may move between two frames.
        reference: what that point is: `mean` of the joints found, or, as published, the
            `last_joint` of the skeleton, and where that was not found the sum of the joints found
            divided by the number of all.
    """

    farthest_px: float = 200.0
    reference: Reference = "mean"
    _points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)), repr=False)
    _numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def assign(self, people: People) -> np.ndarray:
        """The numbers of the colours of the people of the next frame.

        People are matched to those of the frame before so that the distances add up to least. Who
        is new gets the lowest number that is free.

        Args:
            people: of the frame; joints of score 0 were not found.

        Returns:
            (people,) int64 from 0.
        """
        points = self._find_points(people)
        numbers = np.full(len(people), -1, np.int64)
        distances = np.linalg.norm(self._points[:, None] - points, axis=-1)
        distances = np.where(np.isfinite(distances), distances, _FAR_PX)
        before, now = linear_sum_assignment(distances)
        kept = distances[before, now] < self.farthest_px
        numbers[now[kept]] = self._numbers[before[kept]]
        free = sorted(set(range(2 * len(people) + len(self._points))) - set(numbers.tolist()))
        new = np.flatnonzero(numbers < 0)
        numbers[new] = free[: len(new)]
        self._points, self._numbers = points, numbers
        return numbers

    def _find_points(self, people: People) -> np.ndarray:
        """(people, 2), NaN for people without a joint."""
        found = _find_joints(people)
        sums = np.where(found[..., None], people.keypoints_px, 0.0).sum(axis=1)
        counts = found.sum(axis=1)
        if self.reference == "mean":
            return np.where(counts[:, None], sums / np.maximum(counts, 1)[:, None], np.nan)
        joints = people.keypoints_px.shape[1]
        instead = np.where(counts[:, None], sums / joints, np.nan)
        return np.where(found[:, -1:], people.keypoints_px[:, -1], instead)


def draw_frames(
    frames: Iterable[tuple[np.ndarray, People]],
    skeleton: Skeleton,
    keeper: ColourKeeper | None = None,
) -> Iterator[np.ndarray]:
    """Draw the people of one frame after the other, each person in one colour throughout.

    Args:
        frames: pictures, (height, width, 3) uint8, with the people found in them.
        skeleton: of the people.
        keeper: of the colours; a new one if None.
    """
    keeper = keeper or ColourKeeper()
    for image_rgb, people in frames:
        yield draw_coloured_people(image_rgb, people, skeleton, keeper.assign(people))


def draw_coloured_people(
    image_rgb: np.ndarray, people: People, skeleton: Skeleton, numbers: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Draw each person in one colour.

    Args:
        image_rgb: (height, width, 3) uint8.
        people: in pixels of that picture; joints of score 0 were not found.
        skeleton: gives the limbs.
        numbers: (people,) of colours, taken anew from the first after the last.
    """
    picture = np.array(image_rgb, order="C")
    height, width = picture.shape[:2]
    for x1, y1, x2, y2, *colour in list_limbs(people, skeleton, numbers, (height, width)).tolist():
        cv2.line(picture, (x1, y1), (x2, y2), colour, _LINE, cv2.LINE_AA)
        for end in ((x1, y1), (x2, y2)):
            cv2.circle(picture, end, _MARKER, colour, -1, cv2.LINE_AA)
    return picture


def list_limbs(
    people: People,
    skeleton: Skeleton,
    numbers: Sequence[int] | np.ndarray,
    image_hw: tuple[int, int],
) -> np.ndarray:
    """The lines that `draw_coloured_people` draws.

    Args:
        people: as there.
        skeleton: as there.
        numbers: as there.
        image_hw: height and width of the picture.

    Returns:
        (lines, 7) int64: x and y of both ends, cut to whole pixels, and RGB; those of the first
        person first.

    Raises:
        ValueError: people of another joint count, or another number of colours than people.
    """
    if people.keypoints_px.shape[1] != skeleton.joint_count or len(numbers) != len(people):
        raise ValueError(
            f"People must have the {skeleton.joint_count} joints of {skeleton.name} and a colour "
            f"each. Received {people.keypoints_px.shape[1]} joints, and {len(numbers)} colours "
            f"for {len(people)} people."
        )
    found, limit = _find_joints(people), np.array(image_hw[::-1]) - _MARGIN_PX
    places = np.floor(np.where(found[..., None], people.keypoints_px, -1)).astype(np.int64)
    inside = found & ((places > _MARGIN_PX) & (places < limit)).all(axis=-1)
    colours = PERSON_COLOURS[np.asarray(numbers, np.int64) % len(PERSON_COLOURS)]
    lines = [
        np.concatenate([places[person, a], places[person, b], colours[person]])
        for person in np.flatnonzero(found.sum(axis=1) >= _FEWEST_JOINTS)
        for a, b in skeleton.limbs
        if inside[person, a] and inside[person, b]
    ]
    return np.array(lines, np.int64).reshape(-1, 7)


def draw_score_maps(
    image_rgb: np.ndarray,
    part_scores: np.ndarray,
    skeleton: Skeleton,
    *,
    stride: int,
    columns: int = 3,
) -> np.ndarray:
    """The score maps over the picture, those of mirrored joints added up, in rows.

    Args:
        image_rgb: (height, width, 3) uint8, the input of the network.
        part_scores: (height / stride, width / stride, joints) 0..1, rounded up or down.
        skeleton: of the joints; its flip pairs share a picture.
        stride: pixels of the picture per cell.
        columns: pictures in a row. The first is the picture itself.

    Raises:
        ValueError: maps of another joint count.
    """
    if part_scores.ndim != 3 or part_scores.shape[-1] != skeleton.joint_count:
        raise ValueError(
            f"part_scores must have shape (height, width, {skeleton.joint_count}). "
            f"Received {part_scores.shape}."
        )
    pictures = [np.asarray(image_rgb)]
    for group in _group_mirrored(skeleton):
        pictures.append(_lay_over(image_rgb, part_scores[..., group].sum(axis=-1), stride))
    return contact_sheet(pictures, columns)


def _group_mirrored(skeleton: Skeleton) -> list[list[int]]:
    """The joints one by one, those of a flip pair together."""
    second = {b: a for a, b in skeleton.flip_pairs}
    groups = [[joint] for joint in range(skeleton.joint_count) if joint not in second]
    for group in groups:
        group += [b for b, a in second.items() if a == group[0]]
    return groups


def _lay_over(image_rgb: np.ndarray, scores: np.ndarray, stride: int) -> np.ndarray:
    """Scores (rows, columns) as colours from blue to red over a picture, cell on its pixels."""
    height, width = image_rgb.shape[:2]
    levels = np.clip(np.round(255 * scores), 0, 255).astype(np.uint8)
    large = cv2.resize(levels, None, fx=stride, fy=stride, interpolation=cv2.INTER_CUBIC)
    below, right = max(height - large.shape[0], 0), max(width - large.shape[1], 0)
    large = np.pad(large, ((0, below), (0, right)), mode="edge")[:height, :width]
    colours = cv2.applyColorMap(large, cv2.COLORMAP_JET)[..., ::-1]
    return cv2.addWeighted(image_rgb, 1 - _MAP_OPACITY, colours, _MAP_OPACITY, 0)


def draw_detections(
    image_rgb: np.ndarray, points_px: np.ndarray, joints: np.ndarray, joint_count: int
) -> np.ndarray:
    """A disc at each detection, in the colour of its joint.

    Args:
        image_rgb: (height, width, 3) uint8.
        points_px: (detections, 2); those that are not finite are left out.
        joints: (detections,) 0..joint_count - 1.
        joint_count: of the skeleton.
    """
    picture = np.array(image_rgb, order="C")
    colours = rainbow_colours(joint_count)[np.asarray(joints, np.int64)]
    for point, colour in zip(points_px, colours.tolist(), strict=True):
        if np.isfinite(point).all():
            cv2.circle(picture, _round(point), _DETECTION, colour, -1, cv2.LINE_AA)
    return picture


def draw_pairwise_arrows(
    image_rgb: np.ndarray,
    points_px: np.ndarray,
    vectors_px: np.ndarray,
    targets: Sequence[int] | None = None,
) -> np.ndarray:
    """Arrows from joints to where they expect the others of their person.

    Args:
        image_rgb: (height, width, 3) uint8.
        points_px: (detections, 2), where the arrows begin.
        vectors_px: (detections, joints, 2), to each other joint; 0 to itself.
        targets: the joints that arrows lead to; all if None. An arrow has the colour of its target.
    """
    picture = np.array(image_rgb, order="C")
    joint_count = vectors_px.shape[1]
    colours = rainbow_colours(joint_count).tolist()
    for start, vectors in zip(points_px, vectors_px, strict=True):
        for joint in range(joint_count) if targets is None else targets:
            end = start + vectors[joint]
            if np.isfinite(end).all() and vectors[joint].any():
                ends = _round(start), _round(end)
                cv2.arrowedLine(picture, *ends, colours[joint], _LINE, cv2.LINE_AA, 0, 0.1)
    return picture


def draw_guiding_offsets(
    image_rgb: np.ndarray,
    points_px: np.ndarray,
    vectors_px: np.ndarray,
    joints: np.ndarray,
    skeleton: Skeleton,
    *,
    limbs: Sequence[tuple[int, int]],
    columns: int = 3,
) -> np.ndarray:
    """Arrows from the starts of limbs to where their ends are expected, in rows of pictures.

    An arrow has the colour of the joint that it leads to; where it ends in a disc of that colour,
    network and picture agree. Small pictures are drawn a whole number of times as large.

    Args:
        image_rgb: (height, width, 3) uint8, the input of the network.
        points_px: (detections, 2), where the arrows begin.
        vectors_px: (detections, joints, 2), to the ends of the limbs that start there; 0 to others.
        joints: (detections,) 0..joints - 1.
        skeleton: of the joints; its flip pairs share a picture.
        limbs: pairs of joints, start and end.
        columns: pictures in a row. The first one shows all limbs, each of the others those that
            start at one joint, or at it and its mirror image.
    """
    factor = max(round(_ARROWS_PX / max(image_rgb.shape[:2])), 1)
    large = np.repeat(np.repeat(image_rgb, factor, axis=0), factor, axis=1)
    points_px, vectors_px = factor * (points_px + 0.5) - 0.5, factor * vectors_px
    everything = list(range(skeleton.joint_count))
    pictures = []
    for group in [everything, *_group_mirrored(skeleton)]:
        ends = {end for start, end in limbs if start in group}
        if not ends:
            continue
        begun, shown = np.isin(joints, group), np.isin(joints, [*group, *ends])
        drawn = draw_pairwise_arrows(large, points_px[begun], vectors_px[begun])
        pictures.append(
            draw_detections(drawn, points_px[shown], joints[shown], skeleton.joint_count)
        )
    return contact_sheet(pictures, columns)


def _find_joints(people: People) -> np.ndarray:
    """(people, joints) bool, was it found?"""
    return (people.keypoint_scores > 0) & np.isfinite(people.keypoints_px).all(axis=-1)


def _round(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(np.round(point), -1e5, 1e5)  # cv2 counts in int32
    return int(x), int(y)
