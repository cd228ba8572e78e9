"""The hyper-parameters of DeeperCut and ArtTrack; the defaults are the published MPII recipe.

This room imports neither Keras nor TensorFlow, so that programs can show their settings at once.
Lengths are pixels of the network's input; a cell of the maps is 8 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...check import check_choices, check_positive, check_view_size
from ...picture_augmentation import PictureAugmentation
from ...structures import View

SAMPLE = "image"
#: Settings that name files; relative ones start at the project root.
FILES = ("pairwise_statistics", "pairwise_models")
#: Settings of targets, losses and decoding: the network's variables do not depend on them, so a run
#: may go on with other ones.
FREE_OPTIONS = frozenset(
    (
        *("input_shape", "part_radius", "stale_pairwise", "part_weights", "use_ignore_mask"),
        *("huber", "pairwise_huber", "refinement_weight", "pairwise_weight"),
        *("candidates", "nms_radius", "det_min_score", "sparse_graph", "same_joint_px"),
        *("solver", "max_work", "time_limit_s", "min_joints", "keep_suppressed"),
        *("pairwise_statistics", "pairwise_models", "statistics_scale"),
        *("joint_count", "joint_groups"),
    )
)

#: Pixels per cell of all maps, and of the backbone's features.
STRIDE = 8
FEATURE_STRIDE = 16

#: Pairs of COCO's joints that the published demo compares: head, shoulders, arms, hips, legs.
COCO_GRAPH = (
    *((0, 1), (0, 2), (1, 2), (2, 4), (1, 3), (0, 4), (0, 3)),
    *((0, 6), (1, 6), (2, 6), (3, 6), (4, 6), (0, 5), (1, 5), (2, 5), (3, 5), (4, 5)),
    *((5, 6), (6, 8), (5, 7), (4, 8), (3, 7), (8, 10), (7, 9), (6, 10), (5, 9)),
    *((6, 12), (6, 11), (5, 12), (5, 11), (11, 12)),
    *((12, 14), (11, 13), (12, 13), (11, 14), (13, 14), (14, 16), (13, 15), (12, 16), (11, 15)),
)
#: Those joints: the first ones of a skeleton whose pairs these are.
COCO_JOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
_DEPTHS = (18, 34, 50, 101, 152)


@dataclass(frozen=True)
class Options:
    """The settings of one network, its targets, its losses, its decoder and its grouping.

    Attributes:
        input_shape: height and width of a training picture in pixels, multiples of 16, where the
            view crops; as published, pictures are resized whole.
        depth: of the ResNet, 101 or 50 as published; 18 and 34 are light.
        backbone_width: filters of its stem, 64 in every published network.
        batch_norm: `frozen` uses the moving statistics in training too, as published, and needs
            pretrained weights; `trained` is for networks that start from nothing.
        batch_norm_momentum: share of the old moving statistics, where they are trained.
        batch_norm_epsilon: added to variances.
        pixel_mean: subtracted from RGB pictures, on the 0..255 scale.
        location_refinement: also learn the vector from a cell to its joint.
        pairwise: also learn the vectors to all other joints and find any number of people by
            them; without it a picture shows one person.
        intermediate_supervision: also learn part scores from within block 3.
        intermediate_unit: the unit of block 3 they are learned from, counted from 1; 0 is the 12th
            as published, or the last one where there are fewer.
        part_radius: px at scale 1; cells this near to a joint are its part.
        refinement_deviation: px that the refinement is divided by.
        stale_pairwise: kept from the published code: what a cell says of joints that its new owner
            lacks stays when a nearer person takes it over.
        part_weights: which part scores learn: `all`, or `present` those of joints that a person of
            the picture has labelled.
        use_ignore_mask: whether cells in ignored regions learn no part scores; published: they do.
            The regions become cells as published where pictures are at scale 1; at others they are
            brought to the picture's size first, which moves their borders by up to a cell.
        huber: `true` for the Huber loss of the refinement, else the squared error.
        pairwise_huber: the same for the pairwise vectors.
        refinement_weight: of the refinement's loss.
        pairwise_weight: of the pairwise loss.
        candidates: of each joint that are considered.
        nms_radius: cells around a candidate in which there is no other, rounded up.
        det_min_score: the lowest part score of a candidate.
        sparse_graph: pairs of joints that are compared: `all`; `coco_40`, those of the published
            demo for COCO's joints; or a list of pairs, [[0, 1], [nose, left_ear]], of numbers from
            0 or names of the skeleton's joints. Joints of a pair that is not compared, or that has
            no logistic model, still become one person's where other pairs link them.
        same_joint_px: of the view; two candidates of one joint this far apart are as probably one
            person's as not.
        pairwise_statistics: file, folder or archive with `pairwise_stats.mat`; `pairwise` needs it.
        pairwise_models: folder or archive of the logistic models; `pairwise` needs it to group.
        statistics_scale: what the statistics are multiplied by, where pictures are not at scale 1.
        solver: of the multicut, see `ops.multicut`.
        max_work: where the local solver stops; 0 never.
        time_limit_s: where the exact solver stops, for each picture.
        min_joints: people with fewer joints found are left out.
        keep_suppressed: kept from the published code: suppressed candidates are people of their
            own.
        joint_count: that the skeleton must have, `num_joints` of a pose_cfg.yaml; 0 takes any.
        joint_groups: single joints and mirrored pairs that it must have, each joint by its number
            from 0, `all_joints` of a pose_cfg.yaml; empty takes any.

    Raises:
        ValueError: a value breaks a rule; the message names rule, value and next step.
    """

    input_shape: tuple[int, int] = (384, 384)
    depth: int = 101
    backbone_width: int = 64
    batch_norm: Literal["frozen", "trained"] = "frozen"
    batch_norm_momentum: float = 0.9
    batch_norm_epsilon: float = 1e-5
    pixel_mean: tuple[float, float, float] = (123.68, 116.779, 103.939)
    location_refinement: bool = True
    pairwise: bool = False
    intermediate_supervision: bool = True
    intermediate_unit: int = 0
    part_radius: float = 17.0
    refinement_deviation: float = 7.2801
    stale_pairwise: bool = False
    part_weights: Literal["all", "present"] = "all"
    use_ignore_mask: bool = False
    huber: bool = True
    pairwise_huber: bool = True
    refinement_weight: float = 0.05
    pairwise_weight: float = 0.05
    candidates: int = 32
    nms_radius: float = 5.0
    det_min_score: float = 0.2
    sparse_graph: Literal["all", "coco_40"] | tuple[tuple[int | str, int | str], ...] = "all"
    same_joint_px: float = 37.5
    pairwise_statistics: str = ""
    pairwise_models: str = ""
    statistics_scale: float = 1.0
    solver: Literal["local", "exact"] = "local"
    max_work: int = 0
    time_limit_s: float = 60.0
    min_joints: int = 1
    keep_suppressed: bool = False
    joint_count: int = 0
    joint_groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        check_choices(self)
        _check_network(self)
        _check_graph(self.sparse_graph)
        if self.joint_count < 0 or not {len(group) for group in self.joint_groups} <= {1, 2}:
            raise ValueError(
                "joint_count must not be negative, and joint_groups hold one or two joints each. "
                f"Received {self.joint_count} and {self.joint_groups}."
            )
        check_positive(self, "batch_norm_epsilon part_radius refinement_deviation candidates")
        check_positive(self, "nms_radius statistics_scale min_joints same_joint_px time_limit_s")
        if not 0 <= self.det_min_score < 1:
            raise ValueError(f"det_min_score must be in 0..1. Received {self.det_min_score}.")
        if min(self.refinement_weight, self.pairwise_weight, self.max_work) < 0:
            raise ValueError(
                "refinement_weight, pairwise_weight and max_work must not be negative. Received "
                f"{self.refinement_weight}, {self.pairwise_weight} and {self.max_work}."
            )

    @property
    def supervised_unit(self) -> int:
        """The unit of block 3 that learns part scores, counted from 1."""
        return self.intermediate_unit or min(12, _units_of_block_3(self.depth))


def default_view(options: Options) -> View:
    """How the published recipe prepares a picture, and how it varies it in training.

    Pictures are taken as they are; for testing they are padded to the stride of the features. The
    published limit of 850 x 850 px, `view.picture_augmentation.max_area_px`, is set by the configs:
    a larger picture is shrunk to it in training, where the original leaves it out.
    """
    return View(
        rule="scale",
        size_hw=options.input_shape,
        factor=1.0,
        stride=FEATURE_STRIDE,
        interpolation="pillow_linear",
        border_rgb=(124, 117, 104),
        outside_joints="keep",
        picture_augmentation=PictureAugmentation(
            form="resize", scale=(0.85, 1.15), flip_probability=0.5
        ),
    )


def check_view(options: Options, view: View) -> None:
    """Refuse views of another size than the options name: where the view crops, it follows them.

    Raises:
        ValueError: `size_hw` is not `input_shape`.
    """
    check_view_size(options.input_shape, view.size_hw)


def needs_resources(options: Options) -> bool:
    """Whether people are grouped by trained tables."""
    return options.pairwise


def _units_of_block_3(depth: int) -> int:
    return {18: 2, 34: 6, 50: 6, 101: 23, 152: 36}[depth]


def _check_graph(graph: str | tuple[tuple[int | str, ...], ...]) -> None:
    known = graph in ("all", "coco_40")
    listed = bool(graph) and isinstance(graph, tuple)
    if known or (listed and all(isinstance(p, tuple) and len(p) == 2 for p in graph)):
        return
    raise ValueError(
        "sparse_graph must be all, coco_40, or at least one pair of joints such as "
        f"[[0, 1], [nose, left_ear]]. Received {graph!r}."
    )


def _check_network(options: Options) -> None:
    if options.depth not in _DEPTHS:
        raise ValueError(f"depth must be one of {_DEPTHS}. Received {options.depth}.")
    shape = options.input_shape
    if len(shape) != 2 or any(side <= 0 or side % FEATURE_STRIDE for side in shape):
        raise ValueError(
            f"input_shape must be (height, width), both divisible by the stride {FEATURE_STRIDE}. "
            f"Received {shape}."
        )
    units = _units_of_block_3(options.depth)
    if not 0 <= options.intermediate_unit <= units:
        raise ValueError(
            f"Block 3 of a ResNet-{options.depth} has {units} units; intermediate_unit must be one "
            f"of them, or 0. Received {options.intermediate_unit}."
        )
    if options.backbone_width < 4:
        raise ValueError(f"backbone_width must be at least 4. Received {options.backbone_width}.")
    if not 0 <= options.batch_norm_momentum < 1:
        raise ValueError(
            f"batch_norm_momentum must be in 0..1. Received {options.batch_norm_momentum}."
        )
