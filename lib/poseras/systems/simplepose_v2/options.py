"""The hyper-parameters of SimplePose V2; the defaults are the recipe of the published COCO model.

This room imports neither Keras nor TensorFlow, so that programs can show their settings at once.
Lengths are pixels of the network's input; a cell of the maps is 4 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...check import check_choices, check_positive
from ...picture_augmentation import PictureAugmentation
from ...structures import View
from .limbs import LimbSet

SAMPLE = "image"
#: Settings of targets, losses and decoding: the network's variables do not depend on them, so a run
#: may go on with other ones.
FREE_OPTIONS = frozenset(
    (
        *("input_shape", "sigma", "heatmap_clip", "offset_window", "jitter_window"),
        *("min_scale", "label_scale_ends", "mask_threshold"),
        *("heatmap_loss", "focal_tau", "focal_gamma", "offset_loss", "jitter_loss"),
        *("sqrt_regression", "loss_margin", "loss_weights", "stack_weights", "loss_limit"),
        *("feature_stage", "resize_mode", "peak_search", "candidates", "heatmap_threshold"),
        *("min_limb", "max_distance", "use_scale", "use_jitter", "flip_offsets"),
        *("grouping", "person_threshold", "sort_by"),
    )
)

#: Pixels per cell of all maps.
STRIDE = 4

#: Parts of the loss, in the order of `loss_weights`.
PARTS = ("heatmaps", "background", "jitter", "offsets", "scales")

#: HRNet-W64 is the widest that anybody has published.
_WIDEST_HRNET = 64
_POWERS_OF_TWO = {"hrnet": 5, "imhn": 6}


@dataclass(frozen=True)
class Options:
    """The settings of one network, its targets, its losses, its decoder and its grouping.

    Attributes:
        input_shape: height and width of a training picture in pixels, multiples of 128 for
            Hourglass-104.
        backbone: `hourglass` stacks hourglasses as CornerNet and CenterNet do; `hrnet` is HRNet;
            `imhn` the four stages of this system's predecessor, which feed their maps back.
        backbone_width: channels of the finest features, to which all others are proportional: 256
            in Hourglass-104 and `imhn`, 48 in HRNet-W48, for which it must be told.
        stacks: hourglasses one after the other, each with heads: 2 in Hourglass-104, 4 in `imhn`;
            1 for HRNet.
        units: residual units at each level of an hourglass, from fine to coarse, one level more
            than it halves the resolution. Hourglass-104 is 2,2,2,2,2,4; fewer are lighter.
        limbs: along which offsets are learned, see `limbs.choose_limbs`.
        background: also learn a map of what is no keypoint.
        jitter: also learn the vectors to the nearest keypoint.
        spread: also learn how sure an offset is, for offset_loss `laplace`.
        scales: also learn the size of a joint, sqrt(area of the box) x its OKS sigma.
        channel_order: of the network's input.
        pixel_mean: subtracted, on the 0..255 scale, in that order.
        pixel_std: divides after that.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to variances.
        batch_norm_synchronized: whether devices share batch statistics, as published.
        sigma: of the Gaussian targets in px.
        heatmap_clip: targets below it are 0.
        offset_window: side in cells of the square around a limb's start that learns its offset.
        jitter_window: the same around every keypoint for the jitter.
        min_scale: px; joints of people so small that theirs is lower have no scale to learn.
        label_scale_ends: whether the ends of limbs learn their scale, too. Published: not, although
            grouping reads it there.
        mask_threshold: cells learn where more than this of their pixels is not to be ignored.
        heatmap_loss: `focal_l2` or `l2`, 0.5 x squared difference.
        focal_tau: targets from it on are keypoint, those below ground.
        focal_gamma: power of the focal factor. The published commands say 2, but their code always
            took 1.
        offset_loss: `l1` of each component, `instance_l1` over the size of the person, `vector_l1`,
            or `laplace` with the learned spread.
        jitter_loss: `l1` or `vector_l1`.
        sqrt_regression: take the root of each term of the jitter, offset and scale losses.
        loss_margin: lower terms of the jitter and offset losses are left out; the root's slope ends
            there.
        loss_weights: of heatmaps, background, jitter, offsets and scales.
        stack_weights: of the stacks, before division by their sum, all of them, also those that the
            network lacks: with the published 1,1 the loss of one stack counts half.
        loss_limit: a larger loss of a batch becomes 0.
        feature_stage: the stack that is decoded; -1 is the last.
        resize_mode: how heatmaps are brought to the resolution of the picture.
        peak_search: `sparse` looks for peaks where they are possible, `dense` everywhere; the
            results are equal.
        candidates: peaks of each joint that are considered.
        heatmap_threshold: the lowest peak.
        min_limb: px; shorter limbs count as that long.
        max_distance: px from where an offset leads to the end of its limb, at most.
        use_scale: let that be the scale of the end joint where it is larger.
        use_jitter: refine by the jitter, where it is learned.
        flip_offsets: the flip test `average`s offsets or `concatenate`s them.
        grouping: `original` with all odd rules of the published code, or `strict`.
        person_threshold: on the mean score of a person's joints.
        sort_by: that score: heights of `keypoints`, or of `limbs`.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    input_shape: tuple[int, int] = (512, 512)
    backbone: Literal["hourglass", "hrnet", "imhn"] = "hourglass"
    backbone_width: int = 256
    stacks: int = 2
    units: tuple[int, ...] = (2, 2, 2, 2, 2, 4)
    limbs: LimbSet = "published"
    background: bool = False
    jitter: bool = False
    spread: bool = False
    scales: bool = False
    channel_order: Literal["rgb", "bgr"] = "rgb"
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    batch_norm_synchronized: bool = True
    sigma: float = 7.0
    heatmap_clip: float = 0.01
    offset_window: int = 7
    jitter_window: int = 3
    min_scale: float = 1.0
    label_scale_ends: bool = False
    mask_threshold: float = 0.7
    heatmap_loss: Literal["focal_l2", "l2"] = "focal_l2"
    focal_tau: float = 0.01
    focal_gamma: float = 1.0
    offset_loss: Literal["l1", "instance_l1", "vector_l1", "laplace"] = "instance_l1"
    jitter_loss: Literal["l1", "vector_l1"] = "l1"
    sqrt_regression: bool = True
    loss_margin: float = 1e-5
    loss_weights: tuple[float, float, float, float, float] = (1.0, 0.0, 0.0, 10000.0, 0.0)
    stack_weights: tuple[float, ...] = (1.0, 1.0)
    loss_limit: float = 1e8
    feature_stage: int = -1
    resize_mode: Literal["bicubic", "bilinear"] = "bicubic"
    peak_search: Literal["sparse", "dense"] = "sparse"
    candidates: int = 32
    heatmap_threshold: float = 0.04
    min_limb: float = 0.5
    max_distance: float = 40.0
    use_scale: bool = True
    use_jitter: bool = True
    flip_offsets: Literal["average", "concatenate"] = "average"
    grouping: Literal["original", "strict"] = "original"
    person_threshold: float = 0.04
    sort_by: Literal["keypoints", "limbs"] = "keypoints"

    def __post_init__(self) -> None:
        check_choices(self)
        _check_network(self)
        _check_losses(self)
        _check_numbers(self)

    @property
    def input_multiple(self) -> int:
        """Both sides of a picture are multiples of it."""
        return 2 ** _POWERS_OF_TWO.get(self.backbone, 1 + len(self.units))

    @property
    def decoded_stack(self) -> int:
        """The stack that is decoded, counted from 0."""
        return self.feature_stage % self.stacks

    @property
    def weight_of(self) -> dict[str, float]:
        """Part of the loss -> its weight."""
        return dict(zip(PARTS, self.loss_weights, strict=True))


