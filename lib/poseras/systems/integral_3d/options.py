"""The hyper-parameters of integral regression; the defaults are the recipe of Moon's PyTorch code.

This room imports neither Keras nor TensorFlow, so that programs can show their settings at once.
A volume has `depth_bins` cells in depth and one cell per `heatmap_stride` view pixels in height
and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...check import check_choices, check_positive, check_view_size
from ...structures import Augmentation, View

SAMPLE = "person"
#: Settings of targets, losses and decoding: the network's variables do not depend on them, so a run
#: may go on with other ones.
FREE_OPTIONS = frozenset(
    (
        *("outside_joints", "coordinate_loss", "coordinate_weight"),
        *("volume_weight", "volume_sigma", "volume_radius"),
        *("flip_alignment", "bone_length_mm"),
    )
)

#: A ResNet halves its input five times, so these views, and no others, come out at their size.
INPUT_MULTIPLE = 32
RESNET_DEPTHS = (18, 34, 50, 101, 152)

#: ImageNet's statistics of red, green and blue on the scale 0..1.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Options:
    """The settings of one network, its targets, its losses and its flip test.

    Attributes:
        input_shape: height and width of the network input in pixels, multiples of 32.
        depth: layers with weights of the ResNet: 18, 34, 50, 101 or 152.
        backbone_width: filters of the stem, to which all others are proportional; 64 is published.
        batch_norm_momentum: share of the old moving statistics.
        batch_norm_epsilon: added to variances.
        batch_norm_synchronized: whether the devices share batch statistics. No original does.
        input_normalisation: `imagenet` is (picture / 255 - mean) / std; `raw255` leaves out the
            division, a slip of Moon's code that its published snapshot depends on.
        head: `integral` reads joints from volumes, `direct` regresses them from the mean feature
            (the paper's baseline R1).
        head_filters: of each transposed convolution; each doubles the resolution.
        head_kernels: side of each transposed convolution, 2, 3 or 4 cells.
        final_kernel: side of the last convolution, 1 or 3 cells.
        depth_bins: cells of a volume in depth.
        box_mm: depth, height and width of the box around the root that volumes stand for, in mm.
        depth_unit: `mm` of that box; `view` makes a volume as deep as the view is wide, cuts views
            by people's own boxes and needs no root depth in a picture (the authors' challenge
            entry, see `view_depth`).
        bone_length_mm: of all bones of a person together, by which `view` comes back to mm; the
            authors' mean over Human3.6M's people.
        outside_joints: a joint outside the box, in depth too, is not learned at all (`drop`,
            Moon's code), or is learned like any other (`keep`, the authors' code).
        coordinate_loss: `masked_l1` is Moon's mean over all joints in cells; `sum_l1` and `sum_l2`
            are the authors' sum per sample over coordinates divided by the volume's size.
        coordinate_weight: factor on that loss; 0 learns by the volumes alone.
        volume_loss: on the volumes, beside: `gaussian` is the paper's H1, MSE to a Gaussian blob;
            `cross_entropy` H2, of the softmax with the joint's cell; `binary` H3, of each cell
            with a ball around the joint. The paper's I1 to I3 train so first and then continue
            with coordinates alone.
        volume_weight: factor on the loss of the volumes.
        volume_sigma: of the Gaussian in cells.
        volume_radius: of the ball in cells; 3.75 are the paper's 15 view pixels.
        temperature: factor on the logits before the softmax; a volume that learned Gaussians of
            height 1 is too flat to be read without one (30 in a published port).
        read_out: `mean` of the softmax, or its highest cell (`peak`, the paper's heatmap rows),
            which has no gradient: it needs coordinate_weight 0.
        flip_alignment: how the flip test mirrors coordinates: `exact` maps view pixel x to
            width - 1 - x, `published` maps cells so, which moves all joints 3/8 cell to the left.
    """

    input_shape: tuple[int, int] = (256, 256)
    depth: int = 50
    backbone_width: int = 64
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    batch_norm_synchronized: bool = False
    input_normalisation: Literal["imagenet", "raw255"] = "imagenet"
    head: Literal["integral", "direct"] = "integral"
    head_filters: tuple[int, ...] = (256, 256, 256)
    head_kernels: tuple[int, ...] = (4, 4, 4)
    final_kernel: int = 1
    depth_bins: int = 64
    box_mm: tuple[float, float, float] = (2000.0, 2000.0, 2000.0)
    depth_unit: Literal["mm", "view"] = "mm"
    bone_length_mm: float = 4502.881
    outside_joints: Literal["drop", "keep"] = "drop"
    coordinate_loss: Literal["masked_l1", "sum_l1", "sum_l2"] = "masked_l1"
    coordinate_weight: float = 1.0
    volume_loss: Literal["none", "gaussian", "cross_entropy", "binary"] = "none"
    volume_weight: float = 1.0
    volume_sigma: float = 1.0
    volume_radius: float = 3.75
    temperature: float = 1.0
    read_out: Literal["mean", "peak"] = "mean"
    flip_alignment: Literal["exact", "published"] = "exact"

    def __post_init__(self) -> None:
        check_choices(self)
        _check_input(self)
        _check_head(self)
        _check_volume(self)
        _check_losses(self)

    @property
    def form(self) -> Literal["pytorch"]:
        """Whose checkpoints fit by name: both originals are PyTorch programs."""
        return "pytorch"

    @property
    def heatmap_stride(self) -> int:
        """View pixels per cell in height and width."""
        return INPUT_MULTIPLE // 2 ** len(self.head_filters)

    @property
    def volume_dhw(self) -> tuple[int, int, int]:
        """Depth, height and width of a volume in cells."""
        height, width = self.input_shape
        return self.depth_bins, height // self.heatmap_stride, width // self.heatmap_stride

    @property
    def pixel_mean(self) -> tuple[float, ...]:
        """What is subtracted from RGB 0..255."""
        scale = 255.0 if self.input_normalisation == "imagenet" else 1.0
        return tuple(scale * value for value in _IMAGENET_MEAN)

    @property
    def pixel_std(self) -> tuple[float, ...]:
        """What divides after that."""
        scale = 255.0 if self.input_normalisation == "imagenet" else 1.0
        return tuple(scale * value for value in _IMAGENET_STD)


def default_view(options: Options) -> View:
    """How the published recipe cuts a person out of a picture, and how it varies the cut."""
    by_root = options.depth_unit == "mm"
    return View(
        rule="root_box_3d" if by_root else "person_box",
        size_hw=options.input_shape,
        margin=1.0 if by_root else 1.25,
        box_mm=options.box_mm[1:],
        in_space=not by_root,
        border_rgb=(0, 0, 0),
        outside_joints=options.outside_joints,
        augmentation=Augmentation(
            scale_std=0.25,
            rotation_std_deg=30.0,
            rotation_probability=0.6,
            flip_probability=0.5,
            colour_gain=0.2,
        ),
    )


def check_view(options: Options, view: View) -> None:
    """Refuse a view of another size than the network, and a cut that its boxes do not know.

    Raises:
        ValueError: `size_hw` is not `input_shape`, or `crop_convention` would do nothing.
    """
    check_view_size(options.input_shape, view.size_hw)
    if view.rule == "root_box_3d" and view.crop_convention != "corner":
        raise ValueError(
            "view.crop_convention is of the rule person_box; boxes around a root are cut by their "
            f"corners. Received {view.crop_convention}; leave it at corner."
        )


def _check_input(options: Options) -> None:
    shape = options.input_shape
    if len(shape) != 2 or any(side <= 0 or side % INPUT_MULTIPLE for side in shape):
        raise ValueError(
            f"input_shape must be (height, width), both divisible by the stride {INPUT_MULTIPLE}. "
            f"Received {shape}."
        )
    if options.depth not in RESNET_DEPTHS:
        raise ValueError(f"depth must be one of {RESNET_DEPTHS}. Received {options.depth}.")
    if options.backbone_width <= 0 or options.batch_norm_epsilon <= 0:
        raise ValueError(
            "backbone_width and batch_norm_epsilon must be positive. "
            f"Received {options.backbone_width} and {options.batch_norm_epsilon}."
        )
    if not 0 <= options.batch_norm_momentum < 1:
        raise ValueError(
            f"batch_norm_momentum must be in [0, 1). Received {options.batch_norm_momentum}."
        )


def _check_head(options: Options) -> None:
    filters, kernels = options.head_filters, options.head_kernels
    if len(filters) != len(kernels) or len(filters) > INPUT_MULTIPLE.bit_length() - 1:
        raise ValueError(
            "head_filters and head_kernels must have one value per transposed convolution, at "
            f"most {INPUT_MULTIPLE.bit_length() - 1}. Received {filters} and {kernels}."
        )
    if any(count <= 0 for count in filters):
        raise ValueError(f"head_filters must be positive. Received {filters}.")
    if any(kernel not in (2, 3, 4) for kernel in kernels):
        raise ValueError(f"head_kernels must be 2, 3 or 4 each. Received {kernels}.")
    if options.final_kernel not in (1, 3):
        raise ValueError(f"final_kernel must be 1 or 3. Received {options.final_kernel}.")


def _check_volume(options: Options) -> None:
    if options.depth_bins < 2:
        raise ValueError(
            f"depth_bins must be at least 2, one bin tells no depth. Received {options.depth_bins}."
        )
    if len(options.box_mm) != 3 or min(options.box_mm) <= 0:
        raise ValueError(
            "box_mm must be depth, height and width in mm, all positive. "
            f"Received {options.box_mm}."
        )
    check_positive(options, "volume_sigma volume_radius temperature bone_length_mm")


def _check_losses(options: Options) -> None:
    if options.coordinate_weight < 0 or options.volume_weight < 0:
        raise ValueError(
            "coordinate_weight and volume_weight must not be negative. "
            f"Received {options.coordinate_weight} and {options.volume_weight}."
        )
    learns_volumes = options.volume_loss != "none" and options.volume_weight > 0
    if not options.coordinate_weight and not learns_volumes:
        raise ValueError(
            "A network needs a loss. Received coordinate_weight 0 and no loss of the volumes; set "
            "one of coordinate_weight and volume_loss with volume_weight."
        )
    if options.head == "direct" and (options.volume_loss != "none" or options.read_out == "peak"):
        raise ValueError(
            "head=direct has no volumes: it needs volume_loss=none and read_out=mean. "
            f"Received {options.volume_loss} and {options.read_out}."
        )
    if options.read_out == "peak" and options.coordinate_weight:
        raise ValueError(
            "read_out=peak has no gradient, it needs coordinate_weight=0. "
            f"Received {options.coordinate_weight}."
        )
