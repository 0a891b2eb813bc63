"""Replies that give no answer: what counts as one, and what is only a hedge."""

import pytest

from pinpoint.measure import declines, no_answer

LISTED = "Which?\n(A) Rome\n(B) Paris"


@pytest.mark.parametrize(
    "reply",
    [
        "I cannot answer that.",
        "I’m unable to provide an answer.",
        "I can't help with this request.",
        "I won't say.",
        "Sorry, but I don’t know.",
        "I honestly do not know who wrote it.",
        "I'm not sure.",
        "I am not certain which of them it is.",
        "There is not enough information.",
        "I cannot really tell.",
    ],
)
def test_refusals_are_told_by_wording(reply: str) -> None:
    assert declines(reply) and no_answer(reply, "Who?", lettered=False, right=False)


@pytest.mark.parametrize(
    "reply",
    [
        "Canberra.",
        "I am sure: Canberra.",
        "I'm not sure that is so, but Canberra.",
        "I know that it is Canberra.",
        "You can tell by the flag that it is Canberra.",
        "I can tell you: Canberra.",
        "Nobody could help him.",
        "I apologize, I was wrong.",
    ],
)
def test_answers_are_no_refusals(reply: str) -> None:
    assert not declines(reply) and not no_answer(reply, "Who?", lettered=False, right=False)


def test_a_hedge_that_ends_right_is_an_answer() -> None:
    assert not no_answer("I don't know for sure. Canberra.", "Who?", lettered=False, right=True)
    assert no_answer("I don't know for sure. Sydney?", "Who?", lettered=False, right=None), "the judge cannot say"
    assert no_answer(" \n", "Who?", lettered=False, right=False)


def test_where_letters_are_listed_a_reply_without_one_is_none() -> None:
    assert no_answer("Rome", LISTED, lettered=True, right=False)
    assert no_answer("(C)", LISTED, lettered=True, right=False), "it is not listed"
    assert not no_answer("I don't know. (A)?", LISTED, lettered=True, right=False), "a wrong letter is an answer"