def default_view(options: Options) -> View:
    """How the published recipe prepares a picture, and how it varies it in training."""
    multiple = options.input_multiple
    return View(
        rule="long_edge",
        size_hw=options.input_shape,
        length=-(-640 // multiple) * multiple,
        stride=multiple,
        interpolation="cubic",
        border_rgb=(124, 116, 104),
        picture_augmentation=PictureAugmentation(
            scale=(0.5, 2.0),
            stretch=(0.95, 1.05),
            max_rotation_deg=45.0,
            max_shift_px=150.0,
            flip_probability=0.5,
            keypoint_shift_probability=0.2,
            grey_probability=0.02,
            tint_probability=0.2,
        ),
    )


def check_view(options: Options, view: View) -> None:
    """Refuse a view whose pictures the network cannot halve as often as it does.

    Raises:
        ValueError: `stride` or a side of `size_hw` is no multiple of `input_multiple`.
    """
    multiple = options.input_multiple
    for name, sides in (("stride", (view.stride,)), ("size_hw", view.size_hw)):
        if any(side % multiple for side in sides):
            nearest = ",".join(str(-(-side // multiple) * multiple) for side in sides)
            received = ",".join(map(str, sides))
            raise ValueError(
                f"view.{name} must be a multiple of {multiple}, by which the {options.backbone} "
                f"divides both sides of a picture. Received {received}; set view.{name}={nearest}."
            )


def _check_network(options: Options) -> None:
    if len(options.units) < 2 or min(options.units) < 1:
        raise ValueError(
            "units must be at least 1 at each of at least two levels. "
            f"Received {options.units}; Hourglass-104 has 2,2,2,2,2,4."
        )
    if options.backbone != "hourglass" and options.units != (2, 2, 2, 2, 2, 4):
        raise ValueError(f"units is for the hourglass alone. Received the {options.backbone}.")
    if options.backbone == "hrnet" and options.stacks != 1:
        raise ValueError(
            f"An HRNet has one stack; set options.stacks=1. Received {options.stacks}."
        )
    if options.stacks < 1 or not -options.stacks <= options.feature_stage < options.stacks:
        raise ValueError(
            "stacks must be at least 1, and feature_stage one of them. "
            f"Received {options.stacks} and {options.feature_stage}."
        )
    multiple = options.input_multiple
    shape = options.input_shape
    if len(shape) != 2 or any(side <= 0 or side % multiple for side in shape):
        raise ValueError(
            f"input_shape must be (height, width), both divisible by the stride {multiple} of the "
            f"{options.backbone}. Received {shape}."
        )
    if options.backbone_width < 4 or options.backbone_width % 4:
        raise ValueError(
            f"backbone_width must be a positive multiple of 4. Received {options.backbone_width}."
        )
    if options.backbone == "hrnet" and options.backbone_width > _WIDEST_HRNET:
        raise ValueError(
            f"backbone_width of an HRNet must be at most {_WIDEST_HRNET}. Received "
            f"{options.backbone_width}, as of an hourglass; set options.backbone_width=48."
        )


def _check_losses(options: Options) -> None:
    if len(options.stack_weights) < options.stacks or sum(options.stack_weights) <= 0:
        raise ValueError(
            f"stack_weights must have one weight for each of {options.stacks} stacks, not all 0. "
            f"Received {options.stack_weights}."
        )
    heads = {
        "background": options.background,
        "jitter": options.jitter,
        "scales": options.scales,
    }
    for part, weight in options.weight_of.items():
        if weight < 0:
            raise ValueError(f"loss_weights must not be negative. Received {weight} for {part}.")
        if not heads.get(part, True) and weight:
            raise ValueError(
                f"loss_weights names a weight {weight:g} for {part}, which the network lacks; "
                f"set options.{part}=true, or the weight to 0."
            )
        if heads.get(part, False) and not weight:
            raise ValueError(
                f"options.{part}=true without a weight learns nothing; give {part} a weight in "
                "options.loss_weights (heatmaps, background, jitter, offsets, scales)."
            )
    if (options.offset_loss == "laplace") != options.spread:
        raise ValueError(
            "spread and offset_loss=laplace go together. Received "
            f"spread={options.spread} and offset_loss={options.offset_loss}."
        )


def _check_numbers(options: Options) -> None:
    check_positive(options, "sigma batch_norm_epsilon offset_window jitter_window candidates")
    check_positive(options, "heatmap_threshold min_limb max_distance loss_margin loss_limit")
    for name in ("heatmap_clip", "mask_threshold"):
        if not 0 < getattr(options, name) < 1:
            raise ValueError(f"{name} must lie between 0 and 1. Received {getattr(options, name)}.")
    pixels = options.input_multiple**2
    if options.candidates > pixels:
        raise ValueError(
            f"candidates must be at most {pixels}, the pixels of the smallest picture, whose sides "
            f"are {options.input_multiple}. Received {options.candidates}."
        )
    if min(options.focal_gamma, options.min_scale, options.person_threshold) < 0:
        raise ValueError(
            "focal_gamma, min_scale and person_threshold must not be negative. Received "
            f"{options.focal_gamma}, {options.min_scale} and {options.person_threshold}."
        )
    if not 0 <= options.batch_norm_momentum < 1 or min(options.pixel_std) <= 0:
        raise ValueError(
            "batch_norm_momentum must be in 0..1 and pixel_std positive. Received "
            f"{options.batch_norm_momentum} and {options.pixel_std}."
        )
