import json
import logging

import numpy as np

from poseras.engine.logbook import Logbook, Stopwatch, read_values, truncate_values


def test_values_are_one_json_object_a_line(tmp_path):
    book = Logbook(tmp_path)
    book.write_values(20, {"total": 1.5, "learning_rate": 1e-3}, {"samples_per_second": 9.0})
    book.close()
    assert read_values(tmp_path / "values.jsonl") == [
        {"step": 20, "total": 1.5, "learning_rate": 1e-3}
    ]


def test_a_continued_run_drops_what_was_logged_beyond_its_first_step(tmp_path):
    book = Logbook(tmp_path)
    for step in (10, 20, 30):
        book.write_values(step, {"total": float(step)})
    book.close()
    Logbook(tmp_path, first_step=20).close()
    assert [line["step"] for line in read_values(tmp_path / "values.jsonl")] == [10, 20]


def test_a_line_that_a_killed_run_left_unfinished_is_dropped(tmp_path):
    path = tmp_path / "values.jsonl"
    path.write_text(json.dumps({"step": 10}) + '\n{"step": 2')
    truncate_values(path, 100)
    assert path.read_text() == '{"step": 10}\n'


def test_the_plain_log_is_appended_by_every_start(tmp_path):
    for text in ("first", "second"):
        book = Logbook(tmp_path)
        logging.getLogger("poseras").warning(text)
        book.close()
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["first", "second"]


def test_nothing_is_written_without_a_folder(tmp_path):
    book = Logbook(None)
    book.write_values(1, {"total": 1.0})
    book.write_strip(1, np.zeros((4, 4, 3), np.uint8))
    book.flush()
    book.close()
    assert book.values_of("total") == {}


def test_logged_values_are_found_by_name(tmp_path):
    book = Logbook(tmp_path)
    book.write_values(6, {"validation/score": 0.5})
    book.write_values(7, {"total": 1.0})
    assert book.values_of("validation/score") == {6: 0.5}
    book.close()


def test_the_stopwatch_tells_waiting_from_working(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("poseras.engine.logbook.time.perf_counter", lambda: now[0])

    def slow():
        while True:
            now[0] += 1.0
            yield "batch"

    watch = Stopwatch()
    batches = slow()
    for _ in range(2):
        assert watch.next_batch(batches) == "batch"
        watch.steps += 1
        now[0] += 3.0  # the step
    now[0] += 100.0
    watch.exclude(100.0)  # a validation
    times = watch.read(samples_per_step=16)
    assert times == {"samples_per_second": 32 / 8, "waiting_share": 2 / 8}
