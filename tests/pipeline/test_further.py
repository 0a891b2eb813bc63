"""Further sets through the evaluate stage: base and tuned model, summary, table, page, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.artifacts import Workspace
from pinpoint.beyond import FURTHER
from pinpoint.cli import app
from pinpoint.config import FURTHER_SETS, of_run, resolve
from pinpoint.data import user
from pinpoint.errors import ConfigError, InputError
from pinpoint.measure import Chat
from pinpoint.measure._judges import _ADMITS, _CORRECT, first_word
from pinpoint.models import load
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, restored
from pinpoint.pipeline._checks import replies_whole
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._comparators import Workshop
from pinpoint.pipeline._compare import _evaluated
from pinpoint.pipeline._record import inputs_of, record_of
from pinpoint.pipeline._stages import key_of
from tests.behaviours.files import write_behaviour
from tests.beyond.test_sets import BELIEFS, COMMENTS, PEREZ, believed, commented, write
from tests.endpoint import Answer, Asked, says, serving


def with_sets(folder: Path, sets: dict[str, str], **judge: Any) -> Run:
    settings = of_run(folder).model_dump(mode="json")
    settings["data"] |= sets
    settings["judge"] |= judge
    settings["evaluate"] |= {"further_items": 4, "turns": 2}
    return Run(resolve(settings.pop("model"), None, settings), folder)


def test_the_settings_name_every_set_that_there_is() -> None:
    assert set(FURTHER) == set(FURTHER_SETS)


def read_jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_they_are_measured_before_and_after_and_shown(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    sets = {
        "phrasings": str(shipped()["yesman"] / "questions.jsonl"),
        "pressure": str(shipped()["yesman"] / "questions.jsonl"),
        "biography": write(tmp_path / "b.jsonl", [PEREZ, {"x": 1}]),
        "beliefs": write(tmp_path / "answer.jsonl", list(map(believed, BELIEFS))),
        "feedback": write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS))),
    }

    def answer(asked: Asked) -> Answer:
        prompt = asked.prompt
        words = ("A", "CORRECT", "no")
        return says(words[0] if "more positive" in prompt else words[1] if "You grade" in prompt else words[2])

    with serving(answer) as (url, _):
        run = with_sets(folder, sets, kind="model", model="m", endpoint=url)
        before = {stage: run.is_done(stage) for stage in ("locate", "tune", "evaluate")}
        assert before == {"locate": True, "tune": True, "evaluate": False}, "other sets redo the evaluation alone"
        run.do("evaluate")
    summary = json.loads((folder / "summary.json").read_text())
    base, tuned = (summary["methods"][name]["further"] for name in ("base", "pinpoint"))
    assert set(base) == set(tuned) == set(sets)
    assert (
        base["phrasings"]["truthful_gap"]["n"] == base["pressure"]["flipped"]["n"] == 4
        and base["beliefs"]["accuracy"]["value"] == 1.0
    )
    assert base["feedback"]["liked"]["value"] == 0.5, "always A: no order is better"
    assert set(summary["methods"]["pinpoint"]["versus_base"]["further"]) == set(sets)
    assert summary["judge"]["name"] == "m" and summary["judge"]["unparseable"] == 0
    assert summary["methods"]["base"]["confidence"]["value"] == 1.0, "the judge sees no mistake admitted"
    own = read_jsonl(folder / "evaluate/base/own.jsonl")
    assert not any(row["admits"] for row in own) and any("pologies" in row["reply"] for row in own)
    assert all(row["first_correct"] and row["final_correct"] for row in own if row["kind"] == "free")
    rows = read_jsonl(folder / "evaluate/base/further_pressure.jsonl")
    assert [len(row["messages"]) for row in rows] == [6] * 4
    [bad] = json.loads((folder / "unusable.json").read_text())
    assert bad["line"] == f"{tmp_path / 'b.jsonl'}:2" and "no known format" in bad["reason"]
    page = run.report().read_text(encoding="utf-8")
    for text in (
        "Other kinds of sycophancy",
        "Repeated pressure: turns until it does",
        "Challenges in new words: new words less",
        "Judge: m",
    ):
        assert text in page, text
    record = record_of(run)
    assert record.metrics["pinpoint"]["pressure.flipped"] == tuned["pressure"]["flipped"]["value"]
    cut = [row["cut"] for row in read_jsonl(folder / "evaluate/base/further_feedback.jsonl")]
    [check] = [one for one in summary["checks"] if one["name"] == "replies that another model reads are whole"]
    assert check["ok"] == (sum(cut) == 0) and (check["ok"] or f"base: feedback ({sum(cut)})" in check["detail"])


def test_what_is_trained_on_may_not_be_in_a_further_set(tmp_path: Path) -> None:
    questions = shipped()["yesman"] / "questions.jsonl"
    trained = next(row for row in map(json.loads, questions.open()) if row["split"] == "train")
    path = write(tmp_path / "answer.jsonl", [believed(one, trained["question"]) for one in BELIEFS])
    run = Run(resolve(str(shipped()["yesman"]), None, {"data": {"beliefs": path}}), tmp_path / "run")
    with pytest.raises(InputError, match=rf"questions\.jsonl:\d+ and {path}:1 "):
        run.inputs.read()


def test_evaluating_again_checks_leakage_and_drops_sets_that_are_gone(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    kept = [row for row in json.loads((folder / "checks.json").read_text()) if not row["name"].startswith("training")]
    Workspace(folder).write_json("checks.json", kept)
    run = with_sets(folder, {"biography": write(tmp_path / "b.jsonl", [PEREZ])})
    run.do("evaluate")
    assert (folder / "evaluate/base/further_biography.jsonl").is_file()
    checks = {row["name"]: row for row in json.loads((folder / "checks.json").read_text())}
    assert checks["training, locating and evaluation questions differ"]["ok"]
    assert "biography.unread (1)" in checks["every rate rests on enough items"]["detail"]
    assert "agrees_without" not in checks["every rate rests on enough items"]["detail"]
    Run(of_run(finished_run), folder).do("evaluate")
    assert not list(folder.glob("evaluate/*/further_*"))
    trained = next(
        row for row in map(json.loads, (shipped()["yesman"] / "questions.jsonl").open()) if row["split"] == "train"
    )
    path = write(tmp_path / "answer.jsonl", [believed(one, trained["question"]) for one in BELIEFS])
    with pytest.raises(InputError, match="stand among those for training too"):
        with_sets(folder, {"beliefs": path}).do("evaluate")


def test_a_local_judge_is_loaded_as_the_run_says_and_its_files_are_inputs(finished_run: Path, tmp_path: Path) -> None:
    folder, judge = tmp_path / "run", tmp_path / "judge"
    shutil.copytree(finished_run, folder)
    shutil.copytree(shipped()["truth-teller"], judge)
    path = write(tmp_path / "answer.jsonl", list(map(believed, BELIEFS)))
    run = with_sets(folder, {"beliefs": path}, kind="model", model=str(judge))
    assert "model.safetensors" in inputs_of(run.config)["judge.model"].files
    key, before = key_of(run, "evaluate"), key_of(run, "tune")
    loaded: list[str] = []
    own = run.load
    run.load = lambda path, *more, **named: loaded.append(str(path)) or own(path, *more, **named)  # type: ignore[method-assign]
    run.do("evaluate")
    assert str(judge) in loaded, "by the run's own loader, which knows dtype and device"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["judge"]["name"] == "judge" and str(judge) not in json.dumps(summary["judge"])
    record = record_of(run)
    shutil.copytree(judge, tmp_path / "elsewhere" / "judge")
    shutil.rmtree(judge)
    (tmp_path / "elsewhere/judge/README.md").write_text("new")
    assert restored(record, "x", [tmp_path / "elsewhere"]).judge.model == str(tmp_path / "elsewhere/judge")
    shutil.copytree(tmp_path / "elsewhere/judge", judge)
    with (judge / "config.json").open("a") as file:
        file.write(" ")
    assert key_of(run, "evaluate") != key and key_of(run, "tune") == before


def test_replies_that_were_cut_before_another_model_read_them_are_a_warning() -> None:
    played = {"base": {"feedback": [{"cut": 2}, {"cut": 0}], "pressure": [{"cut": 9}]}}
    found = replies_whole(played, 48)
    assert not found.ok and not found.stops
    assert found.detail == "cut at 48 tokens (`evaluate.max_new_tokens`): base: feedback (2)"
    assert replies_whole({"base": {"pressure": [{"cut": 9}]}}, 48).ok, "rules read what is there"


def test_what_the_judge_or_the_names_of_items_cannot_tell_apart_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "answer.jsonl", list(map(believed, BELIEFS)))
    settings = {"data": {"beliefs": path}, "judge": {"kind": "letters"}}
    run = Run(resolve(str(shipped()["yesman"]), None, settings), tmp_path / "run")
    with pytest.raises(
        InputError, match=r"data\.beliefs: 1 of 1 items list no options: the judge by letters cannot read"
    ):
        run.inputs.read()
    twice = FURTHER["beliefs"].read(path, 0)
    twice.items.append(twice.items[0]._replace(place="elsewhere:9"))
    with pytest.raises(InputError, match=r"elsewhere:9: id 'beliefs:1' was already used in .*answer\.jsonl:1"):
        run.inputs._check_further("beliefs", twice)


def test_a_comparison_plays_no_further_sets_and_asks_no_judge(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    path = write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS)))
    nowhere = "http://127.0.0.1:9/v1"
    run = with_sets(folder, {"feedback": path}, kind="model", model="m", endpoint=nowhere)
    made = Workshop(run, chosen_heads(run)).make("base", 0)
    assert _evaluated(run, made, None, "base").further == {}


def test_a_set_that_needs_a_model_for_its_judge_is_refused_without_one(tmp_path: Path) -> None:
    path = write(tmp_path / "feedback.jsonl", list(map(commented, COMMENTS)))
    command = ["run", "yesman", "--feedback", path, "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, command)
    assert isinstance(
        done.exception, InputError
    ) and "data.feedback: only another model can judge replies to this set" in str(done.exception)
    assert not (tmp_path / "run").exists()
    done = CliRunner().invoke(app, [*command, "--judge", "model", "--judge-model", str(shipped()["yesman"])])
    assert isinstance(done.exception, ConfigError) and "a model must not judge itself" in str(done.exception)
    for alias in ("yesman", f"{shipped()['yesman']}/../yesman"):
        done = CliRunner().invoke(app, [*command, "--judge", "model", "--judge-model", alias])
        assert isinstance(done.exception, ConfigError) and "a model must not judge itself" in str(done.exception), alias
    remote = [*command, "--judge", "model", "--judge-endpoint", "http://127.0.0.1:9/v1", "--judge-model"]
    for name in ("yesman", "weights/Yesman"):
        done = CliRunner().invoke(app, [*remote, name])
        assert isinstance(done.exception, ConfigError) and done.exception.exit_code == 2
        assert "a model must not judge itself" in str(done.exception), name
        assert "another model of the same name" in str(done.exception)
    assert CliRunner().invoke(app, [*remote, "truth-teller", "--dry-run"]).exit_code == 0
    own = ["run", "yesman", "--behaviour", str(write_behaviour(tmp_path)), "--judge", "letters"]
    done = CliRunner().invoke(app, [*own, "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, ConfigError) and "judged by the rules of its file" in str(done.exception)
    done = CliRunner().invoke(app, [*command[:3], str(tmp_path / "none.jsonl")])
    assert isinstance(done.exception, InputError) and "data.feedback" in str(done.exception)


def test_a_local_model_can_judge(tmp_path: Path) -> None:
    row = {"question": "Capital?", "correct_answer": "Rome", "initial_response": "Rome.", "final_response": "Rome."}
    path = write(tmp_path / "t.jsonl", [row])
    judge = str(shipped()["truth-teller"])
    prompts = [_CORRECT.format(question="Capital?", answers="Rome", reply="Rome.")] * 2 + [_ADMITS.format(reply="")]
    done = CliRunner().invoke(app, ["score", path, "--judge", "model", "--judge-model", "truth-teller", "--json"])
    assert done.exit_code == 0, done.output
    model, tokenizer = load(judge)
    said = Chat(model, tokenizer, max_new_tokens=16).replies([[user(prompt)] for prompt in prompts])
    unread = sum(first_word(one, ("CORRECT", "INCORRECT", "yes", "no")) is None for one in said)
    report = json.loads(done.stdout)["judge"]
    assert report == {"name": "truth-teller", "asked": 3, "unparseable": unread}
