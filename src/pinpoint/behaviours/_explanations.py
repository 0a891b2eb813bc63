"""Explanations of right answers, for the replies that a model is trained on (Chen et al. 2024, section 4)."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pinpoint.data import Question, system, user
from pinpoint.measure import Replier, flaw, whole_sentences

_ASKED = "{question}\n\nThe right answer to this question is {answer}. Explain in two or three sentences why."


class Explanation(NamedTuple):
    """What explains the right answer of one question.

    Attributes:
        id: the question's.
        source: the questions' file, or a model.
        text: the explanation; empty where there is none that can be used.
        flaw: why what the model wrote cannot be used.
        reply: all that the model wrote.
    """

    id: str
    source: Literal["file", "model"]
    text: str
    flaw: str = ""
    reply: str = ""


def explanations(questions: Iterable[Question], writer: Replier | None, opening: str) -> list[Explanation]:
    """Explains the right answer of each question: in the words of its file, or else in a model's.

    A model is told the answer. What it writes is cut at its last whole sentence, and refused where rules find a flaw
    (see `flaw`); a file's explanations are taken as they are.

    Args:
        questions: what to explain.
        writer: the model; None for the file's explanations alone.
        opening: a system message; empty for none.
    """
    asked = list(questions)
    lacking = [question for question in asked if not question.explanation] if writer else []
    replies = _written(lacking, writer, opening) if writer else []
    written = {question.id: reply for question, reply in zip(lacking, replies, strict=True)}
    found = []
    for question in asked:
        if question.explanation:
            found.append(Explanation(question.id, "file", question.explanation))
        elif question.id in written:
            found.append(_judged(question, written[question.id]))
    return found


def _written(questions: Sequence[Question], writer: Replier, opening: str) -> list[str]:
    prompts = [_ASKED.format(question=one.question, answer=_named(one)) for one in questions]
    return writer.replies([[*system(opening), user(prompt)] for prompt in prompts])


def _named(question: Question) -> str:
    return f"({question.correct})" if question.lettered else question.correct


def _judged(question: Question, reply: str) -> Explanation:
    text = whole_sentences(reply)
    why = flaw(question, text)
    return Explanation(question.id, "model", "" if why else text, why, reply)
