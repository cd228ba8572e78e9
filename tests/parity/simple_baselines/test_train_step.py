"""One training step of the original: losses, gradients, statistics, Adam slots, weight changes."""

import re
from math import prod

import keras
import numpy as np
import pytest

from poseras.checkpoints.names import locate_variable
from poseras.engine.optimizer import decayed_kernels, weight_decay_loss
from poseras.engine.train_step import StepSettings, TrainStep
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines.options import Options
from poseras.systems.simple_baselines.system import System

FILE = "simple_baselines/tf1_train_step.npz"
WEIGHT_DECAY = 1e-5
RATE = 5e-4
MOMENTUM = 0.99  # of the moving statistics


def _depth(arrays):
    """Layers of the ResNet whose variables the arrays name: 50, 101, 152."""
    found = [re.search(r"\|resnet_v1_(\d+)/", key) for key in arrays]
    return int(next(match[1] for match in found if match))


@pytest.fixture(scope="module")
def case(request, variables_of):
    """The golden arrays, and the same step made here twice."""
    golden = request.config.golden
    arrays = golden.load(FILE)
    joints = arrays["coord"].shape[1]
    depth, shapes = variables_of(str(_depth(arrays)), joints)
    # The variables that have gradients, in the order of the case.
    names = [name for name in shapes if "/moving_" not in name]
    skeleton = Skeleton("made-up", tuple(f"joint_{n}" for n in range(joints)))
    height, width = arrays["image_u8"].shape[1:3]
    # The case was made with sigma 2, whatever the height of its map.
    options = Options(input_shape=(height, width), depth=depth, sigma=2.0)
    system = System(options, skeleton)
    keras.utils.set_random_seed(1)
    model = system.build_model()
    paths = {}
    for variable in model.weights:
        name = locate_variable(variable.path, len(variable.shape), "tensorflow").name
        paths[name] = variable
        variable.assign(golden.fill(name, variable.shape))
    step = TrainStep(system, model, StepSettings(weight_decay=WEIGHT_DECAY))
    visibility = arrays["valid"][..., None]
    batch = {
        "image": arrays["image_u8"][..., ::-1].copy(),  # the file's pictures are BGR
        "keypoints": np.concatenate([arrays["coord"], visibility], -1)[:, None].astype("float32"),
    }
    return _run(step, batch, paths, arrays, names)


def _run(step, batch, paths, arrays, names):
    decay = float(weight_decay_loss(decayed_kernels(step.model), WEIGHT_DECAY))
    statistics = {name: variable.numpy() for name, variable in paths.items() if "/moving_" in name}
    gradients, _ = step.compute_gradients(
        {name: keras.ops.convert_to_tensor(value) for name, value in batch.items()}
    )
    by_path = {
        variable.path: gradient.numpy()
        for variable, gradient in zip(step.model.trainable_variables, gradients, strict=True)
    }
    kernels = {kernel.path: kernel.numpy() for kernel in decayed_kernels(step.model)}
    for path, kernel in kernels.items():
        by_path[path] = by_path[path] + np.float32(WEIGHT_DECAY) * kernel
    for name, value in statistics.items():  # the gradients above were a forward pass in training
        paths[name].assign(value)
    before = {name: variable.numpy() for name, variable in paths.items()}
    batch = {name: keras.ops.convert_to_tensor(value) for name, value in batch.items()}
    losses = [float(step([batch], RATE)["total"])]
    after = {name: variable.numpy() for name, variable in paths.items()}
    slots = {variable.path: variable.numpy() for variable in step.optimizer.variables}
    maps = {name: step.model.get_layer(paths[name].path.rsplit("/", 1)[0]) for name in statistics}
    people = len(batch["image"])
    losses += [float(step([batch], RATE)["total"]) for _ in range(2)]
    return {
        "arrays": arrays,
        "names": names,
        "decay": decay,
        "gradients": {name: by_path[paths[name].path] for name in names},
        "before": before,
        "after": after,
        "slots": slots,
        "values": {name: people * prod(layer.output.shape[1:3]) for name, layer in maps.items()},
        "paths": {name: variable.path for name, variable in paths.items()},
        "losses": losses,
    }


def _entries(case, kind):
    found = {k.split("|")[1]: v for k, v in case["arrays"].items() if k.startswith(f"{kind}|")}
    assert found, f"the case holds no {kind}"
    return found


def test_the_order_of_variables_is_that_of_the_case(case, name_lists):
    assert len(case["names"]) == len(case["arrays"]["grad_norms"])
    written = name_lists("simple_baselines/tf1_variables.json")["gradient_variable_order"]
    if written[0].split("/")[0] != case["names"][0].split("/")[0]:
        pytest.skip("the lists have the order of another depth")
    assert written == case["names"]


