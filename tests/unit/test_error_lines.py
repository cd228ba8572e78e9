"""Which errors end a program in one line, and which show their trace."""

import json
import multiprocessing
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from poseras.check import check_at_least
from poseras.error_lines import TRACE_VARIABLE, one_line_errors, was_raised_by_us
from poseras.geometry import expand_box

#: A call that poseras refuses.
REFUSAL = (expand_box, np.zeros((1, 4)), 1.0)
#: A call of poseras that fails inside NumPy's compiled code, which has no frame of its own.
FAULT = (check_at_least, "group", SimpleNamespace(value=np.zeros(2)), 0, "value")


def make_call(call):
    function, *arguments = call
    return function(*arguments)


def open_nothing():
    Path("/no/such/file").read_bytes()


def end_of(capsys, function):
    with pytest.raises(SystemExit) as end, one_line_errors("some.py"):
        function()
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("function", [lambda: make_call(REFUSAL), open_nothing])
def test_wrong_input_ends_in_one_line_and_exit_code_2(capsys, function):
    (line,) = end_of(capsys, function).splitlines()
    assert line.startswith("some.py: error: ")


def test_a_message_of_several_lines_becomes_one(capsys):
    def fail():
        raise OSError("two\nlines")

    assert end_of(capsys, fail) == "some.py: error: two lines\n"


def test_the_environment_variable_shows_the_trace_before_the_line(capsys, monkeypatch):
    monkeypatch.setenv(TRACE_VARIABLE, "1")
    lines = end_of(capsys, lambda: make_call(REFUSAL)).splitlines()
    assert lines[0].startswith("Traceback") and lines[-1].startswith("some.py: error: ")


class Faulty(keras.layers.Layer):
    """A layer of ours in whose `call` Keras raises; Keras takes its own frames out of the trace."""

    def call(self, inputs):
        return keras.ops.concatenate([inputs, inputs[0]], axis=1)


@pytest.mark.parametrize(
    "fault",
    [
        lambda: make_call(FAULT),
        lambda: np.zeros(2) + np.zeros(3),
        lambda: Faulty()(keras.Input((4, 4))),
        lambda: json.loads("{"),
        lambda: int("many"),
        lambda: {}["absent"],
    ],
)
def test_a_fault_of_the_code_keeps_its_trace(fault):
    with pytest.raises((ValueError, KeyError)), one_line_errors("some.py"):
        fault()


@pytest.mark.parametrize(("call", "verdict"), [(REFUSAL, True), (FAULT, False)])
def test_an_error_of_another_process_is_judged_by_its_own_trace(call, verdict):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, pytest.raises(ValueError) as caught:
        pool.submit(*call).result()
    assert was_raised_by_us(caught.value) is verdict


def test_a_program_shows_the_trace_of_a_fault(tmp_path):
    program = tmp_path / "some.py"
    program.write_text(
        textwrap.dedent("""
            import numpy as np
            from poseras.error_lines import one_line_errors
            with one_line_errors("some.py"):
                np.zeros(3).reshape(2, 2)
        """)
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr and "reshape(2, 2)" in done.stderr
