import threading
import time

import pytest

from poseras.engine.write_behind import write_behind


def test_everything_is_written_in_order_in_another_thread():
    written, threads = [], set()

    def write(item):
        time.sleep(0.001)
        written.append(item)
        threads.add(threading.current_thread())

    with write_behind(write, depth=2) as hand_over:
        for item in range(20):
            hand_over(item)
            assert item - len(written) <= 2
    assert written == list(range(20))
    assert len(threads) == 1 and threading.current_thread() not in threads


def test_an_error_of_the_writer_is_raised():
    def write(item):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"), write_behind(write) as hand_over:
        hand_over(1)


def test_an_error_of_the_block_drops_what_waits():
    written = []

    def write(item):
        time.sleep(0.01)
        written.append(item)

    with pytest.raises(KeyError), write_behind(write) as hand_over:
        for item in range(10):
            hand_over(item)
        raise KeyError
    assert len(written) < 10
