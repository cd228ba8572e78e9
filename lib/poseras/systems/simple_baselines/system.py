"""Simple Baselines' table of contents: what the engine, the tester and the demo call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ...skeleton import Skeleton
from .inference import decode, merge_flip
from .model import build_model, number_layers
from .options import Options
from .targets import compute_loss, encode, measure

Tensors = Mapping[str, Any]


@dataclass(frozen=True)
class System:
    """One person per view; one heatmap, or one vector for each axis, per joint.

    Attributes:
        options: the hyper-parameters. Their codec decides the names of outputs and targets:
            `heatmaps` (batch, heatmap height, heatmap width, joints), with `udp_discs` also
            `offsets` (batch, heatmap height, heatmap width, joints, 2), with `simcc` instead `x`
            and `y` (batch, joints, bins).
        skeleton: the joints.
        resources: trained tables; this system needs none.
    """

    options: Options
    skeleton: Skeleton
    resources: Mapping[str, np.ndarray] = field(default_factory=dict)

    def build_model(self) -> keras.Model:
        """RGB pictures (batch, height, width, 3), 0..255, to the outputs of `compute_loss`."""
        return build_model(self.options, self.skeleton.joint_count)

    def number_layers(self, model: keras.Model) -> dict[str, int]:
        """Path of each variable to its layer from the input, for `train.layer_decay`."""
        return number_layers(model, self.options)

    def encode(self, batch: Tensors) -> dict[str, Any]:
        """What the network should answer to a batch of views.

        Args:
            batch: `keypoints` (batch, 1, joints, 3): x px, y px in the view, visibility. A joint of
                visibility 0 is not learned.

        Returns:
            The codec's targets and `weights` (batch, joints), 0 or 1, all float32.
        """
        return encode(batch["keypoints"][:, 0], self.options)  # (batch, joints, 3)

    def compute_loss(self, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """The loss of one device's batch: `total`, a float32 scalar."""
        return {"total": compute_loss(targets, outputs, self.options)}

    def measure(self, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """Scalars that the log of a training shows beside the loss: `accuracy` of heatmaps."""
        return measure(targets, outputs, self.options)

    def merge_flip(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, Any]:
        """The flip test: outputs averaged with those of the mirrored views.

        Args:
            outputs: of the views.
            flipped_outputs: of the mirrored views, as the network gave them.

        Returns:
            The names and shapes of `outputs`.
        """
        permutation = self.skeleton.flip_permutation
        return merge_flip(outputs, flipped_outputs, permutation, self.options)

    def decode(self, outputs: Tensors) -> dict[str, Any]:
        """Outputs to coordinates.

        Args:
            outputs: of the network or of `merge_flip`.

        Returns:
            `keypoints_px` (batch, 1, joints, 2), x before y, in pixels of the view, and
            `keypoint_scores` (batch, 1, joints): of a heatmap the height of its peak as a share of
            the target peak, of vectors the lower of their two peaks. Both float32; NaN where the
            outputs hold a NaN.
        """
        points, scores = decode(outputs, self.options)
        return {"keypoints_px": points[:, None], "keypoint_scores": scores[:, None]}
