import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs.heatmap import decode_heatmaps, encode_heatmaps, merge_flipped

INPUT_HW, HEATMAP_HW = (64, 48), (16, 12)
CELL_PX = 4


def decode_cells(maps, **options):
    """Cells and scores of (batch, height, width, joints) maps, peak 1."""
    options = {"peak": 1.0, **options}
    points, scores = decode_heatmaps(maps, input_hw=maps.shape[1:3], **options)
    return np.array(points), np.array(scores)


def empty_maps(height=16, width=12, batch=1, joints=1):
    return np.zeros((batch, height, width, joints), np.float32)


def gaussian_maps(x_cells, y_cells, sigma=2.0, hw=(64, 48)):
    """One map per point with its bump at the exact place, off the cells."""
    rows, columns = np.arange(hw[0])[:, None, None], np.arange(hw[1])[None, :, None]
    squared = (columns - x_cells) ** 2 + (rows - y_cells) ** 2
    return np.exp(-squared / (2 * sigma**2))[None].astype(np.float32)


def test_the_peak_stands_on_the_nearest_cell_and_falls_off_as_a_gaussian():
    keypoints = np.array([[[17.0, 30.0]]], np.float32)  # 4.25, 7.5 cells -> cell (4, 8)
    maps, weights = encode_heatmaps(
        keypoints, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=2.0, peak=255.0
    )
    maps = np.array(maps)[0, :, :, 0]
    assert maps.shape == HEATMAP_HW
    assert maps[8, 4] == 255.0
    np.testing.assert_allclose(maps[8, 6], 255 * np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(maps[6, 2], 255 * np.exp(-1.0), rtol=1e-6)
    assert maps[15, 11] > 0  # the whole map is drawn
    assert np.array(weights).tolist() == [[1.0]]


def test_a_joint_without_a_label_is_drawn_but_has_no_weight():
    keypoints = np.array([[[20, 20, 2], [20, 20, 1], [20, 20, 0]]], np.float32)
    maps, weights = encode_heatmaps(keypoints, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=2.0)
    assert np.array(weights).tolist() == [[1, 1, 0]]
    np.testing.assert_array_equal(np.array(maps)[..., 0], np.array(maps)[..., 2])


def test_a_window_of_three_sigma_is_cut_and_leaves_out_joints_without_a_label():
    keypoints = np.array([[[24, 32, 2], [24, 32, 0]]], np.float32)  # cell (6, 8)
    maps, weights = encode_heatmaps(
        keypoints,
        input_hw=INPUT_HW,
        heatmap_hw=HEATMAP_HW,
        sigma=1.0,
        peak=1.0,
        window="three_sigma",
    )
    maps = np.array(maps)
    assert maps[0, 8, 9, 0] > 0 and maps[0, 8, 10, 0] == 0
    assert np.count_nonzero(maps[0, :, :, 0]) == 7 * 7
    assert not maps[0, :, :, 1].any()
    assert np.array(weights).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("x_px", "cell", "weight", "drawn"),
    [
        (-3.0, 0, 1, True),  # -0.75 + 0.5 is truncated toward zero, not down
        (-14.0, -3, 1, True),  # window -6..0: one column is left
        (-18.0, -4, 1, False),  # its exclusive end is 0: nothing drawn, weight kept
        (-22.0, -5, 0, False),
        (54.0, 14, 1, True),  # window starts at 11, the last column
        (58.0, 15, 0, False),
    ],
)
def test_a_window_outside_the_map_loses_its_weight_but_for_the_published_off_by_one(
    x_px, cell, weight, drawn
):
    keypoints = np.array([[[x_px, 32.0, 1.0]]], np.float32)
    maps, weights = encode_heatmaps(
        keypoints,
        input_hw=INPUT_HW,
        heatmap_hw=HEATMAP_HW,
        sigma=1.0,
        peak=1.0,
        window="three_sigma",
    )
    row = np.array(maps)[0, 8, :, 0]
    columns = np.arange(HEATMAP_HW[1])
    expected = np.exp(-0.5 * (columns - cell) ** 2.0) * (abs(columns - cell) <= 3) * weight
    np.testing.assert_allclose(row, expected, atol=1e-7)
    assert row.any() == drawn
    assert np.array(weights).tolist() == [[weight]]


