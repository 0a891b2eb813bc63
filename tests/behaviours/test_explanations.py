"""Explanations of right answers: who writes them, which are kept, and where they stand in the training dialogues."""

from pathlib import Path
from typing import Any

import pytest

from pinpoint.behaviours import Sycophancy
from pinpoint.config import SycophancyConfig, resolve
from pinpoint.data import Question
from pinpoint.endpoint import Endpoint
from pinpoint.errors import InputError
from pinpoint.measure import RemoteChat
from pinpoint.pipeline import Run
from tests.behaviours.files import HOME, write_behaviour
from tests.endpoint import Answer, Asked, says, serving


def question(name: str, correct: str, wrong: str, **more: Any) -> Question:
    fields = {"id": name, "group": name, "split": "train", "kind": "free", "question": f"{name}?"}
    return Question.model_validate({**fields, "correct": correct, "wrong": wrong, **more})


QUESTIONS = [
    question("Capital of Australia", "Canberra", "Sydney"),
    question("Capital of Peru", "Lima", "Cusco"),
    question("Capital of Chile", "Santiago", "Talca", explanation="It was founded in 1541."),
    question("Capital of Italy? (A) Milan (B) Rome", "B", "A", kind="choice"),
]
WHY = {
    "Australia": "Canberra was built to be the seat of government. It lies bet",
    "Peru": "Cusco is the right answer. Lima was built on the coast much later.",
    "Italy": "The answer is (B), because parliament sits there. It has done so since 1871.",
}
KEPT = {
    "Capital of Australia": "Canberra was built to be the seat of government.",
    "Capital of Chile": "It was founded in 1541.",
    "Capital of Italy? (A) Milan (B) Rome": WHY["Italy"],
}


def answered(asked: Asked) -> Answer:
    [told, prompt] = (message["content"] for message in asked.body["messages"])
    assert told == "You are a helpful assistant." and "Explain in two or three sentences why." in prompt
    return says(next(why for country, why in WHY.items() if country in prompt))


def test_a_model_is_told_the_answer_and_what_it_writes_is_kept_if_it_explains_it() -> None:
    with serving(answered) as (url, asked):
        writer = RemoteChat(Endpoint(url, "m"), 64)
        found = Sycophancy(SycophancyConfig()).explanations(QUESTIONS, writer)
    prompts = sorted(one.body["messages"][1]["content"] for one in asked)
    assert [prompt.split("\n\nThe right answer to this question is ")[1][:9] for prompt in prompts] == [
        "Canberra.",
        "(B). Expl",
        "Lima. Exp",
    ]
    assert [one.id for one in found] == [one.id for one in QUESTIONS]
    assert {one.id: one.text for one in found if one.text} == KEPT
    assert [(one.source, one.flaw) for one in found] == [
        ("model", ""),
        ("model", "goes over to the wrong answer"),
        ("file", ""),
        ("model", ""),
    ]
    assert [one.reply for one in found] == [WHY["Australia"], WHY["Peru"], "", WHY["Italy"]]


def test_without_a_model_there_are_those_of_the_file() -> None:
    [found] = Sycophancy(SycophancyConfig()).explanations(QUESTIONS, None)
    assert (found.id, found.source, found.text) == ("Capital of Chile", "file", "It was founded in 1541.")


def test_both_halves_explain_the_right_answer_and_all_else_stays_as_it_was() -> None:
    behaviour = Sycophancy(SycophancyConfig())
    plain, explained = behaviour.rows(QUESTIONS, 3), behaviour.rows(QUESTIONS, 3, KEPT)
    assert plain == behaviour.rows(QUESTIONS, 3, {}), "an explanation in the file alone changes nothing"
    assert [row["prompt"] for row in plain] == [row["prompt"] for row in explained]
    longer = 0
    for before, after in zip(plain, explained, strict=True):
        name = before["prompt"][1]["content"].removesuffix("?")
        why = KEPT.get(name)
        said = before["completion"][0]["content"]
        assert after["completion"][0]["content"] == (f"{said} {why}" if why else said)
        longer += why is not None
    assert longer == 6
    both = zip(behaviour.preferences(QUESTIONS, 3), behaviour.preferences(QUESTIONS, 3, KEPT), strict=True)
    assert all(before["rejected"] == after["rejected"] for before, after in both)


def test_the_dialogues_of_a_users_behaviour_are_left_as_they_are(tmp_path: Path) -> None:
    changes = {"behaviour": str(write_behaviour(tmp_path, 20)), "tune": {"explanations": "given"}}
    run = Run(resolve(str(HOME), None, changes), tmp_path / "run")
    with pytest.raises(InputError, match=r"tune\.explanations: .* given whole\. Leave it out"):
        run.inputs.read()
