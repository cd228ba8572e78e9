"""What was found in one picture or one frame of a video, as a record that is written and drawn.

It stands on the top because it joins what the floors below keep apart: people in numbers (floor 0)
and their drawing (floor 1). Whatever takes `People` takes it as well.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .skeleton import Skeleton
from .structures import People
from .visualize import Style, contact_sheet, draw_people
from .visualize_space import draw_pose_views

#: Where `joints_mm` count from: the camera, or each person's root joint.
SpaceOrigin = Literal["camera", "root"]

_PERSON = 1  # COCO's category
_COLUMNS = ("image_id", "file_name", "frame", "time_s", "person", "track_id", "person_score")
_JOINT_COLUMNS = ("keypoint", "x_px", "y_px", "keypoint_score")
_SPACE_COLUMNS = ("x_mm", "y_mm", "z_mm", "origin")
#: Beside a larger picture the views in space stay as high as this, in pixels.
_PANEL_HEIGHT = 720


@dataclass(frozen=True, kw_only=True)
class Poses(People):
    """The people of one picture, who know the picture and the names of their joints.

    Attributes:
        skeleton: the joints, in the order in which the arrays hold them.
        size_hw: height and width of the picture in pixels.
        image_id: of the picture in result files.
        name: file name of the picture, or of the video.
        frame: number of the frame, the first one is 0; None of a single picture.
        time_s: when the frame is shown, in seconds after the first; None of a single picture.
        track_ids: (people,) int64, one id per person that stays the same from frame to frame; None
            where nobody was tracked.
        joints_mm: (people, joints, 3) x right, y down, z ahead; None of networks without depth.
        space_origin: where `joints_mm` begin: the `camera` where it was known, else the `root`.
    """

    skeleton: Skeleton
    size_hw: tuple[int, int]
    image_id: int = 0
    name: str = ""
    frame: int | None = None
    time_s: float | None = None
    track_ids: np.ndarray | None = None
    joints_mm: np.ndarray | None = None
    space_origin: SpaceOrigin | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        people, joints = self.keypoint_scores.shape
        if joints != self.skeleton.joint_count:
            raise ValueError(
                f"People of {self.skeleton.name} must have {self.skeleton.joint_count} joints. "
                f"Received {joints}."
            )
        for name, shape in (
            ("boxes_xywh", (people, 4)),
            ("track_ids", (people,)),
            ("joints_mm", (people, joints, 3)),
        ):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}. Received {array.shape}.")
        if self.track_ids is not None and len(np.unique(self.track_ids)) != people:
            raise ValueError(
                "track_ids must name each person of a frame once. "
                f"Received {self.track_ids.tolist()}."
            )
        if (self.joints_mm is None) != (self.space_origin is None):
            raise ValueError(
                "joints_mm and space_origin belong together. Received only one of them."
            )
        if min(self.size_hw) < 1 or (self.time_s is not None and not self.time_s >= 0):
            raise ValueError(
                "size_hw must be positive and time_s at least 0. "
                f"Received {self.size_hw} and {self.time_s}."
            )

    @property
    def boxes(self) -> np.ndarray:
        """(people, 4) left, top, width, height: those looked into, else around the joints found."""
        if self.boxes_xywh is not None:
            return self.boxes_xywh
        found = (self.keypoint_scores > 0)[..., None]
        low = np.where(found, self.keypoints_px, np.inf).min(axis=1)
        high = np.where(found, self.keypoints_px, -np.inf).max(axis=1)
        boxes = np.concatenate([low, high - low], axis=1)
        return np.where(found.any(axis=1), boxes, 0.0)

    def to_coco(self) -> list[dict[str, Any]]:
        """One entry per person in COCO's keypoint form, ready for JSON.

        `keypoints` are x, y, score of each joint in pixels of the picture, all 0 for a joint that
        was not found; `num_keypoints` counts the others. `track_id` is there where people were
        tracked, and `joints_camera_mm` or `joints_root_mm` (joints of [x, y, z]) in 3D.
        """
        found = self.keypoint_scores > 0
        triples = np.concatenate([self.keypoints_px, self.keypoint_scores[..., None]], axis=-1)
        triples = np.where(found[..., None], triples, 0.0).round(4)
        entries: list[dict[str, Any]] = []
        for person, box in enumerate(np.asarray(self.boxes, np.float64).round(2)):
            entry = {
                "image_id": self.image_id,
                "category_id": _PERSON,
                "keypoints": triples[person].ravel().tolist(),
                "num_keypoints": int(found[person].sum()),
                "bbox": box.tolist(),
                "area": round(float(box[2] * box[3]), 2),
                "score": round(float(self.person_scores[person]), 4),
            }
            if self.track_ids is not None:
                entry["track_id"] = int(self.track_ids[person])
            if self.joints_mm is not None:
                joints = np.asarray(self.joints_mm[person], np.float64).round(1)
                entry[f"joints_{self.space_origin}_mm"] = joints.tolist()
            entries.append(entry)
        return entries

    def image_entry(self) -> dict[str, Any]:
        """The picture as an entry of `images` in COCO's form; frames have `frame` and `time_s`."""
        height, width = self.size_hw
        entry = {"id": self.image_id, "file_name": self.name, "height": height, "width": width}
        if self.frame is not None:
            entry["frame"] = self.frame
        if self.time_s is not None:
            entry["time_s"] = round(self.time_s, 6)
        return entry

    def to_csv(self, *, header: bool = True) -> str:
        """A table with one row per person and joint; what is not known stays empty.

        Args:
            header: begin with the names of the columns.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        if header:
            space = _SPACE_COLUMNS if self.joints_mm is not None else ()
            table.writerow((*_COLUMNS, *_JOINT_COLUMNS, *space))
        time_s = None if self.time_s is None else round(self.time_s, 6)
        for person, score in enumerate(self.person_scores):
            track = None if self.track_ids is None else int(self.track_ids[person])
            of_person = (person, track, round(float(score), 4))
            row = (self.image_id, self.name, self.frame, time_s, *of_person)
            for joint, keypoint in enumerate(self.skeleton.keypoints):
                place = self.keypoints_px[person, joint].round(3).tolist()
                found = round(float(self.keypoint_scores[person, joint]), 4)
                space = () if self.joints_mm is None else self._place_of(person, joint)
                table.writerow((*row, keypoint, *place, found, *space))
        return text.getvalue()

    def _place_of(self, person: int, joint: int) -> tuple[Any, ...]:
        """The columns of a joint in space."""
        joints = np.asarray(self.joints_mm, np.float64)
        return (*joints[person, joint].round(1).tolist(), self.space_origin)

    def draw(
        self, image_rgb: np.ndarray, *, style: Style = "house", threshold: float = 0.4
    ) -> np.ndarray:
        """Draw these people, with their ids where they were tracked.

        Args:
            image_rgb: (height, width, 3) uint8, the picture in which they were found.
            style: `house` or `original`; ids are drawn in the first.
            threshold: joints with a higher score are drawn as seen.

        Returns:
            (height, width, 3) uint8, a new picture. In 3D it is wider: beside the picture stands
            the surest person in space, from the front and from the side.

        Raises:
            ValueError: a picture of another size.
        """
        if image_rgb.shape[:2] != tuple(self.size_hw):
            raise ValueError(
                f"The picture must have the size {tuple(self.size_hw)} of its poses. "
                f"Received {image_rgb.shape[:2]}."
            )
        ids = () if self.track_ids is None else [f"{track}" for track in self.track_ids]
        drawn = draw_people(
            image_rgb, self, self.skeleton, style=style, threshold=threshold, labels=ids
        )
        if self.joints_mm is None:
            return drawn
        height = min(self.size_hw[0], _PANEL_HEIGHT)
        nobody = np.full((self.skeleton.joint_count, 3), np.nan)
        surest = self.joints_mm[np.argmax(self.person_scores)] if len(self) else nobody
        return contact_sheet([drawn, draw_pose_views(surest, self.skeleton, height=height)], 2)