def test_rounding_follows_the_published_order_of_operations_in_every_way_of_running():
    # x / 240 * 60 + 0.5 differs from x * 0.25 + 0.5 at cell borders, and graph optimisers rewrite
    # the first into the second.
    input_hw, heatmap_hw = (240, 240), (60, 60)
    border = ((np.arange(60) + 0.5) * 4).astype(np.float32)
    x = np.concatenate([np.nextafter(border, np.float32(-1)), border, np.nextafter(border, 999)])
    expected = np.floor(x / np.float32(240) * np.float32(60) + np.float32(0.5), dtype=np.float32)
    keypoints = np.stack([x, np.full_like(x, 100)], axis=-1)[None]

    def columns(points):
        maps, _ = encode_heatmaps(points, input_hw=input_hw, heatmap_hw=heatmap_hw, sigma=2.0)
        return tf.argmax(maps[0, 25], axis=0)

    inside = expected < 60
    assert inside.sum() > 100
    for way in (columns, tf.function(columns), tf.function(columns, jit_compile=True)):
        np.testing.assert_array_equal(way(tf.constant(keypoints)).numpy()[inside], expected[inside])
    piped = next(iter(tf.data.Dataset.from_tensors(keypoints).map(columns)))
    np.testing.assert_array_equal(piped.numpy()[inside], expected[inside])


def test_joints_far_outside_give_finite_empty_maps():
    keypoints = np.array([[[1e9, -1e9]]], np.float32)
    for window in ("full", "three_sigma"):
        maps, _ = encode_heatmaps(
            keypoints, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=2.0, window=window
        )
        assert not np.array(maps).any()


def test_encode_names_the_rule_it_was_called_against():
    points = np.zeros((2, 3, 2), np.float32)
    sizes = {"input_hw": INPUT_HW, "heatmap_hw": HEATMAP_HW}
    with pytest.raises(ValueError, match=r"full or three_sigma. Received 'half'"):
        encode_heatmaps(points, **sizes, sigma=2.0, window="half")
    with pytest.raises(ValueError, match=r"sigma must be positive.*Received 0"):
        encode_heatmaps(points, **sizes, sigma=0.0)
    with pytest.raises(ValueError, match=r"\(batch, joints, 2 or 3\). Received \(3, 2\)"):
        encode_heatmaps(points[0], **sizes, sigma=2.0)


def test_the_first_of_several_maxima_wins_row_by_row():
    maps = empty_maps()
    maps[0, 7, 4, 0] = maps[0, 5, 9, 0] = maps[0, 5, 6, 0] = 1
    cells, _ = decode_cells(maps, decoder="none")
    assert cells.tolist() == [[[6, 5]]]


def test_minus_zero_counts_as_zero():
    maps = np.full((1, 16, 12, 1), 0.0, np.float32)
    maps[0, 0, 0] = -0.0
    for decode in (decode_cells, lambda m, **o: map(np.array, tf.function(decode_cells_graph)(m))):
        cells, scores = decode(maps, decoder="none")
        assert cells.tolist() == [[[0, 0]]]
        assert scores.tolist() == [[0]]


def decode_cells_graph(maps):
    return decode_heatmaps(maps, input_hw=maps.shape[1:3], peak=1.0, decoder="none")


