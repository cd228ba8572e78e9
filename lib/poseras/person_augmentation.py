"""How one person's view may change at random in training; a part of `structures.View`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OcclusionKind = Literal["rectangle", "objects"]


@dataclass(frozen=True)
class Augmentation:
    """The laws of random change of one view. The defaults are "no change".

    Geometry is drawn per sample in this order: scale, rotation, mirror, and from there on in the
    order of the fields; each draw is a pure function of (seed, pass, sample index).

    Attributes:
        scale_std: the box is multiplied by clip(1 + scale_std * N(0, 1), 1 - std, 1 + std).
        rotation_std_deg: angle = clip(std * N(0, 1), -2 std, 2 std), in degrees.
        rotation_probability: how often a sample is rotated at all.
        flip_probability: how often a sample is mirrored.
        half_body_probability: how often only the upper or the lower half is kept in view, before
            scale and rotation; 0.3 in HRNet.
        half_body_min_joints: a person with fewer labelled joints is never halved. HRNet asks for
            more than 8.
        colour_gain: each channel is multiplied by a uniform number of 1 - gain .. 1 + gain.
        occlusion_probability: how often something is pasted over the view; keypoints under it stay
            labelled.
        occlusion_kind: a `rectangle` of noise or of one colour, or one to seven `objects`.
        occluder_folder: of RGBA pictures of objects; drawn shapes without one.
        shift_factor: the box is moved by up to this share of its sides, before it is scaled.
        shift_probability: how often it is moved at all; RTMPose 0.3.
        hsv_delta: hue of 180, saturation and value of 255 are moved by up to so much, each half
            of the time; RTMPose 5, 30, 30.
        grey_probability: how often the colours are taken away.
        blur_probability: how often the view is smeared over 3, 5 or 7 pixels.
    """

    scale_std: float = 0.0
    rotation_std_deg: float = 0.0
    rotation_probability: float = 0.6
    flip_probability: float = 0.0
    half_body_probability: float = 0.0
    half_body_min_joints: int = 9
    colour_gain: float = 0.0
    occlusion_probability: float = 0.0
    occlusion_kind: OcclusionKind = "rectangle"
    occluder_folder: str = ""
    shift_factor: float = 0.16  # RTMPose
    shift_probability: float = 0.0
    hsv_delta: tuple[float, float, float] = (0.0, 0.0, 0.0)
    grey_probability: float = 0.0
    blur_probability: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "flip", "half_body", "occlusion", "shift", "grey", "blur"):
            probability = getattr(self, f"{name}_probability")
            if not 0 <= probability <= 1:
                raise ValueError(f"{name}_probability must be in 0..1. Received {probability}.")
        for name in ("scale_std", "colour_gain"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 0 and below 1, so that no view has size "
                    f"or colour 0. Received {getattr(self, name)}."
                )
        if self.rotation_std_deg < 0:
            raise ValueError(
                f"rotation_std_deg must not be negative. Received {self.rotation_std_deg}."
            )
