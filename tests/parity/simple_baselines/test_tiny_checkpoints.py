"""Both formats of TensorFlow 1 checkpoints, as the original's Saver wrote them."""

import numpy as np
import pytest

from poseras.checkpoints import read_tf1_checkpoint

COUNTERS = {"Variable", "beta1_power", "beta2_power"}


def _checkpoints(folder):
    """Names of bundles and single files: what is left when the endings of a bundle are cut."""
    return sorted({path.name.split(".index")[0].split(".data-")[0] for path in folder.iterdir()})


def test_checkpoints_of_both_formats_are_read_exactly(golden):
    folder = golden.path("simple_baselines/tiny_checkpoints")
    names = _checkpoints(folder)
    assert names
    for name in names:
        entries = read_tf1_checkpoint(folder / name)
        filled = 0
        for entry, array in entries.items():
            if entry in COUNTERS:
                assert array == 0.5
            elif entry == "global_step":
                assert array.dtype == np.int64 and array == 123
            elif entry.endswith("/mean_rgb"):
                np.testing.assert_array_equal(array, np.float32([123.68, 116.78, 103.94]))
            else:
                np.testing.assert_array_equal(array, golden.fill(entry, array.shape))
                filled += 1
        assert filled, f"{name} holds no weights"


def test_the_two_formats_are_both_there(golden):
    folder = golden.path("simple_baselines/tiny_checkpoints")
    bundles = [n for n in _checkpoints(folder) if (folder / f"{n}.index").exists()]
    if not bundles or len(bundles) == len(_checkpoints(folder)):
        pytest.skip("the folder holds checkpoints of one format only")
    assert bundles
