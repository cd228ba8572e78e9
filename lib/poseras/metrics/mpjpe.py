"""Errors of 3D poses in millimetres: MPJPE, PA-MPJPE, 3DPCK, AUC, per action and together.

Poses are compared after both were moved to their own root. The two protocols of Human3.6M differ
in subjects and in the measure (1: PA-MPJPE, test on subject 11; 2: MPJPE, on 9 and 11); Moon's
program calls PA-MPJPE "Protocol #1" and MPJPE "Protocol #2" whatever the subjects are, and other
authors use the two numbers the other way round. So measures are named here, not numbered.

Source: Human3.6M, Ionescu et al., TPAMI 2014; 3DPCK and AUC: Mehta et al., 3DV 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: The joint that poses are moved to before they are compared.
ROOT = "pelvis"
#: 3DPCK counts joints within this distance; AUC averages over 0, 5, ... up to it.
PCK_MM = 150.0
AUC_THRESHOLDS_MM = np.arange(0.0, PCK_MM + 1, 5.0)

#: Which joints of a skeleton an error is the mean of.
JOINT_VARIANTS: dict[int, tuple[str, ...]] = {
    17: (
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "torso", "upper_neck", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    14: (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist", "upper_neck", "head_top",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Similarity:
    """Motions a -> scale * R a + t, one per pose.

    Attributes:
        rotation: (..., 3, 3), never a reflection.
        translation: (..., 3).
        scale: (...), 1 where none was fitted.
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """(..., points, 3) moved."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def fit_similarity(
    points: np.ndarray,
    targets: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    with_scale: bool = False,
) -> Similarity:
    """The motion that brings points nearest to targets, in the sense of least squares.

    Args:
        points: (..., points, 3).
        targets: the same.
        valid: (..., points) bool, which of them count; None is all. A motion without any means
            nothing.
        with_scale: also fit a factor, as most of the literature does; Moon's tables do not.

    Source: Umeyama, TPAMI 1991.
    """
    points, targets = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    counted = np.ones(points.shape[:-1], bool) if valid is None else valid
    centre, spread = _centre(points, counted)
    target_centre, target_spread = _centre(targets, counted)
    covariance = np.swapaxes(spread, -1, -2) @ target_spread
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    signs = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    rotation = np.swapaxes(vt, -1, -2) @ (signs[..., None] * np.swapaxes(u, -1, -2))
    scale = np.ones(sign.shape)
    if with_scale:
        total = (spread**2).sum(axis=(-2, -1))
        scale = (singular * signs).sum(axis=-1) / np.maximum(total, 1e-12)
    moved = np.einsum("...ij,...j->...i", rotation, centre)
    return Similarity(rotation, target_centre - scale[..., None] * moved, scale)


def _centre(points: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (..., 3) of the points that count, and what separates them from it, 0 for others."""
    here = counted[..., None]
    total = np.where(here, points, 0.0).sum(axis=-2)
    centre = total / np.maximum(here.sum(axis=-2), 1)
    return centre, np.where(here, points - centre[..., None, :], 0.0)


@dataclass(frozen=True)
class SpaceEvaluation:
    """Errors of a test set.

    Attributes:
        names: of the joints that count.
        errors_mm: (poses, joints) distances after root alignment; NaN where the truth is unknown.
        aligned_errors_mm: the same after a motion, with or without scale.
        axis_errors_mm: (poses, joints, 3) how far apart along x, y and z after root alignment.
        actions: (poses,) number of the action, -1 if unknown.
        action_names: number to name, in the order of tables.
        with_scale: whether the motion of the aligned errors has a scale.
    """

    names: tuple[str, ...]
    errors_mm: np.ndarray
    aligned_errors_mm: np.ndarray
    axis_errors_mm: np.ndarray
    actions: np.ndarray
    action_names: Mapping[int, str]
    with_scale: bool

    @property
    def stats(self) -> dict[str, float]:
        """MPJPE and PA-MPJPE in mm, 3DPCK and AUC in percent, over all joints of all poses."""
        return {
            "MPJPE": _mean(self.errors_mm),
            "PA-MPJPE": _mean(self.aligned_errors_mm),
            "3DPCK": measure_pck(self.errors_mm),
            "AUC": measure_auc(self.errors_mm),
        }

    def per_action(self, *, aligned: bool = False) -> dict[str, float]:
        """The mean error of each action in mm, NaN for an action without poses."""
        errors = self.aligned_errors_mm if aligned else self.errors_mm
        return {
            name: _mean(errors[self.actions == number])
            for number, name in self.action_names.items()
        }

    def per_joint(self, *, aligned: bool = False) -> dict[str, float]:
        """The mean error of each joint in mm."""
        errors = self.aligned_errors_mm if aligned else self.errors_mm
        return {name: _mean(errors[:, joint]) for joint, name in enumerate(self.names)}

    def per_axis(self) -> dict[str, float]:
        """The mean error along each axis of the camera in mm; z is depth."""
        return {axis: _mean(self.axis_errors_mm[..., i]) for i, axis in enumerate("xyz")}


