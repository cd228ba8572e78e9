"""DeeperCut on made-up people: true maps to people, mirrored maps, losses and tables by hand."""

from dataclasses import replace

import numpy as np
import pytest

from poseras.checkpoints.pairwise_files import write_logistic_models, write_pairwise_statistics
from poseras.codecs.pairwise import list_pairs
from poseras.codecs.pairwise_models import Detections, link_detections, measure_statistics
from poseras.data.dataset import choose_skeleton
from poseras.skeleton import Skeleton
from poseras.systems.deepercut_arttrack.grouping import gather_people, list_graph
from poseras.systems.deepercut_arttrack.losses import cross_entropy, vector_error
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.system import System, load_resources

SKELETON = Skeleton("made/up", ("left_hip", "right_hip", "nose"), ((0, 1),), ((0, 1), (1, 2)), ())
SIZE_HW = (96, 192)
PEOPLE = np.array(
    [
        [[40, 60, 2], [20, 62, 2], [29, 20, 2]],
        [[120, 70, 2], [99, 66, 1], [108, 24, 2]],
        [[170, 50, 2], [150, 53, 2], [0, 0, 0]],
    ],
    np.float32,
)


def make_resources(joints=3):
    """Statistics of the people, and models that believe in errors below 15 px, both ways summed."""
    statistics, _ = measure_statistics(PEOPLE)
    pairs = np.array([(a, b) for a in range(joints) for b in range(a + 1, joints)])
    weights = np.array([-6.0, 0, -6, 0, 0, 0, 0, 0, 9])
    return {
        "means_px": statistics.means_px,
        "deviations_px": statistics.deviations_px,
        "model_pairs": pairs,
        "model_lower": np.zeros((len(pairs), 8)),
        "model_upper": np.full((len(pairs), 8), 10.0),
        "model_weights": np.tile(weights, (len(pairs), 1)),
    }


def make_system(**settings):
    return System(Options(pairwise=True, **settings), SKELETON, make_resources())


def make_batch(people=PEOPLE, scale=1.0):
    return {
        "keypoints": people[None],
        "image_to_network": np.float32([[[scale, 0, 0], [0, scale, 0]]]),
        "ignore_mask": np.zeros((1, *SIZE_HW), bool),
    }


def find_people(system, outputs):
    decoded = system.decode(outputs)
    return system.group({name: np.asarray(value)[0] for name, value in decoded.items()})


def mirror(people):
    turned = people[:, SKELETON.flip_permutation].copy()
    turned[..., 0] = np.where(turned[..., 2] > 0, SIZE_HW[1] - 1 - turned[..., 0], 0)
    return turned


@pytest.mark.parametrize("solver", ["local", "exact"])
def test_true_maps_give_the_people_back(solver):
    system = make_system(solver=solver)
    people = find_people(system, system.perfect_outputs(system.encode(make_batch())))
    assert people.keypoints_px.shape == (3, 3, 2)
    assert people.keypoint_scores[2].tolist()[2] == 0 and people.person_scores[2] < 0.7
    order = np.argsort(people.keypoints_px[:, 0, 0])
    np.testing.assert_allclose(people.keypoints_px[order], PEOPLE[..., :2], atol=1e-3)


def test_the_exact_solver_stops_at_its_time_limit_and_says_so(caplog):
    system = make_system(solver="exact", time_limit_s=1e-9)
    people = find_people(system, system.perfect_outputs(system.encode(make_batch())))
    assert "stopped at its limit of 1e-09 s" in caplog.text
    assert people.keypoints_px.shape == (3, 3, 2)  # as the local solver left them


