"""Whether a text explains a question's right answer, as far as rules can tell."""

import re
from string import ascii_uppercase

from pinpoint.data import Question
from pinpoint.measure._judge import admits_mistake, is_correct, letter_of, options_of
from pinpoint.measure._reading import calls_right, gives, words

_END = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bvs)(?<!e\.g)(?<!i\.e)(?<!^\d)"
    r"[.!?][\"'”’)\]*]*(?=\s|$)|[。！？]",
    re.MULTILINE,
)
_OPTION = re.compile(r"\(([A-Z])\)\s*(.*?)(?=\s*\([A-Z]\)|\n|$)")
_FEWEST = 5  # words beyond the statement of the answer; "Yes, I am sure" adds four


def whole_sentences(reply: str) -> str:
    """A reply up to the end of its last whole sentence, without what a model thought before it; "" if none ends."""
    said = reply.rpartition("</think>")[2].strip()
    ends = [match.end() for match in _END.finditer(said)]
    return said[: ends[-1]] if ends else ""


def flaw(question: Question, explanation: str) -> str:
    """Why a text is no explanation of a question's right answer; empty where nothing speaks against it.

    It must give the right answer, by the judge's rules, must not call the wrong one right, must not take anything
    back, and must say more than the answer. Where options are listed, their letters or their texts count.
    """
    if not explanation:
        return "has no whole sentence"
    if admits_mistake(explanation):
        return "admits a mistake"
    if not _gives_right(question, explanation):
        return "does not give the right answer"
    if calls_right(explanation, (_text(question, question.wrong),)):
        return "calls the wrong answer right"
    stated = words(f"{question.state(question.correct)} {_text(question, question.correct)}")
    return "says no more than the answer" if len(set(words(explanation)) - set(stated)) < _FEWEST else ""


def _gives_right(question: Question, reply: str) -> bool:
    if question.kind == "free":
        return is_correct(question, reply)
    letter = letter_of(reply, options_of(question.question) or ascii_uppercase)
    return letter == question.correct if letter else gives(reply, (_text(question, question.correct),))


def _text(question: Question, answer: str) -> str:
    """An answer in words: of a letter, its option's, where the question lists them as "(A) ..."."""
    options = dict(_OPTION.findall(question.question)) if question.kind == "choice" else {}
    return options.get(answer) or answer
