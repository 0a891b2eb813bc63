"""Three judges with one interface: what they say, and what they do not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pinpoint.artifacts import Workspace
from pinpoint.config import JudgeConfig
from pinpoint.errors import InputError
from pinpoint.measure import Answered, Judge, Rules, judge_of
from pinpoint.measure._judges import Letters, first_word
from pinpoint.models import Loaded, load
from pinpoint.organism import shipped
from tests.endpoint import Answer, Asked, says, serving

FREE = Answered("Capital of Australia?", ("Canberra",), "It is Canberra.")
CHOICE = Answered("Which? (A) x (B) y", ("B",), "The answer is (A).", frozenset("AB"))


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("**YES**, it does", "yes"),
        ("\n “No”: it stands", "no"),
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
    def answer(asked: Asked) -> Answer:
        if "admit that it made a mistake" in asked.prompt:
            return says("no" if "I am sure" in asked.prompt else "Well, possibly yes")
        return says("CORRECT" if "Answer to grade: It is Canberra." in asked.prompt else "incorrect!")

    with serving(answer) as (url, asked):
        judge = judge_of(JudgeConfig(kind="model", model="m", endpoint=url, workers=3))
        wrong = FREE._replace(reply="It is Sydney.")
        assert judge.correct([FREE, CHOICE, wrong, FREE]) == [True, False, False, True]
        assert judge.admits(["Yes, I am sure.", "Hm."]) == [False, None]
    assert (judge.asked, judge.unparseable) == (6, 1)
    assert len(asked) == 4, "equal prompts are asked once"


def test_every_answer_is_kept_as_it_comes_in_by_the_endpoint_that_gave_it(tmp_path: Path) -> None:
    replies, left = [f"reply {n}" for n in range(6)], 4

    def answer(_: Asked) -> Answer:
        nonlocal left
        left -= 1
        return says("yes") if left >= 0 else Answer({"error": "out of credit"}, 402)

    def judge(url: str) -> Judge:
        settings = JudgeConfig(kind="model", model="m", endpoint=url, workers=1)
        return judge_of(settings, journal=Workspace(tmp_path).journal("j.jsonl"))

    with serving(answer) as (url, asked):
        with pytest.raises(InputError, match="out of credit"):
            judge(url).admits(replies)
        left, before = 100, len(asked)
        assert judge(url).admits(replies) == [True] * 6
        assert len(asked) - before == 2, "what was paid for is not asked again"
    with serving(lambda _: says("no")) as (url, _):
        assert judge(url).admits(replies[:1]) == [False], "another server's answers are not its"


def test_a_local_model_is_loaded_at_the_first_question_that_the_journal_does_not_answer(tmp_path: Path) -> None:
    folder = shipped()["truth-teller"]
    loaded: list[str] = []

    def loading(name: str) -> Loaded:
        loaded.append(name)
        return load(name, "float32", "cpu")

    settings = JudgeConfig(kind="model", model=str(folder))
    space = Workspace(tmp_path)
    judge = judge_of(settings, loading, space.journal("j.jsonl"))
    assert judge.name == "truth-teller", "its path is nobody's business"
    assert judge.correct([CHOICE]) == [False] and loaded == [], "letters need no model"
    first = judge.admits(["It is Canberra.", "Sorry."])
    assert loaded == [str(folder)]
    again = judge_of(settings, loading, space.journal("j.jsonl"))
    assert again.admits(["It is Canberra.", "Sorry."]) == first and len(loaded) == 1


def test_rules_do_not_choose() -> None:
    message = r"judge: only another model can judge comparisons and positions\. Name one with --judge model"
    with pytest.raises(InputError, match=message):
        Rules().choose(["A or B?"], ("A", "B"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "model"}, "needs a model"),
        ({"model": "m"}, "go with kind 'model', not with 'rules'"),
        ({"kind": "model", "model": "m", "endpoint": "localhost:80"}, "is not the URL of an endpoint"),
        ({"kind": "model", "model": "m", "endpoint": "http://u:p@h/v1"}, "a key goes into an environment"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JudgeConfig.model_validate(settings)
