"""The contract that every folder of systems/ keeps, tried on a network that is small and quick."""

import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.settings import apply_differences, flatten, list_settings
from poseras.skeleton import Skeleton
from poseras.structures import SAMPLE_KEYS, View
from poseras.systems import options_module, system_class, system_names

FOLDER = Path(__file__).resolve().parents[2] / "lib" / "poseras" / "systems"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and any(path.glob("*.py")))
METHODS = ("build_model", "encode", "compute_loss", "merge_flip", "decode")
#: Settings that make a network small, used by those systems that have them.
SMALL = {
    "input_shape": [96, 64],
    "depth": 50,
    "backbone_width": 8,
    "head_filters": [8, 8, 8],
    "units": [1, 1, 1, 1],
}
#: A mirror image changes every channel but one.
SKELETON = Skeleton(
    name="made/up",
    keypoints=("left_wrist", "right_wrist", "nose", "left_ankle", "right_ankle"),
    flip_pairs=((0, 1), (3, 4)),
    limbs=((0, 2), (1, 2), (2, 3), (2, 4)),
    oks_sigmas=(0.06,) * 5,
    colours=((255, 0, 0),) * 4,
)
BATCH = 2


@pytest.fixture(params=NAMES, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def system(name):
    options = options_module(name).Options()
    fields = {field.name for field in dataclasses.fields(options)}
    options = apply_differences(options, {k: v for k, v in SMALL.items() if k in fields})
    module = importlib.import_module(f"poseras.systems.{name}.system")
    load_resources = getattr(module, "load_resources", lambda options, skeleton: {})
    return module.System(options, SKELETON, load_resources(options, SKELETON))


@pytest.fixture(scope="module")
def view(name, system):
    return options_module(name).default_view(system.options)


@pytest.fixture(scope="module")
def model(system):
    keras.utils.set_random_seed(1)
    return system.build_model()


@pytest.fixture(scope="module")
def batch(name, view):
    """Made-up people inside the view, one a sample for a person system, three for an image."""
    random = np.random.default_rng(2)
    height, width = view.size_hw
    people = 1 if options_module(name).SAMPLE == "person" else 3
    points = random.uniform((0, 0), (width, height), (BATCH, people, SKELETON.joint_count, 2))
    visible = random.integers(0, 3, (BATCH, people, SKELETON.joint_count, 1))
    return {
        "image": random.integers(0, 256, (BATCH, height, width, 3), np.uint8),
        "keypoints": np.concatenate([points, visible], axis=-1).astype(np.float32),
        "boxes_xywh": np.tile(np.float32([0, 0, width, height]), (BATCH, people, 1)),
        "ignore_mask": np.zeros((BATCH, height, width), bool),
        "image_to_network": np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (BATCH, 1, 1)),
        "view_scale": np.ones(BATCH, np.float32),
        "channel_gain": np.ones((BATCH, 3), np.float32),
        "index": np.arange(BATCH),
        "image_id": np.arange(BATCH),
        "annotation_id": np.arange(BATCH),
    }


@pytest.fixture(scope="module")
def outputs(model, batch):
    return model(batch["image"], training=False)


def test_there_are_systems_and_each_folder_is_one():
    assert NAMES and system_names() == NAMES


def test_the_made_up_batch_has_the_keys_of_a_sample(batch):
    assert set(batch) <= set(SAMPLE_KEYS)


def test_options_import_neither_keras_nor_tensorflow(name):
    code = (
        f"import sys, poseras.systems.{name} as system\n"
        f"from poseras.systems.{name} import options\n"
        "options.default_view(options.Options())\n"
        "sys.exit(' '.join({'keras', 'tensorflow', 'cv2'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_folder_gives_its_system_when_asked(name):
    package = importlib.import_module(f"poseras.systems.{name}")
    assert package.System is system_class(name)
    with pytest.raises(AttributeError, match="NoSuchName"):
        package.NoSuchName  # noqa: B018


def test_options_are_frozen_documented_settings(name):
    options = options_module(name).Options()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, dataclasses.fields(options)[0].name, None)
    assert not [s.key for s in list_settings(options) if not s.meaning]
    flat = json.loads(json.dumps(flatten(options)))
    assert apply_differences(options, flat) == options


def test_free_options_are_settings_and_leave_some_to_the_network(name):
    free = options_module(name).FREE_OPTIONS
    settings = {setting.key for setting in list_settings(options_module(name).Options())}
    assert isinstance(free, frozenset) and free < settings
    assert not free & {"backbone", "backbone_width", "depth", "head_filters", "pixel_mean", "limbs"}


def test_the_sample_and_the_view_are_declared(name, view):
    assert options_module(name).SAMPLE in ("person", "image")
    assert isinstance(view, View)


def test_the_system_is_frozen_and_has_the_contract_of_documented_methods(name, system):
    assert [field.name for field in dataclasses.fields(system)] == [
        "options",
        "skeleton",
        "resources",
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.options = None
    grouped = ("group",) if options_module(name).SAMPLE == "image" else ()
    for method in METHODS + grouped:
        assert inspect.getdoc(getattr(system, method)), method


def test_the_model_takes_pictures_and_its_first_layer_normalises(model, batch):
    first = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)][0]
    assert first.name == "normalise" and model.get_layer("normalise") is first
    assert model.inputs[0].shape[-1] == 3 and model.inputs[0].dtype == "float32"
    from_bytes = model(batch["image"], training=False)
    from_floats = model(batch["image"].astype(np.float32), training=False)
    for key in from_floats:
        np.testing.assert_array_equal(from_bytes[key], from_floats[key])


