"""A command reads what the stages before it left, or refuses: nothing stale, damaged or half-made is measured."""

import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.cli import app
from pinpoint.config import of_run
from pinpoint.errors import ArtifactError, CheckFailed
from pinpoint.pipeline import Run, lineup_of_run
from pinpoint.progress import Silent


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    return folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(folder: Path, **settings: object) -> None:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))


def refused(match: str, *command: str) -> None:
    result = CliRunner().invoke(app, [*command, "-q"])
    assert isinstance(result.exception, ArtifactError), result.output
    assert re.search(match, str(result.exception)), result.exception


def test_a_flipped_bit_of_a_tuned_model_is_neither_evaluated_nor_talked_to(run: Path) -> None:
    before = (run / "summary.json").read_bytes()
    flip(run / "merged" / "model.safetensors")
    told = r"run/merged/model\.safetensors: is not as stage 'tune' left it: .*Do it again: `pinpoint tune .*run`\.$"
    refused(told, "evaluate", str(run))
    with pytest.raises(ArtifactError, match=told):
        lineup_of_run(of_run(run).model_copy(update={"dtype": "bfloat16"}), run, Silent(), max_new_tokens=8)
    assert (run / "summary.json").read_bytes() == before


@pytest.mark.parametrize("command", ["verify", "tune", "evaluate"])
def test_damaged_scores_are_not_gone_on_from(run: Path, command: str) -> None:
    edit(run, tune=yaml.safe_load((run / "config.yaml").read_text())["tune"] | {"heads": 1})
    flip(run / "locate" / "scores.safetensors")
    refused(r"scores\.safetensors: is not as stage 'locate' left it.*`pinpoint locate .*--config", command, str(run))


def test_settings_edited_since_are_told_with_the_command_that_goes_on(run: Path) -> None:
    edit(run, thinking=True)
    for command in ("verify", "evaluate"):
        refused(r"stage 'locate' was done with other settings or inputs than the run has now", command, str(run))
    page = CliRunner().invoke(app, ["report", str(run), "-q"])
    assert page.exit_code == 0
    told = "done with other settings or inputs than those below, or by another version: locate, verify, tune"
    assert told in (run / "report.html").read_text(encoding="utf-8") and not (run / "reproduce.json").exists()


def test_a_stage_that_was_left_out_is_named(run: Path) -> None:
    space = Workspace(run)
    done = space.read_json("stages.json")
    del done["tune_full"]
    space.write_json("stages.json", done)
    refused(r"stage 'tune_full' is not done\. Do it first: `pinpoint tune ", "evaluate", str(run))


@pytest.mark.parametrize("record", ["locate", "tune"])
def test_thinking_must_be_what_it_was_when_the_heads_were_located_and_tuned(run: Path, record: str) -> None:
    space = Workspace(run).sub("locate") if record == "locate" else Workspace(run)
    name = f"{record}.json"
    space.write_json(name, space.read_json(name) | {"thinking": True})
    told = (
        rf"'thinking is the same from locating to evaluation' failed: .*{record}: on.*evaluate: as the .*Set `thinking`"
    )
    with pytest.raises(CheckFailed, match=told):
        Run(of_run(run), run).do("evaluate")
    assert not Workspace(run).read_json("checks.json")[-1]["ok"]


def test_the_page_names_the_thinking_check(run: Path) -> None:
    assert "✓ passed</b>thinking is the same from locating to evaluation" in (run / "report.html").read_text()
    assert Workspace(run).read_json("summary.json")["thinking"] is None


def test_an_evaluation_of_an_earlier_tuning_gets_no_page(run: Path) -> None:
    settings = of_run(run)
    other = settings.model_copy(update={"tune": settings.tune.model_copy(update={"heads": ("L0.H3",)})})
    Run(other, run).do("tune")
    refused(
        r"stage 'evaluate' belongs to an earlier 'tune' than the present one: .*`pinpoint evaluate", "report", str(run)
    )


def test_a_tuning_that_its_check_stopped_is_not_evaluated(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.pipeline._tuning.MERGE_LIMIT", {torch.float32: -1.0})
    refuse = CliRunner().invoke(app, ["tune", str(run), "-q"])
    assert isinstance(refuse.exception, CheckFailed) and (run / "merged").is_dir()
    for command in ("evaluate", "report"):
        refused(r": is not as stage 'tune' left it: .*begun again and stopped", command, str(run))
