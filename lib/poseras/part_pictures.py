"""What a bottom-up network says of a picture, drawn, to find faults.

Beside the drawing of people there is one with each person in a colour that stays theirs, one with
the score maps, and one with arrows from joints to others: in DeeperCut and ArtTrack to where they
expect their neighbours, in SimplePose along the guiding offsets of its limbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .codecs.resampling import sample_pixels
from .data.image_view import place_picture, view_picture
from .predictor import Predictor
from .skeleton import Skeleton
from .structures import People
from .systems.deepercut_arttrack.grouping import list_detections
from .systems.deepercut_arttrack.options import STRIDE
from .systems.simplepose_v2.options import STRIDE as OFFSETS_STRIDE
from .visualize_parts import (
    ColourKeeper,
    draw_detections,
    draw_frames,
    draw_guiding_offsets,
    draw_pairwise_arrows,
    draw_score_maps,
)

#: Beside the drawings of people.
PARTS_FOLDER = "parts"


@dataclass(frozen=True)
class Look:
    """A picture as the network saw it, and what the network said.

    Attributes:
        view_rgb: (height, width, 3) uint8.
        resized_hw: height and width of the picture in the view, whose rest is padding.
        image_to_view: (2, 3).
        outputs: of the network, without the batch axis; maps of parts have `STRIDE` pixels per
            cell, those of SimplePose `OFFSETS_STRIDE`.
    """

    view_rgb: np.ndarray
    resized_hw: tuple[int, int]
    image_to_view: np.ndarray
    outputs: Mapping[str, np.ndarray]


def look_at(predictor: Predictor, image_rgb: np.ndarray) -> Look:
    """The maps of a network for one picture, (height, width, 3) uint8, without a flip test."""
    placement = place_picture(image_rgb.shape[:2], predictor.view)
    view = view_picture(image_rgb, placement, predictor.view)
    outputs = predictor.model.predict_on_batch(view[None].astype(np.float32))
    maps = {name: value[0] for name, value in outputs.items()}
    return Look(view, placement.resized_hw, placement.matrix, maps)


def part_scores(look: Look) -> np.ndarray:
    """(height, width, joints) float64, 0..1, of the logits of a look."""
    logits = np.asarray(look.outputs["parts"], np.float64)
    return 0.5 + 0.5 * np.tanh(0.5 * logits)  # the sigmoid, without overflow


def require_parts(predictor: Predictor, what: str) -> None:
    """Refuse a network without parts.

    Args:
        predictor: of any network.
        what: needs parts, with a verb: `test.true_masks reads`.

    Raises:
        ValueError: it has none.
    """
    if not _has_output(predictor, "parts"):
        raise ValueError(
            f"{what} the maps of deepercut_arttrack. Received a network of "
            f"{predictor.snapshot.metadata['system']}, which has no parts; leave it out."
        )


def _has_output(predictor: Predictor, name: str) -> bool:
    outputs = predictor.model.output
    return isinstance(outputs, Mapping) and name in outputs


def part_path(drawing: Path, kind: str) -> Path:
    """Where a picture of a kind goes that stands beside a drawing of people."""
    return drawing.parent / PARTS_FOLDER / f"{drawing.stem}_{kind}{drawing.suffix}"


@dataclass
class PartPictures:
    """Draws what a network says of one picture or frame after the other.

    Attributes:
        predictor: of a network of parts, or with guiding offsets.
        keeper: of the colours of people, from one frame to the next.

    Raises:
        ValueError: another network.
    """

    predictor: Predictor
    keeper: ColourKeeper = field(default_factory=ColourKeeper)

    def __post_init__(self) -> None:
        if not self._guided and not _has_output(self.predictor, "parts"):
            raise ValueError(
                "--parts, or test.draw_parts, draws the maps of deepercut_arttrack and "
                "simplepose_v2. Received a network of "
                f"{self.predictor.snapshot.metadata['system']}; leave it out."
            )

    @property
    def _guided(self) -> bool:
        """Whether the network has guiding offsets."""
        return _has_output(self.predictor, "offsets.0")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What `draw` draws: `offsets` or `pairwise` only of networks that have these maps."""
        if self._guided:
            return ("people", "scores", "offsets")
        more = ("pairwise",) if self.predictor.system.options.pairwise else ()
        return ("people", "scores", *more)

    def draw(self, image_rgb: np.ndarray, people: People) -> dict[str, np.ndarray]:
        """The pictures of one picture or frame.

        Args:
            image_rgb: (height, width, 3) uint8.
            people: found on it, in its pixels.

        Returns:
            Kind -> (height, width, 3) uint8. `people` is as large as the picture, `pairwise` as the
            view, and `scores` and `offsets` are sheets of views.
        """
        system = self.predictor.system
        (coloured,) = draw_frames([(image_rgb, people)], system.skeleton, self.keeper)
        look = look_at(self.predictor, image_rgb)
        if self._guided:
            return {"people": coloured, **draw_guides(system, look)}
        scores, skeleton = part_scores(look), system.skeleton
        sheet = draw_score_maps(look.view_rgb, scores, skeleton, stride=STRIDE)
        pictures = {"people": coloured, "scores": sheet}
        if "pairwise" in self.kinds:
            pictures["pairwise"] = draw_expectations(system, look)
        return pictures


