"""Vectors along limbs, and limbs from peaks."""

import numpy as np

from poseras.codecs.centred_heatmap import Peaks
from poseras.codecs.guiding_offset import (
    encode_guiding_offsets,
    encode_jitter,
    merge_flipped_offsets,
    pair_limbs,
)

SETTINGS = {
    "limbs": ((0, 1),),
    "sigmas": (0.1, 0.2),
    "input_hw": (64, 64),
    "stride": 4,
    "window_cells": 6,
    "min_scale": 1.0,
}


def make_people(*people):
    return np.float32([[[(*start, 2), (*end, 2)] for start, end in people]])


def test_a_cell_near_the_start_leads_to_the_end():
    found = encode_guiding_offsets(
        make_people(((20, 20), (50, 30))), np.float32([[80]]), **SETTINGS
    )
    known = np.asarray(found.known)[0, :, :, 0]
    rows, columns = np.nonzero(known)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 7, 2, 7)
    np.testing.assert_allclose(found.offsets[0, 5, 5, 0], [50 - 21.5, 30 - 21.5])
    assert (np.asarray(found.offsets)[0][~known] == 0).all()
    assert found.instance_scales[0, 5, 5, 0] == 80 and found.instance_scales[0, 0, 0, 0] == 1
    np.testing.assert_allclose(found.scales[0, 5, 5], [8, 0])  # the end has no scale to learn


def test_the_ends_of_limbs_can_learn_their_scale():
    found = encode_guiding_offsets(
        make_people(((20, 20), (50, 30))), np.float32([[80]]), **SETTINGS, label_ends=True
    )
    np.testing.assert_allclose(found.scales[0, 7, 12], [0, 16])


def test_where_people_overlap_the_shorter_vector_stays():
    people = make_people(((20, 20), (60, 20)), ((24, 20), (30, 20)))
    found = encode_guiding_offsets(people, np.float32([[80, 40]]), **SETTINGS)
    np.testing.assert_allclose(found.offsets[0, 5, 5, 0], [30 - 21.5, 20 - 21.5])
    assert found.instance_scales[0, 5, 5, 0] == 40
    np.testing.assert_allclose(found.offsets[0, 5, 2, 0], [60 - 9.5, 20 - 21.5])


def test_a_limb_with_an_unlabelled_joint_and_small_people_teach_nothing():
    people = make_people(((20, 20), (50, 30)))
    people[0, 0, 1, 2] = 0
    found = encode_guiding_offsets(people, np.float32([[80]]), **SETTINGS)
    assert not np.asarray(found.known).any()
    tiny = encode_guiding_offsets(make_people(((20, 20), (25, 25))), np.float32([[9]]), **SETTINGS)
    assert np.asarray(tiny.known).any() and not np.asarray(tiny.scales_known).any()


def test_jitter_leads_to_the_nearest_joint():
    vectors, known = encode_jitter(
        make_people(((20, 20), (28, 20))), input_hw=(64, 64), stride=4, window_cells=3
    )
    np.testing.assert_allclose(vectors[0, 5, 5], [20 - 21.5, 20 - 21.5])
    np.testing.assert_allclose(vectors[0, 5, 7], [28 - 29.5, 20 - 21.5])
    assert not np.asarray(known)[0, 0, 0]


def test_mirroring_twice_gives_the_same_offsets_and_kept_limbs_stay():
    random = np.random.default_rng(0)
    offsets = random.normal(size=(1, 4, 6, 3, 2)).astype(np.float32)
    permutation = np.array([1, 0, 2])
    mirrored = (offsets[:, :, ::-1] * np.float32([-1, 1]))[:, :, :, permutation]
    merged = merge_flipped_offsets(offsets, mirrored, permutation, ())
    np.testing.assert_allclose(merged, offsets, rtol=1e-6)
    noise = random.normal(size=offsets.shape).astype(np.float32)
    kept = np.asarray(merge_flipped_offsets(offsets, noise, permutation, (2,)))
    np.testing.assert_array_equal(kept[:, :, :, 2], offsets[:, :, :, 2])
    assert np.abs(kept[:, :, :, 0] - offsets[:, :, :, 0]).max() > 0.1


def test_a_limb_goes_to_the_peak_that_its_offset_leads_to():
    peaks = Peaks(
        x=np.int32([[[20, 40], [50, 10]]]),
        y=np.int32([[[20, 40], [30, 44]]]),
        scores=np.float32([[[0.8, 0.6], [0.9, 0.5]]]),
        count=np.int32([[2, 2]]),
    )
    offsets = np.zeros((1, 16, 16, 1, 2), np.float32)
    offsets[0, 3:7, 3:7, 0] = 30, 10
    offsets[0, 8:12, 8:12, 0] = -30, 7
    found = pair_limbs(peaks, offsets, limbs=((0, 1),), stride=4, min_length_px=0.5)
    assert np.asarray(found["limb_ends"]).tolist() == [[[0, 1]]]
    np.testing.assert_allclose(found["limb_distances_px"], [[[0, 3]]], atol=1e-4)
    length = np.hypot(30, 4)
    expected = [0.8 * 0.9, 0.6 * 0.5 * np.exp(-3 / length)]
    np.testing.assert_allclose(found["limb_scores"][0, 0], expected, rtol=1e-5)
