"""How far a run is, without a terminal: steps, rate, time left, memory."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from pinpoint.cli import _console
from pinpoint.cli._console import GOES_ON, Terminal
from pinpoint.errors import CheckFailed, StorageError
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


BARS = """
from pinpoint.cli._console import Terminal
with Terminal(quiet=False) as terminal:
    terminal.heading(3, 6, "tune")
    terminal.start("tuning [heads]", 40)
    terminal.advance(10)
    terminal.start("checking", 2)
"""


def test_on_a_terminal_bars_tell_stage_steps_and_memory() -> None:
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", BARS], env=env, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait() == 0, shown
    lines = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in shown.decode().splitlines()]
    assert "[3/6] tune" in lines, "a heading stands by itself"
    bars = [line for line in lines if re.fullmatch(r"\[3/6\] tuning \[heads\] .* 10/40 .*peak \d+\.\d [MG]B *", line)]
    assert bars and any(re.match(r"\[3/6\] checking .* 0/2 ", line) for line in lines), lines


def test_what_is_said_and_what_ends_it_is_kept_with_the_time_and_without_secrets(tmp_path: Path) -> None:
    with Terminal(quiet=True) as terminal:
        terminal.say("before")
        with pytest.raises(CheckFailed), terminal.kept(tmp_path / "run.log"):
            terminal.start("tuning", 2)
            terminal.start("where heads look", 0)
            terminal.heading(6, 6, "report")
            terminal.say("\x1b[31mloading https://host/m?token=abc")
            raise CheckFailed("it does not cave.")
        terminal.say("after")
    lines = [line.partition("Z ") for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [said for _, _, said in lines] == [
        "tuning: 2 steps",
        "where heads look",
        "[6/6] report",
        "\\x1b[31mloading https://host/m?token=***",
        "stopped: it does not cave.",
    ]
    assert all(datetime.fromisoformat(time) for time, _, _ in lines)


def test_the_log_says_that_a_person_stopped_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Terminal(quiet=True) as terminal, terminal.kept(tmp_path / "run.log"):
        raise KeyboardInterrupt
    assert (tmp_path / "run.log").read_text().endswith("Z stopped: interrupted\n")


@pytest.mark.parametrize(("quiet", "stopped"), [(False, GOES_ON), (True, GOES_ON), (True, "stopped: no."), (False, "")])
def test_ctrl_c_is_answered_with_what_is_next_also_when_quiet(
    quiet: bool, stopped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), Terminal(quiet=quiet, stopped=stopped):
        raise KeyboardInterrupt
    assert capsys.readouterr() == ("", f"{stopped}\n" if stopped else "")


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.log").symlink_to(tmp_path / "mine")
    terminal = Terminal(quiet=True)
    for folder in (tmp_path / "gone", tmp_path):
        with pytest.raises(StorageError, match=r"run\.log: cannot be written"), terminal.kept(folder / "run.log"):
            terminal.say("a line")
    assert not (tmp_path / "mine").exists()


def test_the_peak_is_that_of_a_python_process() -> None:
    assert 1e7 < (peak() or 0) < 1e12


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(quiet=True) as terminal:
        terminal.start("tuning", 2)
        terminal.advance()
        terminal.say("a line")
    assert capsys.readouterr() == ("", "")
