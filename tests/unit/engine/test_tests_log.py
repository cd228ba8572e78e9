import datetime
import json
import math

import numpy as np
import pytest

from poseras.engine import results
from poseras.engine.tests_log import TESTS_NAME, append_test, read_tests

PROTOCOL = {
    "snapshot": "output/model_dump/COCO/tiny/snapshot_140.safetensors",
    "dataset": "COCO",
    "split": "val",
    "boxes": "detected",
    "detections": "data/COCO/dets/human_detection.json",
    "options": {"depth": 50},
}


def test_each_test_is_a_line_while_metrics_json_is_the_latest(tmp_path):
    results.write_metrics(tmp_path, {"AP": 0.5}, PROTOCOL, {"test.split": "val"})
    other = {**PROTOCOL, "snapshot": "output/model_dump/COCO/tiny/snapshot_best.safetensors"}
    results.write_metrics(tmp_path, {"AP": np.float64(0.6)}, {**other, "boxes": "annotated"})
    assert json.loads((tmp_path / "metrics.json").read_text())["metrics"] == {"AP": 0.6}
    first, second = read_tests(tmp_path)
    assert (first["epoch"], first["metrics"]) == (140, {"AP": 0.5})
    assert first["settings"] == {"test.split": "val"} and "options" not in first
    assert all(first[name] == PROTOCOL[name] for name in ("dataset", "split", "detections"))
    assert second["snapshot"] == other["snapshot"] and second["boxes"] == "annotated"
    assert (second["epoch"], second["metrics"], second["settings"]) == (None, {"AP": 0.6}, {})
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(
        first["time"]
    )
    assert abs(age.total_seconds()) < 600


def test_the_epoch_is_that_of_a_numbered_snapshot_alone(tmp_path):
    names = ("snapshot_7.safetensors", "snapshot_140.ckpt", "snapshot_14x.ckpt", "pose_50.pth.tar")
    for name in names:
        append_test(tmp_path, {}, {"snapshot": f"/models/snapshot_3/{name}"}, {})
    assert [test["epoch"] for test in read_tests(tmp_path)] == [7, 140, None, None]


def test_numbers_that_json_lacks_become_null(tmp_path):
    append_test(tmp_path, {"AP": math.nan, "AR": 0.25}, {}, {})
    assert json.loads((tmp_path / TESTS_NAME).read_text())["metrics"] == {"AP": None, "AR": 0.25}


@pytest.mark.parametrize("torn", ['{"time": "2026', '{"time": "2026\n', "[1]\n"])
def test_a_line_that_a_killed_test_left_costs_no_other(tmp_path, torn):
    append_test(tmp_path, {"AP": 0.5}, {}, {})
    with (tmp_path / TESTS_NAME).open("a") as file:
        file.write(torn)
    append_test(tmp_path, {"AP": 0.6}, {}, {})
    assert [test["metrics"]["AP"] for test in read_tests(tmp_path)] == [0.5, 0.6]


def test_a_run_that_was_never_tested_has_no_tests(tmp_path):
    assert read_tests(tmp_path) == []
