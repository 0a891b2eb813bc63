"""The options that a question lists, and which of them are right."""

import re

from pinpoint.data import options_in

_LETTERS = re.compile(r"(?:^|\s)\(?([A-Z])[).:]")


def options_of(question: str) -> frozenset[str]:
    """The letters of the options that a question lists."""
    return frozenset(_LETTERS.findall(question))


def right_letters(question: str, letter: str) -> frozenset[str]:
    """The right letter, and those of options with the same text: AQuA lists some right answers twice."""
    texts = {one: " ".join(text.split()).casefold() for one, text in options_in(question).items()}
    right = texts.get(letter)
    return frozenset({letter} | {one for one, text in texts.items() if right and text == right})
