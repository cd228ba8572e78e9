import numpy as np
import pytest

import ship_weights
from poseras.engine.snapshot import read_snapshot, write_snapshot

METADATA = {
    "system": "simple_baselines",
    "options": {"depth": 18},
    "view": {"margin": 1.3, "augmentation.occluder_folder": "/home/me/things"},
    "config": {
        "train.initial_weights": "/home/me/weights.ckpt",
        "view.augmentation.occluder_folder": "/home/me/things",
        "seed": 1,
    },
    "counters": {"epoch": 3, "step": 30},
    "something_else": 5,
}


@pytest.fixture
def snapshot(tmp_path):
    path = tmp_path / "snapshot_3.safetensors"
    arrays = {
        "weights/conv/kernel": np.full((3, 2), 1.0, np.float32),
        "weights/bn/mean": np.array([0.1, 1000], np.float32),
        "ema/conv/kernel": np.full((3, 2), 1 / 3, np.float32),
        "optimizer/velocity": np.ones(6, np.float32),
        "resources/table": np.arange(4),
    }
    write_snapshot(path, arrays, METADATA)
    return path


def test_averaged_kernels_are_shipped_in_half_precision_and_nothing_but_weights(snapshot, tmp_path):
    ship_weights.main([str(snapshot), "--output", str(tmp_path / "small.safetensors")])
    small = read_snapshot(tmp_path / "small.safetensors")
    assert set(small.arrays) == {"weights/conv/kernel", "weights/bn/mean", "resources/table"}
    assert small.arrays["weights/conv/kernel"].dtype == np.float16
    assert small.arrays["weights/conv/kernel"] == pytest.approx(1 / 3, abs=2e-4)
    assert small.arrays["weights/bn/mean"].dtype == np.float32
    assert small.arrays["weights/bn/mean"].tolist() == [np.float32(0.1), 1000]
    assert small.arrays["resources/table"].tolist() == [0, 1, 2, 3]


def test_settings_that_name_files_of_another_machine_stay_behind(snapshot, tmp_path):
    ship_weights.main([str(snapshot), "--output", str(tmp_path / "small.safetensors")])
    metadata = read_snapshot(tmp_path / "small.safetensors").metadata
    assert metadata["config"] == {"seed": 1}
    assert metadata["options"] == {"depth": 18} and metadata["view"] == {"margin": 1.3}
    assert "something_else" not in metadata


def test_files_of_tables_and_data_stay_behind_because_the_tables_are_inside(tmp_path):
    path, small = tmp_path / "snapshot_1.safetensors", tmp_path / "small.safetensors"
    files = {"pairwise_statistics": "/home/me/a.mat", "pairwise_models": "/home/me/models"}
    config = {f"options.{name}": file for name, file in files.items()}
    config |= {"data.annotations": "/home/me/a.json", "data.images": "/home/me/images"}
    config |= {"test.images": "/home/me/images", "test.ensemble": ["/home/me/b"], "seed": 1}
    options = {"pairwise": True, **files}
    metadata = {"system": "deepercut_arttrack", "options": options, "config": config}
    write_snapshot(path, {"weights/bn/mean": np.ones(2, np.float32)}, metadata)
    ship_weights.main([str(path), "--output", str(small)])
    metadata = read_snapshot(small).metadata
    assert metadata["config"] == {"seed": 1} and metadata["options"] == {"pairwise": True}


def test_weights_beyond_float16_are_named(tmp_path, capsys):
    path = tmp_path / "snapshot_1.safetensors"
    write_snapshot(path, {"weights/conv/kernel": np.full((1, 1), 7e4, np.float32)}, METADATA)
    with pytest.raises(SystemExit) as stopped:
        ship_weights.main([str(path), "--output", str(tmp_path / "small.safetensors")])
    assert stopped.value.code == 2
    assert "below 65,504, float16's largest number. Received 7e+04" in capsys.readouterr().err
    assert not (tmp_path / "small.safetensors").exists()
