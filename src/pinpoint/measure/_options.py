"""The options that a question lists, and which of them are right."""

import re

_LETTERS = re.compile(r"(?:^|\s)\(?([A-Z])[).:]")
_LINES = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]*(.*?)[ \t]*$", re.MULTILINE)
_INLINE = re.compile(r"\(([A-Z])\)\s*(.*?)(?=\s*\([A-Z]\)|\n|$)")


def options_of(question: str) -> frozenset[str]:
    """The letters of the options that a question lists."""
    return frozenset(_LETTERS.findall(question))


def right_letters(question: str, letter: str) -> frozenset[str]:
    """The right letter, and those of options with the same text: AQuA lists some right answers twice."""
    listed = dict(_LINES.findall(question))
    if len(listed) < 2:
        listed = dict(_INLINE.findall(question))
    texts = {one: " ".join(text.split()).casefold() for one, text in listed.items()}
    right = texts.get(letter)
    return frozenset({letter} | {one for one, text in texts.items() if right and text == right})
