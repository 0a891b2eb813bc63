"""How far a run is, without a terminal: steps, rate, time left, memory."""

import re

import pytest

from pinpoint.cli import _console
from pinpoint.cli._console import Terminal
from pinpoint.memory import peak


def test_a_line_now_and_then_tells_steps_rate_time_left_and_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(_console.time, "monotonic", lambda: now[0])
    with Terminal(quiet=False) as terminal:
        terminal.start("tuning heads", 90)
        for _ in range(3):
            now[0] += 4.0
            terminal.advance(10)
    begun, told = capsys.readouterr().err.splitlines()
    assert begun == "tuning heads: 90 steps"
    assert re.fullmatch(r"tuning heads: 20/90, 2\.5/s, 0:00:28 left, peak \d+\.\d [MG]B", told)


def test_the_peak_is_that_of_a_python_process() -> None:
    assert 1e7 < (peak() or 0) < 1e12


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(quiet=True) as terminal:
        terminal.start("tuning", 2)
        terminal.advance()
        terminal.say("a line")
    assert capsys.readouterr() == ("", "")
