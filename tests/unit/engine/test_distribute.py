import logging
import subprocess
import sys

import pytest

from poseras.engine import distribute
from poseras.engine.distribute import parse_gpus


@pytest.mark.parametrize(
    ("text", "available", "expected"),
    [
        ("0", 4, (0,)),
        ("0,1", 4, (0, 1)),
        ("0-1", 4, (0, 1)),
        ("3,1", 4, (3, 1)),
        ("2-", 4, (2, 3)),
        ("-2", 4, (0, 1, 2)),
        ("-", 3, (0, 1, 2)),
        (" 0 - 1 ", 2, (0, 1)),
        ("cpu", 4, ()),
        ("CPU", 0, ()),
    ],
)
def test_gpu_argument_names_these_devices(text, available, expected):
    assert parse_gpus(text, available) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-3", r"--gpu 0-3 asks for GPUs 0,1,2,3; this machine shows 2 \(0,1\)\."),
        ("2", r"--gpu 2 asks for GPUs 2; this machine shows 2 \(0,1\)\."),
        ("2-", r"--gpu 2- asks for GPUs beyond the last; this machine shows 2 \(0,1\)\."),
        ("0,0", "--gpu must name each GPU once. Received '0,0'"),
        ("1-0", "--gpu must count upwards. Received '1-0'"),
        ("gpu", "--gpu must be like 0, 0,1, 0-1.*Received 'gpu'"),
        ("0-1-2", "--gpu must be like"),
        ("", "--gpu must be like"),
    ],
)
def test_a_wrong_gpu_argument_says_what_is_there(text, message):
    with pytest.raises(ValueError, match=message):
        parse_gpus(text, 2)


def test_without_any_gpu_one_loud_line_and_the_cpu(caplog):
    for text in ("0-1", "2-", None):
        caplog.clear()
        assert parse_gpus(text, 0) == ()
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "NO GPU" in caplog.text and "CPU" in caplog.text
    with pytest.raises(ValueError, match="--gpu must be like"):
        parse_gpus("gpu", 0)


def test_asking_for_the_cpu_is_not_loud(caplog):
    assert parse_gpus("cpu", 0) == () and not caplog.records


def test_without_argument_the_least_used_gpu_is_taken(caplog, monkeypatch, tmp_path):
    caplog.set_level(logging.INFO, "poseras")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert parse_gpus(None, 3) == (0,)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint('900\\n800\\n12')\n")
    program.chmod(0o755)
    assert parse_gpus(None, 3) == (2,)
    assert "GPU 2 of 3 is used" in caplog.text
    assert parse_gpus(None, 2) == (0,), "three lines say nothing about two visible GPUs"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(9)\n")
    assert parse_gpus(None, 3) == (0,)


_RUN = """
import sys
import numpy as np, tensorflow as tf
from poseras.engine.distribute import make_strategy
count = int(sys.argv[1])
strategy = make_strategy((), cpu_devices=count)
assert strategy.num_replicas_in_sync == count, strategy
assert make_strategy((), cpu_devices=count).num_replicas_in_sync == count
rows = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(float(context.replica_id_in_sync_group + 1)))
run = tf.function(lambda x: strategy.run(lambda v: tf.distribute.get_replica_context().all_reduce(
    tf.distribute.ReduceOp.SUM, v), args=(x,)))
print(type(strategy).__name__, float(strategy.experimental_local_results(run(rows))[0]))
"""


@pytest.mark.parametrize(
    ("devices", "expected"), [(1, "_DefaultDistributionStrategy 1.0"), (2, "MirroredStrategy 3.0")]
)
def test_a_step_runs_on_every_device_of_the_strategy(devices, expected):
    # A process of its own: logical devices must be made before TensorFlow is first used.
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(devices)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == expected


def test_the_module_does_not_import_tensorflow_by_itself():
    code = "import sys, poseras.engine.distribute; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    assert distribute.count_gpus() >= 0
