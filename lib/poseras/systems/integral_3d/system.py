"""Integral regression's table of contents: what the engine, the tester and the demo call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ...codecs import integral
from ...metrics.mpjpe import ROOT
from ...skeleton import Skeleton
from . import losses, view_depth
from .model import build_model
from .options import Options

Tensors = Mapping[str, Any]


@dataclass(frozen=True)
class System:
    """One person per view, one volume per joint.

    Attributes:
        options: the hyper-parameters.
        skeleton: the joints, one volume each.
        resources: trained tables; this system needs none.

    Raises:
        ValueError: the skeleton lacks joints that the options ask for.
    """

    options: Options
    skeleton: Skeleton
    resources: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.options.depth_unit == "view":
            view_depth.find_bones(self.skeleton)

    @property
    def _box(self) -> dict[str, Any]:
        """What the codec must know of views and volumes; as deep as a view is wide in its unit."""
        options = self.options
        by_view = options.depth_unit == "view"
        return {
            "input_hw": options.input_shape,
            "volume_dhw": options.volume_dhw,
            "box_depth_mm": float(options.input_shape[1]) if by_view else options.box_mm[0],
        }

    def check_start(self, pretrained: bool) -> None:
        """Refuse a training whose outcome could not be measured.

        Args:
            pretrained: whether it begins with weights of a file; of no account here.

        Raises:
            ValueError: the skeleton has no joint that poses in space are compared at.
        """
        del pretrained
        if ROOT not in self.skeleton.keypoints:
            raise ValueError(
                f"Poses in space are compared at their {ROOT}. Received {self.skeleton.name} "
                "without one; choose a skeleton that has it, such as "
                "--set data.skeleton=Human36M/h36m_18 or Synthetic/h36m_18."
            )

    def build_model(self) -> keras.Model:
        """RGB pictures (batch, height, width, 3), 0..255, to the outputs of `compute_loss`."""
        return build_model(self.options, self.skeleton.joint_count)

    def encode(self, batch: Tensors) -> dict[str, Any]:
        """What the network should answer to a batch of views.

        Args:
            batch: `keypoints` (batch, 1, joints, 3): x px, y px in the view, visibility, and
                `view_scale` (batch,). In 3D also `joints_camera_mm` (batch, 1, joints, 3),
                `joints_valid` (batch, 1, joints) and `root_camera_mm` (batch, 1, 3), with
                depth_unit=view also `camera` and `image_to_network`; without them no depth is
                known.

        Returns:
            `coordinates` (batch, joints, 3), x, y, z in cells, and `weights` of the same shape,
            0 or 1, both float32.
        """
        keypoints = batch["keypoints"][:, 0]  # (batch, joints, 3)
        scale = batch["view_scale"]
        depths = known = keras.ops.zeros_like(keypoints[..., 2])
        if "joints_camera_mm" in batch:
            root_z = batch["root_camera_mm"][:, 0, 2]  # (batch,)
            depths = batch["joints_camera_mm"][:, 0, :, 2] - root_z[:, None]
            known = batch["joints_valid"][:, 0]
            if self.options.depth_unit == "view":
                depths, scale = view_depth.depths_in_view(batch), keras.ops.ones_like(scale)
        coordinates, weights = integral.encode_coordinates(
            keypoints,
            depths,
            known,
            scale,
            **self._box,
            outside_depth=self.options.outside_joints,
        )
        return {"coordinates": coordinates, "weights": weights}

    def compute_loss(self, targets: Tensors, outputs: Tensors) -> dict[str, Any]:
        """The loss of one device's batch.

        Args:
            targets: as `encode` gives them.
            outputs: `coordinates` (batch, joints, 3) and, with a loss of the volumes, `volumes`.

        Returns:
            `total`, and its parts `coordinates` and `volumes` where there are two; float32 scalars.
        """
        options, parts = self.options, {}
        if options.coordinate_weight:
            loss = self._coordinate_loss(targets, outputs["coordinates"])
            parts["coordinates"] = options.coordinate_weight * loss
        if options.volume_loss != "none" and options.volume_weight:
            loss = self._volume_loss(targets, outputs["volumes"])
            parts["volumes"] = options.volume_weight * loss
        total = sum(parts.values())
        return {"total": total, **parts} if len(parts) > 1 else {"total": total}

    def _coordinate_loss(self, targets: Tensors, coordinates: Any) -> Any:
        truth, weights = targets["coordinates"], targets["weights"]
        if self.options.coordinate_loss == "masked_l1":
            return losses.masked_l1(truth, coordinates, weights)
        size = keras.ops.convert_to_tensor(
            [float(cells) for cells in self.options.volume_dhw[::-1]], "float32"
        )
        squared = self.options.coordinate_loss == "sum_l2"
        return losses.summed_error(truth / size, coordinates / size, weights, squared=squared)

    def _volume_loss(self, targets: Tensors, volumes: Any) -> Any:
        options = self.options
        split = integral.split_volumes(volumes, options.depth_bins)
        truth, weights = targets["coordinates"], targets["weights"]
        if options.volume_loss == "gaussian":
            return losses.gaussian_volume_loss(split, truth, weights, options.volume_sigma)
        if options.volume_loss == "cross_entropy":
            return losses.cross_entropy_volume_loss(split, truth, weights)
        return losses.binary_volume_loss(split, truth, weights, options.volume_radius)

    def merge_flip(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, Any]:
        """The flip test: coordinates averaged with those of the mirrored views.

        Args:
            outputs: of the views.
            flipped_outputs: of the mirrored views, as the network gave them.

        Returns:
            The outputs with merged `coordinates` (batch, joints, 3); volumes stay those of the
            views.
        """
        merged = integral.merge_flipped_coordinates(
            outputs["coordinates"],
            flipped_outputs["coordinates"],
            self.skeleton.flip_permutation,
            map_width=self.options.volume_dhw[2],
            input_width=self.options.input_shape[1],
            alignment=self.options.flip_alignment,
        )
        return {**outputs, "coordinates": merged}

    def decode(self, outputs: Tensors) -> dict[str, Any]:
        """Cells to view pixels and millimetres.

        Args:
            outputs: `coordinates` (batch, joints, 3), x, y, z in cells.

        Returns:
            `keypoints_px` (batch, 1, joints, 2), x before y, in pixels of the view,
            `keypoint_scores` (batch, 1, joints), 1 for every joint, because a mean tells nothing
            of its own reliability, and `joints_depth_mm` (batch, 1, joints) behind the root, for a
            view of scale 1 or, with depth_unit=view, a person of usual size. All float32.
        """
        points, depths = integral.decode_coordinates(outputs["coordinates"], **self._box)
        if self.options.depth_unit == "view":
            pose = keras.ops.concatenate([points, depths[..., None]], axis=-1)
            bones, length = view_depth.find_bones(self.skeleton), self.options.bone_length_mm
            depths = view_depth.scale_to_bones(pose, bones, length)[..., 2]
        return {
            "keypoints_px": points[:, None],
            "keypoint_scores": keras.ops.ones_like(depths)[:, None],
            "joints_depth_mm": depths[:, None],
        }
