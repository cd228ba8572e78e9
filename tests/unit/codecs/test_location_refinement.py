"""Discs, refinement and pairwise vectors on pictures that a person can check by hand."""

import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.location_refinement import (
    claim_cells,
    decode_location_refinement,
    encode_location_refinement,
    find_disc_peaks,
    find_highest,
    place_peaks,
)
from poseras.codecs.pairwise import decode_pairwise, encode_pairwise, list_pairs, pair_index

STRIDE, DEVIATION, RADIUS = 8.0, 7.2801, 17.0
MAP_HW = (8, 10)


def make_keypoints(*people):
    """(1, people, joints, 3); None is a joint that is not labelled."""
    rows = [[(0, 0, 0) if point is None else (*point, 2) for point in person] for person in people]
    return np.array([rows], np.float32)


def claim(keypoints, **options):
    settings = {"map_hw": MAP_HW, "stride": STRIDE, "radius_px": RADIUS, **options}
    return claim_cells(keypoints, **settings)


def encode(keypoints, owners):
    return encode_location_refinement(keypoints, owners, stride=STRIDE, deviation_px=DEVIATION)


def statistics(joints):
    rng = np.random.default_rng(0)
    pairs = joints * (joints - 1)
    return {
        "means_px": rng.normal(0, 20, (pairs, 2)),
        "deviations_px": rng.uniform(5, 9, (pairs, 2)),
    }


def test_the_disc_holds_cells_whose_centre_is_within_the_radius():
    # Cell (row 2, column 3) stands at (28, 20); (8, 15) away is 17 exactly.
    keypoints = make_keypoints([(20.0, 5.0)])
    owners = np.asarray(claim(keypoints).owners)[0, ..., 0]
    assert owners[2, 3] == 0
    assert np.asarray(claim(keypoints, radius_px=16.99).owners)[0, 2, 3, 0] == -1
    distances = np.hypot(*(np.indices(MAP_HW)[::-1] * 8 + 4 - np.array([20, 5])[:, None, None]))
    np.testing.assert_array_equal(owners == 0, distances <= 17)


def test_a_joint_outside_the_picture_claims_the_cells_near_it():
    owners = np.asarray(claim(make_keypoints([(-6.0, 20.0)])).owners)
    assert owners[0, 2, 0, 0] == 0 and (owners[0, :, 2:] == -1).all()


def test_the_radius_may_differ_between_the_pictures_of_a_batch():
    keypoints = np.repeat(make_keypoints([(36.0, 36.0)]), 2, axis=0)
    owners = claim(keypoints, radius_px=np.array([1.0, 9.0])).owners
    assert [(np.asarray(o) == 0).sum() for o in owners] == [1, 5]


