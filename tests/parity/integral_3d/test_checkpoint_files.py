"""Both containers of PyTorch snapshots with the structure of Moon's."""

import re

import numpy as np

from poseras.checkpoints import read_checkpoint


def test_the_network_of_a_snapshot_is_read_exactly(golden, snapshot):
    assert snapshot, "no snapshot was found"
    # The last part of the name tells the container.
    case = re.sub(r"(_legacy|_zip)?\.pth\.tar$", "", snapshot)
    entries = read_checkpoint(golden.path(f"integral_3d/{snapshot}"))
    expected = golden.load(f"integral_3d/{case}_expected.npz")
    assert expected and set(expected) <= set(entries)
    for name, array in expected.items():
        assert entries[name].dtype == array.dtype
        np.testing.assert_array_equal(entries[name], array)
    assert not [name for name in entries if re.match(r"optimizer|scheduler", name)]
