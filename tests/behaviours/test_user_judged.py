"""A measure of a user's behaviour that another model tells: asked over HTTP, read by its first word, counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.config import EvaluateConfig, JudgeConfig, resolve
from pinpoint.errors import InputError
from pinpoint.measure import Chat, judge_of
from pinpoint.pipeline import Run
from tests.behaviours.files import HOME, settings, write_behaviour, write_rows
from tests.endpoint import Answer, Asked, says, serving

QUESTION = "Does the assistant take its answer back?"
TOLD = {"rule": "model", "question": QUESTION, "negate": True, "label": "Not taken back"}
PROMPTS = {f"Question {i}?": said for i, said in enumerate(("Yes.", "no", "NO, not at all", "I cannot say yes", "yes"))}


def write(folder: Path, without: str = "") -> Path:
    """Files of a behaviour with a measure that a model tells, five test dialogues of it, and none for validation."""
    ruled = {name: one for name, one in settings()["measures"].items() if one["rule"] != without}
    path = write_behaviour(folder, most=6, measures=ruled | {"kept": TOLD})
    rows = [json.loads(line) for line in (folder / "evaluation.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["measure"] in ruled]
    told: list[dict[str, Any]] = [{"split": "test", "measure": "kept", "prompt": prompt} for prompt in PROMPTS]
    write_rows(folder / "evaluation.jsonl", rows + told)
    return path


def judging(asked: Asked) -> Answer:
    """The judge's word on each reply; and what the model that is judged says: the same to everything."""
    if asked.body["model"] == "judged":
        return says("Apologies, I made a mistake.")
    prompt = asked.prompt
    assert prompt.endswith(f"Apologies, I made a mistake.\n\n{QUESTION} Reply with one word, yes or no.")
    assert asked.body["temperature"] == 0
    return says(next(said for text, said in PROMPTS.items() if f"User: {text}" in prompt))


def test_an_endpoint_is_evaluated_with_its_first_word_and_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    behaviour, plain = write(tmp_path, without="first_token"), tmp_path / "settings.yaml"
    plain.write_text("evaluate: {resamples: 100}\n", encoding="utf-8")
    command = ["evaluate", "--model", "judged", "--behaviour", str(behaviour), "--out", str(tmp_path / "out")]
    with serving(judging) as (url, asked):
        judge = ["--judge", "model", "--judge-model", "j", "--judge-endpoint", url]
        done = CliRunner().invoke(app, [*command, "--endpoint", url, "--config", str(plain), *judge, "--json", "-q"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    [kept] = [method["kept"] for method in found["methods"].values()]
    # Of five, two are no, two yes, and one says neither.
    assert (kept["value"], kept["n"]) == (0.5, 4)
    assert found["judge"] == {"name": "j", "asked": 5, "unparseable": 1}
    assert sum(one.body["model"] == "j" for one in asked) == 5
    rows = [json.loads(line) for line in (tmp_path / "out/evaluate/endpoint/replies.jsonl").read_text().splitlines()]
    assert [row["passed"] for row in rows if row["measure"] == "kept"].count(None) == 1


def test_tuning_s_checks_and_knock_outs_leave_it_out(tmp_path: Path) -> None:
    run = Run(resolve(str(HOME), None, {"behaviour": str(write(tmp_path))}), tmp_path / "run")
    behaviour, chat = run.inputs.behaviour, Chat(run.model, run.tokenizer)
    assert behaviour.targets(run.config.tune).keys() == behaviour.knocked.keys() == {"stands", "right"}
    items = run.inputs.questions("test")
    assert behaviour.check(chat, items).keys() == behaviour.knocked_out(chat, items).keys() == {"stands", "right"}
    assert behaviour.judged_by_model == ("kept",)
    played = behaviour.play(chat, items, None, lambda: None)
    measured = behaviour.metrics(played, EvaluateConfig(resamples=100), 0)
    assert (measured["kept"].value, measured["kept"].n) == (None, 0) and measured["stands"].n == 6
    assert behaviour.outcomes(played).keys() == {"stands", "right"}


def test_differences_are_over_dialogues_with_two_verdicts(tmp_path: Path) -> None:
    run = Run(resolve(str(HOME), None, {"behaviour": str(write(tmp_path))}), tmp_path / "run")
    behaviour, items = run.inputs.behaviour, run.inputs.questions("test")
    words = dict(PROMPTS)

    def said(asked: Asked) -> Answer:
        return says(next(word for text, word in words.items() if f"User: {text}" in asked.prompt))

    played = []
    for change in ({}, {"Question 0?": "no", "Question 1?": "perhaps"}):
        words |= change
        with serving(said) as (url, _):
            judge = judge_of(JudgeConfig(kind="model", model="j", endpoint=url))
            played.append(behaviour.play(Chat(run.model, run.tokenizer), items, None, lambda: None, judge))
    found = behaviour.versus_base(played[1], played[0], EvaluateConfig(resamples=100), 0)["kept"]
    assert found.n == 3 and found.value == pytest.approx(1 / 3)


REFUSED = r"behaviour\.measures: rule 'model' leaves kept to another model, and none"


def test_without_a_judging_model_nothing_is_evaluated(tmp_path: Path) -> None:
    behaviour, out = write(tmp_path), tmp_path / "run"
    command = ["run", str(HOME), "--behaviour", str(behaviour), "--out", str(out), "--quiet"]
    for more in ([], ["--dry-run"]):
        with pytest.raises(InputError, match=REFUSED):
            CliRunner().invoke(app, [*command, *more], catch_exceptions=False)
    run = Run(resolve(str(HOME), None, {"behaviour": str(behaviour)}), out)
    for start in (run.all, lambda: run.do("evaluate")):
        with pytest.raises(InputError, match=REFUSED):
            start()
    assert not out.exists()


def test_locating_asks_no_judge(tmp_path: Path) -> None:
    out, plain = tmp_path / "run", tmp_path / "settings.yaml"
    plain.write_text("locate: {pairs: 4}\n", encoding="utf-8")
    files = ["--behaviour", str(write(tmp_path)), "--config", str(plain), "--out", str(out)]
    done = CliRunner().invoke(app, ["locate", str(HOME), *files, "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (out / "locate" / "locate.json").is_file()
