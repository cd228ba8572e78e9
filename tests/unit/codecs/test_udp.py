import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.cells import smooth_axis
from poseras.codecs.udp import (
    decode_discs,
    decode_udp,
    encode_discs,
    encode_udp,
    merge_flipped_offsets,
)

SIZES = {"input_hw": (64, 48), "heatmap_hw": (16, 12)}
#: View pixels of one cell: 47 intervals over 11, 63 over 15.
CELL_PX = np.array([47 / 11, 63 / 15])


def points_of(cells):
    """(1, joints, 2) view px of cells."""
    return (np.array(cells) * CELL_PX)[None].astype(np.float32)


def test_the_outermost_cells_are_the_outermost_pixels():
    maps, _ = encode_udp(np.float32([[[0, 0], [47, 63]]]), **SIZES, sigma=1.0, peak=1.0)
    maps = np.array(maps)[0]
    assert maps[0, 0, 0] == 1 and maps[15, 11, 1] == pytest.approx(1, abs=1e-5)


def test_the_bump_stands_on_the_joint_and_not_on_a_cell():
    maps, weights = encode_udp(points_of([[4.25, 7.5]]), **SIZES, sigma=2.0, peak=255.0)
    maps = np.array(maps)[0, :, :, 0]
    np.testing.assert_allclose(maps[8, 4], 255 * np.exp(-(0.25**2 + 0.5**2) / 8), rtol=1e-5)
    assert np.array(weights).tolist() == [[1]]


def test_the_window_is_that_of_the_nearest_cell():
    maps, _ = encode_udp(points_of([[4.4, 7.0]]), **SIZES, sigma=1.0, peak=1.0)
    assert np.flatnonzero(np.array(maps)[0, 7, :, 0]).tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_joints_outside_and_joints_without_a_label_are_not_drawn():
    points = np.float32([[[20, 20, 0], [-40, 20, 2], [20, 20, 1]]])
    maps, weights = encode_udp(points, **SIZES, sigma=1.0)
    assert np.array(weights).tolist() == [[0, 0, 1]]
    assert not np.array(maps)[..., :2].any()


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_what_is_encoded_is_decoded_within_a_thousandth_of_a_cell(border):
    sizes = {"input_hw": (256, 192), "heatmap_hw": (64, 48)}
    random = np.random.default_rng(0)
    points = random.uniform((40, 40), (150, 210), (1, 40, 2)).astype(np.float32)
    maps, _ = encode_udp(points, **sizes, sigma=2.0)
    found, scores = decode_udp(maps, input_hw=(256, 192), sigma=2.0, border=border)
    # The logarithm of a smoothed Gaussian is a parabola but for its cut window.
    np.testing.assert_allclose(np.array(found), points, atol=0.01)
    assert (np.array(scores) > 0.9).all()


def test_without_a_decoder_the_first_highest_cell_counts():
    maps = np.zeros((1, 16, 12, 1), np.float32)
    maps[0, 15, 11] = maps[0, 15, 10] = 5
    points, scores = decode_udp(maps, input_hw=(64, 48), peak=10.0, decoder="none")
    np.testing.assert_allclose(np.array(points)[0, 0], (10 * CELL_PX[0], 63), rtol=1e-6)
    assert np.array(scores).tolist() == [[0.5]]


def test_a_step_may_leave_the_map_unless_it_is_kept_inside():
    columns = np.arange(12, dtype=np.float32)
    row = np.exp(-((columns + 1.5) ** 2) / 8)  # highest beyond the left border
    maps = np.broadcast_to(row[:, None], (1, 16, 12, 1))
    free, _ = decode_udp(maps, input_hw=(64, 48), peak=1.0, kernel=3)
    kept, _ = decode_udp(maps, input_hw=(64, 48), peak=1.0, kernel=3, keep_inside=True)
    assert np.array(free)[0, 0, 0] < 0
    assert np.array(kept)[0, 0, 0] == 0