def evaluate_poses(
    predictions_mm: np.ndarray,
    truth_mm: np.ndarray,
    names: Sequence[str],
    *,
    root: str = ROOT,
    valid: np.ndarray | None = None,
    variant: int = 17,
    with_scale: bool = False,
    root_again: bool = False,
    actions: np.ndarray | None = None,
    action_names: Mapping[int, str] | None = None,
) -> SpaceEvaluation:
    """Compare 3D poses with their truth.

    Args:
        predictions_mm: (poses, joints, 3) in any place.
        truth_mm: the same.
        names: of the joints, canonical.
        root: the joint that both are moved by.
        valid: (poses, joints) bool, False where the truth is unknown; such joints count nowhere.
        variant: 17 or 14 joints count, those of them that the skeleton has. The aligning motion is
            fitted to all joints of the skeleton, as in Moon's program.
        with_scale: of the aligning motion.
        root_again: align first and then move both to the root, as the authors' program does.
        actions: (poses,) numbers.
        action_names: number to name.

    Raises:
        ValueError: shapes that do not fit, an unknown variant, or no root.
    """
    predictions, truth = np.asarray(predictions_mm, float), np.asarray(truth_mm, float)
    _check(predictions, truth, names, root, variant)
    at = list(names).index(root)
    known = np.ones(truth.shape[:2], bool) if valid is None else np.asarray(valid, bool)
    moved, centred = (pose - pose[:, at : at + 1] for pose in (predictions, truth))
    aligned = align_poses(moved, centred, known, with_scale=with_scale)
    if root_again:
        aligned = aligned - aligned[:, at : at + 1]
    joints = [names.index(name) for name in JOINT_VARIANTS[variant] if name in names]
    known = known & known[:, at : at + 1]

    def differ(poses: np.ndarray) -> np.ndarray:
        return np.where(known[..., None], poses - centred, np.nan)[:, joints]

    return SpaceEvaluation(
        names=tuple(names[joint] for joint in joints),
        errors_mm=np.linalg.norm(differ(moved), axis=-1),
        aligned_errors_mm=np.linalg.norm(differ(aligned), axis=-1),
        axis_errors_mm=np.abs(differ(moved)),
        actions=np.full(len(truth), -1) if actions is None else np.asarray(actions),
        action_names=dict(action_names or {}),
        with_scale=with_scale,
    )


def align_poses(
    poses: np.ndarray, truth: np.ndarray, valid: np.ndarray, *, with_scale: bool = False
) -> np.ndarray:
    """Poses (poses, joints, 3) moved onto their truth, each by its valid joints (poses, joints)."""
    aligned = fit_similarity(poses, truth, valid, with_scale=with_scale).apply(poses)
    return np.where(np.any(valid, axis=1, keepdims=True)[..., None], aligned, poses)


def measure_pck(errors_mm: np.ndarray, threshold_mm: float = PCK_MM) -> float:
    """Percent of the known joints whose error is at most the threshold; NaN without any."""
    known = ~np.isnan(errors_mm)
    return float(100 * (errors_mm[known] <= threshold_mm).mean()) if known.any() else float("nan")


def measure_auc(errors_mm: np.ndarray) -> float:
    """The mean of 3DPCK over thresholds of 0, 5, ..., 150 mm, in percent."""
    return float(np.mean([measure_pck(errors_mm, limit) for limit in AUC_THRESHOLDS_MM]))


