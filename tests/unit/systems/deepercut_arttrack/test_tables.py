"""Pairwise tables travel with the weights: imports, snapshots of a run, and other ones on top."""

from types import SimpleNamespace

import numpy as np
import pytest

import convert_weights
from poseras import foreign, systems, training
from poseras.checkpoints import write_tf1_checkpoint
from poseras.checkpoints.pairwise_files import write_pairwise_statistics
from poseras.checkpoints.tensorflow1 import read_tf1_shapes
from poseras.codecs.pairwise import list_pairs
from poseras.engine.snapshot import (
    collect_weights,
    digest_arrays,
    read_snapshot,
    snapshot_path,
    write_snapshot,
)
from poseras.predictor import build_system, load_predictor
from poseras.settings import flatten
from poseras.skeleton import Skeleton
from poseras.structures import ImageRecords
from poseras.systems.deepercut_arttrack.options import Options, default_view
from poseras.systems.deepercut_arttrack.system import System
from poseras.systems.deepercut_arttrack.weights import export
from poseras.validation import make_validation

SKELETON = Skeleton("made/up", ("left_hip", "right_hip", "nose"), ((0, 1),), ((0, 1), (1, 2)), ())
MEANS, DEVIATIONS = np.arange(12.0).reshape(6, 2), np.full((6, 2), 3.0)


def make_options(**settings):
    return Options(pairwise=True, depth=50, backbone_width=4, **settings)


@pytest.fixture
def statistics(tmp_path):
    path = tmp_path / "pairwise_stats.mat"
    write_pairwise_statistics(path, list_pairs(3), MEANS, DEVIATIONS)
    return str(path)


@pytest.fixture(scope="module")
def model():
    return System(make_options(), SKELETON).build_model()


def describe(options):
    return foreign.Network("deepercut_arttrack", options, default_view(options))


def test_an_imported_network_brings_its_tables(tmp_path, model, statistics):
    path = tmp_path / "snapshot-30"
    write_tf1_checkpoint(path, export({v.path: v.numpy() for v in model.weights}, Options()))
    options = make_options(pairwise_statistics=statistics)
    snapshot = foreign.import_checkpoint(path, describe(options), SKELETON).snapshot
    tables = snapshot.part("resources")
    np.testing.assert_array_equal(tables["means_px"], MEANS)
    assert snapshot.metadata["resources_sha256"] == digest_arrays(tables)
    with pytest.raises(ValueError, match="needs options.pairwise_statistics"):
        foreign.import_checkpoint(path, describe(make_options()), SKELETON)


@pytest.fixture
def run_folder(tmp_path, model):
    """The folder of a run whose snapshot holds tables; their files are gone."""
    folder = tmp_path / "run"
    options = make_options(pairwise_statistics="gone.mat")
    metadata = {
        "system": "deepercut_arttrack",
        "options": flatten(options),
        "skeleton": SKELETON.to_dict(),
        "view": flatten(default_view(options)),
        "counters": {"epoch": 1, "step": 4},
    }
    arrays = collect_weights(model)
    arrays |= {"resources/means_px": MEANS, "resources/deviations_px": DEVIATIONS}
    write_snapshot(snapshot_path(folder, 1), arrays, metadata)
    return folder


def test_a_run_that_goes_on_needs_no_second_file(run_folder):
    options = make_options(pairwise_statistics="gone.mat")
    network = ("deepercut_arttrack", options, SKELETON, run_folder)
    tables = training.load_resources(*network, resume=True)
    np.testing.assert_array_equal(tables["deviations_px"], DEVIATIONS)
    beside = (*network[:3], run_folder / "another_run")  # continues the snapshot above it
    np.testing.assert_array_equal(training.load_resources(*beside, resume=True)["means_px"], MEANS)
    with pytest.raises(FileNotFoundError, match="gone.mat"):
        training.load_resources(*network, resume=False)


@pytest.mark.parametrize("system", ["deepercut_arttrack", "simple_baselines", "integral_3d"])
def test_a_run_without_tables_goes_on_without_reading_its_snapshot_for_them(
    run_folder, monkeypatch, system
):
    monkeypatch.setattr(training, "newest_valid", lambda folder: pytest.fail("it was read"))
    options = systems.options_module(system).Options()
    network = (system, options, SKELETON, run_folder)
    assert training.load_resources(*network, resume=True) == {}


