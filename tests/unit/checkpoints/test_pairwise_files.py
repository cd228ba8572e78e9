"""Pairwise files: written, read back, and wrong ones."""

import errno
import os
import tarfile
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from poseras.checkpoints.pairwise_files import (
    read_logistic_models,
    read_pairwise_statistics,
    write_logistic_models,
    write_pairwise_statistics,
)

PAIRS = np.array([[1, 0], [0, 1]])
MEANS = np.array([[1.0, 2], [3, 4]])


def write_models(folder):
    rng = np.random.default_rng(0)
    models = np.array([[0, 1], [0, 12]]), *(rng.normal(size=(2, n)) for n in (8, 8, 9))
    write_logistic_models(folder, *models)
    return models


def test_statistics_are_read_in_the_order_of_the_maps(tmp_path):
    path = tmp_path / "pairwise_stats.mat"
    write_pairwise_statistics(path, PAIRS, MEANS, MEANS + 1)
    for place in (path, tmp_path):
        means, deviations = read_pairwise_statistics(place)
        assert means.tolist() == [[3, 4], [1, 2]] and deviations.tolist() == [[4, 5], [2, 3]]


def test_models_are_read_as_they_were_written_from_a_folder_or_an_archive(tmp_path):
    models = write_models(tmp_path)
    (tmp_path / "notes.mat").write_bytes(b"another file")
    with tarfile.open(tmp_path / "pairwise.tar.gz", "w:gz") as archive:
        for name in ("spatial_model_cidx_1_2.mat", "spatial_model_cidx_1_13.mat"):
            archive.add(tmp_path / name, f"pairwise/{name}")
    for place in (tmp_path, tmp_path / "pairwise.tar.gz"):
        for ours, written in zip(read_logistic_models(place), models, strict=True):
            np.testing.assert_array_equal(ours, written)


def test_models_of_an_earlier_run_do_not_stay_beside_new_ones(tmp_path):
    pairs, *rest = write_models(tmp_path)
    (tmp_path / "pairwise_stats.mat").write_bytes(b"another file")
    write_logistic_models(tmp_path, pairs[:1], *(values[:1] for values in rest))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["pairwise_stats.mat", "spatial_model_cidx_1_2.mat"]


def test_models_may_be_written_in_any_order(tmp_path):
    pairs, *rest = write_models(tmp_path)
    write_logistic_models(tmp_path, pairs[::-1], *(values[::-1] for values in rest))
    assert read_logistic_models(tmp_path)[0].tolist() == pairs.tolist()


@pytest.mark.parametrize(("moved", "there"), [(0, 2), (1, 2), (2, 3), (3, 4)])
def test_models_of_two_trainings_are_never_read_together(tmp_path, monkeypatch, moved, there):
    pairs, *rest = write_models(tmp_path)  # (0, 1) and (0, 12)
    real_replace, moves = os.replace, []

    def replace(source, target):
        if len(moves) == moved:
            raise KeyboardInterrupt
        moves.append(target)
        real_replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    four = np.array([[0, 1], [0, 2], [0, 3], [0, 12]])  # the last one is moved first
    with pytest.raises(KeyboardInterrupt):
        write_logistic_models(tmp_path, four, *(np.concatenate([v, v]) + 1 for v in rest))
    if moved:
        with pytest.raises(ValueError, match=f"Received {there} files that were not written tog"):
            read_logistic_models(tmp_path)
    else:
        assert read_logistic_models(tmp_path)[0].tolist() == pairs.tolist()


def test_models_of_other_pairs_that_could_not_be_removed_are_noticed(tmp_path, monkeypatch):
    pairs, *rest = write_models(tmp_path)
    monkeypatch.setattr(Path, "unlink", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_logistic_models(tmp_path, pairs[:1], *(values[:1] for values in rest))
    with pytest.raises(ValueError, match="Received 2 files that were not written together"):
        read_logistic_models(tmp_path)


def test_a_model_that_is_missing_or_of_the_authors_is_noticed(tmp_path):
    write_models(tmp_path)
    one = tmp_path / "spatial_model_cidx_1_2.mat"
    content = loadmat(one)
    one.unlink()
    with pytest.raises(ValueError, match="those of one training, all of them. Received 1 files"):
        read_logistic_models(tmp_path)
    savemat(one, {"spatial_model": content["spatial_model"]})
    with pytest.raises(ValueError, match="Received 2 files that were not written together"):
        read_logistic_models(tmp_path)


def test_a_full_disk_leaves_the_earlier_files(tmp_path, monkeypatch):
    pairs, *rest = write_models(tmp_path)
    write_pairwise_statistics(tmp_path / "pairwise_stats.mat", PAIRS, MEANS, MEANS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(path, values):
        real_savemat(path, values)
        if str(path).endswith(("cidx_1_13.mat", "stats.mat")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real_savemat = savemat
    monkeypatch.setattr("scipy.io.savemat", fail)
    with pytest.raises(OSError, match="No space left on device"):
        write_logistic_models(tmp_path, pairs, *(values + 1 for values in rest))
    with pytest.raises(OSError, match=r"Cannot write .*stats\.mat: No space left on device"):
        write_pairwise_statistics(tmp_path / "pairwise_stats.mat", PAIRS, MEANS + 1, MEANS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_weights_that_score_the_other_class_are_turned_round(tmp_path):
    model = {"training_opts": {"X_min": np.zeros((1, 8)), "X_max": np.ones((1, 8))}}
    model["log_reg"] = {"w": np.arange(9.0)[None], "Label": np.array([[0], [1]])}
    savemat(tmp_path / "spatial_model_cidx_1_2.mat", {"spatial_model": model})
    *_, weights = read_logistic_models(tmp_path)
    assert weights.tolist() == [[-value for value in range(9)]]


def test_absent_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No pairwise_stats.mat at"):
        read_pairwise_statistics(tmp_path)
    with pytest.raises(FileNotFoundError, match="No spatial_model_cidx"):
        read_logistic_models(tmp_path)
    with pytest.raises(FileNotFoundError, match="No pairwise files at"):
        read_logistic_models(tmp_path / "nowhere")


def test_wrong_files_are_refused(tmp_path):
    path = tmp_path / "pairwise_stats.mat"
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="must be a MATLAB file of version 5"):
        read_pairwise_statistics(path)
    savemat(path, {"graph": PAIRS})
    with pytest.raises(ValueError, match="must hold graph, means and std_devs"):
        read_pairwise_statistics(path)
    write_pairwise_statistics(path, np.array([[0, 1], [0, 2]]), MEANS, MEANS)
    with pytest.raises(ValueError, match="each ordered pair .* Received 2 rows for 3 joints"):
        read_pairwise_statistics(path)
    model = tmp_path / "spatial_model_cidx_1_2.mat"
    savemat(model, {"spatial_model": {"training_opts": 1.0}})
    with pytest.raises(ValueError, match="must hold spatial_model with training_opts and log_reg"):
        read_logistic_models(tmp_path)
