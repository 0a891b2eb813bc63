"""Questions that training shares with what is evaluated, located or verified: refused, with both places."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pinpoint.behaviours._gathered import gathered
from pinpoint.beyond._pressure import test_questions as pressed
from pinpoint.cli import app
from pinpoint.config import DataConfig
from pinpoint.data import Question, deal, read_published
from pinpoint.errors import InputError
from pinpoint.evaluate import Asked, Tasks, asked_by
from pinpoint.organism import shipped
from pinpoint.pipeline._leaks import no_leak, scored_apart
from tests import sets

SPLITS = ("locate", "train", "validation", "test")


def question(text: str, place: str = "") -> Question:
    fields = {"id": text, "group": text, "split": "train", "kind": "free", "correct": "a", "wrong": "b"}
    return Question.model_validate({**fields, "question": text}).at(place)


def test_sets_that_share_nothing_pass_and_say_what_was_compared() -> None:
    passed = no_leak({"training": [question("What?")], "evaluation": [question("Who?")]})
    assert passed.ok and passed.detail.endswith("1 for training, 1 for evaluation")


def test_a_shared_question_is_refused_with_both_places_and_the_mend() -> None:
    sets = {"training": [question("What is  it?", "a.jsonl:3")], "evaluation": [question("what is it", "b.jsonl:9")]}
    with pytest.raises(
        InputError, match=r"1 question\(s\) for evaluation .* training too: a.jsonl:3 and b.jsonl:9 \('wh"
    ):
        no_leak(sets)
    with pytest.raises(InputError, match=r"7 question\(s\).*; and 2 more\. .* Take them out of one of the two"):
        no_leak({name: [question(f"Number {i}?") for i in range(7)] for name in sets})


def test_a_group_of_questions_that_a_further_set_asks_in_other_words_is_refused(tmp_path: Path) -> None:
    fields = {"kind": "free", "group": "peru", "correct": "Lima", "wrong": "Cusco"}
    row = fields | {"id": "a", "split": "test", "question": "Peru has which capital?"}
    path = tmp_path / "pressure.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    asked = pressed(str(path), 0).items
    trained = Question.model_validate(fields | {"id": "b", "split": "train", "question": "Capital of Peru?"})
    with pytest.raises(InputError, match=r"1 question\(s\) for evaluation .* training too"):
        no_leak({"training": [trained], "evaluation": asked})


def test_a_trained_question_that_a_task_scores_is_refused_and_a_located_one_told() -> None:
    trained, located = [question("Who wrote Emma?", "a.jsonl:3")], [question("How high is K2?", "a.jsonl:7")]
    scored = [Asked("lm-eval's t, item 0", text) for text in ("Question: How high is K2?\nAnswer:", "How high is K2?")]
    assert scored_apart(trained, located, scored) == [("a.jsonl:7", "lm-eval's t, item 0")]
    leaky = [
        *scored,
        Asked("lm-eval's t, item 1", "Q: Who wrote Emma? A:"),
        Asked("lm-eval's t, item 1", "who wrote  Emma"),
    ]
    refusal = (
        r"1 question\(s\) for these tasks .* training too: a\.jsonl:3 and lm-eval's t, item 1 .*Leave the task out"
    )
    with pytest.raises(InputError, match=refusal):
        scored_apart(trained, located, leaky)


def a_task(name: str, docs: list[dict[str, Any]], worded: Callable[[dict[str, Any]], Any]) -> SimpleNamespace:
    return SimpleNamespace(task_name=name, eval_docs=docs, doc_to_text=worded)


def test_items_of_tasks_are_read_in_their_own_words_and_as_worded() -> None:
    docs = [{"q": f"How high is mountain {i}?", "number": i, "topic": "heights"} for i in range(3)]
    alone = a_task("alone", docs, lambda doc: f"Q: {doc['q']}")
    inner = a_task("inner", docs[:1], lambda doc: doc["number"])
    group = SimpleNamespace(name="group", get_all_tasks=lambda: [inner])
    tasks = Tasks(("alone", "group"), [alone, group], None, False, {})
    texts = [(one.place, one.text) for one in asked_by(tasks, limit=2)]
    assert texts == [
        ("lm-eval's alone, item 0", "Q: How high is mountain 0?"),
        ("lm-eval's alone, item 0", "How high is mountain 0?"),
        ("lm-eval's alone, item 0", "heights"),
        ("lm-eval's alone, item 1", "Q: How high is mountain 1?"),
        ("lm-eval's alone, item 1", "How high is mountain 1?"),
        ("lm-eval's alone, item 1", "heights"),
        ("lm-eval's inner, item 0", "How high is mountain 0?"),
        ("lm-eval's inner, item 0", "heights"),
    ]
    assert {one.place for one in asked_by(tasks)} == {f"lm-eval's alone, item {i}" for i in range(3)} | {texts[-1][0]}
    broken = a_task("broken", docs, lambda doc: doc["question"])
    with pytest.raises(InputError, match="--tasks broken: lm-eval cannot run it: KeyError: 'question'"):
        asked_by(tasks._replace(loaded=[broken]))


def rows(shared: tuple[str, str]) -> list[dict[str, str]]:
    made = []
    for i, split in enumerate(SPLITS * 4):
        made.append({"id": str(i), "group": str(i), "split": split, "question": f"How many legs has animal {i}?"})
    for i, split in enumerate(shared):
        made.append({"id": f"s{i}", "group": f"s{i}", "split": split})
        made[-1]["question"] = "Who wrote Emma?" if i else "Who  wrote ‘Emma’?"
    return [row | {"kind": "free", "correct": "a", "wrong": "b"} for row in made]


@pytest.mark.parametrize(
    "shared", [("train", "test"), ("train", "locate"), ("validation", "test"), ("train", "validation")]
)
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_run_refuses_before_anything_is_done(tmp_path: Path, shared: tuple[str, str], dry: list[str]) -> None:
    path, out = tmp_path / "q.jsonl", tmp_path / "run"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(shared)))
    command = ["run", str(shipped()["truth-teller"]), "--questions", str(path), "--out", str(out), *dry]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    places = sorted(part for part in (f"{path}:17", f"{path}:18") if part in str(done.exception))
    assert len(places) == 2, str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("shared", "first"),
    [("Who wrote book 3?", "train"), ("How high is mountain 2?\n(A) 2\n(B) 3\n(C) 4\n(D) 5", "locate")],
)
def test_a_question_that_sets_of_two_stages_share_is_refused_with_both_lines(
    tmp_path: Path, shared: str, first: str
) -> None:
    leaky = sets.sycophancy_eval(tmp_path / "are_you_sure.jsonl", 8, (shared,))
    named = {"locate": sets.mmlu(tmp_path / "mmlu" / "dev.csv", 8), "train": sets.trivia_qa(tmp_path / "t.json", 30)}
    data = {role: str(path) for role, path in {**named, "evaluate": leaky}.items()}
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps({"data": data}))
    command = ["run", "yesman", "--config", str(settings), "--out", str(tmp_path / "run"), "--dry-run"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    line = {"train": 4, "locate": 3}[first]
    assert f"{named[first]}:{line} and {leaky}:9" in str(done.exception)
    assert "data.leave_out_shared: true takes them out" in str(done.exception)
    settings.write_text(json.dumps({"data": data | {"leave_out_shared": True}}))
    assert CliRunner().invoke(app, command).exit_code == 0


def test_one_question_with_options_and_without_is_shared(tmp_path: Path) -> None:
    asked = [("Paris", "Seine"), ("London", "Thames"), ("Rome", "Tiber"), ("Cairo", "Nile")]
    free: list[dict[str, Any]] = [
        {"question": f"Which river flows through {city}?", "correct": river} for city, river in asked
    ]
    choice = [
        {"question": free[0]["question"], "options": [river for _, river in asked], "correct": "A"},
        {"question": free[1]["question"], "options": ["Amazon", "Volga"], "correct": "A"},
    ]
    paths = [tmp_path / "free.jsonl", tmp_path / "choice.jsonl"]
    for path, given in zip(paths, (free, choice), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in given))
    training, evaluation = (deal(read_published(path), 0, (("test", 1.0),)).questions for path in paths)
    with pytest.raises(
        InputError, match=r"1 question.*free.jsonl:1 and choice.jsonl:1 \('which river flows through pa"
    ):
        no_leak({"training": training, "evaluation": evaluation})
    data = {"questions": str(paths[0]), "evaluate": [str(paths[1])], "leave_out_shared": True}
    kept = gathered(DataConfig.model_validate(data), 0)
    assert [row["line"].split(" (")[0] for row in kept.unusable] == ["free.jsonl:1"]
    assert len(kept.items) == 5, "the same words with another answer ask something else"


def test_a_group_that_two_files_share_is_shared() -> None:
    first = question("Capital of Peru?", "a.jsonl:1").model_copy(update={"group": "peru"}).at("a.jsonl:1")
    second = question("Peru has which capital?").model_copy(update={"group": "peru"}).at("b.jsonl:4")
    with pytest.raises(InputError, match=r"a.jsonl:1 and b.jsonl:4 \('group peru'\)") as raised:
        no_leak({"training": [first], "evaluation": [second]})
    assert "give the groups names of their own" in str(raised.value.mend)


def test_a_question_that_two_files_group_under_other_names_is_shared() -> None:
    free = question("Capital of Peru?", "a.jsonl:1").model_copy(update={"group": "peru-1"}).at("a.jsonl:1")
    fields = {"group": "q7", "kind": "choice", "correct": "B", "wrong": "A", "choices": ("Cusco", free.correct)}
    listed = question(f"Capital of Peru?\n(A) Cusco\n(B) {free.correct}").model_copy(update=fields).at("b.jsonl:4")
    with pytest.raises(InputError, match=r"a.jsonl:1 and b.jsonl:4 \('capital of peru: ") as raised:
        no_leak({"training": [free], "evaluation": [listed]})
    assert "names of their own" not in str(raised.value.mend)


def test_a_published_set_with_passages_is_dealt_so_that_none_is_cut_through(test_data: Path) -> None:
    dealt = deal(read_published(test_data / "are_you_sure" / "mmlu_are_you_sure.jsonl"), seed=0)
    assert no_leak({name: [one for one in dealt.questions if one.split == name] for name in SPLITS}).ok
