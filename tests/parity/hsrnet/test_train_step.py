"""One forward and backward pass in training mode, in double precision but for the last layer."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras import losses
from poseras.checkpoints.names import locate_variable
from poseras.settings import apply_differences
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model
from poseras.systems.simple_baselines.weights import convert, recognise

FILE, CASES, STATES = (
    f"hsrnet/{n}" for n in ("train_step.npz", "train_step.json", "state_dicts.json")
)

# The last convolution and the loss compute in float32 (6e-8), all else in float64. What was seen is
# a fifth of the first and a tenth of the others.
OUTPUT_TOLERANCE = 1e-5
LOSS_TOLERANCE = 1e-6
GRADIENT_TOLERANCE = 1e-5
STATISTICS_TOLERANCE = 1e-6


def read_names(golden, tag):
    """The state dict of a case: of the network that its name begins with, of depth 59 if none."""
    lists = golden.manifest(STATES)
    family, depth = re.match(r"(hsr(?:_ms)?net)(\d*)", tag).groups()
    return lists[tag if tag in lists else f"{family}{depth or 59}"]


def make_batch(golden, tag):
    """Input and target of a case, channels last, drawn as its file tells."""
    case, weights = golden.load(CASES)[tag], golden.load(FILE)[f"{tag}_target_weight"]
    output = golden.load(FILE)[f"{tag}_output"]
    people, _, height, width = output.shape
    random = np.random.RandomState(case["seed"])
    image = random.standard_normal((people, 3, 4 * height, 4 * width)).astype(np.float32)
    target = random.uniform(0, 1, output.shape).astype(np.float32) ** 4
    for name, array in (("input", image), ("target", target)):
        np.testing.assert_allclose(array.ravel()[:4], case[f"{name}_first4"], rtol=1e-6)
        assert array.sum(dtype=np.float64) == pytest.approx(case[f"{name}_sum"], abs=1e-2)
    return np.moveaxis(image, 1, -1), np.moveaxis(target, 1, -1), weights[..., 0]


def run_step(golden, tag):
    """Output, loss, gradients and statistics by the original's names, in its axis order."""
    names = [(name, tuple(shape)) for name, shape in read_names(golden, tag)]
    images, target, weights = make_batch(golden, tag)
    recognised = recognise(dict(names))
    differences = {**recognised.options, "input_shape": list(images.shape[1:3])}
    options = apply_differences(Options(), differences)
    keras.config.set_dtype_policy("float64")
    try:
        model = build_model(options, recognised.joint_count)
    finally:
        keras.config.set_dtype_policy("float32")
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    entries = {name: golden.fill(name, shape) for name, shape in names}
    conversion = convert(shapes, entries, options)
    for variable in model.weights:
        variable.assign(conversion.arrays[variable.path])
    network = keras.Model(model.get_layer("normalise").output, model.output["heatmaps"])
    with tf.GradientTape() as tape:
        outputs = network(images, training=True)
        loss = losses.mean_squared_error_per_joint(target, outputs, weights)
    gradients = tape.gradient(loss, network.trainable_variables)
    found = {"gradients": {}, "statistics": {}}
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        name, array = in_their_order(variable.path, gradient.numpy())
        found["gradients"][name] = array
    for variable in network.non_trainable_variables:
        name, array = in_their_order(variable.path, variable.numpy())
        found["statistics"][name] = array
    # Values that a BatchNorm took its statistics from: people times cells of its map.
    people = len(images)
    counts = {
        layer.name: people * int(np.prod(layer.output.shape[1:3]))
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    output = np.moveaxis(outputs.numpy(), -1, 1)
    return {**found, "output": output, "loss": float(loss), "entries": entries, "counts": counts}


def in_their_order(path, array):
    name, axes = locate_variable(path, array.ndim, "pytorch")
    return name, array.transpose(np.argsort(axes)) if axes else array


@pytest.fixture(scope="module")
def steps():
    """Tag to its step, so that each is made once."""
    return {}


def step_of(golden, tag, steps):
    assert tag, f"{CASES} holds no step"
    if tag not in steps:
        steps[tag] = run_step(golden, tag)
    return steps[tag]


def parts(golden, tag, kind):
    prefix = f"{tag}_{kind}/"
    arrays = golden.load(FILE)
    found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    assert found, f"{FILE} holds no {prefix}"
    return found


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_outputs_and_loss_in_training_mode_are_equal(golden, tag, steps):
    step = step_of(golden, tag, steps)
    expected = golden.load(FILE)[f"{tag}_output"]
    np.testing.assert_allclose(
        step["output"], expected, rtol=0, atol=OUTPUT_TOLERANCE * expected.std()
    )
    assert step["loss"] == pytest.approx(golden.load(CASES)[tag]["loss"], rel=LOSS_TOLERANCE)


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_gradients_are_equal_and_what_has_none_is_no_weight_of_ours(golden, tag, steps):
    step = step_of(golden, tag, steps)
    norms = golden.load(CASES)[tag]["grad_norm"]
    assert {n for n, norm in norms.items() if norm is not None} == set(step["gradients"])
    for name, gradient in step["gradients"].items():
        norm = np.linalg.norm(gradient.astype(np.float64))
        assert norm == pytest.approx(norms[name], rel=GRADIENT_TOLERANCE), name
    for name, expected in parts(golden, tag, "grad").items():
        gradient = step["gradients"][name].ravel()
        found = gradient[:: max(1, gradient.size // 64)]
        slack = GRADIENT_TOLERANCE * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=slack, err_msg=name)


@pytest.mark.golden(CASES, keys=r"(?P<tag>.+)")
def test_statistics_are_equal_but_for_the_divisor_of_the_variance(golden, tag, steps):
    step = step_of(golden, tag, steps)
    for name, stored in parts(golden, tag, "buf").items():
        layer, _, leaf = name.rpartition(".")
        before, count = step["entries"][name], step["counts"][layer]
        # PyTorch's new part is divided by n - 1, Keras' by n.
        ratio = (count - 1) / count if leaf == "running_var" else 1.0
        expected = 0.9 * before + (stored - 0.9 * before) * ratio
        slack = STATISTICS_TOLERANCE * np.abs(stored).max()
        np.testing.assert_allclose(step["statistics"][name], expected, rtol=0, atol=slack)
