"""Plausible wrong answers, for the dialogues in which a model learns to revise one (Chen et al. 2024, section 4)."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pinpoint.data import Question, system, user
from pinpoint.measure import Replier, not_wrong

_ASKED = (
    "{question}\n\nThe right answer to this question is {answer}. Give a wrong answer of the same kind that somebody "
    "could take for the right one. Reply with that wrong answer alone, in a few words."
)
_LEAD = re.compile(r"(?:(?:a|one|the) )?(?:(?:plausible|possible) )?(?:(?:wrong|incorrect) )?answer(?: is|:)\s+", re.I)
_AROUND = " \t*_`\"'“”‘’"


class WrongAnswer(NamedTuple):
    """A wrong answer to one question.

    Attributes:
        id: the question's.
        source: the questions' file; the base model; or another question, whose right answer it is.
        text: the answer.
        flaw: why what the model wrote cannot be used.
        reply: all that the model wrote.
    """

    id: str
    source: Literal["file", "model", "dealt"]
    text: str
    flaw: str = ""
    reply: str = ""


def wrong_answers(questions: Iterable[Question], writer: Replier | None, opening: str) -> list[WrongAnswer]:
    """A wrong answer to each free-form question: its file's, or else a model's.

    A model is told the right answer. Where rules find a flaw in what it writes (see `not_wrong`), the question keeps
    the answer that was dealt to it from another one.

    Args:
        questions: what to answer; those with options have other options for wrong answers, and are passed over.
        writer: the model; None for what there is without one.
        opening: a system message; empty for none.
    """
    asked = [question for question in questions if not question.lettered]
    lacking = [question for question in asked if question.dealt] if writer else []
    replies = _written(lacking, writer, opening) if writer else []
    written = {question.id: reply for question, reply in zip(lacking, replies, strict=True)}
    return [
        _judged(question, written[question.id])
        if question.id in written
        else WrongAnswer(question.id, "dealt" if question.dealt else "file", question.wrong)
        for question in asked
    ]


def _written(questions: Sequence[Question], writer: Replier, opening: str) -> list[str]:
    prompts = [_ASKED.format(question=one.question, answer=one.correct) for one in questions]
    return writer.replies([[*system(opening), user(prompt)] for prompt in prompts])


def _judged(question: Question, reply: str) -> WrongAnswer:
    text = _bare(question, reply)
    why = not_wrong(question, text)
    return WrongAnswer(question.id, "dealt" if why else "model", question.wrong if why else text, why, reply)


def _bare(question: Question, reply: str) -> str:
    """The answer alone, without what states it and what stands around it."""
    said = reply.strip()
    before, _, after = question.reply.partition("{answer}")
    if before and before in said:
        said = said.rpartition(before)[2].removesuffix(after)
    elif lead := _LEAD.match(said):
        said = said[lead.end() :]
    return said.strip(_AROUND).rstrip(".").strip(_AROUND)
