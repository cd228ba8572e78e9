"""DeeperCut's and ArtTrack's table of contents: what the engine, the tester and the demo call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from ...checkpoints.pairwise_files import (
    read_joint_names,
    read_logistic_models,
    read_pairwise_statistics,
)
from ...codecs.pairwise_models import LogisticModels, PairwiseStatistics
from ...skeleton import Skeleton
from ...structures import People
from . import grouping
from .inference import decode, merge_flip, merge_scales
from .losses import compute_loss
from .model import build_model
from .options import COCO_JOINTS, FEATURE_STRIDE, Options
from .targets import encode

Tensors = Mapping[str, Any]

_STATISTICS = ("means_px", "deviations_px")
_MODEL_PARTS = ("model_pairs", "model_lower", "model_upper", "model_weights")
#: Logit of a part score of 1 in perfect outputs.
_SURE = 12.0


def load_resources(
    options: Options,
    skeleton: Skeleton,
    earlier: tuple[Options, Mapping[str, np.ndarray]] | None = None,
    root: Path = Path(),
) -> dict[str, np.ndarray]:
    """The pairwise statistics and logistic models; nothing without `options.pairwise`.

    Args:
        options: name the files.
        skeleton: the joints.
        earlier: options and resources of a snapshot; a file that both options name is not read.
        root: of the project, where relative paths start; the working directory by default.

    Returns:
        `means_px` and `deviations_px` (pairs, 2), times `options.statistics_scale`; where
        `options.pairwise_models` is set, `model_pairs`, `model_lower`, `model_upper` and
        `model_weights`, see `codecs.pairwise_models.LogisticModels`.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: no statistics are named, or they are of other joints.
    """
    if not options.pairwise:
        return {}
    options, (then, known) = _locate(options, root), earlier or (options, {})
    then = _locate(then, root)
    resources = {}
    if _same(options, then, "pairwise_statistics", "statistics_scale"):
        resources = {name: known[name] for name in _STATISTICS if name in known}
    if not resources:
        resources = _read_statistics(options, skeleton)
    if _same(options, then, "pairwise_models") and "model_pairs" in known:
        resources |= {name: known[name] for name in _MODEL_PARTS}
    elif options.pairwise_models:
        resources |= _read_models(options, skeleton)
    return resources


def _locate(options: Options, root: Path) -> Options:
    """The options with paths that do not depend on the working directory."""
    statistics, models = (
        str(root / file) if file else ""
        for file in (options.pairwise_statistics, options.pairwise_models)
    )
    return replace(options, pairwise_statistics=statistics, pairwise_models=models)


def _same(options: Options, then: Options, *names: str) -> bool:
    return all(getattr(options, name) == getattr(then, name) for name in names)


def _read_statistics(options: Options, skeleton: Skeleton) -> dict[str, np.ndarray]:
    if not options.pairwise_statistics:
        raise ValueError(
            "options.pairwise=true needs options.pairwise_statistics, a pairwise_stats.mat; "
            "tool/pairwise_stats.py computes one from any dataset."
        )
    means, deviations = read_pairwise_statistics(options.pairwise_statistics)
    PairwiseStatistics(means, deviations).require_joints(skeleton.joint_count)
    named = read_joint_names(options.pairwise_statistics)
    if named and named != skeleton.keypoints:
        strange = [n for n, own in zip(named, skeleton.keypoints, strict=True) if n != own]
        raise ValueError(
            f"The pairwise statistics must be of the joints of {skeleton.name} in their order. "
            f"Received other joints, among them {', '.join(strange[:3])}, in "
            f"{options.pairwise_statistics}; tool/pairwise_stats.py computes them for any dataset."
        )
    scaled = (means * options.statistics_scale, deviations * options.statistics_scale)
    return dict(zip(_STATISTICS, scaled, strict=True))


def _read_models(options: Options, skeleton: Skeleton) -> dict[str, np.ndarray]:
    models = read_logistic_models(options.pairwise_models)
    joints = int(models[0].max()) + 1
    if joints > skeleton.joint_count:
        raise ValueError(
            f"The logistic models must be of the {skeleton.joint_count} joints of {skeleton.name}. "
            f"Received those of {joints} joints in {options.pairwise_models}; "
            "tool/pairwise_stats.py trains them for any dataset."
        )
    return dict(zip(_MODEL_PARTS, models, strict=True))


def _check_skeleton(skeleton: Skeleton, options: Options) -> None:
    """Refuse another skeleton than the one that the options are written for."""
    own = skeleton.keypoints[: len(COCO_JOINTS)]
    if options.sparse_graph == "coco_40" and own != COCO_JOINTS:
        raise ValueError(
            "options.sparse_graph=coco_40 is for COCO's 17 joints in their order. Received the "
            f"{skeleton.joint_count} joints of {skeleton.name}, {', '.join(own)}; take all, or a "
            "list of pairs."
        )
    grouping.list_graph(options, skeleton)
    told = options.joint_count or skeleton.joint_count
    pairs = {frozenset(group) for group in options.joint_groups if len(group) == 2}
    mirrored = set(map(frozenset, skeleton.flip_pairs))
    if told == skeleton.joint_count and (not options.joint_groups or pairs == mirrored):
        return
    raise ValueError(
        "The skeleton must be that of num_joints and all_joints of the pose_cfg.yaml: "
        f"{told} joints{_list_pairs(pairs) if options.joint_groups else ''}. Received "
        f"{skeleton.name}: {skeleton.joint_count} joints{_list_pairs(mirrored)}; --set "
        "data.trainset=NAME data.testset=NAME data.skeleton=NAME/SET with a data/NAME/dataset.yaml "
        "that names them."
    )


def _list_pairs(pairs: Iterable[frozenset[int]]) -> str:
    """Mirrored pairs for an error, `, mirrored 1-2, 3-4`."""
    named = ", ".join("-".join(map(str, pair)) for pair in sorted(map(sorted, pairs)))
    return f", mirrored {named}" if named else ", none mirrored"


@dataclass(frozen=True)
class System:
    """Whole pictures; part scores, and vectors from cells to joints.

    Attributes:
        options: the hyper-parameters. Outputs are `parts` (batch, height, width, joints), logits,
            and where the options ask for them `refinement` (..., joints, 2), `pairwise` (...,
            pairs, 2), both standardised, and `parts_intermediate`, logits; height and width are an
            eighth of the picture's.
        skeleton: the joints.
        resources: see `load_resources`.

    Raises:
        ValueError: the statistics are of other joints, the graph is of other joints, or the
            skeleton is another one than the options tell; in use, the statistics are absent.
    """

    #: Maps of mirrored or resized pictures are merged cell by cell: then the cells must fill the
    #: pictures, whose sides are multiples of this.
    merge_stride: ClassVar[int] = FEATURE_STRIDE

    options: Options
    skeleton: Skeleton
    resources: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "means_px" in self.resources:
            means, deviations = (self.resources[name] for name in ("means_px", "deviations_px"))
            PairwiseStatistics(means, deviations).require_joints(self.skeleton.joint_count)
        _check_skeleton(self.skeleton, self.options)

    def _require_statistics(self) -> None:
        """Refuse to work with pairwise maps of unknown scale; a network can be built without."""
        if self.options.pairwise and "means_px" not in self.resources:
            raise ValueError(
                "options.pairwise=true needs the pairwise statistics. Received none; "
                "options.pairwise_statistics names their file."
            )

    def check_start(self, pretrained: bool) -> None:
        """Refuse a training that cannot succeed.

        Args:
            pretrained: whether it begins with weights of a file.

        Raises:
            ValueError: frozen statistics of nothing, or no pairwise statistics.
        """
        self._require_statistics()
        if self.options.batch_norm == "frozen" and not pretrained:
            raise ValueError(
                "options.batch_norm=frozen needs pretrained weights: without them the activations "
                "of so deep a network grow without bound. Received "
                "train.initial_weights=none; name a file, or --set options.batch_norm=trained."
            )

    def check_grouping(self) -> None:
        """Refuse to look for people who could not be told apart.

        Raises:
            ValueError: there are no logistic models, or none for the pairs that are compared.
        """
        if not self.options.pairwise:
            return
        if "model_pairs" not in self.resources:
            raise ValueError(
                "Telling people apart needs logistic models. Received none: name their folder, "
                "--set options.pairwise_models=FOLDER; tool/pairwise_stats.py --model-file trains "
                "them with a snapshot."
            )
        if not self._compared:
            raise ValueError(
                "Pairs of options.sparse_graph must have logistic models. Received models of "
                f"{len(self.resources['model_pairs'])} other pairs; add pairs to the graph, or "
                "train models on more pictures with tool/pairwise_stats.py."
            )

    @cached_property
    def _compared(self) -> list[tuple[int, int]]:
        """The pairs of joints that are compared; the log names the others, once."""
        graph = grouping.list_graph(self.options, self.skeleton)
        return grouping.choose_compared(graph, self.resources["model_pairs"], self.skeleton)

    def build_model(self) -> keras.Model:
        """RGB pictures (batch, height, width, 3), 0..255, of any size.

        The outputs are those of the class, all float32.
        """
        return build_model(self.options, self.skeleton.joint_count)

    def encode(self, batch: Tensors) -> dict[str, Any]:
        """What the network should answer to a batch of pictures; see `targets.encode`.

        Args:
            batch: `keypoints` (batch, people, joints, 3): x px, y px in the view, visibility;
                `image_to_network` (batch, 2, 3); `ignore_mask` (batch, height, width) bool; and
                `shown_hw` (batch, 2) where pictures were filled up to one size.
        """
        self._require_statistics()
        return encode(batch, self.resources, self.options)

    def perfect_outputs(self, targets: Tensors) -> dict[str, Any]:
        """The outputs of a network that answers with the targets; what is unknown is 0.

        The nearer a cell is to its joint, the higher its part score.
        """
        owned = targets["parts"] > 0
        logits = ops.where(owned, _SURE, -_SURE)
        if "refinement" in targets:
            distance = ops.sum(ops.square(targets["refinement"]), axis=-1)
            logits = ops.where(owned, _SURE - 0.1 * distance, -_SURE)
        outputs = {k: targets[k] for k in ("refinement", "pairwise") if k in targets}
        return {"parts": logits, **outputs}

    def compute_loss(self, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """The loss of one device's batch: its weighted parts and `total`, float32 scalars."""
        return compute_loss(targets, outputs, self.options)

    def merge_flip(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, Any]:
        """The flip test: outputs averaged with those of the mirrored pictures.

        Args:
            outputs: of the pictures.
            flipped_outputs: of the mirrored pictures, as the network gave them.

        Returns:
            The names and shapes of `outputs`.
        """
        self._require_statistics()
        permutation = self.skeleton.flip_permutation
        return merge_flip(outputs, flipped_outputs, permutation, self.resources, self.options)

    def merge_scales(self, outputs: Sequence[Tensors]) -> dict[str, Any]:
        """The mean of the outputs of several sizes of the same pictures.

        Args:
            outputs: for each size; the result has the grid and the pixels of the first.
        """
        self._require_statistics()
        return merge_scales(outputs, self.resources)

    def decode(self, outputs: Tensors) -> dict[str, Any]:
        """Outputs to candidates.

        Args:
            outputs: of the network or of `merge_flip`.

        Returns:
            `peaks_px` (batch, joints, candidates, 2), x before y, px of the view;
            `peak_centres_px`, the same of their cells; `peak_scores` (batch, joints, candidates),
            the highest first, 0 behind the last; `peak_count` (batch, joints), more than the
            candidates where some found no place; with `options.pairwise`, `peak_vectors_px`
            (batch, joints, candidates, joints - 1, 2), from the centres to the other joints.
            Without it there is one candidate of each joint.
        """
        self._require_statistics()
        return decode(outputs, self.resources, self.options)

    def group(self, candidates: Mapping[str, np.ndarray]) -> People:
        """The people of one picture, in pixels of the view, the surest first.

        Args:
            candidates: of `decode`, without the batch axis.

        Returns:
            A joint that was not found is (0, 0) with score 0. A person's score is the mean of the
            scores over all joints. Without `options.pairwise` there is one person.

        Raises:
            ValueError: as `check_grouping`.
        """
        if not self.options.pairwise:
            return grouping.take_single_person(candidates)
        self.check_grouping()
        models = LogisticModels(*(self.resources[part] for part in _MODEL_PARTS))
        return grouping.group(candidates, models, self._compared, self.options)