@pytest.mark.parametrize(
    ("right", "left", "below", "above", "offset"),
    [
        (0.5, 0.2, 0.5, 0.2, (0.25, 0.25)),
        (0.2, 0.5, 0.2, 0.5, (-0.25, -0.25)),
        (0.5, 0.5, 0.2, 0.5, (0, -0.25)),  # equal neighbours: no offset
        (-0.1, -0.2, 0, 0, (0.25, 0)),  # negative neighbours count as well
    ],
)
def test_the_quarter_offset_points_to_the_higher_neighbour(right, left, below, above, offset):
    maps = empty_maps()
    maps[0, 8, 5, 0] = 1
    maps[0, 8, 6, 0], maps[0, 8, 4, 0] = right, left
    maps[0, 9, 5, 0], maps[0, 7, 5, 0] = below, above
    cells, scores = decode_cells(maps, decoder="quarter")
    assert cells.tolist() == [[[5 + offset[0], 8 + offset[1]]]]
    assert scores.tolist() == [[1]]


@pytest.mark.parametrize(
    ("x", "y", "moved"),
    [
        (2, 2, True),
        (9, 13, True),
        (10, 13, True),  # width 12: 10 is the last cell that moves
        (10, 14, True),
        (1, 8, False),
        (11, 8, False),
        (5, 1, False),  # at one border neither axis moves
        (5, 15, False),
        (0, 0, False),
    ],
)
def test_a_peak_near_a_border_gets_no_offset_in_either_axis(x, y, moved):
    maps = empty_maps(16, 12)
    maps[0, y, x, 0] = 1
    maps[0, y, max(x - 1, 0), 0] = maps[0, max(y - 1, 0), x, 0] = 0.5
    maps[0, y, x, 0] = 1
    cells, _ = decode_cells(maps, decoder="quarter")
    assert cells.tolist() == [[[x - 0.25 * moved, y - 0.25 * moved]]]


def test_a_map_below_zero_is_decoded_unless_its_joint_is_sent_to_the_origin():
    maps = empty_maps() - 1
    maps[0, 8, 5, 0], maps[0, 8, 6, 0] = -0.1, -0.2
    cells, scores = decode_cells(maps, decoder="quarter")
    assert cells.tolist() == [[[5.25, 8]]]
    np.testing.assert_allclose(scores, -0.1, rtol=1e-6)
    cells, scores = decode_cells(maps, decoder="quarter", zero_nonpositive=True)
    assert cells.tolist() == [[[0, 0]]]
    np.testing.assert_allclose(scores, -0.1, rtol=1e-6)


@pytest.mark.parametrize("decoder", ["none", "quarter", "dark"])
def test_a_map_with_nan_is_told_from_its_neighbours(decoder):
    maps = np.random.default_rng(0).random((2, 16, 12, 3)).astype(np.float32)
    maps[1, 4, 4, 2] = np.nan
    for run in (lambda f, m: f(m), lambda f, m: tf.function(f)(m)):
        points, scores = run(
            lambda m: decode_heatmaps(m, input_hw=INPUT_HW, decoder=decoder), tf.constant(maps)
        )
        bad = np.zeros((2, 3), bool)
        bad[1, 2] = True
        np.testing.assert_array_equal(np.isnan(np.array(scores)), bad)
        np.testing.assert_array_equal(np.isnan(np.array(points)).all(axis=-1), bad)
        assert np.isfinite(np.array(points)[~bad]).all()


@pytest.mark.parametrize("decoder", ["none", "quarter", "dark"])
def test_flat_and_empty_maps_decode_to_finite_points(decoder):
    maps = np.stack([np.zeros((16, 12)), np.ones((16, 12)), -np.ones((16, 12))], axis=-1)
    cells, scores = decode_cells(maps[None].astype(np.float32), decoder=decoder)
    assert cells.tolist() == [[[0, 0]] * 3]
    assert scores.tolist() == [[0, 1, -1]]