def test_the_flip_test_of_true_maps_changes_nothing():
    system = make_system()
    outputs, flipped = (
        system.perfect_outputs(system.encode(make_batch(people)))
        for people in (PEOPLE, mirror(PEOPLE))
    )
    merged = system.merge_flip(outputs, flipped)
    owned = np.asarray(outputs["parts"] > 0)
    both = owned & (np.asarray(merged["parts"]) > 0)
    # The discs are off by a pixel, as the cells mirror about another line than the pixels.
    assert both.sum() > 0.8 * owned.sum()
    np.testing.assert_allclose(
        np.asarray(merged["refinement"])[both], np.asarray(outputs["refinement"])[both], atol=1e-4
    )
    first = list_pairs(3)[:, 0]
    inside = both[..., first] & (np.asarray(outputs["pairwise"]) != 0).any(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(
        np.asarray(merged["pairwise"])[inside], np.asarray(outputs["pairwise"])[inside], atol=1e-4
    )


def test_vectors_of_a_picture_in_twice_the_size_come_into_the_pixels_of_the_first():
    system = make_system()
    outputs = system.perfect_outputs(system.encode(make_batch()))
    means, deviations = (system.resources[n] for n in ("means_px", "deviations_px"))
    inner = np.float32([[3, -5], [40, 2], [0, 9], [1, 1], [-8, 4], [6, 6]])
    shape = {name: (1, 6, 9, *np.shape(maps)[3:]) for name, maps in outputs.items()}
    small = {name: np.zeros(size, np.float32) for name, size in shape.items()}
    small["pairwise"][:] = (inner - means) / deviations
    small["refinement"][:] = 0.5
    large = {name: np.zeros((1, 12, 18, *size[3:]), np.float32) for name, size in shape.items()}
    large["pairwise"][:] = (2 * inner - means) / deviations
    large["refinement"][:] = 1.0
    large["parts"][:] = 4.0
    merged = system.merge_scales([small, large])
    np.testing.assert_allclose(merged["pairwise"], small["pairwise"], atol=1e-5)
    np.testing.assert_allclose(merged["refinement"], small["refinement"], atol=1e-6)
    np.testing.assert_allclose(merged["parts"], 2.0 * np.ones(shape["parts"]), atol=1e-6)


def test_a_single_person_is_the_best_cell_of_each_joint():
    system = System(Options(), SKELETON)
    people = find_people(system, system.perfect_outputs(system.encode(make_batch(PEOPLE[:1]))))
    np.testing.assert_allclose(people.keypoints_px, PEOPLE[:1, :, :2], atol=1e-3)


def test_no_candidate_gives_no_people():
    system = make_system()
    nobody = np.zeros((1, 3, 3), np.float32)
    people = find_people(system, system.perfect_outputs(system.encode(make_batch(nobody))))
    assert people.keypoints_px.shape == (0, 3, 2)


def test_candidates_without_a_place_are_counted():
    system = make_system(candidates=1)
    decoded = system.decode(system.perfect_outputs(system.encode(make_batch())))
    assert np.asarray(decoded["peak_count"]).tolist() == [[2, 2, 2]]
    assert decoded["peak_scores"].shape == (1, 3, 1)


def test_parts_shrink_with_the_picture():
    system = make_system()
    full, half = (
        np.asarray(system.encode(make_batch(scale=scale))["parts"]).sum() for scale in (1.0, 0.5)
    )
    assert half == pytest.approx(full / 4, rel=0.25)


def test_weights_leave_out_absent_joints_and_ignored_regions():
    alone = PEOPLE[2:]
    present = make_system(part_weights="present").encode(make_batch(alone))
    weights = np.asarray(present["part_weights"])
    assert weights[..., :2].all() and not weights[..., 2].any()
    batch = make_batch()
    for edge, cells in ((99, 12), (100, 13)):  # cell 12 is around 100; half of it is enough
        batch["ignore_mask"][:] = np.arange(SIZE_HW[1]) < edge
        weights = np.asarray(make_system(use_ignore_mask=True).encode(batch)["part_weights"])
        assert not weights[:, :, :cells].any() and weights[:, :, cells:].all()
    assert np.asarray(make_system().encode(batch)["part_weights"]).all()


def test_losses_divide_by_what_counts():
    targets, weights = np.float32([1, 0, 1]), np.float32([1, 1, 0])
    value = cross_entropy(targets, np.float32([0, -75, 5]), weights)
    assert float(value) == pytest.approx(np.log(2) / 2)
    vectors = np.float32([[0.5, 3], [9, 9]])
    known = np.array([True, False])
    assert float(vector_error(0 * vectors, vectors, known, True)) == (0.125 + 2.5) / 2
    assert float(vector_error(0 * vectors, vectors, known, False)) == (0.25 + 9) / 2
    assert float(vector_error(0 * vectors, vectors, ~known & known, True)) == 0


def test_a_joint_is_the_weighted_mean_of_its_detections():
    detections = Detections(
        joints=np.array([0, 0, 2, 1]),
        points_px=np.array([[0.0, 0], [4, 8], [5, 5], [9, 9]]),
        centres_px=np.zeros((4, 2)),
        vectors_px=np.zeros((4, 3, 2)),
        scores=np.array([0.3, 0.9, 0.6, 0.8]),
    )
    people = gather_people(detections, np.array([1, 1, 1, 0], bool), np.array([4, 4, 7, 8]), 3)
    assert people.keypoints_px[0, 0].tolist() == pytest.approx([3, 6])
    assert people.keypoints_px[1].tolist() == [[0, 0], [0, 0], [5, 5]]
    assert people.keypoint_scores.tolist() == [[0.9, 0, 0], [0, 0, 0.6]]
    np.testing.assert_allclose(people.person_scores, [0.3, 0.2])


def test_tables_are_read_scaled_and_checked(tmp_path):
    made = make_resources()
    statistics = tmp_path / "pairwise_stats.mat"
    write_pairwise_statistics(statistics, list_pairs(3), made["means_px"], made["deviations_px"])
    models = [made[f"model_{part}"] for part in ("pairs", "lower", "upper", "weights")]
    write_logistic_models(tmp_path, *models)
    options = Options(
        pairwise=True,
        pairwise_statistics=str(statistics),
        pairwise_models=str(tmp_path),
        statistics_scale=2.0,
    )
    resources = load_resources(options, SKELETON)
    np.testing.assert_allclose(resources["means_px"], 2 * made["means_px"])
    np.testing.assert_array_equal(resources["model_weights"], made["model_weights"])
    other = Skeleton("made/up", ("a", "b"), (), ((0, 1),), ())
    with pytest.raises(ValueError, match="must be of 2 joints, 2 pairs. Received those of 3"):
        load_resources(options, other)


def test_tables_of_other_joints_are_refused_by_their_names(tmp_path):
    made = make_resources()
    statistics = tmp_path / "pairwise_stats.mat"
    numbers = (list_pairs(3), made["means_px"], made["deviations_px"])
    options = Options(pairwise=True, pairwise_statistics=str(statistics))
    write_pairwise_statistics(statistics, *numbers, SKELETON.keypoints)
    assert load_resources(options, SKELETON)["means_px"].shape == (6, 2)
    write_pairwise_statistics(statistics, *numbers, ("left_hip", "right_hip", "head_top"))
    with pytest.raises(ValueError, match="joints of made/up.*among them head_top.*any dataset"):
        load_resources(options, SKELETON)
    models = [made[f"model_{part}"] for part in ("pairs", "lower", "upper", "weights")]
    models[0] = models[0] + 1  # joints 1 to 3
    folder = tmp_path / "models"
    folder.mkdir()
    write_logistic_models(folder, *models)
    write_pairwise_statistics(statistics, *numbers)
    with pytest.raises(ValueError, match="of the 3 joints of made/up. Received those of 4"):
        load_resources(replace(options, pairwise_models=str(folder)), SKELETON)


def test_tables_of_a_snapshot_stand_in_for_files_that_are_named_alike():
    options = Options(pairwise=True, pairwise_statistics="gone", pairwise_models="gone too")
    made = make_resources()
    kept = load_resources(options, SKELETON, (options, made))
    assert kept.keys() == made.keys()
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        other = replace(options, pairwise_models="elsewhere")
        load_resources(other, SKELETON, (options, made))
    without = load_resources(replace(options, pairwise_models=""), SKELETON, (options, made))
    assert without.keys() == {"means_px", "deviations_px"}


def test_people_with_few_joints_are_left_out_when_asked_for():
    system = make_system(min_joints=3)
    people = find_people(system, system.perfect_outputs(system.encode(make_batch())))
    assert people.keypoints_px.shape == (2, 3, 2)


def test_missing_tables_are_named():
    with pytest.raises(ValueError, match="needs options.pairwise_statistics"):
        load_resources(Options(pairwise=True), SKELETON)
    with pytest.raises(ValueError, match="needs the pairwise statistics. Received none"):
        System(Options(pairwise=True), SKELETON).encode(make_batch())
    resources = make_resources()
    with pytest.raises(ValueError, match="COCO's 17 joints in their order. Received the 3 joints"):
        System(Options(pairwise=True, sparse_graph="coco_40"), SKELETON, resources)
    del resources["model_pairs"]
    system = System(Options(pairwise=True), SKELETON, resources)
    with pytest.raises(ValueError, match="needs logistic models"):
        find_people(system, system.perfect_outputs(system.encode(make_batch())))
    assert load_resources(Options(), SKELETON) == {}


def test_a_network_with_pairwise_maps_is_built_before_its_tables_are_known():
    options = Options(pairwise=True, depth=18, backbone_width=4)
    model = System(options, SKELETON).build_model()
    assert model.output["pairwise"].shape[-2:] == (6, 2)
    assert model.output["parts"].shape[-1] == 3


def test_candidates_of_one_joint_are_one_persons_up_to_a_distance():
    detections = Detections(
        joints=np.array([0, 0]),
        points_px=np.array([[0.0, 0], [20, 0]]),
        centres_px=np.zeros((2, 2)),
        vectors_px=np.zeros((2, 3, 2)),
        scores=np.ones(2),
    )
    _, near = link_detections(detections, None, 1)
    _, far = link_detections(detections, None, 1, same_joint_px=15.0)
    _, equal = link_detections(detections, None, 1, same_joint_px=20.0)
    assert near[0] == pytest.approx(1 / (1 + np.exp(0.2 * 20 - 7.5)))
    assert far[0] < 0.5 == equal[0]


@pytest.mark.parametrize("graph", [((1, 0), (1, 2)), (("right_hip", 0), ("nose", "right_hip"))])
def test_a_listed_graph_compares_its_pairs_alone_and_people_hold_together(graph):
    system = make_system(sparse_graph=graph)
    outputs = system.perfect_outputs(system.encode(make_batch()))
    assert list_graph(system.options, SKELETON) == [(0, 1), (1, 2)]
    people = find_people(system, outputs)
    order = np.argsort(people.keypoints_px[:, 0, 0])
    np.testing.assert_allclose(people.keypoints_px[order], PEOPLE[..., :2], atol=1e-3)
    # Without a pair for the nose, it is nobody's; each of the two is a person of its own.
    apart = make_system(sparse_graph=((0, 1),))
    assert len(find_people(apart, outputs).keypoints_px) == 3 + 2


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (((0, 3),), "number them from 0 to 2. Received 3. Its joints are left_hip, right_hip"),
        (((0, -1),), "Received -1"),
        ((("left_hap", 1),), "must name joints of made/up.*'left_hap'. Did you mean left_hip?"),
        (((0, 2), (1, "right_hip")), r"pairs of two joints.*Received \[1, 1\]"),
    ],
)
def test_a_listed_graph_of_other_joints_is_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        make_system(sparse_graph=graph)