def test_a_map_with_a_nan_gives_nan_and_one_without_a_positive_cell_the_origin_if_asked():
    maps = np.full((1, 16, 12, 2), -1, np.float32)
    maps[0, 3, 3, 0] = np.nan
    points, scores = decode_udp(
        maps, input_hw=(64, 48), decoder="none", zero_nonpositive=True, peak=1.0
    )
    assert np.isnan(np.array(points)[0, 0]).all() and np.isnan(np.array(scores)[0, 0])
    assert np.array(points)[0, 1].tolist() == [0, 0]


def test_results_are_equal_in_a_compiled_graph():
    maps = np.random.default_rng(0).random((2, 16, 12, 3), np.float32)

    def run(tensor):
        return decode_udp(tensor, input_hw=(64, 48), peak=1.0)

    for eager, traced in zip(run(maps), tf.function(run)(tf.constant(maps)), strict=True):
        np.testing.assert_allclose(eager, traced, rtol=1e-4, atol=1e-4)


def test_discs_and_offsets_lead_back_to_the_joint_from_any_cell():
    points = np.float32([[[20.5, 30.25], [44, 5]]])
    discs, offsets, weights = encode_discs(points, **SIZES)
    assert np.array(weights).tolist() == [[1, 1]]
    radius = 0.0546875 * 16
    np.testing.assert_allclose(
        np.array(offsets)[0, 2, 3, 0] * radius, (points[0, 0] / CELL_PX) - (3, 2), rtol=1e-5
    )
    found, _ = decode_discs(discs, offsets, input_hw=(64, 48))
    np.testing.assert_allclose(np.array(found), points, atol=1e-3)


def test_a_disc_holds_the_cells_within_its_radius_and_an_unlabelled_joint_none():
    sizes = {"input_hw": (256, 192), "heatmap_hw": (64, 48)}  # radius 3.5 cells
    points = np.float32([[[191 / 47 * 20, 255 / 63 * 30, 2], [50, 50, 0]]])
    discs, _, weights = encode_discs(points, **sizes)
    disc = np.array(discs)[0, :, :, 0]
    assert disc[30, 23] == 1 and disc[30, 24] == 0 and disc[32, 22] == 1 and disc[33, 22] == 0
    assert np.array(weights).tolist() == [[1, 0]] and not np.array(discs)[..., 1].any()


def test_mirrored_offsets_point_the_other_way_along_x():
    offsets = np.random.default_rng(0).normal(size=(1, 4, 3, 2, 2)).astype(np.float32)
    flipped = offsets[:, :, ::-1][:, :, :, [1, 0]] * np.float32([-1, 1])
    merged = merge_flipped_offsets(offsets, flipped, np.array([1, 0]))
    np.testing.assert_allclose(merged, offsets, rtol=1e-6)


def test_smoothing_sees_zeros_or_the_mirrored_map_beyond_its_border():
    line = np.float32([4, 2, 0]).reshape(1, 3, 1, 1)
    kernel = [0.25, 0.5, 0.25]
    assert np.array(smooth_axis(line, kernel, 1)).ravel().tolist() == [2.5, 2, 0.5]
    assert np.array(smooth_axis(line, kernel, 1, "reflect")).ravel().tolist() == [3, 2, 1]
    long = [1 / 9] * 9  # reaches further than the map
    assert np.isfinite(smooth_axis(line, long, 1, "reflect")).all()


def test_rules_are_named():
    with pytest.raises(ValueError, match=r"udp codec must be none or dark\. Received 'quarter'"):
        decode_udp(np.zeros((1, 8, 8, 1)), input_hw=(32, 32), decoder="quarter")
    with pytest.raises(ValueError, match="sigma must be positive"):
        encode_udp(np.zeros((1, 1, 2)), **SIZES, sigma=0.0)
    with pytest.raises(ValueError, match=r"\(batch, joints, 2 or 3\)\. Received \(1, 2\)"):
        encode_discs(np.zeros((1, 2)), **SIZES)
