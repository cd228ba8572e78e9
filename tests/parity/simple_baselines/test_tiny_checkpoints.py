"""Both formats of TensorFlow 1 checkpoints, as the original's Saver wrote them."""

import numpy as np

from poseras.checkpoints import read_tf1_checkpoint
from poseras.checkpoints.files import checkpoint_name
from poseras.checkpoints.tensorflow1 import read_tf1_shapes

COUNTERS = {"Variable", "beta1_power", "beta2_power"}


def _checkpoints(folder):
    """Names of bundles and single files: what is left when the endings of a bundle are cut."""
    names = {checkpoint_name(path).name.split(".data-")[0] for path in folder.iterdir()}
    return sorted(names - {"checkpoint"})  # TensorFlow's own list of the newest ones


def test_checkpoints_of_both_formats_are_read_exactly(golden):
    folder = golden.path("simple_baselines/tiny_checkpoints")
    names = _checkpoints(folder)
    assert names
    for name in names:
        entries = read_tf1_checkpoint(folder / name)
        filled = 0
        for entry, array in entries.items():
            if entry in COUNTERS:
                assert array == 0.5 and array.shape == ()
            elif entry == "global_step":
                assert array.dtype == np.int64 and array == 123
            elif entry.endswith("/mean_rgb"):
                np.testing.assert_array_equal(array, np.float32([123.68, 116.78, 103.94]))
            else:
                np.testing.assert_array_equal(array, golden.fill(entry, array.shape))
                filled += 1
        assert filled, f"{name} holds no weights"


def test_shapes_are_read_without_the_arrays(golden):
    folder = golden.path("simple_baselines/tiny_checkpoints")
    for name in _checkpoints(folder):
        entries = read_tf1_checkpoint(folder / name)
        assert read_tf1_shapes(folder / name) == {key: entries[key].shape for key in entries}