def test_scores_and_pixels_are_scaled_by_peak_and_cell_size():
    maps = empty_maps()
    maps[0, 8, 5, 0] = 127.5
    points, scores = decode_heatmaps(maps, input_hw=(64, 96), peak=255.0, decoder="none")
    assert np.array(points).tolist() == [[[5 * 8, 8 * 4]]]
    assert np.array(scores).tolist() == [[0.5]]


def test_decode_refuses_an_unknown_decoder():
    with pytest.raises(ValueError, match=r"none, quarter or dark. Received 'udp'"):
        decode_heatmaps(empty_maps(), input_hw=INPUT_HW, decoder="udp")


@pytest.mark.parametrize(("decoder", "bound"), [("none", 0.5), ("quarter", 0.25), ("dark", 0.01)])
@pytest.mark.parametrize("sigma", [2.0, 3.0])
def test_bumps_between_cells_come_back_within_the_decoders_fraction_of_a_cell(
    decoder, bound, sigma
):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(11, 36, 200), rng.uniform(11, 52, 200)
    cells, scores = decode_cells(gaussian_maps(x, y, sigma), decoder=decoder, sigma=sigma)
    error = cells[0] - np.stack([x, y], axis=-1)
    assert np.abs(error).max() <= bound + 1e-4
    # Half a cell of bias would still look like a good AP: the mean signed error shows it.
    assert np.abs(error.mean(axis=0)).max() < 0.05
    assert scores.max() <= 1


def test_dark_near_a_border_stays_in_the_cells_around_the_peak():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-0.4, 11.4, 300), rng.uniform(-0.4, 15.4, 300)
    maps = gaussian_maps(x, y, 2.0, (16, 12)) + rng.normal(0, 0.05, (1, 16, 12, 300))
    maps = maps.astype(np.float32)
    plain, _ = decode_cells(maps, decoder="none")
    refined, _ = decode_cells(maps, decoder="dark")
    assert np.abs(refined - plain).max() <= 2
    at_border = (plain < 2).any(axis=-1) | (plain > np.array([12, 16]) - 4).any(axis=-1)
    at_border &= ~((plain >= 2) & (plain <= np.array([12, 16]) - 3)).all(axis=-1)
    assert at_border.any() and not at_border.all()
    np.testing.assert_array_equal(refined[at_border], plain[at_border])


def test_dark_keeps_the_peak_of_a_ridge_where_the_hessian_is_singular():
    maps = empty_maps(20, 20)
    maps[0, 10, :, 0] = 1.0  # equally high all along the row
    maps[0, 10, 9, 0] = 1.0 + 1e-6
    cells, _ = decode_cells(maps, decoder="dark")
    np.testing.assert_allclose(cells[0, 0], [9, 10], atol=2)
    assert np.isfinite(cells).all()


@pytest.mark.parametrize("window", ["full", "three_sigma"])
@pytest.mark.parametrize("decoder", ["none", "quarter", "dark"])
@pytest.mark.parametrize(
    ("input_hw", "heatmap_hw"), [((256, 192), (64, 48)), ((384, 288), (96, 72))]
)
def test_decoding_an_encoded_keypoint_returns_it_within_half_a_cell(
    window, decoder, input_hw, heatmap_hw
):
    sigma = 2 * heatmap_hw[0] / 64
    # Further right a point rounds to a cell outside the map. DARK sees zeros beyond the border and
    # leans up to a quarter of a cell inward where its kernel reaches there.
    margin = 4 * (3 * sigma + 2) if decoder == "dark" else 0
    limit = np.array(input_hw[::-1]) - max(margin, CELL_PX / 2 + 0.001)
    points = np.random.default_rng(3).uniform(margin, limit, (4, 17, 2)).astype(np.float32)
    maps, _ = encode_heatmaps(
        points, input_hw=input_hw, heatmap_hw=heatmap_hw, sigma=sigma, window=window
    )
    back, scores = decode_heatmaps(maps, input_hw=input_hw, decoder=decoder, sigma=sigma)
    error = (np.array(back) - points) / CELL_PX
    # The target stands on a whole cell: half a cell is all there is to get back.
    assert np.abs(error).max() <= 0.5 + 1e-3
    assert np.abs(error).max() > 0.45
    assert np.abs(error.mean()) < 0.05
    np.testing.assert_allclose(np.array(scores), 1, rtol=1e-6)


