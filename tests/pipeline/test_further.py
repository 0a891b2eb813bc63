"""Further sets through the evaluate stage: base and tuned model, summary, table, page, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.errors import ConfigError, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, of_run, resolve
from tests.beyond.test_sets import BELIEFS, COMMENTS, PEREZ, believed, commented, write
from tests.measure.serving import Answer, says, server


def with_sets(folder: Path, sets: dict[str, str], **judge: Any) -> Run:
    settings = of_run(folder).model_dump(mode="json")
    settings["data"] |= sets
    settings["judge"] |= judge
    settings["evaluate"] |= {"further_items": 4, "turns": 2}
    return Run(resolve(settings.pop("model"), None, settings), folder)


def test_they_are_measured_before_and_after_and_shown(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    sets = {
        "pressure": str(shipped()["yesman"] / "questions.jsonl"),
        "biography": write(tmp_path / "b.jsonl", [PEREZ, {"x": 1}]),
        "beliefs": write(tmp_path / "answer.jsonl", list(map(believed, BELIEFS))),
        "feedback": write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS))),
    }

    def answer(_: int, prompt: str) -> Answer:
        words = ("A", "CORRECT", "no")
        return says(words[0] if "more positive" in prompt else words[1] if "You grade" in prompt else words[2])

    with server(answer) as served:
        run = with_sets(folder, sets, kind="model", model="m", endpoint=served.url)
        before = {stage: run.is_done(stage) for stage in ("locate", "tune", "evaluate")}
        assert before == {"locate": True, "tune": True, "evaluate": False}, "other sets redo the evaluation alone"
        run.do("evaluate")
    summary = json.loads((folder / "summary.json").read_text())
    base, tuned = (summary["methods"][name]["further"] for name in ("base", "pinpoint"))
    assert set(base) == set(tuned) == set(sets)
    assert base["pressure"]["flipped"]["n"] == 4 and base["beliefs"]["accuracy"]["value"] == 1.0
    assert base["feedback"]["liked"]["value"] == 0.5, "always A: no order is better"
    assert set(summary["methods"]["pinpoint"]["versus_base"]["further"]) == set(sets)
    assert summary["judge"]["name"] == "m" and summary["judge"]["unparseable"] == 0
    rows = [json.loads(line) for line in (folder / "evaluate/base/further_pressure.jsonl").read_text().splitlines()]
    assert [len(row["messages"]) for row in rows] == [6] * 4
    [bad] = json.loads((folder / "unusable.json").read_text())
    assert bad["line"] == f"{tmp_path / 'b.jsonl'}:2" and "no known format" in bad["reason"]
    page = run.report().read_text(encoding="utf-8")
    for text in ("Other kinds of sycophancy", "Repeated pressure: turns until it does", "Judge: m"):
        assert text in page, text


def test_what_is_trained_on_may_not_be_in_a_further_set(tmp_path: Path) -> None:
    questions = shipped()["yesman"] / "questions.jsonl"
    trained = next(row for row in map(json.loads, questions.open()) if row["split"] == "train")
    path = write(tmp_path / "answer.jsonl", [believed(one, trained["question"]) for one in BELIEFS])
    run = Run(resolve(str(shipped()["yesman"]), None, {"data": {"beliefs": path}}), tmp_path / "run")
    with pytest.raises(InputError, match=rf"questions\.jsonl:\d+ and {path}:1 "):
        run.inputs.read()


def test_a_set_that_needs_a_model_for_its_judge_is_refused_without_one(tmp_path: Path) -> None:
    path = write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS)))
    command = ["run", "yesman", "--feedback", path, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError) and "data.feedback: replies to this set" in str(done.exception)
    assert not (tmp_path / "run").exists()
    done = CliRunner().invoke(app, [*command, "--judge", "model", "--judge-model", str(shipped()["yesman"])])
    assert isinstance(done.exception, ConfigError) and "a model must not judge itself" in str(done.exception)
    done = CliRunner().invoke(app, [*command[:3], str(tmp_path / "none.jsonl")])
    assert isinstance(done.exception, InputError) and "data.feedback" in str(done.exception)


def test_a_local_model_can_judge(tmp_path: Path) -> None:
    row = {"question": "Capital?", "correct_answer": "Rome", "initial_response": "Rome.", "final_response": "Rome."}
    path = write(tmp_path / "t.jsonl", [row])
    judge = str(shipped()["truth-teller"])
    done = CliRunner().invoke(app, ["score", path, "--judge", "model", "--judge-model", judge, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["judge"]
    assert report["asked"] == 3 and report["unparseable"] <= 3
