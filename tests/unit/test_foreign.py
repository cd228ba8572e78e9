"""Published checkpoints of a tiny network as snapshots: settings, weights, report, bad input."""

from pathlib import Path

import keras
import numpy as np
import pytest

import config as main_config
from poseras import foreign, snapshot_choice
from poseras.checkpoints.names import export_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.checkpoints.tensorflow1 import write_tf1_checkpoint
from poseras.engine import snapshot
from poseras.engine.optimizer import make_optimizer
from poseras.predictor import load_predictor
from poseras.skeleton import Skeleton
from poseras.systems.simple_baselines import Options
from poseras.systems.simple_baselines.model import build_model

SKELETON = Skeleton("Mine/three", ("left_hand", "right_hand", "nose"), flip_pairs=((0, 1),))
TINY = {"input_shape": (32, 32), "backbone_width": 2, "head_filters": (2, 3, 4)}
FILES = {"tensorflow": "snapshot_140.ckpt", "pytorch": "snapshot_140.pth.tar"}


def write_foreign(folder: Path, form: str, extra=None, leave_out=(), **options):
    """A network of that form in its original's format; the network, and the path."""
    keras.utils.set_random_seed(3)
    model = build_model(Options(**{**TINY, "form": form, **options}), SKELETON.joint_count)
    entries = export_checkpoint({v.path: v.numpy() for v in model.weights}, form)
    entries = {n: a for n, a in entries.items() if n not in leave_out} | (extra or {})
    path = folder / FILES[form]
    if form == "tensorflow":
        write_tf1_checkpoint(path, entries)
    else:
        write_pytorch_file(path, entries, wrapper="state_dict")
    return model, path


def describe(path, **settings):
    told = {"options.input_shape": [32, 32], **settings}
    return foreign.describe_network(path, "simple_baselines", told)


@pytest.mark.parametrize("form", FILES)
def test_a_foreign_checkpoint_predicts_as_its_network_does(tmp_path, form):
    model, path = write_foreign(tmp_path, form)
    imported = foreign.import_checkpoint(path, describe(path), SKELETON)
    predictor = load_predictor(imported.snapshot)
    picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    expected = model(picture)["heatmaps"]
    if form == "pytorch":  # the network of the test was not given Microsoft's pictures
        options = predictor.system.options
        assert options.pixel_std == (58.395, 57.12, 57.375)
        model = build_model(options, SKELETON.joint_count)
        snapshot.assign_weights(model, imported.snapshot.arrays)
        expected = model(picture)["heatmaps"]
    np.testing.assert_array_equal(predictor.model(picture)["heatmaps"], expected)
    assert predictor.skeleton == SKELETON


@pytest.mark.parametrize("form", FILES)
def test_the_metadata_tells_origin_preprocessing_and_epoch(tmp_path, form):
    _, path = write_foreign(tmp_path, form)
    metadata = foreign.import_checkpoint(path, describe(path), SKELETON).snapshot.metadata
    assert metadata["counters"] == {"epoch": 140, "step": 140, "steps_per_epoch": 1}
    assert metadata["imported"]["file"] == FILES[form]
    assert len(metadata["imported"]["sha256"]) == 64
    assert "BGR" in metadata["imported"]["preprocessing"]
    assert metadata["options"]["form"] == form
    assert metadata["view"]["outside_joints"] == ("keep" if form == "pytorch" else "drop")


def test_the_report_names_every_entry_that_was_used_or_not(tmp_path):
    extra = {"mystery/weights": np.zeros(2, np.float32), "Variable": np.float32(5e-6)}
    model, path = write_foreign(tmp_path, "tensorflow", extra)
    imported = foreign.import_checkpoint(path, describe(path), SKELETON)
    lines = imported.report()
    assert "used      up1/weights -> up1/kernel" in lines
    assert "unused    mystery/weights" in lines and "training  Variable" in lines
    assert lines[-1] == f"{len(model.weights)} used, 1 of training alone, 1 unused, 0 missing."
    assert len(lines) == len(model.weights) + 2 + 2