@pytest.mark.parametrize("decoder", ["none", "quarter", "dark"])
def test_one_bright_pixel_and_its_keypoint_move_together(decoder):
    for x, y in [(0, 0), (5, 8), (8, 5), (11, 15), (2, 13)]:
        maps = empty_maps()
        maps[0, y, x, 0] = 255
        points, _ = decode_heatmaps(maps, input_hw=INPUT_HW, decoder=decoder)
        np.testing.assert_allclose(np.array(points), [[[x * CELL_PX, y * CELL_PX]]], atol=1e-4)
        encoded, _ = encode_heatmaps(points, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=1.0)
        assert np.unravel_index(np.argmax(np.array(encoded)[0, :, :, 0]), HEATMAP_HW) == (y, x)


def test_equal_results_eagerly_in_a_graph_and_inside_tf_data():
    rng = np.random.default_rng(4)
    keypoints = np.concatenate(
        [rng.uniform(-20, 80, (3, 5, 2)), rng.integers(0, 3, (3, 5, 1))], axis=-1
    ).astype(np.float32)
    noise = rng.normal(0, 20, (3, *HEATMAP_HW, 5)).astype(np.float32)

    def both(points, disturbance):
        results = []
        for window in ("full", "three_sigma"):
            maps, weights = encode_heatmaps(
                points, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=2.0, window=window
            )
            merged = merge_flipped(maps, maps + disturbance, np.array([0, 2, 1, 4, 3]))
            results += [maps, weights, merged]
            for decoder in ("none", "quarter", "dark"):
                results += decode_heatmaps(merged, input_hw=INPUT_HW, decoder=decoder)
        return tuple(results)

    unknown_batch = [tf.TensorSpec([None, *a.shape[1:]], tf.float32) for a in (keypoints, noise)]
    eager = both(tf.constant(keypoints), tf.constant(noise))
    graph = tf.function(both, input_signature=unknown_batch)(keypoints, noise)
    piped = next(iter(tf.data.Dataset.from_tensors((keypoints, noise)).map(both)))
    for expected, *others in zip(eager, graph, piped, strict=True):
        for other in others:
            assert other.dtype == tf.float32
            # Compiled graphs may round a product once less: some units in the last place.
            np.testing.assert_allclose(other, expected, rtol=1e-5, atol=1e-4)


def test_an_exact_window_does_not_round_and_leaves_out_joints_outside():
    keypoints = np.array([[[17.0, 30.0, 2], [-40.0, 30.0, 2], [20.0, 20.0, 0]]], np.float32)
    maps, weights = encode_heatmaps(
        keypoints, input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, sigma=2.0, peak=1.0, window="exact"
    )
    maps = np.array(maps)[0]
    # The joint stands at 4.25, 7.5 cells.
    np.testing.assert_allclose(maps[8, 4, 0], np.exp(-(0.25**2 + 0.5**2) / 8), rtol=1e-6)
    assert maps[15, 11, 0] > 0 and not maps[..., 1:].any()
    assert np.array(weights).tolist() == [[1, 0, 0]]


def test_the_kernel_of_dark_can_be_told():
    maps = gaussian_maps(20.3, 30.6, sigma=3.0) + gaussian_maps(24.0, 33.0)
    by_sigma, told, other = (
        decode_cells(maps, decoder="dark", sigma=sigma, kernel=kernel)[0]
        for sigma, kernel in ((3.0, 0), (2.0, 17), (2.0, 11))
    )
    np.testing.assert_array_equal(by_sigma, told)
    assert np.abs(by_sigma - other).max() > 1e-3
