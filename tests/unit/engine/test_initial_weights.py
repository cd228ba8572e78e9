from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.initial_weights import load_initial_weights
from poseras.engine.snapshot import write_snapshot


def make_model(joints=2):
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="conv")(image)
    return keras.Model(image, keras.layers.Conv2D(joints, 1, name="out")(x))


def arrays_of(model, part="weights", kind=np.float32, value=0.5):
    return {f"{part}/{v.path}": np.full(v.shape, value, kind) for v in model.weights}


def refuse(shapes, entries):
    pytest.fail("a snapshot of ours needs no conversion")


def test_a_snapshot_gives_all_weights_and_float16_is_cast(tmp_path):
    model = make_model()
    path = tmp_path / "half.safetensors"
    write_snapshot(path, arrays_of(model, kind=np.float16), {})
    report = load_initial_weights(model, path, refuse)
    assert report == [f"Initial weights: 4 of 4 from {path}."]
    for variable in model.weights:
        assert variable.dtype == "float32"
        np.testing.assert_array_equal(variable.numpy(), 0.5)


def test_other_joints_keep_the_backbone_and_are_reported(tmp_path):
    path = tmp_path / "s.safetensors"
    write_snapshot(path, arrays_of(make_model(joints=5)), {})
    model = make_model(joints=2)
    before = model.get_layer("out").kernel.numpy()
    report = load_initial_weights(model, path, refuse)
    np.testing.assert_array_equal(model.get_layer("conv").kernel.numpy(), 0.5)
    np.testing.assert_array_equal(model.get_layer("out").kernel.numpy(), before)
    assert "2 of 4" in report[0]
    assert (
        "out/kernel starts anew: its shape is (1, 1, 2, 2) in the network, (1, 1, 2, 5)"
        in (report[1])
    )


def test_averaged_weights_are_preferred(tmp_path):
    model = make_model()
    path = tmp_path / "s.safetensors"
    arrays = arrays_of(model) | arrays_of(model, part="ema", value=0.25)
    write_snapshot(path, arrays, {})
    load_initial_weights(model, path, refuse)
    np.testing.assert_array_equal(model.get_layer("conv").kernel.numpy(), 0.25)


def test_names_that_are_missing_or_unused_are_reported(tmp_path):
    model = make_model()
    arrays = arrays_of(model)
    arrays["weights/extra/kernel"] = arrays.pop("weights/out/bias")
    path = tmp_path / "s.safetensors"
    write_snapshot(path, arrays, {})
    report = load_initial_weights(model, path, refuse)
    assert report[1:] == [
        "  1 are not in the file and start anew: out/bias.",
        "  1 of the file are not in the network: extra/kernel.",
    ]


def test_a_tensorflow_1_checkpoint_goes_through_the_system_s_names(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("net/conv/weights", initializer=np.full((1, 1, 3, 2), 7.0, "f"))
        tf.compat.v1.get_variable("global_step", initializer=np.int64(3))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "net.ckpt"))

    def convert(shapes, entries):
        return SimpleNamespace(
            arrays={"conv/kernel": entries["net/conv/weights"]},
            unused=["global_step"],
            missing=[name for name in shapes if name != "conv/kernel"],
            mismatched={},
        )

    model = make_model()
    report = load_initial_weights(model, tmp_path / "net.ckpt", convert)
    np.testing.assert_array_equal(model.get_layer("conv").kernel.numpy(), 7.0)
    assert "1 of 4" in report[0] and "3 are not in the file" in report[1]


def test_a_missing_file_is_an_error_that_names_it_and_the_way_without(tmp_path):
    path = tmp_path / "resnet_v1_50.ckpt"
    with pytest.raises(FileNotFoundError, match=f"{path}.*--set train.initial_weights=none"):
        load_initial_weights(make_model(), path, refuse)


def test_a_file_of_another_network_is_an_error(tmp_path):
    path = tmp_path / "s.safetensors"
    write_snapshot(path, {"weights/other/kernel": np.zeros(3, np.float32)}, {})
    with pytest.raises(ValueError, match="Not one weight of .* fits.*other/kernel"):
        load_initial_weights(make_model(), path, refuse)


def test_something_else_is_no_checkpoint(tmp_path):
    path = tmp_path / "net.ckpt"
    path.write_bytes(b"not a checkpoint" * 99)
    with pytest.raises(ValueError, match="must be a TensorFlow 1 checkpoint.*download it again"):
        load_initial_weights(make_model(), path, refuse)
