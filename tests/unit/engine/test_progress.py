"""Progress bars: live on a terminal, a few whole lines in a log."""

import io
import sys
import time

import pytest

from poseras.engine import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_short_job_leaves_no_line_in_a_log(capsys: pytest.CaptureFixture[str]):
    assert list(progress.progress_bar(range(50), unit="picture", desc="test")) == list(range(50))
    assert capsys.readouterr().err == ""


def test_a_long_job_writes_whole_lines_into_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.05)
    with progress.progress_bar(total=20, unit="picture", desc="test") as bar:
        for _ in range(20):
            time.sleep(0.02)
            bar.update()
    lines = capsys.readouterr().err.replace("\r", "").split("\n")
    shown = [line for line in lines if line.strip()]
    assert 2 <= len(shown) < 12  # 0.4 s, a line each 0.05 s at most, and the last one
    assert all(line.startswith("test: ") and "/20 picture [" in line for line in shown)
    assert shown[-1].startswith("test: 20/20 picture")


def test_a_terminal_sees_the_bar_at_once(monkeypatch: pytest.MonkeyPatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress_bar(total=4, unit="person", desc="test") as bar:
        assert "0/4" in stream.getvalue()
        bar.update(4)
    assert "4/4" in stream.getvalue()