def test_outputs_are_a_dict_of_float32_batches(outputs):
    assert isinstance(outputs, dict) and outputs
    for value in outputs.values():
        assert value.shape[0] == BATCH and keras.backend.standardize_dtype(value.dtype) == "float32"
        assert np.isfinite(value).all()


def test_the_model_is_one_flat_graph_with_unique_variable_paths(model):
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    paths = [variable.path for variable in model.variables]
    assert paths and len(set(paths)) == len(paths)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_both_ends_of_the_model_are_float32_under_mixed_precision(system, batch, policy):
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = system.build_model()
    finally:
        keras.config.set_dtype_policy(usual)
    assert mixed.get_layer("normalise").compute_dtype == "float32"
    inner = {layer.compute_dtype for layer in mixed.layers}
    assert policy.removeprefix("mixed_") in inner, "no layer is in reduced precision"
    normalised = keras.Model(mixed.input, mixed.get_layer("normalise").output)
    assert normalised(batch["image"]).dtype == tf.float32
    for value in mixed(batch["image"], training=False).values():
        assert value.dtype == tf.float32


def test_the_model_can_be_fed_behind_its_normalisation(model, batch):
    normalise = model.get_layer("normalise")
    behind = keras.Model(normalise.output, model.output)
    expected = model(batch["image"], training=False)
    given = behind(normalise(batch["image"]), training=False)
    for key in expected:
        np.testing.assert_allclose(given[key], expected[key], rtol=1e-6, atol=1e-6)


def assert_equal_in_a_graph(function, *arguments):
    """The same numbers eagerly and inside tf.function, up to a few roundings of float32."""
    arguments = tf.nest.map_structure(tf.convert_to_tensor, arguments)
    eager, traced = function(*arguments), tf.function(function)(*arguments)
    assert set(eager) == set(traced)
    for key, value in eager.items():
        np.testing.assert_allclose(traced[key], value, rtol=1e-5, atol=1e-5, err_msg=key)
    return eager


def test_encode_gives_what_the_outputs_are_compared_with_also_in_a_graph(system, batch, outputs):
    targets = assert_equal_in_a_graph(system.encode, batch)
    for key in set(targets) & set(outputs):
        assert targets[key].shape == outputs[key].shape, key
    for value in targets.values():
        assert value.shape[0] == BATCH


def test_compute_loss_gives_scalars_with_a_total_also_in_a_graph(system, batch, outputs):
    losses = assert_equal_in_a_graph(system.compute_loss, system.encode(batch), outputs)
    assert "total" in losses
    for value in losses.values():
        assert value.shape == () and value.dtype == tf.float32 and np.isfinite(value)
    assert losses["total"] > 0


def test_the_loss_can_be_differentiated_to_every_weight(system, model, batch):
    with tf.GradientTape() as tape:
        loss = system.compute_loss(system.encode(batch), model(batch["image"], training=True))
    gradients = tape.gradient(loss["total"], model.trainable_variables)
    pairs = zip(model.trainable_variables, gradients, strict=True)
    assert not [variable.path for variable, gradient in pairs if gradient is None]


def test_merge_flip_keeps_names_and_shapes_also_in_a_graph(system, model, batch, outputs):
    flipped = model(batch["image"][:, :, ::-1], training=False)
    merged = assert_equal_in_a_graph(system.merge_flip, outputs, flipped)
    assert {k: v.shape for k, v in merged.items()} == {k: v.shape for k, v in outputs.items()}


def test_decode_gives_coordinates_also_in_a_graph(name, system, outputs):
    decoded = assert_equal_in_a_graph(system.decode, outputs)
    for value in decoded.values():
        assert value.shape[0] == BATCH
    if options_module(name).SAMPLE == "image":
        assert [key for key in decoded if key.endswith("_count")]
        return
    assert decoded["keypoints_px"].shape == (BATCH, 1, SKELETON.joint_count, 2)
    assert decoded["keypoint_scores"].shape == (BATCH, 1, SKELETON.joint_count)


def test_decode_looks_at_each_sample_alone(system, outputs):
    together = system.decode(outputs)
    for row in range(BATCH):
        alone = system.decode({key: value[row : row + 1] for key, value in outputs.items()})
        for key, value in alone.items():
            np.testing.assert_allclose(value[0], together[key][row], rtol=1e-5, atol=1e-5)


def test_true_targets_decode_to_the_keypoints_they_were_made_from(system, batch, outputs):
    targets = system.encode(batch)
    if not set(outputs) <= set(targets) or "keypoints_px" not in system.decode(outputs):
        pytest.skip("targets are no outputs here; the tests of the codec bring them together")
    decoded = system.decode({key: targets[key] for key in outputs})
    seen = batch["keypoints"][..., 2] > 0
    error = np.abs(np.asarray(decoded["keypoints_px"]) - batch["keypoints"][..., :2])[seen]
    # Targets stand on whole cells of 4 px: half a cell of rounding, and one more half where the
    # nearest cell lies outside the map; the decoder may add a quarter.
    assert error.size and error.max() <= 5.0 and np.median(error) <= 2.0