def draw_expectations(system: Any, look: Look) -> np.ndarray:
    """The candidates on the view, and arrows to where each expects its neighbours.

    An arrow has the colour of the joint that it leads to; where it ends in a disc of that colour,
    network and picture agree.

    Args:
        system: with pairwise maps.
        look: what it said of a picture.
    """
    found, skeleton = list_detections(_decode(system, look)), system.skeleton
    expected = found.vectors_px * _neighbours(skeleton)[found.joints][..., None]
    drawn = draw_pairwise_arrows(look.view_rgb, found.centres_px, expected)
    return draw_detections(drawn, found.points_px, found.joints, skeleton.joint_count)


def draw_guides(system: Any, look: Look) -> dict[str, np.ndarray]:
    """The heatmaps over the view, and arrows along the guiding offsets at their peaks.

    Args:
        system: SimplePose's.
        look: what it said of a picture.

    Returns:
        `scores` and `offsets`, sheets of views of the stack that is decoded.
    """
    skeleton = system.skeleton
    heatmaps = np.asarray(look.outputs[f"heatmaps.{system.options.decoded_stack}"])
    points, joints, vectors = find_guides(system, look)
    return {
        "scores": draw_score_maps(look.view_rgb, heatmaps, skeleton, stride=OFFSETS_STRIDE),
        "offsets": draw_guiding_offsets(
            look.view_rgb, points, vectors, joints, skeleton, limbs=system.limbs
        ),
    }


def find_guides(system: Any, look: Look) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the guiding offsets lead from the peaks of a picture.

    Args:
        system: SimplePose's.
        look: what it said of the picture.

    Returns:
        points (peaks, 2) in px of the view; their joints (peaks,); vectors (peaks, joints, 2) px to
        the ends of the limbs that start there, 0 to other joints.
    """
    candidates = _decode(system, look)
    joints, places = np.nonzero(candidates["peak_scores"] > 0)
    points = candidates["peaks_px"][joints, places]
    offsets = look.outputs[f"offsets.{system.options.decoded_stack}"]
    inside = np.clip(np.round(points), 0, np.array(look.view_rgb.shape[1::-1]) - 1)
    x, y = np.repeat(inside.astype(np.int32).T[:, None], len(system.limbs), axis=1)
    sampled = sample_pixels(offsets[None], x[None], y[None], OFFSETS_STRIDE, "bilinear")
    starts, ends = np.array(system.limbs).T
    limbs, peaks = np.nonzero(joints == starts[:, None])
    vectors = np.zeros((len(joints), system.skeleton.joint_count, 2))
    vectors[peaks, ends[limbs]] = np.asarray(sampled)[0][limbs, peaks]
    return points, joints, vectors


def _decode(system: Any, look: Look) -> dict[str, np.ndarray]:
    """The candidates of one picture, without the batch axis."""
    outputs = {name: value[None] for name, value in look.outputs.items()}
    return {name: np.asarray(value)[0] for name, value in system.decode(outputs).items()}


def _neighbours(skeleton: Skeleton) -> np.ndarray:
    """(joints, joints) bool: whether two joints are the ends of a limb."""
    joined = np.zeros((skeleton.joint_count, skeleton.joint_count), bool)
    for a, b in skeleton.limbs:
        joined[a, b] = joined[b, a] = True
    return joined
