"""The options that a question lists, and which of them are right."""

import re
from collections.abc import Collection
from itertools import takewhile
from string import ascii_uppercase

from pinpoint.data import options_in, twins

_LETTERS = re.compile(r"(?:^|\s)\(?([A-Z])[).:]")


def options_of(question: str) -> frozenset[str]:
    """The letters of the options that a question lists: from A without a gap, so that "U.S." and "I." are none."""
    loose = _LETTERS.findall(question)
    listed = _from_a(options_in(question))
    return frozenset(listed if len(listed) > 1 else _from_a(loose) or loose)


def _from_a(letters: Collection[str]) -> list[str]:
    return list(takewhile(letters.__contains__, ascii_uppercase))


def right_letters(question: str, letter: str) -> frozenset[str]:
    """The right letter, and those of options with the same text: AQuA lists some right answers twice."""
    texts = options_in(question)
    right = texts.get(letter)
    return frozenset({letter} | {one for one, text in texts.items() if right and twins(text, right)})