def test_the_nearest_person_owns_a_cell_or_always_the_first():
    keypoints = make_keypoints([(20.0, 20.0)], [(36.0, 20.0)])
    near, first = claim(keypoints).owners, claim(keypoints, nearest=False).owners
    assert np.asarray(near)[0, 2, 2:5, 0].tolist() == [0, 0, 1]  # equally near: the first
    assert np.asarray(first)[0, 2, 2:5, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("x", [33.0, 36.0, 41.5])
def test_decoding_the_true_maps_gives_the_joints_back(x):
    keypoints = make_keypoints([(x, 30.0), (70.0, 12.5)])
    parts, offsets = encode(keypoints, claim(keypoints).owners)
    for peaks in (
        find_highest(parts),
        find_disc_peaks(parts, radius_cells=5, threshold=0.5, candidates=3),
    ):
        points = decode_location_refinement(peaks, offsets, stride=STRIDE, deviation_px=DEVIATION)
        np.testing.assert_allclose(points[0, :, 0], keypoints[0, 0, :, :2], atol=1e-4)
        assert np.asarray(peaks.counts).tolist() == [[1, 1]]


def test_without_refinement_a_peak_is_the_centre_of_its_cell():
    scores = np.zeros((1, 4, 5, 1), np.float32)
    scores[0, 2, 3, 0] = 1
    points = decode_location_refinement(
        find_highest(scores), None, stride=STRIDE, deviation_px=DEVIATION
    )
    assert np.asarray(points).tolist() == [[[[28, 20]]]]


def test_suppression_takes_discs_and_stops_below_the_threshold():
    scores = np.zeros((1, 1, 9, 1), np.float32)
    scores[0, 0, :, 0] = [0.5, 0.9, 0.6, 0.0, 0.2, 0.0, 0.1, 0.0, 0.3]
    peaks = find_disc_peaks(scores, radius_cells=1.5, threshold=0.2, candidates=6)
    # Columns 1 (reach 2: 0, 2 and 3 go), then 8 (6 and 7 go), then 4.
    assert np.asarray(peaks.counts).tolist() == [[3]]
    assert np.asarray(peaks.columns)[0, 0, :3].tolist() == [1, 8, 4]
    np.testing.assert_allclose(np.asarray(peaks.scores)[0, 0], [0.9, 0.3, 0.2, 0, 0, 0])


def test_equal_cells_are_taken_in_reading_order_up_to_the_number_of_candidates():
    peaks = find_disc_peaks(
        np.ones((1, 3, 3, 1), np.float32), radius_cells=1, threshold=1, candidates=2
    )
    assert np.asarray(peaks.columns)[0, 0].tolist() == [0, 2]
    assert np.asarray(peaks.counts).tolist() == [[2]]


def test_pairs_are_numbered_in_the_order_of_the_maps():
    pairs = list_pairs(4)
    assert pairs.tolist()[:4] == [[0, 1], [0, 2], [0, 3], [1, 0]]
    assert [pair_index(a, b, 4) for a, b in pairs] == list(range(12))


def test_decoding_the_true_pairwise_maps_leads_to_the_other_joints():
    keypoints = make_keypoints([(20.0, 20.0), (60.0, 30.0), (33.0, 51.0)])
    claims, numbers = claim(keypoints), statistics(3)
    targets, known = encode_pairwise(keypoints, claims, stride=STRIDE, **numbers)
    assert np.asarray(known).any(axis=(0, 1, 2)).all()
    parts, _ = encode(keypoints, claims.owners)
    peaks = find_highest(parts)
    ends = place_peaks(peaks, STRIDE)[..., None, :] + decode_pairwise(peaks, targets, **numbers)
    for joint in range(3):
        others = [other for other in range(3) if other != joint]
        np.testing.assert_allclose(
            ends[0, joint, 0], keypoints[0, 0, others, :2], atol=1e-4, err_msg=str(joint)
        )


def test_what_a_cell_says_of_joints_its_owner_lacks_goes_or_stays():
    # The second person takes over the cell at (28, 20) and has no second joint.
    keypoints = make_keypoints([(20.0, 20.0), (60.0, 30.0)], [(28.0, 20.0), None])
    for keep, left in ((False, False), (True, True)):
        claims = claim(keypoints, keep_partners=keep)
        _, known = encode_pairwise(keypoints, claims, stride=STRIDE, **statistics(2))
        assert bool(known[0, 2, 3, 0]) is left
        assert bool(known[0, 2, 2, 0]) and int(claims.owners[0, 2, 3, 0]) == 1


def test_targets_are_the_same_in_a_traced_function_of_any_size():
    keypoints = np.concatenate([make_keypoints([(20.0, 20.0), (60.0, 30.0)])] * 2)
    numbers = statistics(2)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 2, 3)), tf.TensorSpec((2,), tf.int32)])
    def traced(keypoints, size):
        claims = claim(keypoints, map_hw=(size[0], size[1]))
        parts, offsets = encode(keypoints, claims.owners)
        pairwise, _ = encode_pairwise(keypoints, claims, stride=STRIDE, **numbers)
        peaks = find_disc_peaks(parts, radius_cells=5, threshold=0.5, candidates=2)
        return parts, offsets, pairwise, decode_pairwise(peaks, pairwise, **numbers)

    claims = claim(keypoints)
    parts, offsets = encode(keypoints, claims.owners)
    pairwise, _ = encode_pairwise(keypoints, claims, stride=STRIDE, **numbers)
    results = traced(keypoints, np.array(MAP_HW, np.int32))
    for ours, wanted in zip(results, (parts, offsets, pairwise), strict=False):
        np.testing.assert_allclose(ours, wanted, atol=1e-6)
    assert results[3].shape == (2, 2, 2, 1, 2)


def test_nobody_gives_empty_maps():
    keypoints = np.zeros((1, 2, 3, 3), np.float32)
    parts, offsets = encode(keypoints, claim(keypoints).owners)
    assert not np.any(parts) and not np.any(offsets)
