import keras
import pytest
import tensorflow as tf

from poseras.engine.frozen import freeze


def make_model():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="base.conv")(image)
    x = keras.layers.BatchNormalization(name="base.bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(2, name="out")(x))


def trainable(model):
    return [variable.path for variable in model.trainable_variables]


def test_what_matches_is_not_trained_and_the_rest_is():
    model = make_model()
    assert freeze(model, ("kernel$", "out/")) == ["base.conv/kernel", "out/kernel", "out/bias"]
    assert trainable(model) == ["base.conv/bias", "base.bn/gamma", "base.bn/beta"]


def test_a_layer_that_matches_as_a_whole_keeps_its_statistics():
    image = tf.random.stateless_uniform((2, 8, 8, 3), (1, 2))
    for pattern, moves in ((r"^base\.", False), (r"^base\..*(kernel|bias|gamma|beta)$", True)):
        model = make_model()
        freeze(model, (pattern,))
        assert trainable(model) == ["out/kernel", "out/bias"]
        before = model.get_layer("base.bn").moving_mean.numpy()
        model(image, training=True)
        assert (model.get_layer("base.bn").moving_mean.numpy() != before).any() == moves


def test_without_a_pattern_everything_is_trained():
    model = make_model()
    assert freeze(model, ()) == [] and len(trainable(model)) == 6


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("conv", "hed"), "'hed' matches none of 8, the first of which are base.conv/kernel"),
        (("conv(",), r"holds regular expressions. Received 'conv\('"),
        (("",), r"something to be trained. Received \[''\], which match all"),
    ],
)
def test_patterns_that_cannot_be_meant_are_named(patterns, message):
    with pytest.raises(ValueError, match=message):
        freeze(make_model(), patterns)
