"""Ctrl-C: exit code 130, and one sentence that says what the same command does next; with --quiet too."""

import shutil
import signal
from pathlib import Path

import pytest
import yaml

from tests.command import said
from tests.conftest import SMALLEST

GOES_ON = "stopped: the same command goes on from here."
COMMANDS = {
    "run": (["run", "yesman", "--config", "settings.yaml", "--out", "new"], GOES_ON),
    "locate": (["locate", "yesman", "--config", "settings.yaml", "--out", "new"], GOES_ON),
    "evaluate": (["evaluate", "run"], GOES_ON),
    "export": (["export", "run", "--out", "exported"], "stopped: nothing was exported; the same command begins anew."),
    "chat": (["chat", "run", "--terminal"], "stopped: the chat had not begun."),
    "check": (["check", "yesman", "--verify"], "stopped: nothing was written."),
}


@pytest.fixture
def stopped(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a run, where Ctrl-C comes as soon as a model is loaded."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run, "run")
    Path("settings.yaml").write_text(yaml.safe_dump(SMALLEST))
    for module in ("_run", "_chatting", "_one_pair"):
        monkeypatch.setattr(f"pinpoint.pipeline.{module}.load", lambda *_: signal.raise_signal(signal.SIGINT))


@pytest.mark.usefixtures("stopped")
@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_ends_with_130_and_says_what_is_next(
    command: str, quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, sentence = COMMANDS[command]
    if quiet and command == "check":
        pytest.skip("has no --quiet: it shows no progress")
    code, shown, told = said([*arguments, *(["--quiet"] if quiet else [])], monkeypatch, capsys)
    assert (code, shown) == (130, "")
    lines = told.splitlines()
    assert lines[-1] == sentence and told.count("stopped") == 1
    assert lines[:-1] == [] if quiet or command == "check" else len(lines) > 1
    assert not Path("exported").exists()
    assert not Path("new").exists(), "what stopped before it wrote anything leaves no folder"
    if command == "evaluate":
        assert Path("run/run.log").read_text().endswith("Z stopped: interrupted\n")
