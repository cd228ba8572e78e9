"""Where the person boxes of a top-down network come from.

Each source is asked for the boxes of some frames at a time: the whole picture, a file of
detections, people that a bottom-up network of this project found, or a detector (`detection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .data.frames import Frame, FrameSource
from .data.pictures import Boxes, read_boxes, read_frame_boxes
from .image_prediction import find_in_pictures
from .tracking.boxes import pose_boxes

if TYPE_CHECKING:
    from .predictor import Predictor

#: Heads, hands and feet reach beyond the joints; Simple Baselines' factor for boxes around poses.
_POSE_MARGIN = 1.15


class BoxSource(Protocol):
    """Finds the people of frames."""

    @property
    def description(self) -> str:
        """The source in a few words, for `poses.json`."""

    @property
    def finds_people(self) -> bool:
        """Whether boxes are of single people, so that tracking may add to them."""

    def find(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The boxes of each frame, perhaps without a row."""


@dataclass(frozen=True)
class WholePictures:
    """Each picture is the box of one person."""

    description: str = "whole pictures"
    finds_people: bool = False

    def find(self, frames: Sequence[Frame]) -> list[Boxes]:
        """One box for each frame."""
        sizes = [frame.image_rgb.shape[:2] for frame in frames]
        return [
            Boxes(np.array([[0, 0, width, height]], np.float32), np.ones(1))
            for height, width in sizes
        ]


@dataclass(frozen=True)
class ListedBoxes:
    """The boxes of a file.

    Attributes:
        by_frame: number of the frame -> its boxes.
        description: names the file.
        finds_people: see `BoxSource`.
    """

    by_frame: dict[int, Boxes]
    description: str = "detections"
    finds_people: bool = True

    @classmethod
    def read(cls, path: str | Path, source: FrameSource) -> ListedBoxes:
        """Read a file in COCO result format.

        Boxes of pictures name them by `file_name` or number, boxes of a video name the frame by
        its number, from 0 on, as `image_id`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not in that format, or no box is on any of the frames.
        """
        described = f"detections of {Path(path).name}"
        if source.kind == "pictures":
            return cls(dict(enumerate(read_boxes(path, source.paths))), described)
        return cls(read_frame_boxes(path, source.count), described)

    def find(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The boxes that the file has of each frame."""
        nobody = Boxes(np.zeros((0, 4), np.float32), np.zeros(0))
        return [self.by_frame.get(frame.number, nobody) for frame in frames]


@dataclass(frozen=True)
class BottomUpBoxes:
    """Boxes around the people that a bottom-up network found.

    Attributes:
        predictor: the network.
        flip_test: also look at the mirrored pictures.
        finds_people: see `BoxSource`.
    """

    predictor: Predictor
    flip_test: bool = False
    finds_people: bool = True

    def __post_init__(self) -> None:
        if not self.predictor.sees_whole_pictures:
            raise ValueError(
                "A detector must be a bottom-up network, which finds everybody by itself. Received "
                f"{self.predictor.snapshot.path}, a {self.predictor.snapshot.metadata['system']}."
            )

    @property
    def description(self) -> str:
        """Names the snapshot."""
        return f"people found by {self.predictor.snapshot.path.name}"

    def find(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The boxes around the joints found, a little grown; none for people of a single joint."""
        pictures = [frame.image_rgb for frame in frames]
        found = find_in_pictures(self.predictor, pictures, flip_test=self.flip_test)
        result = []
        for people in found:
            boxes = pose_boxes(people.keypoints_px, people.keypoint_scores > 0, _POSE_MARGIN)
            rows = np.flatnonzero((boxes[:, 2:] > 0).all(axis=1))
            result.append(Boxes(boxes[rows].astype(np.float32), people.person_scores[rows]))
        return result