def measure_mean_pose(truth_mm: np.ndarray, reference_mm: np.ndarray, root: int) -> float:
    """MPJPE of answering the mean pose of some reference people every time: the least to beat.

    Args:
        truth_mm: (poses, joints, 3).
        reference_mm: (people, joints, 3).
        root: index of the joint that all are moved by.
    """
    answers = answer_mean_pose(truth_mm, reference_mm, root)
    return float(np.linalg.norm(truth_mm - answers, axis=-1).mean())


def answer_mean_pose(truth_mm: np.ndarray, reference_mm: np.ndarray, root: int) -> np.ndarray:
    """(poses, joints, 3): the mean pose of the reference people, at the true root of each pose.

    Args:
        truth_mm: as `measure_mean_pose`, as are the next two.
        reference_mm: see there.
        root: see there.
    """
    mean = (reference_mm - reference_mm[:, root : root + 1]).mean(axis=0)
    return truth_mm[:, root : root + 1] + mean


def _mean(errors_mm: np.ndarray) -> float:
    known = errors_mm[~np.isnan(errors_mm)]
    return float(known.mean()) if known.size else float("nan")


def _check(
    predictions: np.ndarray, truth: np.ndarray, names: Sequence[str], root: str, variant: int
) -> None:
    if predictions.shape != truth.shape or truth.shape[1:] != (len(names), 3):
        raise ValueError(
            f"predictions_mm and truth_mm must have shape (poses, {len(names)}, 3). "
            f"Received {predictions.shape} and {truth.shape}."
        )
    if root not in names:
        raise ValueError(
            f"3D poses are compared at their root {root}. Received the joints {', '.join(names)}; "
            "choose a skeleton that has it, such as Human36M/h36m_18."
        )
    if variant not in JOINT_VARIANTS:
        raise ValueError(f"variant must be one of {tuple(JOINT_VARIANTS)}. Received {variant}.")


def format_original(evaluation: SpaceEvaluation) -> str:
    """The text of Moon's `eval_result.txt`, his numbering of the measures included.

    An action without poses is n/a, where the original ends with an error.
    """
    stats = evaluation.stats
    lines = [
        f"Protocol #1 error (PA MPJPE) >> {stats['PA-MPJPE']:.2f}",
        f"Protocol #2 error (MPJPE) >> {stats['MPJPE']:.2f}",
    ]
    for title, aligned in (("#1 error (PA MPJPE)", True), ("#2 error (MPJPE)", False)):
        lines.append(f"Protocol {title} for each action: ")
        for name, error in evaluation.per_action(aligned=aligned).items():
            lines.append(f"{name}: {'n/a' if np.isnan(error) else format(error, '.2f')}")
        lines.append("")
    return "\n".join(lines) + "\n"


#: Heads of the published tables, by action.
SHORT_NAMES = {
    "Directions": "Dir", "Discussion": "Dis", "Eating": "Eat", "Greeting": "Gre",
    "Phoning": "Phon", "Posing": "Pose", "Purchases": "Pur", "Sitting": "Sit",
    "SittingDown": "SitD", "Smoking": "Smo", "Photo": "Phot", "Waiting": "Wait",
    "Walking": "Walk", "WalkDog": "WalkD", "WalkTogether": "WalkP",
}  # fmt: skip


def format_table(evaluation: SpaceEvaluation) -> str:
    """Both measures per action, laid out as in Moon's README, and 3DPCK and AUC below."""
    stats = evaluation.stats
    aligned = "PA-MPJPE with scale" if evaluation.with_scale else "PA-MPJPE"
    rows = [("", *(SHORT_NAMES.get(n, n) for n in evaluation.action_names.values()), "Avg")]
    for title, key, is_aligned in ((aligned, "PA-MPJPE", True), ("MPJPE", "MPJPE", False)):
        errors = [*evaluation.per_action(aligned=is_aligned).values(), stats[key]]
        rows.append((title, *("n/a" if np.isnan(e) else f"{e:.1f}" for e in errors)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]
    joints = len(evaluation.names)
    lines.append(
        f"mm, {joints} joints; 3DPCK@150mm {stats['3DPCK']:.1f} %, AUC {stats['AUC']:.1f} %"
    )
    return "\n".join(lines)
