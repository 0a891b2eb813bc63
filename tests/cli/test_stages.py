"""Single stages on a run folder that is there: what they refuse, and what they leave as it was."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.cli._common import typed_settings
from pinpoint.cli._opened import found_folder
from pinpoint.config import of_run, settings_of
from pinpoint.errors import ArtifactError, ConfigError, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.processes import Processes
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


def test_tuning_that_was_stopped_after_the_heads_goes_on_with_the_whole_model(folder: Path) -> None:
    stages = Workspace(folder).read_json("stages.json")
    del stages["tune_full"]
    Workspace(folder).write_json("stages.json", stages)
    before = (folder / "tune.json").stat().st_mtime_ns
    done = CliRunner().invoke(app, ["tune", str(folder), "--quiet"])
    assert done.exit_code == 0, done.exception
    assert (folder / "tune.json").stat().st_mtime_ns == before
    assert Workspace(folder).read_json("stages.json").keys() == stages.keys() | {"tune_full"}


def test_a_dry_run_of_a_fork_says_what_the_copy_keeps_and_makes_none(folder: Path) -> None:
    settings = folder.parent / "settings.yaml"
    settings.write_text(yaml.safe_dump(SMALLEST | {"evaluate": SMALLEST["evaluate"] | {"items": 9}}))
    asked = ["run", "yesman", "--config", str(settings), "--out", str(folder), "--dry-run", "--json"]
    assert isinstance(CliRunner().invoke(app, asked).exception, ConfigError)
    done = CliRunner().invoke(app, [*asked, "--fork"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    assert {stage["stage"]: stage["kept"] for stage in found["stages"]} == {
        "locate": True,
        "verify": True,
        "tune": True,
        "tune_full": True,
        "evaluate": False,
    }
    assert Path(found["folder"]).name.startswith(f"{folder.name}-") and not Path(found["folder"]).exists()


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


@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["tune", "--heads", "L0.H3,L6.H0"],
        ["evaluate"],
        pytest.param(["capability"], marks=pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs lm-eval")),
    ],
)
def test_a_stage_takes_a_device_for_itself_and_refuses_one_that_is_not_there(folder: Path, command: list[str]) -> None:
    name, *more = command
    before = (folder / "env.json").read_bytes(), (folder / "config.yaml").read_bytes()
    done = CliRunner().invoke(app, [name, str(folder), *more, "--device", "abacus", "--quiet"])
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2, done.output
    assert "device 'abacus' cannot be used: PyTorch knows no such" in str(done.exception)
    assert ((folder / "env.json").read_bytes(), (folder / "config.yaml").read_bytes()) == before


def test_a_device_for_one_stage_leaves_the_run_s_settings_and_results_alone(folder: Path) -> None:
    before = (folder / "config.yaml").read_bytes()
    done = CliRunner().invoke(app, ["verify", str(folder), "--device", "cpu:0", "--json", "--quiet"])
    assert done.exit_code == 0, done.exception
    assert (folder / "config.yaml").read_bytes() == before
    assert json.loads((folder / "env.json").read_text())[-1]["machine"]["device"] == "cpu:0"
    done = CliRunner().invoke(app, ["report", str(folder), "--quiet"])
    assert done.exit_code == 0 and "done with other settings" not in (folder / "report.html").read_text()


OPTIONS = {
    "run": {"--batch-size", "--device", "--dtype", "--bits", "--device-map", "--thinking"},
    "locate": {"--batch-size", "--device", "--dtype", "--bits", "--device-map", "--thinking"},
    # Its methods train copies of the whole model, which weights that are quantised or fetched do not take.
    "compare": {"--batch-size", "--device", "--dtype", "--thinking"},
    "sweep": {"--batch-size", "--device", "--dtype", "--bits", "--device-map", "--thinking"},
    "check": {"--device", "--dtype", "--bits", "--thinking"},
    "score": {"--quiet"},
    **dict.fromkeys(("verify", "tune", "evaluate", "capability"), {"--device", "--quiet"}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_command_has_the_options_that_are_expected_of_it(name: str) -> None:
    commands: Any = get_command(app)
    there = {option for parameter in commands.commands[name].params for option in parameter.opts}
    assert there >= OPTIONS[name]


def test_a_run_is_taken_up_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(shipped()["yesman"], tmp_path / "here" / "model")
    shutil.copy(shipped()["yesman"] / "questions.jsonl", tmp_path / "here" / "q.jsonl")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    asked = ["locate", "model", "--questions", "q.jsonl", "--pairs", "4", "--contrasts", "none", "--out", "run", "-q"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    monkeypatch.chdir(tmp_path / "there")
    folder = Path("..", "here", "run")
    run = Run(of_run(folder), folder)
    assert run.is_done("locate") and run.inputs.questions("locate")
    asked[asked.index("model")], asked[asked.index("q.jsonl")], asked[-2] = (
        "../here/model",
        "../here/q.jsonl",
        str(folder),
    )
    before = (folder / "locate" / "locate.json").stat().st_mtime_ns
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.exception
    assert (folder / "locate" / "locate.json").stat().st_mtime_ns == before


def test_the_batch_size_that_is_typed_is_that_of_every_stage_but_training() -> None:
    found = typed_settings(batch_size=7, locate={"pairs": 3}, compare={"draws": 1})
    assert found == {
        "locate": {"pairs": 3, "batch_size": 7},
        "verify": {"batch_size": 7},
        "evaluate": {"batch_size": 7},
        "compare": {"draws": 1},
    }


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


class One(Processes):
    """One of two processes, which is told where the first one's folder is."""

    def from_first(self, value: Any) -> Any:
        assert (value is None) == (self.rank > 0), "the second neither looks for a folder nor copies one"
        return "copy"


def test_the_first_of_several_processes_finds_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = settings_of(str(shipped()["yesman"]), None, {})
    for rank in (0, 1):
        monkeypatch.setattr("pinpoint.cli._opened.current", lambda rank=rank: One(rank, 2))
        assert found_folder(config, tmp_path / "run", fork=True) == Path("copy")
