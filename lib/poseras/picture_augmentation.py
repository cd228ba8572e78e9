"""How a whole picture may change at random in training; a part of `structures.View`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PictureAugmentation:
    """The laws of random change of a whole picture (image samples).

    The defaults are "no change": pictures are then learned in the very views that are tested.

    Each range is drawn from uniformly; the scale is absolute, view pixels per picture pixel, and
    the middle of the labelled people comes to the middle of the view, plus the shift. Each draw is
    a pure function of (seed, pass, sample index).

    Attributes:
        form: `crop` warps every picture into a view of one size; `resize` keeps the whole picture,
            so that views differ in size. Of the laws it knows `scale` and `flip_probability`.
        max_area_px: of a resized view; 0 is no limit. A larger one is shrunk to it, joints and all;
            pose-tensorflow's max_input_size, its square root, leaves such pictures out of training
            (and of testing, where there is no limit here).
        mirror_offset_px: of a resized view, joint x of a picture of width w is w + this - x of its
            mirror image. -1 is exact; 0 for MPII and 1 for Penn Action are kept from the published
            code.
        scale: lowest and highest scale.
        stretch: lowest and highest further factor of each axis.
        max_rotation_deg: to either side.
        max_shift_px: of the view, along each axis to either side.
        flip_probability: how often a picture is mirrored.
        keypoint_shift_probability: how often every coordinate of every keypoint is moved by 0.5 to
            1.5 px to the right and down (kept: SimplePose V2 was trained so).
        grey_probability: how often the colours are taken away.
        tint_probability: how often hue, saturation and value are moved by up to 10 of 180, 40 and
            30 of 255.
        centre_on_people: whether the middle of the labelled people comes to the middle of the
            view; otherwise that of the picture.
    """

    form: Literal["crop", "resize"] = "crop"
    max_area_px: float = 0.0
    mirror_offset_px: float = -1.0
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: tuple[float, float] = (1.0, 1.0)
    max_rotation_deg: float = 0.0
    max_shift_px: float = 0.0
    flip_probability: float = 0.0
    keypoint_shift_probability: float = 0.0
    grey_probability: float = 0.0
    tint_probability: float = 0.0
    centre_on_people: bool = True

    def __post_init__(self) -> None:
        for name in ("flip", "keypoint_shift", "grey", "tint"):
            probability = getattr(self, f"{name}_probability")
            if not 0 <= probability <= 1:
                raise ValueError(f"{name}_probability must be in 0..1. Received {probability}.")
        for name in ("scale", "stretch"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"{name} must be a positive lowest and highest factor. Received {(low, high)}."
                )
        if min(self.max_rotation_deg, self.max_shift_px, self.max_area_px) < 0:
            raise ValueError(
                "max_rotation_deg, max_shift_px and max_area_px must not be negative. Received "
                f"{self.max_rotation_deg}, {self.max_shift_px} and {self.max_area_px}."
            )
        if self.form == "resize" and self._has_other_laws():
            raise ValueError(
                "Pictures that are resized whole are scaled and mirrored alone. Received another "
                "law of picture_augmentation; take form=crop, or set it back."
            )

    def _has_other_laws(self) -> bool:
        moves = (self.max_rotation_deg, self.max_shift_px, self.keypoint_shift_probability)
        colours = (self.grey_probability, self.tint_probability)
        return self.stretch != (1.0, 1.0) or any((*moves, *colours))
