"""Maps on cells between pixels, and their peaks, on numbers that a person can check."""

import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.centred_heatmap import (
    encode_centred_heatmaps,
    find_centred_peaks,
    window,
)
from poseras.codecs.resampling import resize_maps, sample_pixels, upsample

SETTINGS = {"stride": 4, "mode": "bicubic", "threshold": 0.1, "candidates": 8}


def encode(points, size=(64, 96), people=1, joints=1):
    keypoints = np.zeros((1, people, joints, 3), np.float32)
    for person, joint, x, y in points:
        keypoints[0, person, joint] = x, y, 2
    return encode_centred_heatmaps(keypoints, input_hw=size, stride=4, sigma_px=7.0, clip=0.01)


def test_a_bump_stands_on_the_centre_of_its_cell():
    maps = np.asarray(encode([(0, 0, 4 * 5 + 1.5, 4 * 3 + 1.5)]))
    assert maps.shape == (1, 16, 24, 1) and maps[0, 3, 5, 0] == 1
    np.testing.assert_allclose(maps[0, 3, 6, 0], np.exp(-(4**2) / (2 * 49)), rtol=1e-6)
    assert maps.min() == 0 and ((maps == 0) | (maps >= 0.01)).all()


def test_where_people_overlap_the_higher_bump_stays():
    both = np.asarray(encode([(0, 0, 20, 20), (1, 0, 26, 20)], people=2))
    one, other = np.asarray(encode([(0, 0, 20, 20)])), np.asarray(encode([(0, 0, 26, 20)]))
    np.testing.assert_array_equal(both, np.maximum(one, other))


def test_a_joint_outside_paints_inside_and_one_without_label_does_not():
    assert np.asarray(encode([(0, 0, -3, 30)])).max() > 0.5
    assert np.asarray(encode([(0, 0, -60, 30)])).max() == 0
    unlabelled = np.float32([[[[20, 20, 0]]]])
    maps = encode_centred_heatmaps(unlabelled, input_hw=(64, 64), stride=4, sigma_px=7.0, clip=0.01)
    assert np.asarray(maps).max() == 0


def test_windows_round_halves_to_even():
    low, high = window(np.float32([8.0, 12.0]), 7, 4)  # 2 - 3.5 and 3 - 3.5
    np.testing.assert_array_equal(low, [-2, 0])
    np.testing.assert_array_equal(high, [6, 6])


@pytest.mark.parametrize("search", ["sparse", "dense"])
def test_peaks_are_found_within_a_pixel_of_the_joints(search):
    random = np.random.default_rng(0)
    joints = random.uniform(8, (88, 56), (6, 2))
    joints = np.round(joints, 2)
    maps = encode([(0, j, *xy) for j, xy in enumerate(joints)], joints=6)
    peaks = find_centred_peaks(maps, **SETTINGS, search=search)
    assert np.asarray(peaks.count).tolist() == [[1] * 6]
    found = np.stack([peaks.x, peaks.y], axis=-1)[0, :, 0]
    assert np.abs(found - joints).max() <= 1.0
    assert np.abs((found - joints).mean(axis=0)).max() < 0.4  # no bias of half a cell


@pytest.mark.parametrize("seed", range(4))
def test_both_searches_find_the_same_peaks_also_in_a_graph(seed):
    random = np.random.default_rng(seed)
    maps = random.normal(0, 0.3, (2, 12, 9, 3)).astype(np.float32)
    maps[0, 5, 4] = maps[0, 5, 5] = 2  # a plateau
    dense = find_centred_peaks(maps, **SETTINGS, search="dense")
    sparse = find_centred_peaks(maps, **SETTINGS, search="sparse")
    for ours, theirs in zip(sparse, dense, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    traced = tf.function(lambda m: find_centred_peaks(m, **SETTINGS, search="sparse"))(maps)
    for ours, theirs in zip(traced, sparse, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("corner", [(0, 0), (0, 7), (7, 0), (7, 7), (0, 4), (4, 7)])
def test_both_searches_find_peaks_at_the_border(corner):
    maps = np.full((1, 8, 8, 1), 0.12, np.float32)
    maps[(0, *corner, 0)] = 0.5
    for values in (maps, 0.62 - maps):
        dense = find_centred_peaks(values, **SETTINGS, search="dense")
        sparse = find_centred_peaks(values, **SETTINGS, search="sparse")
        for ours, theirs in zip(sparse, dense, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_more_peaks_than_places_are_counted_and_the_highest_stay():
    random = np.random.default_rng(1)
    maps = random.uniform(0, 1, (1, 40, 40, 1)).astype(np.float32)
    few = find_centred_peaks(maps, **SETTINGS)
    many = find_centred_peaks(maps, **{**SETTINGS, "candidates": 600})
    assert few.count[0, 0] == many.count[0, 0] > 100
    np.testing.assert_array_equal(few.scores[0, 0], many.scores[0, 0, :8])
    assert np.all(np.diff(many.scores[0, 0, : int(many.count[0, 0])]) <= 0)


@pytest.mark.parametrize("search", ["sparse", "dense"])
def test_an_empty_map_has_no_peak_and_a_map_with_nan_says_so(search):
    maps = np.zeros((1, 8, 8, 2), np.float32)
    maps[0, 3, 3, 1] = np.nan
    peaks = find_centred_peaks(maps, **SETTINGS, search=search)
    assert np.asarray(peaks.count)[0, 0] == 0 and (np.asarray(peaks.scores)[0, 0] == 0).all()
    assert np.isnan(np.asarray(peaks.scores)[0, 1]).all()


def test_single_pixels_are_those_of_the_whole_resize():
    random = np.random.default_rng(2)
    maps = random.normal(size=(2, 7, 9, 3)).astype(np.float32)
    x = random.integers(0, 36, (2, 3, 50)).astype(np.int32)
    y = random.integers(0, 28, (2, 3, 50)).astype(np.int32)
    for mode in ("bicubic", "bilinear"):
        whole = np.asarray(upsample(maps, 4, mode))
        found = np.asarray(sample_pixels(maps[..., None], x, y, 4, mode))[..., 0]
        for batch in range(2):
            for channel in range(3):
                expected = whole[batch, y[batch, channel], x[batch, channel], channel]
                np.testing.assert_allclose(found[batch, channel], expected, atol=1e-6)
        again = resize_maps(maps, (28, 36), mode)
        np.testing.assert_allclose(again, whole, rtol=0, atol=1e-5)


def test_other_searches_and_thresholds_are_refused():
    maps = np.zeros((1, 8, 8, 1), np.float32)
    with pytest.raises(ValueError, match="must be sparse or dense. Received 'quick'"):
        find_centred_peaks(maps, **SETTINGS, search="quick")
    with pytest.raises(ValueError, match="threshold must be positive. Received 0"):
        find_centred_peaks(maps, **{**SETTINGS, "threshold": 0})
    with pytest.raises(ValueError, match="mode must be bicubic or bilinear"):
        upsample(maps, 4, "lanczos")
