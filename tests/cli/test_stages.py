"""Single stages on a run folder that is there: what they refuse, and what they leave as it was."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.errors import ArtifactError, ConfigError
from tests.conftest import SMALLEST


@pytest.fixture
def folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def test_tuned_heads_are_not_tuned_over_with_other_settings(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    done = CliRunner().invoke(app, ["tune", str(folder), "--heads", "1", "--cache-prefix"])
    assert isinstance(done.exception, ConfigError) and done.exception.exit_code == 2
    told = str(done.exception)
    assert "tune.heads (was ['L0.H3', 'L6.H0'], now 1)" in told and "tune.cache_prefix (was False, now True)" in told
    assert "--fork" in told
    assert {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == before


def test_a_fork_tunes_a_copy(folder: Path) -> None:
    before = (folder / "config.yaml").read_bytes()
    done = CliRunner().invoke(app, ["tune", str(folder), "--heads", "L6.H0", "--fork", "--json", "--quiet"])
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["heads"] == ["L6.H0"] and (folder / "config.yaml").read_bytes() == before
    [copied] = [path for path in folder.parent.iterdir() if path != folder]
    assert yaml.safe_load((copied / "config.yaml").read_text())["tune"]["heads"] == ["L6.H0"]


def test_a_run_says_which_stage_of_how_many_begins_and_what_is_kept(folder: Path) -> None:
    settings = folder.parent / "settings.yaml"
    settings.write_text(yaml.safe_dump(SMALLEST))
    done = CliRunner().invoke(app, ["run", "yesman", "--config", str(settings), "--out", str(folder)])
    assert done.exit_code == 0, done.exception
    stages = ["locate", "verify", "tune", "tune_full", "evaluate"]
    kept = [f"[{number}/6] {stage}: done before, kept" for number, stage in enumerate(stages, 1)]
    assert [line for line in done.stderr.splitlines() if line.startswith("[")] == [*kept, "[6/6] report"]


def test_the_settings_are_shown_with_and_without_saying_so() -> None:
    plain, shown = (CliRunner().invoke(app, ["config", "yesman", *more]).stdout for more in ([], ["--show"]))
    assert plain == shown and yaml.safe_load(shown)["tune"]["batch_size"]


@pytest.mark.parametrize(("left_out", "command"), [("tune", "tune"), ("evaluate", "evaluate"), ("verify", "verify")])
def test_a_page_of_a_run_that_is_not_finished_says_what_to_do(folder: Path, left_out: str, command: str) -> None:
    stages = json.loads((folder / "stages.json").read_text())
    Workspace(folder).write_json("stages.json", {name: one for name, one in stages.items() if name != left_out})
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert isinstance(done.exception, ArtifactError)
    assert f"stage {left_out!r} is not done. Do it first: `pinpoint {command} {folder}`." in str(done.exception)
