import numpy as np
import pytest

from poseras.systems.integral_3d import losses

ALL, FLAT, NONE = [1.0, 1, 1], [1.0, 1, 0], [0.0, 0, 0]
TRUTH = np.float32([[[2, 1, 3], [2, 1, 3]]])  # (batch 1, joints 2, 3)


def weights(*rows):
    return np.float32([rows])


def volumes(fill=0.0):
    return np.full((1, 4, 5, 2, 6), fill, np.float32)


def test_l1_is_a_mean_over_all_joints_and_axes():
    outputs = TRUTH + np.float32([1, -2, 6])
    assert float(losses.masked_l1(TRUTH, outputs, weights(ALL, ALL))) == pytest.approx(3)
    assert float(losses.masked_l1(TRUTH, outputs, weights(FLAT, NONE))) == pytest.approx(0.5)


def test_the_summed_errors_are_means_over_the_batch_alone():
    truth, outputs = np.repeat(TRUTH, 2, axis=0), np.repeat(TRUTH + 2, 2, axis=0)
    counted = np.repeat(weights(FLAT, ALL), 2, axis=0)
    assert float(losses.summed_error(truth, outputs, counted, squared=False)) == pytest.approx(10)
    assert float(losses.summed_error(truth, outputs, counted, squared=True)) == pytest.approx(20)


def blob(sigma):
    z, y, x = np.meshgrid(np.arange(6), np.arange(4), np.arange(5), indexing="ij")
    squared = (x - 2) ** 2 + (y - 1) ** 2 + (z - 3) ** 2
    return np.exp(-squared / (2 * sigma**2)).transpose(1, 2, 0)  # (height, width, depth)


def test_a_gaussian_volume_has_no_loss_and_an_empty_one_the_mean_of_its_squares():
    target, right = blob(1.5), volumes()
    right[0, :, :, 0] = target
    loss = losses.gaussian_volume_loss(right, TRUTH, weights(ALL, NONE), 1.5)
    assert float(loss) == pytest.approx(0, abs=1e-9)
    loss = losses.gaussian_volume_loss(volumes(), TRUTH, weights(ALL, NONE), 1.5)
    assert float(loss) == pytest.approx((target**2).mean() / 2, rel=1e-4)


def test_without_depth_the_gaussian_is_compared_after_summing_over_depth():
    moved = volumes()
    moved[0, :, :, 0] = blob(1.5)[:, :, ::-1]  # the same sum over depth, elsewhere in depth
    assert float(
        losses.gaussian_volume_loss(moved, TRUTH, weights(FLAT, NONE), 1.5)
    ) == pytest.approx(0, abs=1e-9)
    assert float(losses.gaussian_volume_loss(moved, TRUTH, weights(ALL, NONE), 1.5)) > 1e-3


def test_cross_entropy_of_flat_logits_is_the_logarithm_of_the_number_of_cells():
    flat = losses.cross_entropy_volume_loss(volumes(2.0), TRUTH, weights(ALL, ALL))
    assert float(flat) == pytest.approx(np.log(4 * 5 * 6), rel=1e-5)
    columns = losses.cross_entropy_volume_loss(volumes(2.0), TRUTH, weights(FLAT, FLAT))
    assert float(columns) == pytest.approx(np.log(4 * 5), rel=1e-5)


def test_cross_entropy_looks_at_the_next_cell_and_stays_inside():
    sure = volumes()
    sure[0, 1, 2, :, 3] = 40
    near = TRUTH + np.float32([0.4, -0.4, 0.3])
    assert float(losses.cross_entropy_volume_loss(sure, near, weights(ALL, ALL))) < 1e-4
    outside = TRUTH + np.float32([100, 0, 0])
    assert float(losses.cross_entropy_volume_loss(sure, outside, weights(ALL, ALL))) > 10


def test_binary_loss_of_zero_logits_is_ln_2_and_of_the_ball_zero():
    flat = losses.binary_volume_loss(volumes(), TRUTH, weights(ALL, FLAT), 1.0)
    assert float(flat) == pytest.approx(np.log(2), rel=1e-5)
    ball = volumes(-30.0)
    for y, x, z in ((1, 2, 3), (0, 2, 3), (2, 2, 3), (1, 1, 3), (1, 3, 3), (1, 2, 2), (1, 2, 4)):
        ball[0, y, x, :, z] = 30
    assert float(losses.binary_volume_loss(ball, TRUTH, weights(ALL, FLAT), 1.0)) < 1e-6
