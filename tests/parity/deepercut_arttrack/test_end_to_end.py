"""From maps to people as the original went, with the published statistics and models."""

import dataclasses

import numpy as np

from poseras.codecs.location_refinement import DiscPeaks, decode_location_refinement, place_peaks
from poseras.codecs.pairwise import decode_pairwise
from poseras.codecs.pairwise_models import probability_cost
from poseras.ops.multicut import make_graph, number_clusters, solve_multicut
from poseras.skeleton import Skeleton
from poseras.systems.deepercut_arttrack import grouping
from poseras.systems.deepercut_arttrack.options import STRIDE, Options
from poseras.systems.deepercut_arttrack.system import System

FOLDER = "deepercut_arttrack/"
# px; ours is float32, the original's float64 behind the network.
TOLERANCE = 1e-4
#: Of the logistic models.
PARTS = ("pairs", "lower", "upper", "weights")


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
    with np.errstate(divide="ignore"):  # of a score of 0 or 1
        logits = (np.log(scores) - np.log1p(-scores)).astype(np.float32)
    vectors = {"refinement": case["in_locref"], "pairwise": case["in_pairwise"]}
    shaped = {name: maps.reshape(*maps.shape[:3], -1, 2) for name, maps in vectors.items()}
    return {"parts": logits, **shaped}


def decode(system, outputs):
    decoded = system.decode(outputs)
    return {name: np.asarray(value)[0] for name, value in decoded.items()}


def test_candidates_and_their_probabilities_equal_the_original(golden, people_case):
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


def test_costs_equal_the_original(golden, people_case):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    for probability, cost in (("det_conf", "out_unary_cost"), ("out_pw_prob", "out_pw_cost")):
        # Float64 of the same formula.
        np.testing.assert_allclose(
            probability_cost(case[probability]), case[cost], rtol=1e-9, atol=1e-12
        )


def test_people_equal_the_original(golden, people_case, assert_same_people):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    system = make_system(golden, case)
    candidates = decode(system, make_outputs(case))
    detections = grouping.list_detections(candidates)
    theirs, joints = case["out_person_conf"], system.skeleton.joint_count
    active, cluster = case["solver_class"] == 0, case["solver_cluster"]
    everybody = np.ones(len(detections), bool)  # suppressed detections are people there, too
    people = grouping.gather_people(detections, everybody, cluster, joints)
    assert_same_people(people.keypoints_px, theirs, TOLERANCE)

    models = grouping.LogisticModels(*(system.resources[f"model_{p}"] for p in PARTS))
    edges, found = grouping.link_detections(detections, models, joints)
    instance = probability_cost(detections.scores), edges, probability_cost(found)
    solution = solve_multicut(*instance)
    # Both solvers stop at gains of 1e-6.
    assert solution.objective <= make_graph(*instance).objective(active, cluster) + 1e-6
    ours, wanted = (number_clusters(c) for c in (solution.cluster, cluster))
    # Of other clusters, which are better or as good, there are other people.
    if np.array_equal(solution.active, active) and np.array_equal(ours, wanted):
        assert_same_people(system.group(candidates).keypoints_px, theirs, TOLERANCE)


def list_cells(case, step):
    """Every `step`-th row and column of the maps, as candidates of all joints."""
    _, height, width, joints = case["in_part_prob"].shape
    rows, columns = np.meshgrid(
        np.arange(0, height, step), np.arange(0, width, step), indexing="ij"
    )
    rows, columns = (
        np.broadcast_to(cells.ravel().astype(np.int32), (1, joints, cells.size))
        for cells in (rows, columns)
    )
    counts = np.full((1, joints), rows.shape[2], np.int32)
    return DiscPeaks(rows, columns, np.ones(rows.shape, np.float32), counts)


def test_the_vectors_of_all_cells_equal_the_original(golden, people_case):
    case = golden.load(f"{FOLDER}{people_case}.npz")
    system, outputs = make_system(golden, case), make_outputs(case)
    cells, wanted = list_cells(case, 1), case["out_locref"]
    deviation = system.options.refinement_deviation
    points = decode_location_refinement(
        cells, outputs["refinement"], stride=STRIDE, deviation_px=deviation
    )
    ours = np.asarray(points - place_peaks(cells, STRIDE))[0].swapaxes(0, 1)
    np.testing.assert_allclose(ours.reshape(wanted.shape), wanted, rtol=0, atol=TOLERANCE)
    cells, wanted = list_cells(case, 5), case["out_pairwise_sub"]
    statistics = {name: system.resources[name] for name in ("means_px", "deviations_px")}
    ours = np.asarray(decode_pairwise(cells, outputs["pairwise"], **statistics))[0].swapaxes(0, 1)
    np.testing.assert_allclose(ours.reshape(wanted.shape), wanted, rtol=0, atol=TOLERANCE)


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
    system = make_system(golden, case)
    # The original takes the best cell, however low its score.
    options = dataclasses.replace(system.options, det_min_score=0.0, candidates=1)
    candidates = decode(dataclasses.replace(system, options=options), make_outputs(case))
    for row, (a, b) in enumerate(case["arrow_pair"].tolist()):
        end = candidates["peak_centres_px"][a, 0] + candidates["peak_vectors_px"][a, 0, b - (b > a)]
        for ours, theirs in ((candidates["peaks_px"][a, 0], "start"), (end, "end")):
            wanted = case[f"arrow_{theirs}"][row]
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=TOLERANCE)
