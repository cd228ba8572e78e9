"""The rules of an update's settings, which stand without TensorFlow."""

import subprocess
import sys

import pytest

from poseras.engine.step_settings import StepSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accumulate_steps": 0}, "train.accumulate_steps must be at least 1. Received 0"),
        ({"layer_decay": 0.0}, "train.layer_decay must be above 0 and at most 1.* Received 0.0"),
        ({"layer_decay": 1.5}, "train.layer_decay must be above 0 and at most 1.* Received 1.5"),
        ({"ema_decay": 1.0}, "train.ema_decay must be below 1. Received 1.0"),
        ({"momentum": 1.0}, "train.momentum must be below 1. Received 1.0"),
        ({"momentum": -0.1}, "train.momentum must be at least 0. Received -0.1"),
        ({"clip_norm": -1.0}, "train.clip_norm must be at least 0. Received -1.0"),
        ({"weight_decay": -1.0}, "train.weight_decay must be at least 0. Received -1.0"),
    ],
)
def test_a_value_out_of_bounds_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StepSettings(**changes)


def test_the_settings_come_without_tensorflow():
    code = "import sys, poseras.engine.step_settings, poseras.engine.schedule; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "poseras.engine.schedule" in modules.split()
    assert not {"tensorflow", "keras"} & set(modules.split())
