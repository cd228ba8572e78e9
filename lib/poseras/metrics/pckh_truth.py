"""The ground truth of PCKh: annotated people with the sizes of their heads.

It comes from MPII's own gt_valid.mat, whose pixels count from 1, or from a file in COCO format
whose rows carry head boxes.

Source: 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, Andriluka et al.,
CVPR 2014.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..matlab_files import read_matlab

#: Head size over the diagonal of the head box.
HEAD_FACTOR = 0.6

#: The names of gt_valid.mat.
MAT_NAMES = {
    "rank": "right_ankle",
    "rkne": "right_knee",
    "rhip": "right_hip",
    "lhip": "left_hip",
    "lkne": "left_knee",
    "lank": "left_ankle",
    "pelv": "pelvis",
    "thor": "thorax",
    "neck": "upper_neck",
    "head": "head_top",
    "rwri": "right_wrist",
    "relb": "right_elbow",
    "rsho": "right_shoulder",
    "lsho": "left_shoulder",
    "lelb": "left_elbow",
    "lwri": "left_wrist",
}


@dataclass(frozen=True)
class PckhTruth:
    """Annotated people with head sizes, column by column.

    Attributes:
        names: one canonical name per joint.
        keypoints_px: (people, joints, 2) float64, x px, y px.
        labelled: (people, joints) bool, False where a joint is not annotated.
        head_sizes_px: (people,) float64, 0.6 times the diagonal of the head box.
        ids: (people,) int64, annotation ids, or row numbers of gt_valid.mat.
        first_pixel: the coordinate of the first pixel in `keypoints_px`, 1 for MATLAB's files.
            Predictions count from 0 and are moved by it.
    """

    names: tuple[str, ...]
    keypoints_px: np.ndarray
    labelled: np.ndarray
    head_sizes_px: np.ndarray
    ids: np.ndarray
    first_pixel: float = 0.0

    def __post_init__(self) -> None:
        people, joints = len(self.ids), len(self.names)
        for name, shape in (
            ("keypoints_px", (people, joints, 2)),
            ("labelled", (people, joints)),
            ("head_sizes_px", (people,)),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} of the truth must have shape {shape}. "
                    f"Received {getattr(self, name).shape}."
                )
        if len(np.unique(self.ids)) != people:
            raise ValueError("Annotated people must have different ids. Received some id twice.")
        wrong = ~(np.isfinite(self.head_sizes_px) & (self.head_sizes_px > 0))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                "PCKh needs a head box with a positive size for each person. Received a size of "
                f"{self.head_sizes_px[row]:g} px in row {row} (id {self.ids[row]})."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> PckhTruth:
        """Some people, as indices or as a bool mask."""
        return replace(
            self,
            keypoints_px=self.keypoints_px[rows],
            labelled=self.labelled[rows],
            head_sizes_px=self.head_sizes_px[rows],
            ids=self.ids[rows],
        )

    @classmethod
    def from_mat(
        cls,
        joint_names: Sequence[str],
        positions: np.ndarray,
        missing: np.ndarray,
        head_boxes: np.ndarray,
    ) -> PckhTruth:
        """The columns of gt_valid.mat, as arrays.

        Args:
            joint_names: `dataset_joints`, rank, rkne, ...; canonical names are taken as well.
            positions: `pos_gt_src`, (joints, 2, people), x before y, 1-based pixels.
            missing: `jnt_missing`, (joints, people), not 0 where a joint is not annotated.
            head_boxes: `headboxes_src`, (2, 2, people): corner, x before y.

        Raises:
            ValueError: a shape does not fit, or a head box is empty.
        """
        joints, people = len(joint_names), np.shape(positions)[-1] if np.ndim(positions) else 0
        for name, values, shape in (
            ("pos_gt_src", positions, (joints, 2, people)),
            ("jnt_missing", missing, (joints, people)),
            ("headboxes_src", head_boxes, (2, 2, people)),
        ):
            if np.shape(values) != shape:
                raise ValueError(f"{name} must have shape {shape}. Received {np.shape(values)}.")
        boxes = np.asarray(head_boxes, np.float64)
        return cls(
            names=tuple(MAT_NAMES.get(name, name) for name in joint_names),
            keypoints_px=np.transpose(np.asarray(positions, np.float64), (2, 0, 1)),
            labelled=np.asarray(missing).T == 0,
            head_sizes_px=np.linalg.norm(boxes[1] - boxes[0], axis=0) * HEAD_FACTOR,
            ids=np.arange(people),
            first_pixel=1.0,
        )

    @classmethod
    def from_coco(
        cls,
        dataset: Mapping[str, Any],
        *,
        aliases: Mapping[str, str] | None = None,
        first_pixel: float = 0.0,
    ) -> PckhTruth:
        """The people of an annotation file in COCO format whose rows carry `bbox_head`.

        `bbox_head` is left, top, width, height in pixels, as PoseTrack has it. People without a
        labelled joint are left out, crowd rows too.

        Args:
            dataset: the parsed file.
            aliases: spelling of the file -> canonical keypoint name.
            first_pixel: what the file calls the first pixel, where predictions say 0. Leave it at
                0 for a network that was trained on these very numbers.

        Raises:
            ValueError: a row lacks its head box, or its keypoints do not fit the category's names.
        """
        category = next((c for c in dataset.get("categories", ()) if "keypoints" in c), None)
        if category is None:
            raise ValueError("PCKh needs a category that names its keypoints. Received none.")
        names = tuple((aliases or {}).get(name, name) for name in category["keypoints"])
        rows = [
            row
            for row in dataset.get("annotations", ())
            if not row.get("iscrowd", 0)
            and any(flag > 0 for flag in row.get("keypoints", ())[2::3])
        ]
        keypoints = _read_lists(rows, "keypoints", 3 * len(names)).reshape(-1, len(names), 3)
        head_boxes_xywh = _read_lists(rows, "bbox_head", 4)
        return cls(
            names=names,
            keypoints_px=keypoints[..., :2],
            labelled=keypoints[..., 2] > 0,
            head_sizes_px=np.linalg.norm(head_boxes_xywh[:, 2:], axis=1) * HEAD_FACTOR,
            ids=np.array([row["id"] for row in rows], np.int64),
            first_pixel=first_pixel,
        )


def read_gt_valid(path: str | Path) -> PckhTruth:
    """Read `gt_valid.mat`, the ground truth of MPII's validation list for PCKh.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No PCKh ground truth at {path}. It is MPII's gt_valid.mat.")
    try:
        content = read_matlab(path)
    except ValueError as error:
        raise ValueError(f"{path} must be a MATLAB file of version 4 to 7.2: {error}.") from None
    wanted = ("dataset_joints", "pos_gt_src", "jnt_missing", "headboxes_src")
    lacking = [name for name in wanted if name not in content]
    if lacking:
        raise ValueError(
            f"{path} must hold {', '.join(wanted)}. It has no {', '.join(lacking)}; is it MPII's "
            "gt_valid.mat?"
        )
    joints = [str(np.ravel(name)[0]) for name in np.ravel(content["dataset_joints"])]
    return PckhTruth.from_mat(joints, *(content[name] for name in wanted[1:]))


def _read_lists(rows: Sequence[Mapping[str, Any]], key: str, width: int) -> np.ndarray:
    """Lists of one key as (rows, width) float64."""
    odd = next((row for row in rows if len(row.get(key, ())) != width), None)
    if odd is not None:
        raise ValueError(
            f"PCKh needs {key!r} with {width} numbers in each annotation. Annotation "
            f"{odd.get('id')} has {odd.get(key)!r}."
        )
    return np.array([row[key] for row in rows], np.float64).reshape(len(rows), width)
