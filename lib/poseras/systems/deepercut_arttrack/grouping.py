"""From the candidates of one picture to people: who belongs together is a multicut. NumPy."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ...codecs.pairwise_models import (
    Detections,
    LogisticModels,
    link_detections,
    probability_cost,
)
from ...ops.multicut import solve_multicut
from ...skeleton import Skeleton
from ...structures import People
from .options import COCO_GRAPH, Options

log = logging.getLogger("poseras")

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


def list_graph(options: Options, skeleton: Skeleton) -> list[tuple[int, int]]:
    """The pairs of joints a < b of `options.sparse_graph`, each once, in rising order.

    Raises:
        ValueError: a joint is not one of the skeleton's, or a pair is of one joint alone.
    """
    joints, graph = skeleton.joint_count, options.sparse_graph
    if graph == "all":
        return [(a, b) for a in range(joints) for b in range(a + 1, joints)]
    if isinstance(graph, str):
        return sorted(COCO_GRAPH)
    pairs = [sorted(_number_joint(joint, skeleton) for joint in pair) for pair in graph]
    if any(a == b for a, b in pairs):
        raise ValueError(
            "options.sparse_graph must hold pairs of two joints; candidates of one joint are "
            f"compared anyway. Received {next(list(pair) for pair in pairs if pair[0] == pair[1])}."
        )
    return sorted({(a, b) for a, b in pairs})


def _number_joint(joint: int | str, skeleton: Skeleton) -> int:
    names = skeleton.keypoints
    if joint in names:
        return names.index(str(joint))
    if isinstance(joint, int) and 0 <= joint < len(names):
        return joint
    nearest = difflib.get_close_matches(str(joint), names, n=1)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Its joints are {', '.join(names)}."
    raise ValueError(
        f"options.sparse_graph must name joints of {skeleton.name}, or number them from 0 to "
        f"{len(names) - 1}. Received {joint!r}. {hint}"
    )


def choose_compared(
    graph: Sequence[tuple[int, int]], model_pairs: np.ndarray, skeleton: Skeleton
) -> list[tuple[int, int]]:
    """The pairs of the graph that are compared: those that have a logistic model.

    The log names the others, and the joints that no pair links with the largest set of joints that
    are linked. A missing pair tells nothing for or against one person, as in the graph; so it is
    left out, and does not stop a test in the middle.

    Args:
        graph: of `list_graph`.
        model_pairs: (models, 2).
        skeleton: names the joints.
    """
    known = {(a, b) for a, b in model_pairs.tolist()}
    compared = [pair for pair in graph if pair in known]
    names = skeleton.keypoints
    missing = [f"{names[a]} and {names[b]}" for a, b in graph if (a, b) not in known]
    if missing:
        log.warning(
            "No logistic model of %d of %d pairs of joints, which are not compared: %s. They are "
            "trained on pictures that show both joints: tool/pairwise_stats.py with more.",
            *(len(missing), len(graph), ", ".join(missing)),
        )
    apart = _find_unlinked(compared, skeleton.joint_count)
    if compared and apart:
        log.warning(
            "No compared pair links %s with the other joints: what is found of them becomes people "
            "of their own. options.sparse_graph chooses the pairs.",
            ", ".join(names[joint] for joint in apart),
        )
    return compared


def _find_unlinked(pairs: Sequence[tuple[int, int]], joints: int) -> list[int]:
    """The joints outside the largest set that pairs link, directly or by way of others."""
    sets = [{joint} for joint in range(joints)]
    for a, b in pairs:
        if sets[a] is not sets[b]:
            joined = sets[a] | sets[b]
            for joint in joined:
                sets[joint] = joined
    largest = max(sets, key=len)
    return [joint for joint in range(joints) if joint not in largest]


def group(
    candidates: Arrays,
    models: LogisticModels,
    compared: Sequence[tuple[int, int]],
    options: Options,
) -> People:
    """The people of one picture, the surest first; see `System.group`.

    Args:
        candidates: of `decode`, without the batch axis.
        models: of the pairs that are compared.
        compared: these pairs, of `choose_compared`.
        options: of the system.
    """
    joints = candidates["peak_scores"].shape[0]
    detections = list_detections(candidates)
    edges, probabilities = link_detections(
        detections, models, joints, compared, options.same_joint_px
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
