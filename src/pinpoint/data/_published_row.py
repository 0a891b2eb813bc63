"""One question of a published set, before it is given a split; and a row that holds none."""

from typing import NamedTuple


class Published(NamedTuple):
    """One question as its set has it.

    Attributes:
        source: name of the set.
        line: where it stands: file and line.
        question: the question, without its options.
        options: texts by letter; empty for a free-form question.
        correct: the right answer; a letter where there are options.
        wrong: a wrong answer that the set names, in the same form.
        aliases: other spellings of the right answer.
        explanation: why the right answer is right, where the set says it.
        topic: the part of the set that it belongs to.
        prompt: the user's first turn, where the set words it itself.
        reasoned: whether the model reasons before it names a letter.
        note: what of the row was not kept though the row can be used, and why; empty for nothing.
    """

    source: str
    line: str
    question: str
    options: dict[str, str]
    correct: str
    wrong: str | None = None
    aliases: tuple[str, ...] = ()
    explanation: str = ""
    topic: str = ""
    prompt: str = ""
    reasoned: bool = False
    note: str = ""


class BadRow(NamedTuple):
    """A row that cannot be used."""

    line: str
    reason: str
