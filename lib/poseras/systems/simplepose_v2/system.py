"""SimplePose V2's table of contents: what the engine, the tester and the demo call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from ...skeleton import Skeleton
from ...structures import People
from .grouping import collect_limbs, group_limbs, select_poses
from .inference import decode, merge_flip, merge_scales
from .limbs import Pairs, check_joined, choose_limbs
from .losses import compute_loss
from .model import build_model
from .options import PARTS, Options
from .targets import encode

Tensors = Mapping[str, Any]

log = logging.getLogger("poseras")

_SORT_COLUMNS = {"keypoints": 2, "limbs": 4}


@dataclass(frozen=True)
class System:
    """Whole pictures; one heatmap per joint and one map of vectors per limb.

    Attributes:
        options: the hyper-parameters. Outputs of stack s are `heatmaps.s` (batch, height, width,
            joints), `offsets.s` (batch, height, width, limbs, 2) px and, where the options ask for
            them, `background.s` (..., 1), `jitter.s` (..., 2), `spread.s` (..., limbs) and
            `scales.s` (..., joints); height and width are a quarter of the picture's.
        skeleton: the joints.
        resources: trained tables; this system needs none.
    """

    options: Options
    skeleton: Skeleton
    resources: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def limbs(self) -> Pairs:
        """Pairs of joints along which offsets are learned, in the order of their channels."""
        return choose_limbs(self.skeleton, self.options.limbs)

    def check_start(self, pretrained: bool) -> None:
        """Refuse a training whose people could not be put together.

        Args:
            pretrained: whether it begins with weights of a file; of no account here.

        Raises:
            ValueError: the limbs do not join all joints.
        """
        del pretrained
        check_joined(self.skeleton, self.options.limbs)

    def check_grouping(self) -> None:
        """Tell where a network that is there already finds people in parts."""
        try:
            check_joined(self.skeleton, self.options.limbs)
        except ValueError as error:
            log.warning("%s", error)

    def build_model(self) -> keras.Model:
        """RGB pictures (batch, height, width, 3), 0..255, of any size that the backbone can halve.

        The outputs are those of the class, all float32.
        """
        return build_model(self.options, self.skeleton.joint_count, len(self.limbs))

    def encode(self, batch: Tensors) -> dict[str, Any]:
        """What the network should answer to a batch of pictures; see `targets.encode`.

        Args:
            batch: `keypoints` (batch, people, joints, 3): x px, y px in the view, visibility;
                `boxes_xywh` (batch, people, 4) px of the original picture; `image_to_network`
                (batch, 2, 3); `ignore_mask` (batch, height, width) bool.
        """
        return encode(batch, self.limbs, self.skeleton.oks_sigmas, self.options)

    def perfect_outputs(self, targets: Tensors) -> dict[str, Any]:
        """The outputs of a network that answers with the targets; what is unknown is 0."""
        parts = [part for part in PARTS if part in targets]
        return {f"{part}.{s}": targets[part] for part in parts for s in range(self.options.stacks)}

    def compute_loss(self, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """The loss of one device's batch: its weighted parts and `total`, float32 scalars."""
        return compute_loss(targets, outputs, self.options)

    def merge_flip(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, Any]:
        """The flip test: outputs averaged with those of the mirrored pictures.

        Args:
            outputs: of the pictures.
            flipped_outputs: of the mirrored pictures, as the network gave them.

        Returns:
            The names and shapes of `outputs`; see `inference.merge_flip`.
        """
        permutation = self.skeleton.flip_permutation
        return merge_flip(outputs, flipped_outputs, permutation, self.limbs, self.options)

    def merge_scales(self, outputs: Sequence[Tensors]) -> dict[str, Any]:
        """The mean of the outputs of several sizes of the same pictures.

        Args:
            outputs: for each size; the result has the grid and the pixels of the first.
        """
        return merge_scales(outputs, self.options)

    def decode(self, outputs: Tensors) -> dict[str, Any]:
        """Outputs to candidates, of the stack `feature_stage`.

        Args:
            outputs: of the network or of `merge_flip`.

        Returns:
            `peaks_px` (batch, joints, candidates, 2), x before y, px of the view; `peak_scores`,
            the highest first, 0 beyond the last one, NaN where the map holds a NaN;
            `peak_scales_px` and `peak_ids`, equal numbers for the same peak, of the same shape but
            the last axis; `peak_count` (batch, joints), of all peaks above the threshold, also
            those that found no place; `limb_ends`, `limb_distances_px` and `limb_scores` (batch,
            limbs, candidates), see `codecs.guiding_offset.pair_limbs`.
        """
        return decode(outputs, self.limbs, self.options)

    def group(self, candidates: Mapping[str, np.ndarray]) -> People:
        """The people of one picture, in pixels of the view, the surest first.

        Nobody has fewer than two joints: a joint without a limb is never reported.

        Args:
            candidates: of `decode`, without the batch axis.

        Returns:
            A joint that was not found is (0, 0) with score 0. A person's score is the mean of the
            scores over all joints (kept: published scores rank by it, while `person_threshold` and
            the order use the mean over those found).
        """
        options = self.options
        poses = group_limbs(
            collect_limbs(candidates, self.limbs),
            self.limbs,
            self.skeleton.joint_count,
            max_distance_px=options.max_distance,
            use_scale=options.use_scale,
            strict=options.grouping == "strict",
        )
        chosen = select_poses(poses, options.person_threshold, _SORT_COLUMNS[options.sort_by])
        scores = chosen.values[..., 2].astype(np.float64)
        return People(
            keypoints_px=chosen.values[..., :2].astype(np.float64),
            keypoint_scores=scores,
            person_scores=scores.mean(axis=1),
        )
