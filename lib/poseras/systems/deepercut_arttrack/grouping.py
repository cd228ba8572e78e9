"""From the candidates of one picture to people: who belongs together is a multicut. NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...codecs.pairwise_models import (
    Detections,
    LogisticModels,
    link_detections,
    probability_cost,
)
from ...ops.multicut import solve_multicut
from ...structures import People
from .options import COCO_GRAPH, Options

Arrays = Mapping[str, np.ndarray]


def take_single_person(candidates: Arrays) -> People:
    """One person of the best candidate of each joint."""
    scores = candidates["peak_scores"][:, 0].astype(np.float64)
    return People(
        keypoints_px=candidates["peaks_px"][None, :, 0].astype(np.float64),
        keypoint_scores=scores[None],
        person_scores=scores.mean(keepdims=True),
    )


def list_detections(candidates: Arrays) -> Detections:
    """The candidates, joint by joint, the best of each first.

    Args:
        candidates: of `decode`, without the batch axis.
    """
    joints, room = candidates["peak_scores"].shape
    real = np.arange(room) < candidates["peak_count"][:, None]  # (joints, room)
    joint, _ = np.nonzero(real)
    vectors = np.zeros((len(joint), joints, 2))
    others = np.arange(joints) != joint[:, None]  # (detections, joints)
    vectors[others] = candidates["peak_vectors_px"][real].reshape(-1, 2)
    return Detections(
        joints=joint,
        points_px=candidates["peaks_px"][real].astype(np.float64),
        centres_px=candidates["peak_centres_px"][real].astype(np.float64),
        vectors_px=vectors,
        scores=candidates["peak_scores"][real].astype(np.float64),
    )


def group(candidates: Arrays, models: LogisticModels, options: Options) -> People:
    """The people of one picture, the surest first; see `System.group`."""
    joints = candidates["peak_scores"].shape[0]
    detections = list_detections(candidates)
    sparse = COCO_GRAPH if options.sparse_graph == "coco_40" else ()
    edges, probabilities = link_detections(
        detections, models, joints, sparse, options.same_joint_px
    )
    solution = solve_multicut(
        probability_cost(detections.scores),
        edges,
        probability_cost(probabilities),
        solver=options.solver,
        max_work=options.max_work or None,
        time_limit_s=options.time_limit_s,
    )
    kept = np.ones(len(detections), bool) if options.keep_suppressed else solution.active
    return gather_people(detections, kept, solution.cluster, joints, options.min_joints)


def gather_people(
    detections: Detections,
    kept: np.ndarray,
    cluster: np.ndarray,
    joints: int,
    min_joints: int = 1,
) -> People:
    """Clusters to people.

    A joint stands at the mean of its detections, weighted by their scores, and has the best score
    of them. A person's score is the mean over all joints.

    Args:
        detections: of one picture.
        kept: (detections,) bool.
        cluster: (detections,).
        joints: of the skeleton.
        min_joints: people with fewer are left out.
    """
    numbers, person = np.unique(cluster[kept], return_inverse=True)
    joint, scores = detections.joints[kept], detections.scores[kept]
    place = (person, joint)
    sums = np.zeros((len(numbers), joints, 2))
    weights, best = np.zeros(sums.shape[:2]), np.zeros(sums.shape[:2])
    np.add.at(sums, place, detections.points_px[kept] * scores[:, None])
    np.add.at(weights, place, scores)
    np.maximum.at(best, place, scores)
    found = weights > 0
    points = np.where(found[..., None], sums / np.where(found, weights, 1.0)[..., None], 0.0)
    order = np.argsort(-best.mean(axis=1), kind="stable")
    order = order[found[order].sum(axis=1) >= min_joints]
    return People(points[order], best[order], best.mean(axis=1)[order])
