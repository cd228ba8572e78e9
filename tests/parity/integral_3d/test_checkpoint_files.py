"""Both containers of PyTorch snapshots with the structure of Moon's."""

import re

import numpy as np
import pytest

from poseras.checkpoints import read_checkpoint

EXPECTED = "integral_3d/snapshot_tiny_expected.npz"


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_the_network_of_a_snapshot_is_read_exactly(golden, container):
    entries = read_checkpoint(golden.path(f"integral_3d/snapshot_tiny_{container}.pth.tar"))
    expected = golden.load(EXPECTED)
    assert expected and set(expected) <= set(entries)
    for name, array in expected.items():
        assert entries[name].dtype == array.dtype
        np.testing.assert_array_equal(entries[name], array)
    assert not [name for name in entries if re.match(r"optimizer|scheduler", name)]
