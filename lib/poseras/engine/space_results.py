"""What a 3D test leaves behind: errors in millimetres and files of poses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..metrics import mpjpe
from ..skeleton import Skeleton
from ..structures import PersonRecords, SpaceColumns
from ..visualize_space import write_pose_page
from .tester import Predictions

#: People on the page; more make it slow to open.
_SHOWN = 1000


@dataclass(frozen=True)
class SpaceScores:
    """The errors of a test set in all their variants.

    Attributes:
        published: 17 joints, PA-MPJPE without scale, as in Moon's tables.
        with_scale: the same with a scale, as in most of the literature.
        fewer_joints: 14 joints, with a scale.
    """

    published: mpjpe.SpaceEvaluation
    with_scale: mpjpe.SpaceEvaluation
    fewer_joints: mpjpe.SpaceEvaluation

    @property
    def stats(self) -> dict[str, float]:
        """The numbers of the table; mm, and percent for 3DPCK and AUC."""
        fewer = self.fewer_joints.stats
        return {
            **self.published.stats,
            "PA-MPJPE with scale": self.with_scale.stats["PA-MPJPE"],
            **{f"{name} (14 joints)": fewer[name] for name in ("MPJPE", "3DPCK", "AUC")},
            "PA-MPJPE with scale (14 joints)": fewer["PA-MPJPE"],
        }

    def protocol(self) -> dict[str, Any]:
        """How the numbers came about, and those of each action."""
        return {
            "metric": "3D joint errors in mm, both poses moved to their root",
            "poses": len(self.published.errors_mm),
            "joints": list(self.published.names),
            "joints_of_14": list(self.fewer_joints.names),
            "pa_mpjpe": "aligned by a rotation and a shift fitted to all joints of the skeleton; "
            "where it says so, also by a scale",
            "3dpck_threshold_mm": mpjpe.PCK_MM,
            "per_action_mm": self._per_action(),
            "per_axis_mm": self.published.per_axis(),
        }

    def table(self) -> str:
        """The lines for the terminal."""
        stats = self.stats
        scaled = f"with a scale: PA-MPJPE {stats['PA-MPJPE with scale']:.1f}"
        fewer = (
            f"14 joints: MPJPE {stats['MPJPE (14 joints)']:.1f}, with a scale PA-MPJPE "
            f"{stats['PA-MPJPE with scale (14 joints)']:.1f}"
        )
        return f"{mpjpe.format_table(self.published)}\n{scaled}; {fewer}"

    def _per_action(self) -> dict[str, dict[str, float]]:
        errors = {}
        for title, aligned in (("MPJPE", False), ("PA-MPJPE", True)):
            values = self.published.per_action(aligned=aligned)
            errors[title] = {name: v for name, v in values.items() if not math.isnan(v)}
        return errors


def score_poses(
    records: PersonRecords,
    predictions: Predictions,
    skeleton: Skeleton,
    action_names: Mapping[int, str],
) -> SpaceScores | None:
    """Errors of the people that were found and whose joints are known in space.

    Args:
        records: the people.
        predictions: of the same rows.
        skeleton: of both.
        action_names: number to name, for a column per action.

    Returns:
        The errors; None where the system gives no depths or nobody is known in space.
    """
    known = find_known(records, predictions)
    if known is None:
        return None
    space, poses, rows = known

    def evaluate(variant: int, with_scale: bool) -> mpjpe.SpaceEvaluation:
        return mpjpe.evaluate_poses(
            poses[rows],
            space.joints_camera_mm[rows].astype(np.float64),
            skeleton.keypoints,
            valid=space.joints_valid[rows],
            variant=variant,
            with_scale=with_scale,
            actions=space.actions[rows],
            action_names=action_names,
        )

    return SpaceScores(evaluate(17, False), evaluate(17, True), evaluate(14, True))


def find_known(
    records: PersonRecords, predictions: Predictions
) -> tuple[SpaceColumns, np.ndarray, np.ndarray] | None:
    """Columns in space, poses in camera mm, and the rows that were found and are known in both.

    Returns:
        None where there are none.
    """
    space, poses = records.space, predictions.joints_camera_mm
    if space is None or poses is None:
        return None
    rows = np.flatnonzero(predictions.found & space.located & space.joints_valid.any(axis=1))
    return (space, poses, rows) if len(rows) else None


def pose_lines(poses_mm: np.ndarray) -> list[str]:
    """One line per pose (poses, joints, 3): numbers with three digits, each followed by a blank."""
    return ["".join(f"{value:.3f} " for value in pose.ravel()) for pose in poses_mm]


def write_poses(
    folder: Path,
    records: PersonRecords,
    predictions: Predictions,
    skeleton: Skeleton,
    scores: SpaceScores,
) -> Path:
    """Write `poses_3d.json`, a page that shows it, and the text files of Moon's program.

    Args:
        folder: gets `poses_3d.json`, `poses_3d.html` (of the first thousand), `eval_result.txt`,
            `pred_3d_kpt.txt`, `pred_3d_kpt_align.txt` and `gt_3d_kpt.txt`; in the latter three
            poses are root-relative, one line each.
        records: the people.
        predictions: of the same rows.
        skeleton: of both.
        scores: of `score_poses`.

    Returns:
        The path of `poses_3d.json`: `skeleton`, and for each of `people` image_id, annotation_id,
        joints_camera_mm, joints_true_mm and keypoints_px.

    Raises:
        ValueError: nobody is known in space.
    """
    known = find_known(records, predictions)
    if known is None:
        raise ValueError("Poses in space need people whose joints are known. Received none.")
    space, poses, rows = known
    path = folder / "poses_3d.json"
    people = [_describe(records, predictions, space, poses, int(row)) for row in rows]
    files.write_json_atomically(path, {"skeleton": skeleton.to_dict(), "people": people})
    page = write_pose_page(people[:_SHOWN], skeleton, title=f"Poses in space, {folder.name}")
    files.write_text_atomically(folder / "poses_3d.html", page)
    root = skeleton.index_of(mpjpe.ROOT)
    valid = space.joints_valid[rows]
    found, truth = (
        joints[rows].astype(np.float64) - joints[rows, root : root + 1]
        for joints in (poses, space.joints_camera_mm)
    )
    texts = {
        "pred_3d_kpt": found,
        "pred_3d_kpt_align": mpjpe.align_poses(found, truth, valid),
        "gt_3d_kpt": truth,
    }
    for name, values in texts.items():
        text = "".join(f"{line}\n" for line in pose_lines(values))
        files.write_text_atomically(folder / f"{name}.txt", text)
    text = mpjpe.format_original(scores.published)
    files.write_text_atomically(folder / "eval_result.txt", text)
    return path


def _describe(
    records: PersonRecords,
    predictions: Predictions,
    space: SpaceColumns,
    poses: np.ndarray,
    row: int,
) -> dict[str, Any]:
    truth = space.joints_camera_mm[row].astype(np.float64).round(3).tolist()
    return {
        "image_id": int(records.image_ids[row]),
        "annotation_id": int(records.annotation_ids[row]),
        "joints_camera_mm": poses[row].round(3).tolist(),
        "joints_true_mm": [
            joint if known else None
            for joint, known in zip(truth, space.joints_valid[row], strict=True)
        ],
        "keypoints_px": predictions.keypoints_px[row].round(3).tolist(),
    }
