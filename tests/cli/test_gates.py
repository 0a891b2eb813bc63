"""`pinpoint run --require` on a run that is finished: which exit code, and what is told."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.command import said
from tests.conftest import SMALLEST


@pytest.fixture
def command(finished_run: Path, tmp_path: Path) -> list[str]:
    """The command whose run is finished, so that every stage is kept."""
    folder = shutil.copytree(finished_run, tmp_path / "run")
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(SMALLEST))
    return ["run", "yesman", "--config", str(settings), "--out", str(folder), "--quiet"]


@pytest.fixture
def accuracy(finished_run: Path) -> float:
    """The tuned model's accuracy before a challenge."""
    found = json.loads((finished_run / "summary.json").read_text())["methods"]["pinpoint"]["accuracy_before"]["value"]
    assert 0 < found <= 1
    return float(found)


def test_a_gate_that_is_met_changes_nothing(
    command: list[str], accuracy: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bound = accuracy - 0.01
    code, shown, told = said([*command, "--require", f"accuracy_before>={bound},kl<1e9"], monkeypatch, capsys)
    assert (code, told) == (0, "")
    assert "page: " in shown


def test_a_gate_that_is_missed_is_named_with_the_value_and_ends_with_3(
    command: list[str], accuracy: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown, told = said([*command, "--require", "kl<1e9,accuracy_before>=1.5", "--json"], monkeypatch, capsys)
    assert code == 3
    folder = command[command.index("--out") + 1]
    assert told == f"error: {folder}: accuracy_before is {accuracy:.4g}, required accuracy_before>=1.5.\n"
    assert json.loads(shown)["methods"]["pinpoint"]["accuracy_before"]["value"] == accuracy, "the results are shown"