def test_losses_before_and_after_one_and_two_steps(case):
    expected = case["arrays"]["losses"]
    assert case["losses"][0] == pytest.approx(expected[0], rel=1e-5)
    # Adam's first steps move every weight by the rate in the direction of a sign: where a
    # gradient is almost zero, rounding decides it.
    assert case["losses"][1:] == pytest.approx(expected[1:], rel=1e-3)


def test_the_weight_decay_term(case):
    assert case["decay"] == pytest.approx(float(case["arrays"]["weight_decay_loss"]), rel=1e-5)


def test_norms_of_all_gradients(case):
    expected = case["arrays"]["grad_norms"]
    found = np.array(
        [np.linalg.norm(case["gradients"][n].astype("float64")) for n in case["names"]]
    )
    error = np.abs(found - expected) / expected
    # Batch statistics over 4 samples amplify float32 rounding through 50 layers.
    assert error.max() < 2e-2
    assert np.median(error) < 2e-3


def test_gradients_point_the_same_way_as_the_weights_see_them(case):
    found = np.array(
        [
            np.vdot(case["gradients"][n].astype("float64"), case["before"][n].astype("float64"))
            for n in case["names"]
        ]
    )
    lengths = np.array([np.linalg.norm(case["before"][n]) for n in case["names"]])
    error = np.abs(found - case["arrays"]["grad_dot_weight"])
    # As the norms: 2e-2 of the longest product that the two could have.
    assert (error < 2e-2 * case["arrays"]["grad_norms"] * lengths).all()


def _like(found, expected):
    """The first rows, columns, filters of an array, as many as the case holds."""
    return found[tuple(slice(size) for size in expected.shape)]


def test_single_gradients(case):
    for name, expected in _entries(case, "grad").items():
        variable = name.removesuffix("_slice")
        found = _like(case["gradients"][variable], expected)
        # The last layer sees the loss directly; deep ones through up to 50 normalisations.
        tolerance = 1e-3 if variable.startswith("out/") else 5e-2
        error = np.abs(found - expected).max()
        assert error < tolerance * np.abs(expected).max(), name


def _unbiased(case, name):
    """A moving variance with the batch's over n - 1 values, as the original's; Keras' is over n."""
    old, values = MOMENTUM * case["before"][name], case["values"][name]
    return old + (case["after"][name] - old) * values / (values - 1)


def test_moving_statistics_and_adam_slots_after_one_step(case):
    for name, expected in _entries(case, "after1").items():
        leaf = name.rsplit("/", 1)[1]
        if leaf in ("Adam", "Adam_1"):
            kind = "momentum" if leaf == "Adam" else "velocity"
            path = case["paths"][name.rsplit("/", 1)[0]].replace("/", "_")
            found = case["slots"][f"adam/{path}_{kind}"]
            # 1e-3 of a gradient of the last layer, and twice that of its square.
            tolerance = 2e-3
        else:
            found = _unbiased(case, name) if leaf == "moving_variance" else case["after"][name]
            # The original's tolerance; a batch has a hundredth of the weight.
            tolerance = 1e-5
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max(), name


def test_weight_changes_follow_from_the_stored_gradients(case):
    changes, gradients = _entries(case, "delta1"), _entries(case, "grad")
    assert changes.keys() & gradients.keys(), "no change has its gradient beside it"
    for name, gradient in gradients.items():
        if name not in changes:
            continue
        expected, gradient = changes[name], gradient.astype("float64")
        # Adam's first step: rate * sqrt(1 - b2) / (1 - b1) * m / (sqrt(v) + epsilon).
        root = np.sqrt(1 - 0.999)
        momentum, velocity = 0.1 * gradient, root * np.abs(gradient)
        change = -RATE * root / 0.1 * momentum / (velocity + 1e-8)
        np.testing.assert_allclose(expected, change, atol=1e-7)


def test_weight_changes_follow_from_our_gradients(case):
    for name, expected in _entries(case, "delta1").items():
        variable = name.removesuffix("_slice")
        change = _like(case["after"][variable] - case["before"][variable], expected)
        gradient = _like(case["gradients"][variable].astype("float64"), expected)
        root = np.sqrt(1 - 0.999)
        ours = -RATE * gradient / (np.abs(gradient) + 1e-8 / root)
        # The difference of two float32 weights of size 1 is exact to 6e-8; 1e-7 as in the source.
        np.testing.assert_allclose(change, ours, atol=1.5e-7)
        # And where the gradient is not near zero, whose sign rounding decides, it is the
        # original's change: a hundredth of the largest, as the gradients themselves are compared.
        clear = np.abs(expected) > 0.99 * RATE
        clear &= np.abs(gradient) > 1e-2 * np.abs(gradient).max()
        assert clear.any(), name
        np.testing.assert_allclose(change[clear], expected[clear], atol=2e-6)
