"""Part, refinement and pairwise targets, and suppression, against the original."""

import numpy as np
import pytest

from poseras.codecs.location_refinement import (
    claim_cells,
    encode_location_refinement,
    find_disc_peaks,
)
from poseras.codecs.pairwise import encode_pairwise, list_pairs, pair_index
from poseras.codecs.pairwise_models import PairwiseStatistics
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.targets import encode

FOLDER = "deepercut_arttrack/"
STATISTICS = "samples/deepercut_coco_pairwise/coco_pairwise.npz"


def make_keypoints(case):
    """(1, people, joints, 3) from the rows of the case."""
    people = int(case["in_person"].max()) + 1
    keypoints = np.zeros((1, people, int(case["num_joints"]), 3), np.float32)
    rows = keypoints[0, case["in_person"], case["in_joint"]]
    keypoints[0, case["in_person"], case["in_joint"]] = np.concatenate(
        [case["in_xy"], np.ones((len(rows), 1))], axis=1
    )
    return keypoints


def read_statistics(golden, case):
    """The published means and deviations of the pairs of the first joints, all that a case has."""
    arrays = np.load(golden.sample(STATISTICS))
    known = PairwiseStatistics(arrays["means"], arrays["std_devs"]).joint_count
    rows = (list_pairs(known) < case["num_joints"]).all(axis=1)
    return arrays["means"][rows], arrays["std_devs"][rows]


def claim(case, keypoints):
    refined = bool(case["location_refinement"])
    return claim_cells(
        keypoints,
        map_hw=tuple(case["in_size"].tolist()),
        stride=float(case["stride"]),
        radius_px=float(case["pos_dist_thresh"] * case["in_scale"]),
        nearest=refined,
        keep_partners=True,
    )


def doubled(mask):
    """A mask per map, as the original has it for x and for y."""
    return np.repeat(np.asarray(mask, np.float32), 2, axis=-1)


def test_parts_and_refinement_equal_the_original(golden, target_case):
    case = golden.load(f"{FOLDER}{target_case}.npz")
    keypoints = make_keypoints(case)
    owners = claim(case, keypoints).owners
    parts, offsets = encode_location_refinement(
        keypoints, owners, stride=float(case["stride"]), deviation_px=float(case["locref_stdev"])
    )
    np.testing.assert_array_equal(parts[0], case["out_part_score_targets"])
    if "out_locref_targets" in case:
        wanted = case["out_locref_targets"]
        # Ours is float32 throughout, the original's float64 until it is stored.
        np.testing.assert_allclose(np.reshape(offsets[0], wanted.shape), wanted, atol=1e-5)
        np.testing.assert_array_equal(doubled(parts[0]), case["out_locref_mask"])


def test_pairwise_targets_equal_the_original_stale_entries_included(golden, target_case):
    case = golden.load(f"{FOLDER}{target_case}.npz")
    if "out_pairwise_targets" not in case:
        pytest.skip(f"{target_case} has no pairwise targets")
    means, deviations = read_statistics(golden, case)
    scale = float(case["global_scale"])
    keypoints = make_keypoints(case)
    targets, known = encode_pairwise(
        keypoints,
        claim(case, keypoints),
        stride=float(case["stride"]),
        means_px=means * scale,
        deviations_px=deviations * scale,
    )
    wanted = case["out_pairwise_targets"]
    np.testing.assert_array_equal(doubled(known[0]), case["out_pairwise_mask"])
    # Ours is float32 throughout, the original's float64 until it is stored.
    np.testing.assert_allclose(np.reshape(targets[0], wanted.shape), wanted, atol=1e-5)


@pytest.mark.golden(FOLDER + "nms.npz", keys=r"in_map(?P<tag>\d+)")
def test_suppression_keeps_the_cells_of_the_original(golden, tag):
    assert tag, "no case in nms.npz"
    case = golden.load(FOLDER + "nms.npz")
    scores, wanted = case[f"in_map{tag}"], case[f"out_index{tag}"]
    peaks = find_disc_peaks(
        scores[None, ..., None],
        radius_cells=float(case[f"in_radius{tag}"]),
        threshold=float(case[f"in_thresh{tag}"]),
        candidates=len(wanted) + 3,
    )
    count = int(peaks.counts[0, 0])
    places = np.asarray(peaks.rows) * scores.shape[1] + np.asarray(peaks.columns)
    np.testing.assert_array_equal(places[0, 0, :count], wanted)
    np.testing.assert_array_equal(np.asarray(peaks.scores)[0, 0, :count], scores.flat[wanted])


@pytest.mark.golden(FOLDER + "tables.json", keys=r"pairwise_index_(?P<tag>\d+)")
def test_pairs_are_numbered_as_in_the_original(golden, tag):
    assert tag, "no case in tables.json"
    joints = int(tag)
    table = golden.load(FOLDER + "tables.json")[f"pairwise_index_{tag}"]
    wanted = {tuple(map(int, key.split("_"))): index for key, index in table.items()}
    assert {tuple(pair): row for row, pair in enumerate(list_pairs(joints).tolist())} == wanted
    assert all(pair_index(a, b, joints) == index for (a, b), index in wanted.items())


def test_the_system_renders_the_same_targets_with_their_weights(golden, target_case):
    case = golden.load(f"{FOLDER}{target_case}.npz")
    scale = float(case["in_scale"])
    options = Options(
        part_radius=float(case["pos_dist_thresh"]),
        refinement_deviation=float(case["locref_stdev"]),
        location_refinement=bool(case["location_refinement"]),
        part_weights="present" if case["weigh_only_present_joints"] else "all",
    )
    rows, columns = case["in_size"] * int(case["stride"])
    batch = {
        "keypoints": make_keypoints(case),
        "image_to_network": np.float32([[[scale, 0, 0], [0, scale, 0]]]),
        "ignore_mask": np.zeros((1, rows, columns), bool),
    }
    targets = encode(batch, {}, options)
    np.testing.assert_array_equal(targets["parts"][0], case["out_part_score_targets"])
    np.testing.assert_array_equal(targets["part_weights"][0], case["out_part_score_weights"])
