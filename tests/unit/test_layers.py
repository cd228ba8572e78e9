import keras
import numpy as np
import pytest

from poseras.layers import (
    Normalise,
    count_multiply_accumulates,
    deconvolve,
    slim_initializer,
    torch_initializer,
)

MEAN, STD = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_normalise_subtracts_and_divides_in_the_order_of_the_network():
    pixel = np.array([[[[50, 60, 70]]]], np.float32)  # red, green, blue
    bgr = keras.ops.convert_to_numpy(Normalise("bgr", MEAN, STD)(pixel))
    rgb = keras.ops.convert_to_numpy(Normalise("rgb", MEAN, STD)(pixel))
    np.testing.assert_array_equal(bgr[0, 0, 0], [60, 20, 5])
    np.testing.assert_array_equal(rgb[0, 0, 0], [40, 20, 10])


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
def test_normalise_is_exact_for_bytes_under_every_policy(policy):
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 256, 1, 1).repeat(3, axis=-1)
    normalised = Normalise("rgb", (0.25, 0.25, 0.25), (1, 1, 1))(every_byte)
    assert keras.backend.standardize_dtype(normalised.dtype) == "float32"
    np.testing.assert_array_equal(normalised, every_byte.astype(np.float32) - np.float32(0.25))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_normalise_does_not_round_a_float_picture(policy):
    picture = np.full((1, 1, 1, 3), 200.1, np.float32)
    unchanged = Normalise("rgb", (0, 0, 0), (1, 1, 1))(picture)
    np.testing.assert_array_equal(unchanged, picture)


def test_normalise_comes_back_from_its_config():
    layer = Normalise("bgr", MEAN, STD, name="normalise")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.name == "normalise"
    pixel = np.array([[[[1, 2, 3]]]], np.float32)
    np.testing.assert_array_equal(again(pixel), layer(pixel))


@pytest.mark.parametrize(("kernel", "padding"), [(4, 1), (3, 1), (2, 0)])
def test_deconvolution_spreads_a_cell_where_pytorch_does(kernel, padding):
    # torch.nn.ConvTranspose2d: cell i reaches rows 2 * i - padding .. 2 * i - padding + kernel - 1.
    inputs = keras.Input((4, 5, 1))
    outputs = deconvolve(
        inputs, filters=1, kernel=kernel, use_bias=False, kernel_initializer="zeros", name="up"
    )
    model = keras.Model(inputs, outputs)
    weights = np.arange(1, kernel * kernel + 1, dtype=np.float32).reshape(kernel, kernel)
    model.get_layer("up").kernel.assign(weights[:, :, None, None])
    bright = np.zeros((1, 4, 5, 1), np.float32)
    bright[0, 1, 2] = 1
    expected = np.zeros((8, 10), np.float32)
    top, left = 2 * 1 - padding, 2 * 2 - padding
    expected[top : top + kernel, left : left + kernel] = weights
    np.testing.assert_array_equal(model(bright)[0, :, :, 0], expected)


def test_slim_kernels_are_cut_at_two_standard_deviations():
    keras.utils.set_random_seed(1)
    shape = (3, 3, 64, 256)
    kernel = keras.ops.convert_to_numpy(slim_initializer()(shape))
    deviation = np.sqrt(1.3 * 2 / (3 * 3 * 64))
    assert 1.99 * deviation < np.abs(kernel).max() <= 2 * deviation
    # 0.8796 is what the cut leaves of a unit normal; 147,456 draws know it to 0.3 %.
    assert kernel.std() == pytest.approx(0.8796 * deviation, rel=0.01)


def test_torch_kernels_are_normal_by_fan_out():
    keras.utils.set_random_seed(1)
    kernel = keras.ops.convert_to_numpy(torch_initializer()((3, 3, 256, 64)))
    deviation = np.sqrt(2 / (3 * 3 * 64))
    assert kernel.std() == pytest.approx(deviation, rel=0.01)
    assert np.abs(kernel).max() > 3 * deviation


class Pairs(keras.layers.Layer):
    """A layer that says what it costs."""

    def call(self, x):
        return x

    def count_products(self):
        return 7


def test_multiply_accumulates_are_counted_where_weights_meet_numbers():
    image = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(image)  # (4, 3, 4)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(5, padding="same")(x)
    x = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same")(x)  # (8, 6, 2)
    x = keras.layers.Reshape((48, 2))(x)
    x = Pairs()(x)
    x = keras.layers.Dense(10)(x)
    conv, depthwise = 4 * 3 * (3 * 3 * 3 * 4), 4 * 3 * (5 * 5 * 4)
    transposed, dense = 4 * 3 * (4 * 4 * 4 * 2), 48 * 2 * 10
    expected = conv + depthwise + transposed + dense
    assert count_multiply_accumulates(keras.Model(image, x)) == (expected, 7)


def test_an_input_of_open_size_has_no_cost():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    with pytest.raises(ValueError, match="input of known height and width"):
        count_multiply_accumulates(model)