def test_a_snapshot_is_tested_with_its_own_tables_or_with_others(run_folder, statistics):
    snapshot = read_snapshot(snapshot_path(run_folder, 1))
    own, _ = build_system(snapshot, {"options.nms_radius": 2.0})
    np.testing.assert_array_equal(own.resources["means_px"], MEANS)
    told = {"options.pairwise_statistics": statistics, "options.statistics_scale": 2.0}
    other, _ = build_system(snapshot, told)
    np.testing.assert_array_equal(other.resources["means_px"], 2 * MEANS)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        build_system(snapshot, {"options.pairwise_models": "nowhere"})


def test_a_test_without_logistic_models_is_refused_before_its_network_is_built(
    run_folder, monkeypatch
):
    built = []
    monkeypatch.setattr(System, "build_model", lambda system: built.append(system))
    path = snapshot_path(run_folder, 1)
    with pytest.raises(ValueError, match="Received none.*--set options.pairwise_models=FOLDER"):
        load_predictor(path, finds_people=True)
    assert not built


def test_a_validation_without_logistic_models_is_refused_before_the_first_step():
    tables = {"means_px": MEANS, "deviations_px": DEVIATIONS}
    system = System(make_options(), SKELETON, tables)
    pictures = ImageRecords(None, np.zeros(0, np.int32), np.zeros(1, np.int64))
    validation = SimpleNamespace(files=None, test=None)
    job = SimpleNamespace(validation=validation, people=pictures)
    told = "--set options.pairwise_models=FOLDER.*train.validate_every_epochs=0 trains without"
    with pytest.raises(ValueError, match=told):
        make_validation(job, system, strategy=None)
    job.validation = None
    assert make_validation(job, system, strategy=None) is None


def test_a_run_goes_on_after_its_project_moved(model, tmp_path):
    """Its tables are where they were below the root, or gone: neither is read anew."""
    old, new = tmp_path / "old", tmp_path / "new"
    for root in (old, new):
        root.mkdir()
        write_pairwise_statistics(root / "tables.mat", list_pairs(3), MEANS, DEVIATIONS)
    options = make_options(pairwise_statistics="tables.mat")
    network = ("deepercut_arttrack", options, SKELETON)
    folder = old / "run"
    tables = training.load_resources(*network, folder, resume=False, root=old)
    np.testing.assert_array_equal(tables["means_px"], MEANS)
    arrays = {f"resources/{name}": 2 * table for name, table in tables.items()}
    arrays |= collect_weights(model)
    for written in (options, make_options(pairwise_statistics=str(old / "tables.mat"))):
        metadata = {
            "system": "deepercut_arttrack",
            "options": flatten(written),
            "skeleton": SKELETON.to_dict(),
            "view": flatten(default_view(options)),
            "counters": {"epoch": 1, "step": 4},
        }
        write_snapshot(snapshot_path(folder, 1), arrays, metadata)
        # An absolute path, as older snapshots have it, is the same file in the same project.
        kept = training.load_resources(*network, folder, resume=True, root=old)
        np.testing.assert_array_equal(kept["means_px"], 2 * MEANS)
        snapshot = read_snapshot(snapshot_path(folder, 1))
        system, _ = build_system(snapshot, {"options.pairwise_statistics": "tables.mat"}, old)
        np.testing.assert_array_equal(system.resources["means_px"], 2 * MEANS)
    # The first one is written again and moved, without its tables.
    write_snapshot(snapshot_path(new, 1), arrays, {**metadata, "options": flatten(options)})
    (new / "tables.mat").unlink()
    moved = training.load_resources(*network, new, resume=True, root=new)
    np.testing.assert_array_equal(moved["means_px"], 2 * MEANS)
    with pytest.raises(FileNotFoundError, match="new/other.mat"):
        told = {"options.pairwise_statistics": "other.mat"}
        build_system(read_snapshot(snapshot_path(new, 1)), told, new)


def test_a_snapshot_is_written_back_in_the_form_of_its_original(run_folder, tmp_path):
    target = tmp_path / "snapshot_1.ckpt"
    lines = convert_weights.export(snapshot_path(run_folder, 1), target)
    assert any("pose/pairwise_pred/block4/weights" in line for line in lines)
    names = read_tf1_shapes(target)
    assert names["pose/part_pred/block4/biases"] == (3,)
    with pytest.raises(ValueError, match="form tensorflow is written as .ckpt"):
        convert_weights.export(snapshot_path(run_folder, 1), tmp_path / "snapshot_1.pth")
