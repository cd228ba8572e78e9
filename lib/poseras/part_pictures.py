"""What a network of parts says of a picture, drawn: for DeeperCut and ArtTrack, to find faults.

Beside the drawing of people there is one with each person in a colour that stays theirs, one with
the score maps, and one with the arrows from joints to where they expect their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .data.image_view import place_picture, view_picture
from .predictor import Predictor
from .skeleton import Skeleton
from .structures import People
from .systems.deepercut_arttrack.grouping import list_detections
from .systems.deepercut_arttrack.options import STRIDE
from .visualize_parts import (
    ColourKeeper,
    draw_detections,
    draw_frames,
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
        outputs: of the network, without the batch axis; maps have `STRIDE` pixels per cell.
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
        what: needs parts, with a verb: `--parts draws`.

    Raises:
        ValueError: it has none.
    """
    outputs = predictor.model.output
    if not isinstance(outputs, Mapping) or "parts" not in outputs:
        raise ValueError(
            f"{what} the maps of deepercut_arttrack. Received a network of "
            f"{predictor.snapshot.metadata['system']}, which has no parts; leave it out."
        )


def part_path(drawing: Path, kind: str) -> Path:
    """Where a picture of a kind goes that stands beside a drawing of people."""
    return drawing.parent / PARTS_FOLDER / f"{drawing.stem}_{kind}{drawing.suffix}"


@dataclass
class PartPictures:
    """Draws what a network says of one picture or frame after the other.

    Attributes:
        predictor: of a network of parts.
        keeper: of the colours of people, from one frame to the next.

    Raises:
        ValueError: a network without parts.
    """

    predictor: Predictor
    keeper: ColourKeeper = field(default_factory=ColourKeeper)

    def __post_init__(self) -> None:
        require_parts(self.predictor, "--parts, or test.draw_parts, draws")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What `draw` draws: `pairwise` only of networks that have these maps."""
        more = ("pairwise",) if self.predictor.system.options.pairwise else ()
        return ("people", "scores", *more)

    def draw(self, image_rgb: np.ndarray, people: People) -> dict[str, np.ndarray]:
        """The pictures of one picture or frame.

        Args:
            image_rgb: (height, width, 3) uint8.
            people: found on it, in its pixels.

        Returns:
            Kind -> (height, width, 3) uint8. `people` is as large as the picture, `pairwise` as the
            view, and `scores` is a sheet of views.
        """
        system = self.predictor.system
        (coloured,) = draw_frames([(image_rgb, people)], system.skeleton, self.keeper)
        look = look_at(self.predictor, image_rgb)
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
    outputs = {name: value[None] for name, value in look.outputs.items()}
    candidates = {name: np.asarray(value)[0] for name, value in system.decode(outputs).items()}
    found, skeleton = list_detections(candidates), system.skeleton
    expected = found.vectors_px * _neighbours(skeleton)[found.joints][..., None]
    drawn = draw_pairwise_arrows(look.view_rgb, found.centres_px, expected)
    return draw_detections(drawn, found.points_px, found.joints, skeleton.joint_count)


def _neighbours(skeleton: Skeleton) -> np.ndarray:
    """(joints, joints) bool: whether two joints are the ends of a limb."""
    joined = np.zeros((skeleton.joint_count, skeleton.joint_count), bool)
    for a, b in skeleton.limbs:
        joined[a, b] = joined[b, a] = True
    return joined
