import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras import losses

TARGETS = np.zeros((2, 1, 2, 3), np.float32)
OUTPUTS = np.array([[[[1, 2, 3], [1, 4, 3]]], [[[0, 0, 0], [0, 0, 6]]]], np.float32)
# mean over the two cells of the squared error, by sample and joint
CELL_MEANS = np.array([[1, 10, 9], [0, 0, 18]], np.float32)
BOTH = [losses.masked_mean_squared_error, losses.mean_squared_error_per_joint]


def test_unknown_joints_add_zeros_to_a_mean_of_constant_length():
    weights = np.array([[1, 0, 1], [1, 1, 0]], np.float32)
    loss = losses.masked_mean_squared_error(TARGETS, OUTPUTS, weights)
    np.testing.assert_allclose(float(loss), (1 + 9) / 6, rtol=1e-6)


def test_the_loss_per_joint_is_half_the_mean_with_squared_weights():
    loss = losses.mean_squared_error_per_joint(TARGETS, OUTPUTS)
    np.testing.assert_allclose(float(loss), 0.5 * CELL_MEANS.mean(), rtol=1e-6)
    weights = np.array([[1, 0.5, 0], [1, 1, 0.5]], np.float32)
    loss = losses.mean_squared_error_per_joint(TARGETS, OUTPUTS, weights)
    np.testing.assert_allclose(float(loss), 0.5 * (CELL_MEANS * weights**2).mean(), rtol=1e-6)
    # which is the weighted maps' difference, as it is published
    maps = weights[:, None, None, :] * (OUTPUTS - TARGETS)
    np.testing.assert_allclose(float(loss), 0.5 * (maps**2).mean(), rtol=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_perfect_outputs_and_all_unknown_joints_cost_nothing(loss):
    ones, zeros = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    assert float(loss(OUTPUTS, OUTPUTS, ones)) == 0
    assert float(loss(TARGETS, OUTPUTS, zeros)) == 0


@pytest.mark.parametrize("loss", BOTH)
def test_half_precision_outputs_are_compared_in_float32(loss):
    # 255^2 = 65025 is just below float16's largest number, 300^2 above it.
    outputs = tf.fill((1, 4, 4, 1), tf.constant(300.0, tf.float16))
    targets = tf.zeros((1, 4, 4, 1))
    value = loss(targets, outputs, tf.ones((1, 1)))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    expected = 300.0**2 * (0.5 if loss is losses.mean_squared_error_per_joint else 1)
    np.testing.assert_allclose(float(value), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_graph_and_eager_losses_are_equal_for_an_unknown_batch_size(loss):
    weights = np.array([[1, 0, 1], [1, 1, 0]], np.float32)
    spec = tf.TensorSpec([None, None, None, 3])
    graph = tf.function(loss, input_signature=[spec, spec, tf.TensorSpec([None, 3])])
    np.testing.assert_allclose(
        graph(TARGETS, OUTPUTS, weights), loss(TARGETS, OUTPUTS, weights), rtol=1e-6
    )


@pytest.mark.parametrize("loss", BOTH)
def test_gradients_reach_known_joints_only(loss):
    outputs = tf.Variable(OUTPUTS)
    with tf.GradientTape() as tape:
        value = loss(TARGETS, outputs, np.array([[1, 0, 1], [1, 1, 0]], np.float32))
    gradient = tape.gradient(value, outputs).numpy()
    assert gradient[0, :, :, 1].tolist() == [[0, 0]]
    assert gradient[1, :, :, 2].tolist() == [[0, 0]]
    scale = 0.5 if loss is losses.mean_squared_error_per_joint else 1
    np.testing.assert_allclose(gradient[0, 0, 1, 2], scale * 2 * 3 / 12, rtol=1e-6)


@pytest.mark.parametrize("loss", BOTH)
def test_shapes_that_do_not_fit_are_refused(loss):
    weights = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"Received \(2, 1, 2, 3\) and \(2, 2, 1, 3\)"):
        loss(TARGETS, OUTPUTS.reshape(2, 2, 1, 3), weights)
    with pytest.raises(ValueError, match=r"both have shape \(batch, height, width, joints\)"):
        loss(TARGETS[0], OUTPUTS[0], weights)
    with pytest.raises(ValueError, match=r"weights must have .* \(2, 3\). Received \(3, 2\)"):
        loss(TARGETS, OUTPUTS, weights.T)
    with pytest.raises(ValueError, match=r"Received \(2, 3, 1\)"):
        loss(TARGETS, OUTPUTS, weights[..., None])


def test_the_divergence_of_equal_distributions_is_zero_and_of_one_bin_its_logarithm():
    targets = np.float32([[[0.25, 0.25, 0.5, 0]]])
    outputs = np.log(np.maximum(targets, 1e-30))
    weights = np.ones((1, 1), np.float32)
    assert float(losses.discrete_divergence(targets, outputs, weights)) == pytest.approx(
        0, abs=1e-6
    )
    flat = np.zeros((1, 1, 4), np.float32)
    one = np.float32([[[0, 1, 0, 0]]])
    # log 4 over 4 bins.
    assert float(losses.discrete_divergence(one, flat, weights)) == pytest.approx(np.log(4) / 4)


def test_the_divergence_is_summed_over_the_batch_and_averaged_over_joints():
    one = np.tile(np.float32([0, 1, 0, 0]), (3, 2, 1))
    flat = np.zeros_like(one)
    loss = losses.discrete_divergence(one, flat, np.float32([[1, 1], [1, 0], [0, 0]]))
    assert float(loss) == pytest.approx(3 / 2 * np.log(4) / 4)


def test_beta_sharpens_the_logits_and_soft_targets_are_a_softmax():
    logits = np.float32([[[0.1, 0.4, 0.2, 0.0]]])
    weights = np.ones((1, 1), np.float32)
    loss = losses.discrete_divergence(logits, logits, weights, beta=10.0, soft_targets=True)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(losses.discrete_divergence(logits, logits, weights, soft_targets=True)) > 1e-3


@pytest.mark.parametrize("beta", [1.0, 5.0, 10.0])
def test_soft_targets_are_those_of_ten_times_the_labels_whatever_multiplies_the_logits(beta):
    labels, weights = np.float32([[[0.1, 0.4, 0.2, 0.0]]]), np.ones((1, 1), np.float32)
    wanted = np.exp(10 * labels) / np.exp(10 * labels).sum()
    logits = np.log(wanted) / beta  # the softmax of beta times them is what is wanted
    loss = losses.discrete_divergence(labels, logits, weights, beta=beta, soft_targets=True)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_offsets_count_inside_their_disc_alone():
    discs = np.zeros((1, 2, 2, 1), np.float32)
    discs[0, 0, 0] = 1
    offsets = np.zeros((1, 2, 2, 1, 2), np.float32)
    ways = offsets.copy()
    ways[0, 1, 1, 0] = 9  # outside the disc
    weights = np.ones((1, 1), np.float32)
    assert float(losses.disc_and_offset_error(discs, offsets, (discs, ways), weights)) == 0
    ways[0, 0, 0, 0] = (2, 1)
    loss = losses.disc_and_offset_error(discs, offsets, (discs, ways), weights)
    assert float(loss) == pytest.approx(0.5 * (4 + 1) / 4)
    missed = losses.disc_and_offset_error(discs, offsets, (discs * 0, offsets), weights)
    assert float(missed) == pytest.approx(0.5 / 4)
    unknown = losses.disc_and_offset_error(discs, offsets, (discs * 0, ways), weights * 0)
    assert float(unknown) == 0


def test_the_divergence_names_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(batch, joints, bins\)\. Received \(1, 2, 3\) and"):
        losses.discrete_divergence(np.zeros((1, 2, 3)), np.zeros((1, 2, 4)), np.ones((1, 2)))
