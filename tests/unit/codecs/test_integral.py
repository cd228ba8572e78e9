import numpy as np
import pytest
import tensorflow as tf

from poseras.codecs import integral

BINS = 8
SHAPES = {"input_hw": (64, 48), "volume_dhw": (8, 16, 12), "box_depth_mm": 2000.0}


def logits_with_peak(x, y, z, *, joints=2, joint=1, height=5, width=7, peak=50.0):
    logits = np.zeros((1, height, width, joints, BINS), np.float32)
    logits[0, y, x, joint, z] = peak
    return logits.reshape(1, height, width, joints * BINS)


def test_one_bright_cell_is_where_the_joint_is():
    cells = np.array(integral.soft_argmax_3d(logits_with_peak(6, 1, 3), BINS))
    np.testing.assert_allclose(cells[0, 1], [6, 1, 3], atol=1e-5)
    # A flat volume has its joint in the middle.
    np.testing.assert_allclose(cells[0, 0], [3, 2, 3.5], atol=1e-5)


def test_two_equal_cells_have_their_joint_between_them():
    logits = logits_with_peak(2, 4, 0) + logits_with_peak(4, 2, 7)
    cells = np.array(integral.soft_argmax_3d(logits, BINS))
    np.testing.assert_allclose(cells[0, 1], [3, 3, 3.5], atol=1e-5)


def test_maps_are_read_as_volumes_of_one_bin():
    maps = np.random.default_rng(0).normal(size=(3, 6, 5, 4)).astype(np.float32) * 3
    flat = np.array(integral.soft_argmax_2d(maps))
    solid = np.array(integral.soft_argmax_3d(maps, 1))
    assert flat.shape == (3, 4, 2)
    np.testing.assert_allclose(flat, solid[..., :2], atol=1e-6)
    assert not solid[..., 2].any()


def test_the_peak_is_the_highest_cell_and_the_first_of_equal_ones():
    logits = logits_with_peak(6, 1, 3)
    np.testing.assert_array_equal(integral.peak_3d(logits, BINS)[0], [[0, 0, 0], [6, 1, 3]])


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_logits_of_any_size_give_finite_cells_and_gradients(size):
    logits = tf.Variable(
        np.random.default_rng(1).normal(size=(2, 4, 4, 16)) * size, dtype="float32"
    )
    with tf.GradientTape() as tape:
        cells = integral.soft_argmax_3d(logits, BINS)
        total = tf.reduce_sum(cells)
    assert np.isfinite(cells).all() and np.isfinite(tape.gradient(total, logits)).all()


@pytest.mark.parametrize(("kind", "tolerance"), [("bfloat16", 0.05), ("float16", 0.01)])
def test_logits_of_half_precision_cost_a_fraction_of_a_cell(kind, tolerance):
    # As wide and as peaked as a trained network's: 64 cells each way, a standard deviation of 2.5.
    logits = np.random.default_rng(2).normal(size=(1, 64, 64, 2 * 64)).astype(np.float32) * 2.5
    whole = np.array(integral.soft_argmax_3d(logits, 64))
    half = integral.soft_argmax_3d(tf.cast(logits, kind), 64)
    assert half.dtype == tf.float32
    assert 0 < np.abs(np.array(half) - whole).max() <= tolerance


def test_eager_and_traced_results_are_equal():
    logits = np.random.default_rng(3).normal(size=(2, 5, 6, 24)).astype(np.float32)
    traced = tf.function(lambda x: integral.soft_argmax_3d(x, BINS))(logits)
    np.testing.assert_allclose(traced, integral.soft_argmax_3d(logits, BINS), atol=1e-5)


def test_channels_that_are_no_whole_volumes_are_refused():
    with pytest.raises(ValueError, match=r"multiple of depth_bins \(8\).*Received 12"):
        integral.soft_argmax_3d(np.zeros((1, 2, 2, 12), np.float32), 8)
    with pytest.raises(ValueError, match=r"logits must have shape .*Received \(2, 2, 12\)"):
        integral.soft_argmax_3d(np.zeros((2, 2, 12), np.float32), 4)


