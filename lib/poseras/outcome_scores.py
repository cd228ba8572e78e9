"""The scores of people found, by the protocol of their data set."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .data.dataset import MAT_SUFFIX
from .data.evaluation_set import EvaluationSet
from .data.mat_annotations import read_head_size
from .data.mpii_annotations import read_head_sizes
from .data.posetrack_release import name_keypoints
from .engine import (
    ai_challenger_results,
    crowdpose_results,
    mpii_results,
    pck_results,
    posetrack_results,
    results,
)
from .metrics.coco import Evaluator, Scores
from .skeleton import Skeleton, reindex_joints, take_joints
from .structures import People

log = logging.getLogger("poseras")

_FAR_PX = -1e6


def score_people(
    people: Mapping[int, People], test: EvaluationSet, skeleton: Skeleton, evaluator: Evaluator
) -> tuple[Scores | None, dict[str, Any]]:
    """The scores by the protocol of the data set, and what else its protocol must say.

    Where nobody is found they are those of an empty result, and the log says so.
    """
    dataset = test.files.dataset
    if not any(map(len, people.values())):
        log.warning("Nobody was found on any picture, so everybody annotated is missed.")
        if dataset.evaluation in ("coco", "crowdpose"):
            people = _find_nobody(test, skeleton)
    if dataset.evaluation == "coco":
        sigmas = sigmas_for(skeleton, dataset.skeleton)
        return results.score_people(people, test.table, sigmas, evaluator), {}
    if dataset.evaluation == "crowdpose":
        _tell_lacking_joints(skeleton, dataset.skeleton, "they count as missed")
        order = dataset.skeleton
        ordered = {i: results.reorder_people(p, skeleton, order) for i, p in people.items()}
        file = (test.files.annotations, order.oks_sigmas)
        return crowdpose_results.score_people(ordered, *file, test.scored_images), {}
    if dataset.evaluation == "posetrack" and test.sequences is not None:
        order = sequence_skeleton(test)
        _tell_lacking_joints(skeleton, order, "they are left out and count as missed")
        return posetrack_results.score_people(people, test.sequences, skeleton, order), {}
    if dataset.evaluation == "mpii" and test.files.detections is None:
        _tell_lacking_joints(skeleton, dataset.skeleton, "scores count the joints that both have")
        heads = read_head_sizes(test.files.annotations, dataset.aliases)
        sizes = dict(zip(heads.ids.tolist(), heads.sizes_px.tolist(), strict=True))
        scores = mpii_results.score_people(people, test.table, sizes)
        return scores, {"head_size": heads.origin}
    if dataset.evaluation == "ai_challenger":
        return _score_ai_challenger(people, test, skeleton), {}
    if dataset.evaluation == "pck":
        path = test.files.annotations
        head = read_head_size(path) if path.suffix == MAT_SUFFIX else None
        return pck_results.score_people(people, test.table, head), {"head_size_px": head}
    return None, {}


def _find_nobody(test: EvaluationSet, skeleton: Skeleton) -> dict[int, People]:
    """One person far from all pictures, who costs nothing: COCO's tools take no empty list."""
    ids = test.table.images.ids if test.scored_images is None else test.scored_images
    joints = skeleton.joint_count
    stray = People(np.full((1, joints, 2), _FAR_PX), np.ones((1, joints)), np.zeros(1))
    return {int(ids[0]): stray}


def _score_ai_challenger(
    people: Mapping[int, People], test: EvaluationSet, skeleton: Skeleton
) -> Scores:
    """The challenge's score; joints come into its order, those that the network lacks are lost."""
    order = test.files.dataset.skeleton
    _tell_lacking_joints(skeleton, order, "they do not count")
    ordered = {i: results.reorder_people(p, skeleton, order) for i, p in people.items()}
    indices = reindex_joints(skeleton.keypoints, order)
    table = replace(test.table, keypoints=take_joints(test.table.keypoints, indices))
    return ai_challenger_results.score_people(ordered, table, test.scored_images)


def sequence_skeleton(test: EvaluationSet) -> Skeleton:
    """The joints of PoseTrack's original files in their order."""
    usual = test.files.dataset.skeleton
    names = name_keypoints(test.sequences or {}, test.files.dataset.aliases)
    return replace(usual, keypoints=names) if sorted(names) == sorted(usual.keypoints) else usual


def sigmas_for(skeleton: Skeleton, annotated: Skeleton) -> tuple[float, ...]:
    """OKS sigmas of the network's joints: those of the annotated set, where it has the joint.

    Joints that only one of both has do not count; the log names them.
    """
    if skeleton.keypoints == annotated.keypoints:
        return annotated.oks_sigmas
    indices = reindex_joints(annotated.keypoints, skeleton)
    _tell_lacking_joints(skeleton, annotated, "scores count the joints that both have")
    # A joint that is never annotated never counts, so any positive sigma will do.
    return tuple(annotated.oks_sigmas[i] if i >= 0 else 1.0 for i in indices)


def _tell_lacking_joints(skeleton: Skeleton, annotated: Skeleton, consequence: str) -> None:
    missing = [name for name in annotated.keypoints if name not in skeleton.keypoints]
    if missing:
        joints = ", ".join(missing)
        log.warning("The network lacks %s of %s; %s.", joints, annotated.name, consequence)
