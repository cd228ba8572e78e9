"""The worst and the median pictures of a run, with truth and predictions drawn, as JPEG in text.

A picture is cut to its people, brought to a bounded size, and then drawn on, so that skeletons stay
crisp and a page stays small.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..data.images import read_image
from ..metrics.keypoint_errors import KINDS
from ..skeleton import Skeleton
from ..structures import ImageTable, People
from ..visualize import draw_people, draw_truth
from .analysis import Analysis, score_pictures
from .people import RunPeople

#: The longer side of a drawn picture, and what is left around its people.
LONGEST_PX = 420
_MARGIN = 0.15
_JPEG_QUALITY = 82

#: Kind of an error -> RGB of its ring, as the page's style has it.
_RINGS = {
    KINDS.index("inversion"): (221, 122, 58),
    KINDS.index("swap"): (138, 111, 209),
    KINDS.index("miss"): (200, 70, 90),
}
_RING_PX = 7


@dataclass(frozen=True)
class Picture:
    """One picture of a report.

    Attributes:
        caption: which one it is, and how good.
        panels: title and data URI of each panel; none where the picture could not be read.
        trouble: why it could not, else empty.
    """

    caption: str
    panels: tuple[tuple[str, str], ...]
    trouble: str = ""


def choose_worst(scores: np.ndarray, count: int) -> np.ndarray:
    """(up to count,) places of the lowest scores, lowest first."""
    return np.argsort(scores, kind="stable")[:count]


def choose_median(scores: np.ndarray, count: int, without: np.ndarray) -> np.ndarray:
    """(up to count,) places of the scores around the median that are not in `without`."""
    order = np.argsort(scores, kind="stable")
    nearest = np.argsort(np.abs(np.arange(len(order)) - (len(order) - 1) / 2), kind="stable")
    chosen = [place for place in order[nearest] if place not in without][:count]
    return np.array(sorted(chosen, key=lambda place: scores[place]), np.int64)


def show_pictures(
    analyses: Sequence[Analysis], names: Sequence[str], image_ids: Sequence[int]
) -> list[Picture]:
    """Truth beside the predictions of each run.

    Of each run as many predictions are drawn as people are annotated: those that match one first,
    then by score.

    Args:
        analyses: of one or two runs on the same annotations.
        names: title of the panel of each run.
        image_ids: which pictures.
    """
    scores = [dict(zip(*score_pictures(analysis), strict=True)) for analysis in analyses]
    return [
        _show_picture(analyses, names, int(image_id), [s.get(image_id) for s in scores])
        for image_id in image_ids
    ]


def _show_picture(
    analyses: Sequence[Analysis],
    names: Sequence[str],
    image_id: int,
    scores: Sequence[float | None],
) -> Picture:
    people = analyses[0].people
    rows = np.flatnonzero(people.truth.image_ids == image_id)
    shown = " / ".join("none" if score is None else f"{score:.2f}" for score in scores)
    path = find_path(people.images, image_id)
    caption = f"{path.rpartition('/')[2]}, OKS {shown}, {_count_people(analyses, rows)}"
    drawings = []
    for analysis, name in zip(analyses, names, strict=True):
        chosen = _choose_predictions(analysis, image_id)
        found = _as_people(analysis.people, chosen)
        drawings.append(Drawing(name, found, _find_kinds(analysis, chosen)))
    truth = _joints_of(people.truth.keypoints)[rows]
    return draw_picture(path, caption, truth, drawings, people.skeleton)


@dataclass(frozen=True)
class Drawing:
    """What a run found on a picture.

    Attributes:
        name: of the run.
        people: that are drawn; joints of a score of 0 are not.
        kinds: (people, joints) kind of each joint, by which it gets a ring; -1 where nobody knows.
    """

    name: str
    people: People
    kinds: np.ndarray


def draw_picture(
    path: str, caption: str, truth: np.ndarray, drawings: Sequence[Drawing], skeleton: Skeleton
) -> Picture:
    """Truth on the left, and beside it what each run found.

    Args:
        path: of the picture.
        caption: of the picture.
        truth: (people, joints, 3), x px, y px, visibility.
        drawings: one for each run.
        skeleton: of all people.
    """
    try:
        image = read_image(path)
    except (OSError, ValueError) as error:
        return Picture(caption, (), " ".join(str(error).split()))
    points = [truth[truth[..., 2] > 0][:, :2]]
    points += [d.people.keypoints_px[d.people.keypoint_scores > 0] for d in drawings]
    part = cut_to(image, np.concatenate(points))
    moved_truth = np.concatenate([part.move(truth[..., :2]), truth[..., 2:]], axis=-1)
    panels = [("truth", draw_truth(part.image, moved_truth, skeleton))]
    panels += [(drawing.name, _draw(part, drawing, skeleton)) for drawing in drawings]
    return Picture(caption, tuple((title, encode_jpeg(drawn)) for title, drawn in panels))


def _count_people(analyses: Sequence[Analysis], rows: np.ndarray) -> str:
    counted = ~np.isnan(analyses[0].oks[rows])
    missing = " / ".join(str(np.count_nonzero(a.oks[rows][counted] == 0)) for a in analyses)
    total = int(counted.sum())
    return f"{total} {'person' if total == 1 else 'people'}, {missing} not found"


def _joints_of(keypoints: np.ndarray | None) -> np.ndarray:
    return np.zeros((0, 0, 3)) if keypoints is None else keypoints


def _choose_predictions(analysis: Analysis, image_id: int) -> np.ndarray:
    """Rows of as many predictions as people are annotated: matching ones first, then by score."""
    people, errors = analysis.people, analysis.errors
    here = np.flatnonzero(people.detections.image_ids == image_id)
    matched = np.isin(here, errors.detections)
    order = here[np.lexsort((-people.detections.scores[here], ~matched))]
    counted = (people.truth.image_ids == image_id) & ~people.truth.ignore
    return order[: int(counted.sum())]


def _as_people(people: RunPeople, rows: np.ndarray) -> People:
    return People(
        keypoints_px=_joints_of(people.detections.keypoints)[rows][..., :2],
        keypoint_scores=people.found[rows].astype(float),
        person_scores=people.detections.scores[rows],
    )


def _find_kinds(analysis: Analysis, rows: np.ndarray) -> np.ndarray:
    """(rows, joints) kind of each joint of some predictions, -1 where nobody knows."""
    kinds = np.full((len(rows), analysis.people.skeleton.joint_count), -1)
    pair_of_row = {int(row): pair for pair, row in enumerate(analysis.errors.detections)}
    for place, row in enumerate(rows.tolist()):
        if row in pair_of_row:
            kinds[place] = analysis.errors.kinds[pair_of_row[row]]
    return kinds


@dataclass(frozen=True)
class Part:
    """A part of a picture, enlarged or reduced.

    Attributes:
        image: (height, width, 3) uint8.
        corner: (2,) x, y of the part in the picture.
        scale: pixels of the part per pixel of the picture.
    """

    image: np.ndarray
    corner: np.ndarray
    scale: float

    def move(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) points of the picture in the part; pixel centres lie at integers."""
        return (points - self.corner + 0.5) * self.scale - 0.5


