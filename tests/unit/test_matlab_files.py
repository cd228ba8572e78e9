"""MATLAB files, whole and damaged."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from poseras.matlab_files import read_matlab


@pytest.fixture(scope="module")
def content():
    buffer = io.BytesIO()
    people = np.array([[(3, "one"), (4, "two")]], [("number", object), ("name", object)])
    savemat(buffer, {"people": people, "sizes": np.arange(12.0)}, do_compression=True)
    return buffer.getvalue()


def test_a_file_is_read_by_its_path_or_from_memory(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    for source in (content, tmp_path / "a.mat", str(tmp_path / "a.mat")):
        assert read_matlab(source)["sizes"].tolist() == [list(range(12))]


def test_a_file_that_is_not_there_or_of_another_kind_is_a_value_error(tmp_path):
    (tmp_path / "a.mat").write_bytes(b"not one")
    for path in (tmp_path / "a.mat", tmp_path / "b.mat", tmp_path):
        with pytest.raises(ValueError, match="."):
            read_matlab(path)


def test_damage_of_whatever_kind_is_a_value_error(content):
    kinds = set()
    spoiled = [content[:length] for length in range(0, len(content), 5)]
    spoiled.append(content[:150] + bytes([content[150] ^ 255]) + content[151:])
    for damaged in spoiled:
        try:
            read_matlab(damaged)
        except ValueError as error:
            assert str(error)
            kinds.add(type(error.__cause__).__name__)
    assert len(kinds) > 2, kinds
