"""The hyper-parameters of Simple Baselines; the defaults are TF-SimpleHumanPose's COCO recipe.

This room imports neither Keras nor TensorFlow, so that programs can show their settings at once.
A heatmap cell is `heatmap_stride` view pixels wide, 4 in every published network.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from ...check import check_choices, check_positive, check_view_size
from ...structures import Augmentation, View
from .hsr_options import Hsr
from .vector_options import Gau, Simcc

SAMPLE = "person"

#: A ResNet halves its input five times, so these views, and no others, come out at their size.
INPUT_MULTIPLE = 32
#: Those that halve it less often.
INPUT_MULTIPLES = {"hsrnet": 16, "vit": 16}

#: What the losses and decoders of one codec have no meaning for is refused for another.
LOSSES: dict[str, tuple[str, ...]] = {
    "heatmap": ("mean_squared", "per_joint"),
    "udp": ("mean_squared", "per_joint"),
    "udp_discs": ("disc_and_offset",),
    "simcc": ("divergence",),
}
DECODERS: dict[str, tuple[str, ...]] = {
    "heatmap": ("quarter", "dark", "none"),
    "udp": ("dark", "none"),
    "udp_discs": ("none",),
    "simcc": ("none", "dark"),
}
#: Which of the settings that only some codecs read each one reads; `simcc` is the whole group. The
#: decoder does not count: who compares decoders leaves the smoothing of `dark` as it is. Nor is
#: `target_window` among them, which the view reads with every codec.
CODEC_OPTIONS: dict[str, tuple[str, ...]] = {
    "heatmap": ("sigma", "blur_kernel", "shift_flipped", "zero_nonpositive"),
    "udp": ("sigma", "blur_kernel", "blur_border", "keep_inside", "zero_nonpositive"),
    "udp_discs": ("keep_inside",),
    "simcc": ("simcc", "zero_nonpositive"),
}
UPSAMPLING = 4  # of the head of that name
#: Settings of targets, losses and decoding: the network's variables do not depend on them, so a run
#: may go on with other ones.
FREE_OPTIONS = frozenset(
    (
        *("sigma", "target_peak", "target_window", "loss", "use_target_weight"),
        *("decoder", "shift_flipped", "zero_nonpositive"),
        *("blur_kernel", "blur_border", "keep_inside"),
        *(f"simcc.{name}" for name in ("label", "sigma", "smoothing", "beta", "soft_targets")),
    )
)

RESNET_DEPTHS = {"tensorflow": (50, 101, 152), "pytorch": (18, 34, 50, 101, 152)}


@dataclass(frozen=True)
class Options:
    """The settings of one network, its targets and its decoder.

    Attributes:
        input_shape: height and width of the network input in pixels, multiples of 32; of 16 for a
            ViT or an HSRNet.
        backbone: the file of `poseras/backbones/` that builds the features.
        depth: layers with weights, in the backbone's own numbering; a ResNet has 50, 101 or 152,
            in the PyTorch form also 18 and 34, an HSRNet 59, 110 or 161, a ViT 12, 24 or 32 blocks,
            a CSPNeXt 4, 6, 12 or 18.
            An HRNet has no depth.
        backbone_width: filters of the stem, to which all others are proportional; 64 is published
            for ResNets and HSRNets, 32 and 48 (of the finest branch) for HRNets, 384 to 1280 (of a
            token) for ViTs, 24 to 64 for CSPNeXts.
        backbone_stride: input pixels per cell of the last features; 32 for ResNets and CSPNeXts, 4
            for HRNets, 16 for ViTs and HSRNets. In a ResNet, 16 or 8 keeps the field of view by
            dilation and needs fewer layers in the head.
        backbone_heads: of a ViT's attention; 16 for L and H.
        drop_path: how often the last block of a ViT is left out in training, those before it less.
        form: which published network: `tensorflow` is TF-SimpleHumanPose, `pytorch` Microsoft's and
            every one after it. It decides the names of the layers and how weights start.
        stride_on: the convolution of a bottleneck that strides; `1x1` is Microsoft's STYLE caffe.
        head: `deconvolution`, as many as head_filters, none for HRNet; `upsampling`, ViTPose's
            simple one, bilinear by 4; `simcc`, a linear layer for each axis; `rtmcc`, RTMPose's.
        head_filters: of each transposed convolution; each doubles the resolution.
        head_kernels: side of each transposed convolution, 2, 3 or 4 cells.
        head_bias: whether the transposed convolutions have a bias in front of their BatchNorm.
        final_kernel: side of the last convolution, 1 or 3 cells.
        channel_order: of the network's input. Both published networks were trained on BGR.
        pixel_mean: subtracted, on the 0..255 scale, in the order of `channel_order`. Kept: the
            published weights expect the mean of red on blue.
        pixel_std: divides after that, on the 0..255 scale, in the same order.
        batch_norm_momentum: share of the old moving statistics; Microsoft's is 0.9.
        batch_norm_epsilon: added to variances. TF-SimpleHumanPose asks for 1e-9, which the fused
            kernel raises to 1.001e-5; Microsoft's is 1e-5.
        batch_norm_synchronized: whether the devices share batch statistics. Neither original does.
        codec: how keypoints become targets and outputs keypoints: `heatmap`; `udp`, unbiased (its
            view is cut so too); `udp_discs`, unbiased discs and offsets; `simcc`, a vector for each
            axis.
        sigma: of the Gaussian targets in heatmap cells; 0 means 2 cells per 64 rows of the map.
        target_peak: height of the Gaussians; it scales the loss. Microsoft's is 1.
        target_window: of the heatmap codec. `full` draws over the whole map, `three_sigma` cuts as
            Microsoft does, `exact` does not round the joint to a cell (DARK). With `three_sigma`
            the view keeps joints outside it, whatever the codec.
        loss: `mean_squared` over all cells; `per_joint` is Microsoft's, 0.5 * MSE of each joint,
            averaged over joints; `disc_and_offset` for udp_discs; `divergence` for simcc.
        use_target_weight: whether unlabelled joints are left out of the loss.
        decoder: what follows the argmax: a `quarter` cell towards the higher neighbour, `dark`'s
            Taylor step (Zhang et al., CVPR 2020) or `none`. The udp codec has its own `dark`.
        blur_kernel: cells of the smoothing before `dark`; 0 follows sigma, 11 for 2 and 17 for 3.
            MMPose takes 11 for both.
        blur_border: what the udp codec's smoothing sees outside a map: `zero`, or `reflect` as in
            ViTPose's own code.
        keep_inside: whether the udp codecs keep points in their maps, which steps can leave.
        shift_flipped: whether the flip test of the heatmap codec moves the mirrored maps right by
            one cell, because heatmaps and pixels are not aligned in the published crop.
        zero_nonpositive: whether a joint whose map has no positive cell is put at (0, 0), as
            Microsoft does.
        simcc: settings of the simcc codec.
        gau: settings of the rtmcc head.
        hsr: settings of the backbone hsrnet.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    input_shape: tuple[int, int] = (256, 192)
    backbone: str = "resnet"
    depth: int = 50
    backbone_width: int = 64
    backbone_stride: int = 32
    backbone_heads: int = 12
    drop_path: float = 0.0
    form: Literal["tensorflow", "pytorch"] = "tensorflow"
    stride_on: Literal["3x3", "1x1"] = "3x3"
    head: Literal["deconvolution", "upsampling", "simcc", "rtmcc"] = "deconvolution"
    head_filters: tuple[int, ...] = (256, 256, 256)
    head_kernels: tuple[int, ...] = (4, 4, 4)
    head_bias: bool = False
    final_kernel: int = 1
    channel_order: Literal["bgr", "rgb"] = "bgr"
    pixel_mean: tuple[float, float, float] = (123.68, 116.78, 103.94)
    pixel_std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    batch_norm_momentum: float = 0.99
    batch_norm_epsilon: float = 1.001e-5
    batch_norm_synchronized: bool = False
    codec: Literal["heatmap", "udp", "udp_discs", "simcc"] = "heatmap"
    sigma: float = 0.0
    target_peak: float = 255.0
    target_window: Literal["full", "three_sigma", "exact"] = "full"
    loss: Literal["mean_squared", "per_joint", "disc_and_offset", "divergence"] = "mean_squared"
    use_target_weight: bool = True
    decoder: Literal["quarter", "dark", "none"] = "quarter"
    blur_kernel: int = 0
    blur_border: Literal["zero", "reflect"] = "zero"
    keep_inside: bool = False
    shift_flipped: bool = True
    zero_nonpositive: bool = False
    simcc: Simcc = field(default_factory=Simcc)
    gau: Gau = field(default_factory=Gau)
    hsr: Hsr = field(default_factory=Hsr)

    def __post_init__(self) -> None:
        check_choices(self)
        _check_input(self)
        _check_backbone(self)
        _check_head(self)
        _check_coding(self)
        _check_numbers(self)

    @property
    def heatmap_stride(self) -> int:
        """View pixels per heatmap cell."""
        if self.head == "upsampling":
            return self.backbone_stride // UPSAMPLING
        return self.backbone_stride // 2 ** len(self.head_filters)

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps in cells."""
        height, width = self.input_shape
        return height // self.heatmap_stride, width // self.heatmap_stride

    @property
    def sigma_cells(self) -> float:
        """Sigma of the targets in heatmap cells, with the default resolved."""
        return self.sigma or 2 * self.heatmap_hw[0] / 64


def default_view(options: Options) -> View:
    """How the published recipe cuts a person out of a picture, and how it varies the cut."""
    return View(
        rule="person_box",
        size_hw=options.input_shape,
        margin=1.25,
        border_rgb=(0, 0, 0),
        crop_convention="udp" if options.codec.startswith("udp") else "corner",
        # The cut window of the target decides about joints outside the view, as at Microsoft's.
        outside_joints="keep" if options.target_window == "three_sigma" else "drop",
        augmentation=Augmentation(
            scale_std=0.3, rotation_std_deg=40.0, rotation_probability=0.6, flip_probability=0.5
        ),
    )


def check_view(options: Options, view: View) -> None:
    """Refuse a view of another size than the network, or one cut against the codec's convention.

    Raises:
        ValueError: `size_hw` or `crop_convention` is not what `default_view` gives.
    """
    check_view_size(options.input_shape, view.size_hw)
    usual = default_view(options).crop_convention
    if view.crop_convention != usual:
        raise ValueError(
            f"view.crop_convention must be {usual} with the codec {options.codec}, or all joints "
            f"are learned and mirrored a little off. Received {view.crop_convention}; leave it at "
            f"{usual}, or choose another options.codec."
        )


def find_unread(options: Options) -> dict[str, str]:
    """The settings that nothing reads beside the other ones, by what they have no meaning with."""
    unread: dict[str, str] = {}
    if options.head != "rtmcc":
        unread["gau"] = f"the head {options.head}"
    else:
        unread["final_kernel"] = "the head rtmcc, which has gau.final_kernel"
    if options.simcc.label != "one_bin":
        unread["simcc.smoothing"] = f"the label {options.simcc.label}"
    some = {name for names in CODEC_OPTIONS.values() for name in names}
    others = some.difference(CODEC_OPTIONS[options.codec])
    unread |= dict.fromkeys(others, f"the codec {options.codec}")
    for group in ("gau", "simcc"):
        if reason := unread.pop(group, ""):
            members = fields(getattr(options, group))
            unread |= {f"{group}.{member.name}": reason for member in members}
    return unread


def _check_input(options: Options) -> None:
    shape = options.input_shape
    multiple = INPUT_MULTIPLES.get(options.backbone, INPUT_MULTIPLE)
    if len(shape) != 2 or any(side <= 0 or side % multiple for side in shape):
        raise ValueError(
            f"input_shape must be (height, width), both divisible by the stride {multiple}. "
            f"Received {shape}."
        )


def _check_backbone(options: Options) -> None:
    if options.backbone_width <= 0:
        raise ValueError(f"backbone_width must be positive. Received {options.backbone_width}.")
    if options.backbone_stride not in (4, 8, 16, 32):
        raise ValueError(
            f"backbone_stride must be 4, 8, 16 or 32. Received {options.backbone_stride}."
        )
    if options.backbone_heads < 1 or not 0 <= options.drop_path < 1:
        raise ValueError(
            "backbone_heads must be at least 1 and drop_path in [0, 1). "
            f"Received {options.backbone_heads} and {options.drop_path}."
        )
    if options.backbone != "resnet":
        if options.form != "pytorch":
            raise ValueError(
                f"form must be pytorch for a backbone other than resnet. Received {options.form} "
                f"with {options.backbone}."
            )
        return
    depths = RESNET_DEPTHS[options.form]
    if options.depth not in depths:
        raise ValueError(
            f"depth of a resnet of form {options.form} must be one of {depths}. "
            f"Received {options.depth}."
        )
    if options.stride_on == "1x1" and options.depth < 50:
        raise ValueError(
            f"stride_on=1x1 needs the bottleneck blocks of depth 50, 101 or 152. "
            f"Received depth {options.depth}, whose blocks have no 1x1 convolution."
        )


def _check_head(options: Options) -> None:
    filters, kernels = options.head_filters, options.head_kernels
    if len(filters) != len(kernels):
        raise ValueError(
            f"head_filters and head_kernels must have one value per transposed convolution. "
            f"Received {filters} and {kernels}."
        )
    if any(count <= 0 for count in filters):
        raise ValueError(f"head_filters must be positive. Received {filters}.")
    if any(kernel not in (2, 3, 4) for kernel in kernels):
        raise ValueError(f"head_kernels must be 2, 3 or 4 each. Received {kernels}.")
    if filters and options.head in ("upsampling", "rtmcc"):
        raise ValueError(
            f"The head {options.head} has no transposed convolutions; set head_filters and "
            f"head_kernels to []. Received head_filters {filters}."
        )
    if options.final_kernel not in (1, 3):
        raise ValueError(f"final_kernel must be 1 or 3. Received {options.final_kernel}.")
    if options.heatmap_stride < 1:
        raise ValueError(
            f"{len(filters)} transposed convolutions would make heatmaps larger than the input; "
            f"a backbone of stride {options.backbone_stride} takes at most "
            f"{options.backbone_stride.bit_length() - 1}. Received head_filters {filters}."
        )


def _check_coding(options: Options) -> None:
    """Head, loss and decoder are those of the codec."""
    codec = options.codec
    if (codec == "simcc") != (options.head in ("simcc", "rtmcc")):
        raise ValueError(
            "codec simcc needs a head of simcc or rtmcc, every other codec one that gives maps. "
            f"Received codec {codec} with head {options.head}."
        )
    for name, fitting in (("loss", LOSSES), ("decoder", DECODERS)):
        if getattr(options, name) not in fitting[codec]:
            raise ValueError(
                f"{name} of the codec {codec} must be one of {', '.join(fitting[codec])}. "
                f"Received {getattr(options, name)}."
            )
    if options.blur_kernel and (options.blur_kernel < 3 or options.blur_kernel % 2 == 0):
        raise ValueError(
            "blur_kernel must be an odd number of cells, at least 3, or 0 to follow sigma. "
            f"Received {options.blur_kernel}."
        )


def _check_numbers(options: Options) -> None:
    if len(options.pixel_mean) != 3 or len(options.pixel_std) != 3:
        raise ValueError(
            f"pixel_mean and pixel_std must have one value per channel (3). "
            f"Received {options.pixel_mean} and {options.pixel_std}."
        )
    if any(std <= 0 for std in options.pixel_std):
        raise ValueError(f"pixel_std must be positive. Received {options.pixel_std}.")
    if not 0 <= options.batch_norm_momentum < 1:
        raise ValueError(
            f"batch_norm_momentum must be in [0, 1). Received {options.batch_norm_momentum}."
        )
    check_positive(options, "batch_norm_epsilon target_peak")
    if options.sigma < 0:
        raise ValueError(
            f"sigma must be positive, or 0 for 2 cells per 64 rows. Received {options.sigma}."
        )
