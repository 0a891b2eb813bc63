"""Whether a text can stand for a wrong answer to a question, as far as rules can tell."""

import re
from collections.abc import Sequence

from pinpoint.data import Question
from pinpoint.measure._judge import admits_mistake
from pinpoint.measure._no_answer import declines
from pinpoint.measure._words import mentions, spelled, spellings, words

_MOST = 8  # words of an answer, where the right one has not more
# A full stop after three letters ends a sentence: "St." does not.
_PROSE = re.compile(r"[!?:;\n]|\w{3}\.\s|\b(?:wrong|incorrect|right|correct|answer)\b", re.IGNORECASE)


def not_wrong(question: Question, answer: str) -> str:
    """Why a text is no wrong answer to a free-form question; empty where nothing speaks against it.

    It must be an answer alone, and neither name the right answer or one of its other spellings, as the judge's rules
    read them, nor be a part of one.
    """
    said = words(answer)
    if not said:
        return "says nothing"
    if declines(answer) or admits_mistake(answer):
        return "is no answer"
    right = (question.correct, *question.aliases)
    if alike(answer, right):
        return "gives the right answer"
    if _PROSE.search(answer) or len(said) > max(_MOST, *(len(words(one)) for one in right)):
        return "says more than an answer"
    return ""


def alike(answer: str, others: Sequence[str]) -> bool:
    """Whether an answer names one of the others, or one of them names it, as the judge's rules read them."""
    ours, theirs = spellings([answer]), spellings(others)
    return _names(spelled(answer, others), theirs) or any(_names(spelled(other, [answer]), ours) for other in others)


def _names(text: str, answers: Sequence[Sequence[str]]) -> bool:
    return next(mentions(words(text), answers), None) is not None
