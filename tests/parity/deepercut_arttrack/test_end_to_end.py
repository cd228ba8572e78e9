"""From maps to people as the original went, with the published statistics and models."""

import dataclasses

import numpy as np

from poseras.codecs.pairwise_models import probability_cost
from poseras.ops.multicut import make_graph, solve_multicut
from poseras.skeleton import Skeleton
from poseras.systems.deepercut_arttrack import grouping
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.system import System

FOLDER = "deepercut_arttrack/"
# px; ours is float32, the original's float64 behind the network.
TOLERANCE = 1e-4


def make_system(golden, case):
    joints = case["in_part_prob"].shape[-1]
    arrays = np.load(golden.sample("samples/deepercut_coco_pairwise/coco_pairwise.npz"))
    rows = (arrays["pairs"] < joints).all(axis=1)
    resources = {"means_px": case["stats_mean"], "deviations_px": case["stats_std"]}
    for ours, theirs in (
        ("pairs", "pairs"),
        ("lower", "X_min"),
        ("upper", "X_max"),
        ("weights", "w"),
    ):
        resources[f"model_{ours}"] = arrays[theirs][rows]
    skeleton = Skeleton("case", tuple(f"joint_{n}" for n in range(joints)), (), ((0, 1),), ())
    options = Options(
        pairwise=True,
        keep_suppressed=True,
        nms_radius=5.0,
        det_min_score=0.2,
        candidates=len(case["det_joint"]) + 1,  # all of any joint, as in the original
    )
    return System(options, skeleton, resources)


def make_outputs(case):
    scores = case["in_part_prob"].astype(np.float64)
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    vectors = {"refinement": case["in_locref"], "pairwise": case["in_pairwise"]}
    shaped = {name: maps.reshape(*maps.shape[:3], -1, 2) for name, maps in vectors.items()}
    return {"parts": logits, **shaped}


def decode(system, outputs):
    decoded = system.decode(outputs)
    return {name: np.asarray(value)[0] for name, value in decoded.items()}


def test_candidates_costs_and_people_equal_the_original(golden, people_case):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    system = make_system(golden, case)
    candidates = decode(system, make_outputs(case))
    detections = grouping.list_detections(candidates)
    np.testing.assert_array_equal(detections.joints, case["det_joint"])
    np.testing.assert_allclose(detections.points_px, case["det_coord"], atol=TOLERANCE)
    np.testing.assert_allclose(detections.centres_px, case["det_grid"], atol=TOLERANCE)
    np.testing.assert_allclose(detections.scores, case["det_conf"][:, 0], atol=1e-6)

    models = grouping.LogisticModels(*(system.resources[f"model_{p}"] for p in PARTS))
    edges, found = grouping.link_detections(detections, models, system.skeleton.joint_count)
    theirs = case["out_pw_index"].astype(np.int64)
    real = theirs[:, 0] != theirs[:, 1]
    ours = {tuple(e): p for e, p in zip(edges.tolist(), found, strict=True)}
    wanted = dict(zip(map(tuple, theirs[real].tolist()), case["out_pw_prob"][real, 0], strict=True))
    assert ours.keys() == wanted.keys()
    np.testing.assert_allclose([ours[key] for key in wanted], list(wanted.values()), atol=1e-5)

    instance = probability_cost(detections.scores), edges, probability_cost(found)
    value = solve_multicut(*instance).objective
    energy = make_graph(*instance).objective(case["solver_class"] == 0, case["solver_cluster"])
    assert value <= energy + 1e-6
    people = system.group(candidates).keypoints_px
    theirs = case["out_person_conf"]
    assert people.shape == theirs.shape
    for person in theirs:  # ours are in the order of their scores
        assert np.abs(people - person).max(axis=(1, 2)).min() <= TOLERANCE


PARTS = ("pairs", "lower", "upper", "weights")


def test_the_pose_of_a_single_person_equals_the_original(golden, people_case):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    system = make_system(golden, case)
    single = dataclasses.replace(system, options=Options())
    people = single.group(decode(single, make_outputs(case)))
    theirs = case["out_argmax_pose"]
    np.testing.assert_allclose(people.keypoints_px[0], theirs[:, :2], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(people.keypoint_scores[0], theirs[:, 2], atol=1e-6)


def test_the_vectors_of_the_best_cells_lead_where_the_original_went(golden, people_case):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    candidates = decode(make_system(golden, case), make_outputs(case))
    for (a, b), end in zip(case["arrow_pair"].tolist(), case["arrow_end"], strict=True):
        vector = candidates["peak_vectors_px"][a, 0, b - (b > a)]
        np.testing.assert_allclose(
            candidates["peak_centres_px"][a, 0] + vector, end, rtol=0, atol=TOLERANCE
        )
