import threading
import time
from itertools import count, islice

import pytest

from poseras.engine.read_ahead import read_ahead


def test_items_come_in_order_and_end():
    with read_ahead(range(50)) as items:
        assert list(items) == list(range(50))


def test_an_error_is_raised_behind_the_items_before_it():
    def broken():
        yield from (1, 2)
        raise ValueError("picture 3 is broken")

    seen = []
    with pytest.raises(ValueError, match="picture 3 is broken"), read_ahead(broken()) as items:
        for item in items:
            seen.append(item)
    assert seen == [1, 2]


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    with read_ahead(count(), depth=3) as items:
        assert list(islice(items, 5)) == [0, 1, 2, 3, 4]
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_no_more_than_depth_items_are_fetched_ahead():
    fetched = []

    def source():
        for number in range(100):
            fetched.append(number)
            yield number

    with read_ahead(source(), depth=2) as items:
        next(items)
        time.sleep(0.2)
        assert len(fetched) == 3  # one taken, two ready


def test_fetching_hides_behind_the_step():
    def slow():
        for number in range(6):
            time.sleep(0.05)
            yield number

    waited = 0.0
    with read_ahead(slow()) as items:
        next(items)
        for _ in range(5):
            time.sleep(0.1)
            start = time.perf_counter()
            next(items)
            waited += time.perf_counter() - start
    assert waited < 0.1  # 0.25 without reading ahead