def people(depths, known, scale=1.0, visibility=2):
    points = np.float32([[10, 20], [40, 60]])
    keypoints = np.concatenate([points, np.full((2, 1), visibility)], axis=1)[None]
    return (
        keypoints.astype(np.float32),
        np.float32([depths]),
        np.float32([known]),
        np.float32([scale]),
    )


def test_encoding_counts_cells_and_decoding_brings_the_joints_back():
    arguments = people([-500, 250], [1, 1])
    cells, weights = integral.encode_coordinates(*arguments, **SHAPES)
    # 4 px a cell; 2000 mm are 8 bins, the root in the middle.
    np.testing.assert_allclose(cells[0], [[2.5, 5, 2], [10, 15, 5]], atol=1e-6)
    np.testing.assert_array_equal(weights, np.ones((1, 2, 3)))
    points, depths = integral.decode_coordinates(cells, **SHAPES)
    np.testing.assert_allclose(points[0], arguments[0][0, :, :2], atol=1e-5)
    np.testing.assert_allclose(depths[0], [-500, 250], atol=1e-3)


def test_a_view_of_twice_the_box_holds_twice_the_depth():
    cells, _ = integral.encode_coordinates(*people([-500, 1500], [1, 1], scale=2.0), **SHAPES)
    np.testing.assert_allclose(cells[0, :, 2], [3, 7], atol=1e-6)


def test_an_unknown_depth_is_the_middle_and_does_not_count():
    cells, weights = integral.encode_coordinates(*people([9999, 250], [0, 1]), **SHAPES)
    np.testing.assert_allclose(cells[0, :, 2], [4, 5], atol=1e-6)
    np.testing.assert_array_equal(weights[0], [[1, 1, 0], [1, 1, 1]])


def test_an_unseen_joint_does_not_count():
    _, weights = integral.encode_coordinates(*people([0, 0], [1, 1], visibility=0), **SHAPES)
    assert not np.any(weights)


@pytest.mark.parametrize(("rule", "counts"), [("drop", 0), ("keep", 1)])
def test_a_joint_before_or_behind_the_box_is_dropped_or_kept(rule, counts):
    _, weights = integral.encode_coordinates(
        *people([-1001, 1000], [1, 1]), **SHAPES, outside_depth=rule
    )
    np.testing.assert_array_equal(weights, np.full((1, 2, 3), counts))


PERMUTATION = np.array([1, 0, 2])


@pytest.mark.parametrize(("alignment", "error"), [("exact", 0), ("published", -0.375)])
def test_the_flip_test_of_a_perfect_network_moves_joints_by_what_is_published(alignment, error):
    width_px, cells = 64, 16
    points = np.float32([[[10.0, 3, 4], [37.5, 8, 1], [20, 0, 0]]])  # x px, y and z in cells
    mirrored = points[:, PERMUTATION].copy()
    mirrored[..., 0] = width_px - 1 - mirrored[..., 0]
    scale = np.float32([cells / width_px, 1, 1])
    merged = integral.merge_flipped_coordinates(
        points * scale,
        mirrored * scale,
        PERMUTATION,
        map_width=cells,
        input_width=width_px,
        alignment=alignment,
    )
    np.testing.assert_allclose(np.array(merged) - points * scale, [[[error, 0, 0]] * 3], atol=1e-5)


def test_the_mirror_twice_is_the_identity():
    coordinates = np.random.default_rng(4).uniform(0, 16, (2, 3, 3)).astype(np.float32)

    def mirror(cells):
        merged = integral.merge_flipped_coordinates(
            cells, cells, PERMUTATION, map_width=16, input_width=64
        )
        return 2 * np.array(merged) - np.array(cells)

    np.testing.assert_allclose(mirror(mirror(coordinates)), coordinates, atol=1e-4)
