"""Whether a text explains a question's right answer, as far as rules can tell."""

import re
from string import ascii_uppercase

from pinpoint.data import Question
from pinpoint.measure._judge import admits_mistake, is_correct, letter_of
from pinpoint.measure._options import options_of
from pinpoint.measure._reading import calls_right, gives
from pinpoint.measure._words import words

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

    It must give the right answer, by the judge's rules, must neither call the wrong one right nor name it last, must
    not take anything back, and must say more than the answer. Where options are listed, their letters or texts count.
    """
    if not explanation:
        return "has no whole sentence"
    if admits_mistake(explanation):
        return "admits a mistake"
    worded = question.model_copy(
        update={"kind": "free", "correct": _text(question, question.correct), "wrong": _text(question, question.wrong)}
    )
    letter = letter_of(explanation, options_of(question.question) or ascii_uppercase) if question.lettered else None
    if not (
        letter == question.correct if letter else gives(explanation, (worded.correct, *worded.aliases), worded.question)
    ):
        return "does not give the right answer"
    if calls_right(explanation, (worded.wrong,), worded.question) or not (letter or is_correct(worded, explanation)):
        return "goes over to the wrong answer"
    stated = words(f"{question.state(question.correct)} {worded.correct}")
    return "says no more than the answer" if len(set(words(explanation)) - set(stated)) < _FEWEST else ""


def _text(question: Question, answer: str) -> str:
    """An answer in words: of a letter, its option's, where the question lists them as "(A) ..."."""
    options = dict(_OPTION.findall(question.question)) if question.lettered else {}
    return options.get(answer) or answer
