"""The records that travel between the floors: views, people, samples.

A *sample* is a dict with fixed keys. A pipeline fills it, a system reads it, both know it from
here alone. A *batch* is the same dict with a leading batch axis on every value. Nobody adds a key
without adding it to `SAMPLE_KEYS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np

from .check import check_at_least, check_positive
from .person_augmentation import Augmentation
from .picture_augmentation import PictureAugmentation

ViewRule = Literal["person_box", "root_box_3d", "long_edge", "fixed_height", "scale", "whole"]
Interpolation = Literal["linear", "cubic", "pillow_linear"]
CropConvention = Literal["corner", "udp"]
OutsideJoints = Literal["drop", "keep"]

#: Key of a sample: (shape without the batch axis, dtype, meaning).
SAMPLE_KEYS: dict[str, tuple[str, str, str]] = {
    "image": ("height, width, 3", "uint8", "the view, RGB"),
    "keypoints": (
        "people, joints, 3",
        "float32",
        "x px, y px in the view and visibility 0 (unlabelled or outside), 1 (hidden), 2 (seen); "
        "one person in a person sample, padded with zeros in an image sample",
    ),
    "boxes_xywh": ("people, 4", "float32", "left, top, width, height in original image pixels"),
    "ignore_mask": ("height, width", "bool", "True where the loss must not look (image samples)"),
    "shown_hw": ("2", "int32", "height, width of the image before padding (image samples)"),
    "image_to_network": (
        "2, 3",
        "float32",
        "the affine from original image pixels to view pixels; its inverse brings results home. "
        "A mirrored view has a negative determinant, and its keypoints are already swapped",
    ),
    "view_scale": ("", "float32", "the augmentation factor on the box, 1 in testing"),
    "channel_gain": ("3", "float32", "colour factors, multiplied and clipped to 0..255 on device"),
    "index": ("", "int64", "row of the record that made the sample, -1 for padding of a batch"),
    "image_id": ("", "int64", "of the annotation file"),
    "annotation_id": ("", "int64", "of the annotation file, -1 for detections and image samples"),
    "joints_camera_mm": ("people, joints, 3", "float32", "camera space, 3D only"),
    "joints_valid": ("people, joints", "float32", "1 where joints_camera_mm is known, 3D only"),
    "root_camera_mm": ("people, 3", "float32", "camera space, 3D only"),
    "camera": ("9", "float32", "fx, fy, cx, cy, k1, k2, k3, p1, p2 in original pixels, 3D only"),
}


@dataclass(frozen=True)
class View:
    """How a picture becomes network input.

    Attributes:
        rule: `person_box` a margin around one person; `root_box_3d` a box of fixed size in mm
            around the root joint; `long_edge` the longer side resized to `length`;
            `fixed_height` the height resized to `length`; `scale` the picture times `factor`;
            `whole` the picture as it is. The last four pad to multiples of `stride`.
        size_hw: height and width of the network input in pixels, for the two person rules; for
            the others of what whole pictures are warped to in training.
        margin: factor on the box after it was grown to the aspect ratio of `size_hw`; not on the
            box of `root_box_3d`.
        box_mm: height and width of the box of `root_box_3d` in mm. Who has no root in camera
            space is seen as by `person_box`.
        in_space: whether `person_box` reads people in space, too, as `root_box_3d` always does.
        length: pixels, for `long_edge` and `fixed_height`.
        factor: for `scale`.
        stride: both sides of the network input are multiples of it.
        interpolation: `linear` and `cubic` are OpenCV's; `pillow_linear` is antialiased, of resized
            whole pictures (OpenCV's linear where they are warped).
        border_rgb: colour of what lies outside the picture.
        crop_convention: `corner` maps box edges to picture edges (scale = size / box), the
            published one; `udp` maps the centres of the outermost pixels
            (scale = (size - 1) / box), "The Devil is in the Details", Huang et al., CVPR 2020.
        outside_joints: what becomes of a labelled joint outside the view: `drop` sets its
            visibility to 0 (TF-SimpleHumanPose); `keep` leaves it, and the target decides
            (Microsoft's code, whose target reaches three sigma over the border).
        augmentation: random changes of a person's view, used in training only.
        picture_augmentation: random changes of a whole picture, used in training only.

    Raises:
        ValueError: a value breaks a rule; the message names the setting, `view.margin`.
    """

    rule: ViewRule
    size_hw: tuple[int, int] = (256, 192)
    margin: float = 1.25
    box_mm: tuple[float, float] = (2000.0, 2000.0)
    in_space: bool = False
    length: int = 512
    factor: float = 1.0
    stride: int = 1
    interpolation: Interpolation = "linear"
    border_rgb: tuple[int, int, int] = (0, 0, 0)
    crop_convention: CropConvention = "corner"
    outside_joints: OutsideJoints = "drop"
    augmentation: Augmentation = field(default_factory=Augmentation)
    picture_augmentation: PictureAugmentation = field(default_factory=PictureAugmentation)

    def __post_init__(self) -> None:
        check_at_least("view", self, 1, "length stride")
        check_positive(self, "margin factor", "view")
        for name in ("size_hw", "box_mm"):
            if min(getattr(self, name)) <= 0:
                raise ValueError(
                    f"view.{name} must be a positive height and width. "
                    f"Received {getattr(self, name)}."
                )
        if not all(0 <= channel <= 255 for channel in self.border_rgb):
            raise ValueError(f"view.border_rgb must be in 0..255. Received {self.border_rgb}.")

    @property
    def one_size(self) -> bool:
        """Whether every view has the same size, so that they fit into one batch as they are."""
        whole = self.rule in ("fixed_height", "scale", "whole")
        return not whole and self.picture_augmentation.form == "crop"

    @property
    def root_box_mm(self) -> tuple[float, float] | None:
        """`box_mm` where people are read in space, by which they are checked; None in 2D."""
        return self.box_mm if self.in_space or self.rule == "root_box_3d" else None


@dataclass(frozen=True)
class ImageTable:
    """The pictures of a data set, column by column.

    Attributes:
        ids: (images,) int64, ids of the annotation file.
        paths: one absolute path per image.
        sizes_hw: (images, 2) int32, height and width as the annotation file says; 0 if unknown.
    """

    ids: np.ndarray
    paths: tuple[str, ...]
    sizes_hw: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class SpaceColumns:
    """What is known of people in space, one row each, column by column, in camera space.

    Attributes:
        joints_camera_mm: (people, joints, 3) float32, 0 where unknown.
        joints_valid: (people, joints) bool.
        root_camera_mm: (people, 3) float32, 0 where unknown; its z is positive where known.
        cameras: (people, 9) float64, fx, fy, cx, cy, k1, k2, k3, p1, p2 in pixels of the picture;
            0 where unknown.
        actions: (people,) int32, the data set's number of what the person does, -1 if unknown.
    """

    joints_camera_mm: np.ndarray
    joints_valid: np.ndarray
    root_camera_mm: np.ndarray
    cameras: np.ndarray
    actions: np.ndarray

    def __post_init__(self) -> None:
        people, joints = self.joints_valid.shape
        for name, shape in (
            ("joints_camera_mm", (people, joints, 3)),
            ("root_camera_mm", (people, 3)),
            ("cameras", (people, 9)),
            ("actions", (people,)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape}. Received {getattr(self, name).shape}."
                )

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def located(self) -> np.ndarray:
        """(people,) bool: True where root and camera are known."""
        return (self.root_camera_mm[:, 2] > 0) & (self.cameras[:, 0] > 0)

    def take(self, rows: np.ndarray) -> SpaceColumns:
        """Some rows, in that order."""
        return SpaceColumns(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def unknown(cls, people: int, joints: int) -> SpaceColumns:
        """Columns of people of whom nothing is known in space."""
        return cls(
            joints_camera_mm=np.zeros((people, joints, 3), np.float32),
            joints_valid=np.zeros((people, joints), bool),
            root_camera_mm=np.zeros((people, 3), np.float32),
            cameras=np.zeros((people, 9)),
            actions=np.full(people, -1, np.int32),
        )


@dataclass(frozen=True)
class PersonRecords:
    """People to train on or to look at, one row each, column by column.

    Attributes:
        images: the pictures they stand on.
        image_index: (people,) int32, row in `images`.
        boxes_xywh: (people, 4) float32, left, top, width, height in image pixels.
        keypoints: (people, joints, 3) float32, x px, y px, visibility 0, 1, 2; zeros if detected.
        scores: (people,) float64, of the detector; 1 for annotated people.
        areas: (people,) float64, segment area of the annotation in px^2; 0 for detections.
        annotation_ids: (people,) int64, -1 for detections.
        space: what is known of them in space; None where nobody asked for it.
    """

    images: ImageTable
    image_index: np.ndarray
    boxes_xywh: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    areas: np.ndarray
    annotation_ids: np.ndarray
    space: SpaceColumns | None = None

    def __post_init__(self) -> None:
        people = len(self.image_index)
        if self.space is not None and len(self.space) != people:
            raise ValueError(
                f"space must have one row per person ({people}). Received {len(self.space)}."
            )
        for name, trailing in (
            ("boxes_xywh", (4,)),
            ("keypoints", (None, 3)),
            ("scores", ()),
            ("areas", ()),
            ("annotation_ids", ()),
        ):
            shape = getattr(self, name).shape
            fits = len(shape) == 1 + len(trailing) and all(
                want is None or have == want for have, want in zip(shape[1:], trailing, strict=True)
            )
            if not fits or shape[0] != people:
                wanted = ", ".join(str(n or "joints") for n in (people, *trailing))
                raise ValueError(f"{name} must have shape ({wanted}). Received {shape}.")

    def __len__(self) -> int:
        return len(self.image_index)

    @property
    def image_ids(self) -> np.ndarray:
        """(people,) int64: the id of each person's picture."""
        return self.images.ids[self.image_index]

    def take(self, rows: np.ndarray) -> PersonRecords:
        """The records of some rows, in that order; the table of images stays whole."""
        return PersonRecords(
            images=self.images,
            image_index=self.image_index[rows],
            boxes_xywh=self.boxes_xywh[rows],
            keypoints=self.keypoints[rows],
            scores=self.scores[rows],
            areas=self.areas[rows],
            annotation_ids=self.annotation_ids[rows],
            space=None if self.space is None else self.space.take(rows),
        )


@dataclass(frozen=True)
class ImageRecords:
    """Whole pictures to train on or to look at, one row each, with the people on them.

    Attributes:
        people: all of them, those of one picture side by side, and the table of pictures.
        image_index: (pictures,) int32, row in `people.images`.
        first_person: (pictures + 1,) int64: the people of picture p are the rows from
            first_person[p] to first_person[p + 1] - 1.
        ignored_regions: JSON text of each picture's regions that the loss must not look at, see
            `data.ignored_regions`; empty text for none, an empty tuple where none has any.
    """

    people: PersonRecords
    image_index: np.ndarray
    first_person: np.ndarray
    ignored_regions: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        pictures = len(self.image_index)
        if self.first_person.shape != (pictures + 1,):
            raise ValueError(
                f"first_person must have shape ({pictures + 1},). "
                f"Received {self.first_person.shape}."
            )
        if len(self.ignored_regions) not in (0, pictures):
            raise ValueError(
                f"ignored_regions must have one text per picture ({pictures}) or none at all. "
                f"Received {len(self.ignored_regions)}."
            )

    def __len__(self) -> int:
        return len(self.image_index)

    @property
    def images(self) -> ImageTable:
        """The table of pictures, of which `image_index` names rows."""
        return self.people.images

    @property
    def image_ids(self) -> np.ndarray:
        """(pictures,) int64."""
        return self.images.ids[self.image_index]

    @property
    def most_people(self) -> int:
        """The largest number of people on one picture, at least 1."""
        return max(int(np.diff(self.first_person).max(initial=0)), 1)


@dataclass(frozen=True)
class People:
    """The people found in one image.

    Attributes:
        keypoints_px: (people, joints, 2), x before y, in pixels of the original image.
        keypoint_scores: (people, joints).
        person_scores: (people,), what NMS and metrics rank by.
        boxes_xywh: (people, 4) the boxes they were looked for in, or None for image systems.
        annotation_ids: (people,) int64 of the annotations that these boxes belong to, -1 for
            detections; None where nobody asks for them.
    """

    keypoints_px: np.ndarray
    keypoint_scores: np.ndarray
    person_scores: np.ndarray
    boxes_xywh: np.ndarray | None = None
    annotation_ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.keypoints_px.shape
        if len(shape) != 3 or shape[-1] != 2:
            raise ValueError(f"keypoints_px must have shape (people, joints, 2). Received {shape}.")
        if self.keypoint_scores.shape != shape[:2]:
            raise ValueError(
                f"keypoint_scores must have shape {shape[:2]}. "
                f"Received {self.keypoint_scores.shape}."
            )
        if self.person_scores.shape != shape[:1]:
            raise ValueError(
                f"person_scores must have shape {shape[:1]}. Received {self.person_scores.shape}."
            )

    def __len__(self) -> int:
        return len(self.person_scores)
