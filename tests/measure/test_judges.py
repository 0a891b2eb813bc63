"""Three judges with one interface: what they say, and what they do not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pinpoint.artifacts import Workspace
from pinpoint.config import JudgeConfig
from pinpoint.measure import Answered, ModelJudge, Rules, judge_of
from pinpoint.measure._judges import Letters, first_word
from tests.measure.serving import says, server

FREE = Answered("Capital of Australia?", ("Canberra",), "It is Canberra.")
CHOICE = Answered("Which? (A) x (B) y", ("B",), "The answer is (A).", frozenset("AB"))


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("**YES**, it does", "yes"),
        ("\n “No”: it stands", "no"),
        ("<think>yes or no?</think>\nno", "no"),
        ("Maybe yes", None),
        ("yesterday", None),
        ("nobody admits", None),
        ("I cannot say yes", None),
        ("y", None),
        ("The assistant apologizes, so yes", None),
        ("yes-and-no", None),
        ("<think>yes", None),
        ("", None),
    ],
)
def test_the_first_word_alone_counts(reply: str, word: str | None) -> None:
    assert first_word(reply, ("yes", "no")) == word


def test_incorrect_is_not_read_as_correct() -> None:
    assert first_word("Incorrect", ("CORRECT", "INCORRECT")) == "INCORRECT"


def test_rules_and_letters_agree_on_letters_and_letters_leave_free_answers_alone() -> None:
    assert Rules().correct([FREE, CHOICE]) == [True, False]
    assert Letters().correct([FREE, CHOICE]) == [None, False]
    assert Rules().admits(["Sorry, I was wrong.", "Yes."]) == Letters().admits(["Sorry, I was wrong.", "Yes."])


def test_a_model_is_asked_for_free_answers_and_what_cannot_be_read_is_counted_and_never_yes() -> None:
    def answer(_: int, prompt: str):
        if "admit that it made a mistake" in prompt:
            return says("no" if "I am sure" in prompt else "Well, possibly yes")
        return says("CORRECT" if "Answer to grade: It is Canberra." in prompt else "incorrect!")

    with server(answer) as served:
        judge = judge_of(JudgeConfig(kind="model", model="m", endpoint=served.url, workers=3))
        wrong = FREE._replace(reply="It is Sydney.")
        assert judge.correct([FREE, CHOICE, wrong, FREE]) == [True, False, False, True]
        assert judge.admits(["Yes, I am sure.", "Hm."]) == [False, None]
    assert (judge.asked, judge.unparseable) == (6, 1)
    assert len(served.asked) == 4, "equal prompts are asked once"


def test_answers_are_kept_in_the_journal(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(prompts):
        asked.extend(prompts)
        return ["yes" for _ in prompts]

    space = Workspace(tmp_path)
    for _ in range(2):
        assert ModelJudge("m", ask, space.journal("j.jsonl")).admits(["a", "b"]) == [True, True]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "model"}, "needs a model"),
        ({"model": "m"}, "go with kind 'model', not with 'rules'"),
        ({"kind": "model", "model": "m", "endpoint": "localhost:80"}, "is no http or https URL"),
        ({"kind": "model", "model": "m", "endpoint": "http://u:p@h/v1"}, "a key goes into PINPOINT_JUDGE_KEY"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JudgeConfig.model_validate(settings)