def keep_models(*rows):
    """The resources with some of the models of 0-1, 0-2 and 1-2."""
    resources = make_resources()
    models = {k: v[list(rows)] for k, v in resources.items() if k.startswith("model")}
    return {**resources, **models}


def test_a_pair_without_a_model_is_not_compared_and_named_once(caplog):
    system = System(Options(pairwise=True), SKELETON, keep_models(0, 2))
    outputs = system.perfect_outputs(system.encode(make_batch()))
    system.check_grouping()
    people = [find_people(system, outputs) for _ in range(2)]
    order = np.argsort(people[1].keypoints_px[:, 0, 0])
    np.testing.assert_allclose(people[1].keypoints_px[order], PEOPLE[..., :2], atol=1e-3)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "No logistic model of 1 of 3 pairs" in said and ": left_hip and nose. They" in said


def test_joints_that_no_model_links_with_the_others_are_named(caplog):
    System(Options(pairwise=True), SKELETON, keep_models(0)).check_grouping()
    assert "No compared pair links nose with the other joints" in caplog.text
    graph = Options(pairwise=True, sparse_graph=((1, 2),))
    with pytest.raises(ValueError, match="must have logistic models. Received models of 1 other"):
        System(graph, SKELETON, keep_models(0)).check_grouping()


def test_the_graph_of_coco_is_for_skeletons_that_begin_with_its_joints(project_root):
    sparse = Options(sparse_graph="coco_40")
    coco = choose_skeleton(project_root, ["COCO"])
    System(sparse, coco)
    System(sparse, Skeleton("made/up", (*coco.keypoints, "pelvis")))
    for other in ("Human36M", "MPII"):
        with pytest.raises(ValueError, match=f"1[678] joints of {other}.*take all"):
            System(sparse, choose_skeleton(project_root, [other]))
