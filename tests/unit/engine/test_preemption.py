import os
import signal

import pytest

from poseras.engine.preemption import StopRequest


def test_sigterm_is_noted_and_the_step_goes_on():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
    with pytest.raises(SystemExit) as ended:
        stop.leave()
    assert ended.value.code == 143


def test_ctrl_c_has_the_exit_code_of_a_shell():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        stop.leave()
    assert ended.value.code == 130


def test_where_nothing_can_be_lost_a_signal_ends_at_once():
    with pytest.raises(SystemExit), StopRequest() as stop, stop.leaving_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the block went on")


def test_a_signal_from_before_the_block_counts():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit), stop.leaving_at_once():
            pytest.fail("the block began")


def test_the_handlers_of_before_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