def test_a_required_name_that_is_missing_is_an_error(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch", leave_out=["bn1.bias"])
    with pytest.raises(
        ValueError, match=r"does not fit the network: the checkpoint has no bn1/beta"
    ):
        foreign.import_checkpoint(path, describe(path), SKELETON)


def test_a_checkpoint_of_another_joint_count_names_both(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch")
    four = Skeleton("Mine/four", ("a", "b", "c", "d"))
    with pytest.raises(ValueError, match="has 3 joints. Received the skeleton Mine/four with 4"):
        foreign.import_checkpoint(path, describe(path), four)


def test_a_checkpoint_of_another_depth_names_the_setting(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch", depth=18)
    with pytest.raises(ValueError, match="--set options.depth=18 makes one that does"):
        foreign.import_checkpoint(path, describe(path, **{"options.depth": 50}), SKELETON)


def test_a_head_of_other_filters_than_told_is_an_error(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch")
    told = describe(path, **{"options.head_filters": [2, 3, 5]})
    with pytest.raises(
        ValueError, match=r"deconv_layers.6/kernel is \(4, 4, 5, 3\) in the network"
    ):
        foreign.import_checkpoint(path, told, SKELETON)


def test_settings_of_training_do_not_describe_a_network(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch")
    with pytest.raises(ValueError, match=r"begin with options\. or view\. Received train\.batch"):
        describe(path, **{"train.batch_size": 3})


def test_a_file_of_no_known_network_says_what_its_names_are(tmp_path):
    write_pytorch_file(tmp_path / "a.pth", {"encoder.weight": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match="is no network of simple_baselines: .* encoder.weight"):
        foreign.recognise(tmp_path / "a.pth", "simple_baselines")


def test_why_a_checkpoint_cannot_be_tested_is_a_text_and_no_error(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch")
    assert foreign.explain_misfit(path, "simple_baselines") == ""
    path.write_bytes(path.read_bytes()[:500])
    assert "cannot be read as a PyTorch file" in foreign.explain_misfit(path, "simple_baselines")
    path.unlink()
    assert "no checkpoint" in foreign.explain_misfit(path, "simple_baselines")


def test_a_backbone_alone_has_no_head_to_test(tmp_path):
    heads = [f"{n}.{leaf}" for n in ("final_layer",) for leaf in ("weight", "bias")]
    _, path = write_foreign(tmp_path, "pytorch", leave_out=heads)
    assert foreign.explain_misfit(path, "simple_baselines").endswith("which has no head")


def test_the_config_of_a_foreign_checkpoint_is_that_of_the_run_with_what_the_file_fixes(tmp_path):
    _, path = write_foreign(tmp_path, "pytorch", depth=18)
    config = main_config.load_config(
        assignments=["options.input_shape=64,32", "train.batch_size=3"]
    )
    stored = snapshot_choice.stored_config(path, config)
    assert stored["options.depth"] == 18 and stored["options.form"] == "pytorch"
    assert stored["options.input_shape"] == [64, 32] and stored["train.batch_size"] == 3
    tested = main_config.load_config(assignments=["options.decoder=dark"], stored=stored)
    assert (tested.options.depth, tested.options.decoder) == (18, "dark")
    assert tested.view.outside_joints == "keep" and tested.view.size_hw == (64, 32)


def test_what_is_tested_is_a_number_or_a_file(tmp_path):
    config = main_config.load_config()
    with pytest.raises(ValueError, match="needs --test_epoch N, .* or --model-file FILE"):
        snapshot_choice.find_tested(tmp_path, config, None)
    with pytest.raises(FileNotFoundError, match=r"no snapshot or checkpoint .*models/a\.pth"):
        snapshot_choice.find_tested(tmp_path, config, None, "models/a.pth")
    _, path = write_foreign(tmp_path, "tensorflow")
    assert snapshot_choice.find_tested(tmp_path, config, 1, path.name) == path


def test_the_placed_checkpoint_of_the_highest_number_is_trained_on(tmp_path):
    config = {"options.depth": 101, "train.batch_size": 3}
    network = foreign.Network("simple_baselines", Options(**TINY), None)
    assert snapshot_choice.find_placed(tmp_path, network, config, SKELETON) is None
    _, path = write_foreign(tmp_path, "tensorflow")
    network = describe(path)
    (tmp_path / "snapshot_9.pth").write_bytes(b"never read")
    placed = snapshot_choice.find_placed(tmp_path, network, config, SKELETON)
    assert placed.path == path
    # What the file fixes stands in its config, so that another network is refused as always.
    assert placed.metadata["config"]["options.depth"] == 50
    assert placed.metadata["config"]["train.batch_size"] == 3


def test_snapshots_of_adam_continue_with_its_moments(tmp_path):
    model = build_model(Options(**TINY), SKELETON.joint_count)
    optimizer = make_optimizer("adam")
    optimizer.build(model.trainable_variables)
    names = {v.path for v in optimizer.variables if v.name != "learning_rate"}
    entries = export_checkpoint({v.path: v.numpy() for v in model.weights}, "tensorflow")
    trained = [n for n in entries if "moving_" not in n]
    slots = {f"{n}/Adam": entries[n] + 1 for n in trained}
    slots |= {f"{n}/Adam_1": entries[n] + 2 for n in trained}
    # After 10 steps TensorFlow holds the power that the 11th will use.
    slots["beta2_power"] = np.float32(0.999**11)
    _, path = write_foreign(tmp_path, "tensorflow", slots)
    arrays = foreign.import_checkpoint(path, describe(path), SKELETON).snapshot.part("optimizer")
    assert arrays.keys() == names
    assert arrays["adam/iteration"] == 10
    assert arrays["adam/up1_kernel_momentum"].shape == entries["up1/weights"].shape
    np.testing.assert_array_equal(arrays["adam/out_bias_momentum"], slots["out/biases/Adam"])
    np.testing.assert_array_equal(arrays["adam/out_bias_velocity"], slots["out/biases/Adam_1"])


def test_of_a_long_training_the_vanished_power_counts_as_many_steps(tmp_path):
    entries = {"a/Adam": np.zeros(1), "a/Adam_1": np.zeros(1), "beta2_power": np.float32(0)}
    assert foreign.adam_state(entries, {"a": "a"})["optimizer/adam/iteration"] > 50_000
    assert foreign.adam_state({}, {"a": "a"}) == {}


@pytest.mark.parametrize("form", FILES)
def test_a_snapshot_written_back_has_the_names_and_arrays_of_the_original(tmp_path, form):
    from poseras.checkpoints import read_checkpoint

    _, path = write_foreign(tmp_path, form)
    imported = foreign.import_checkpoint(path, describe(path), SKELETON)
    entries = foreign.export_entries(imported.snapshot)
    original = read_checkpoint(path)
    assert entries.keys() == original.keys()
    for name, array in original.items():
        np.testing.assert_array_equal(entries[name], array, err_msg=name)
        assert entries[name].dtype == array.dtype