def cut_to(image: np.ndarray, points: np.ndarray, *, lowest_ratio: float = 0.75) -> Part:
    """The part of a picture that holds some points and a margin, its longer side bounded.

    Args:
        image: (height, width, 3) uint8.
        points: (points, 2) x, y; without any, or where they lie outside, the whole picture.
        lowest_ratio: of the shorter to the longer side, as far as the picture reaches.
    """
    whole = np.array(image.shape[1::-1], float)
    low, high = np.zeros(2), whole
    points = points[np.isfinite(points).all(axis=-1)]
    inside = points[((points >= 0) & (points < whole)).all(axis=-1)]
    if len(inside):
        low, high = inside.min(axis=0), inside.max(axis=0)
        sides = (high - low) + 2 * (_MARGIN * (high - low).max() + 8)
        sides = np.minimum(np.maximum(sides, lowest_ratio * sides.max()), whole)
        low = np.floor(np.clip((low + high - sides) / 2, 0, whole - sides))
        high = np.minimum(np.ceil(low + sides), whole)
    (left, top), (right, bottom) = low.astype(int), high.astype(int)
    part = image[top:bottom, left:right]
    scale = LONGEST_PX / max(part.shape[:2])
    width, height = (max(round(side * scale), 1) for side in part.shape[1::-1])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(part, (width, height), interpolation=kind))
    return Part(resized, low, scale)


def _draw(part: Part, drawing: Drawing, skeleton: Skeleton) -> np.ndarray:
    """People on a part of a picture, and a ring around each joint that is far from right."""
    people = drawing.people
    points = part.move(people.keypoints_px)
    moved = People(points, people.keypoint_scores, people.person_scores)
    drawn = draw_people(part.image, moved, skeleton)
    for kind, colour in _RINGS.items():
        wrong = (drawing.kinds == kind) & (people.keypoint_scores > 0)
        for x, y in np.clip(points[wrong], -1e4, 1e4).round().astype(int).tolist():
            cv2.circle(drawn, (x, y), _RING_PX, (255, 255, 255), 4, cv2.LINE_AA)
            cv2.circle(drawn, (x, y), _RING_PX, colour, 2, cv2.LINE_AA)
    return drawn


def encode_jpeg(image_rgb: np.ndarray) -> str:
    """A picture as a data URI."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR), flags)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def find_path(images: ImageTable, image_id: int) -> str:
    """Where a picture lies."""
    return images.paths[int(np.flatnonzero(images.ids == image_id)[0])]
