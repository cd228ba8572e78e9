import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.simcc import bin_counts, decode_simcc, encode_simcc, merge_flipped_simcc

HW = (32, 24)


def encode(points, **options):
    return [np.array(a) for a in encode_simcc(np.float32(points), input_hw=HW, **options)]


def test_there_are_two_bins_a_pixel():
    assert bin_counts((256, 192), 2.0) == (384, 512)
    x, y, weights = encode([[[5, 6]]])
    assert x.shape == (1, 1, 48) and y.shape == (1, 1, 64) and weights.shape == (1, 1)


def test_the_gaussian_stands_on_the_nearest_bin_half_to_even():
    x, y, _ = encode([[[5.25, 6.75]]], sigma=(2.0, 3.0))  # 10.5 -> 10, 13.5 -> 14
    assert x[0, 0].argmax() == 10 and y[0, 0].argmax() == 14
    np.testing.assert_allclose(x[0, 0, 12], np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(y[0, 0, 20], np.exp(-2.0), rtol=1e-6)


def test_a_density_sums_to_one():
    x, _, _ = encode([[[12, 16]]], label="density", sigma=(2.0, 2.0))
    assert x.sum() == pytest.approx(1, abs=1e-5)


def test_one_bin_leaves_the_smoothing_to_all_others():
    x, y, _ = encode([[[5, 6]]], label="one_bin", smoothing=0.1)
    assert x[0, 0, 10] == pytest.approx(0.9) and x[0, 0, 0] == pytest.approx(0.1 / 47)
    assert y.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("x_px", "label", "weight"),
    [
        (-3.5, "gaussian", 1),  # bin -7: its far end, exclusive, is bin 0
        (-4.0, "gaussian", 0),
        (26.5, "gaussian", 1),  # bin 53: its near end is the last bin, 47
        (27.0, "gaussian", 0),
        (-0.5, "one_bin", 0),
        (23.5, "one_bin", 1),
        (24.0, "one_bin", 0),
    ],
)
def test_a_joint_that_does_not_touch_the_view_loses_its_weight(x_px, label, weight):
    x, _, weights = encode([[[x_px, 10]]], label=label, sigma=(2.0, 2.0))
    assert weights.tolist() == [[weight]] and x.any() == bool(weight)


def test_an_unlabelled_joint_has_no_weight():
    _, _, weights = encode([[[5, 6, 0], [5, 6, 1]]])
    assert weights.tolist() == [[0, 1]]


def test_half_pixels_come_back_exactly_and_others_within_a_quarter():
    points = np.random.default_rng(0).uniform((0, 0), (23.7, 31.7), (1, 50, 2))
    halves = np.round(points * 2) / 2
    for given, tolerance in ((halves, 0), (points, 0.2501)):
        x, y, _ = encode(given)
        found, scores = decode_simcc(x, y)
        np.testing.assert_allclose(np.array(found), given, rtol=0, atol=tolerance)
        assert np.array(scores) == pytest.approx(1)


def test_dark_finds_the_place_between_two_bins():
    bins = np.arange(384, dtype=np.float32)
    vector = np.exp(-0.5 * ((bins - 100.4) / 5.0) ** 2)[None, None]
    found, _ = decode_simcc(vector, vector, decoder="dark", sigma=(5.0, 5.0))
    np.testing.assert_allclose(np.array(found)[0, 0], 50.2, atol=0.01)


def test_the_score_is_the_lower_maximum_and_a_negative_one_has_no_place():
    x = np.float32([[[0, 3, 1, 0, 0], [-1, -2, -3, -1, -2]]])
    y = np.float32([[[2, 0, 0, 0, 0], [1, 5, 0, 0, 0]]])
    found, scores = decode_simcc(x, y)
    assert np.array(scores).tolist() == [[2, -1]]
    assert np.array(found).tolist() == [[[0.5, 0], [-0.5, -0.5]]]
    zeroed, _ = decode_simcc(x, y, zero_nonpositive=True)
    assert np.array(zeroed)[0, 1].tolist() == [0, 0]


def test_a_nan_in_either_vector_is_told():
    x, y = np.ones((1, 2, 8), np.float32), np.ones((1, 2, 8), np.float32)
    y[0, 1, 3] = np.nan
    found, scores = decode_simcc(x, y)
    assert np.isnan(np.array(found)[0, 1]).all() and np.isnan(np.array(scores)).tolist() == [
        [False, True]
    ]


def test_the_flip_test_reverses_x_alone_and_swaps_the_pair():
    random = np.random.default_rng(0)
    x, y = random.random((1, 2, 6), np.float32), random.random((1, 2, 8), np.float32)
    flipped_x, flipped_y = x[:, ::-1, ::-1], y[:, ::-1]
    merged = merge_flipped_simcc(x, y, flipped_x, flipped_y, np.array([1, 0]))
    np.testing.assert_allclose(merged[0], x, rtol=1e-6)
    np.testing.assert_allclose(merged[1], y, rtol=1e-6)


@pytest.mark.parametrize("decoder", ["none", "dark"])
def test_results_are_equal_in_a_compiled_graph(decoder):
    x, y = np.random.default_rng(0).random((2, 2, 3, 48), np.float32)

    def run(x, y):
        return decode_simcc(x, y, decoder=decoder)

    traced = tf.function(run)(tf.constant(x), tf.constant(y))
    for eager, graph in zip(run(x, y), traced, strict=True):
        np.testing.assert_allclose(eager, graph, rtol=1e-4, atol=1e-4)


def test_rules_are_named():
    points = np.zeros((1, 1, 2), np.float32)
    with pytest.raises(ValueError, match=r"gaussian, density or one_bin\. Received 'hard'"):
        encode_simcc(points, input_hw=HW, label="hard")
    with pytest.raises(ValueError, match=r"sigma must be positive.*Received \(0, 1\)"):
        encode_simcc(points, input_hw=HW, sigma=(0, 1))
    with pytest.raises(ValueError, match=r"simcc codec must be none or dark\. Received 'quarter'"):
        decode_simcc(points, points, decoder="quarter")
