"""One question of a published set, before it is given a split; and a row that holds none."""

from typing import NamedTuple

from pinpoint.data._lines import HALVED, halved


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


def twins(option: str, other: str) -> bool:
    """Whether two options are one text. Their case counts: of genes, "Bb" and "BB" are two."""
    return option.split() == other.split()


def same_answer(answer: str, other: str) -> bool:
    """Whether two answers are one text but for case, blanks and a full stop: signs tell answers apart."""
    ours, theirs = (" ".join(one.casefold().split()).removesuffix(".") for one in (answer, other))
    return ours == theirs


def checked(found: Published) -> Published | BadRow:
    """A row as it is, without a wrong answer that is none; or why it cannot be used."""
    texts = (found.question, found.correct, *found.aliases, *([] if found.wrong is None else [found.wrong]))
    if not all(isinstance(text, str) for text in texts):
        return BadRow(found.line, "the question or an answer is not text")
    shown = (*texts, *found.options.values(), found.source, found.prompt)
    if any(map(halved, shown)):
        return BadRow(found.line, f"the question or an answer {HALVED}")
    if not found.question.strip() or not found.correct.strip():
        return BadRow(found.line, "the question or its answer is empty")
    if found.wrong is not None and not found.wrong.strip():
        found = found._replace(wrong=None)
    if not found.options:
        return found
    if found.correct not in found.options:
        return BadRow(found.line, f"the right letter {found.correct!r} is not among the options")
    others = [letter for letter, text in found.options.items() if not twins(text, found.options[found.correct])]
    # A set may name the right answer's twin, an option of the same text, as the wrong one.
    if found.wrong is not None and found.wrong not in others:
        found = found._replace(wrong=None)
    return found if others else BadRow(found.line, "all options have the same text")
