"""Values of a row of a published set: options by their letters, and fields that hold nothing."""

import re
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

_LINES = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]*(.*?)[ \t]*$", re.MULTILINE)
_INLINE = re.compile(r"\(([A-Z])\)\s*(.*?)(?=\s*\([A-Z]\)|\n|$)")


def lettered(options: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Options by letter.

    Raises:
        ValueError: there are none, or their letters do not run from A without a gap: one of them was not read.
    """
    found = list(options)
    letters = "".join(letter for letter, _ in found)
    if not found:
        raise ValueError("no options that can be read")
    if letters != ascii_uppercase[: len(letters)]:
        raise ValueError(f"not all options can be read: their letters are {', '.join(letters)}")
    return dict(found)


def in_order(texts: Sequence[Any]) -> dict[str, str]:
    """Options by letter, A for the first.

    Raises:
        ValueError: there are none, more than there are letters, or one that holds nothing; or they are no list.
    """
    if not isinstance(texts, list):
        raise ValueError(f"the options are no list: {str(texts)[:40]!r}")
    if len(texts) > len(ascii_uppercase):
        raise ValueError(f"{len(texts)} options are more than there are letters")
    if any(absent(text) for text in texts):
        raise ValueError("an option holds nothing")
    return lettered(zip(ascii_uppercase, map(str, texts), strict=False))


def absent(value: Any) -> bool:
    """Whether a value holds nothing: null, or NaN, which pandas writes for it and Python reads as a number."""
    return value is None or (isinstance(value, float) and value != value)


def present(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that hold something."""
    return {key: value for key, value in row.items() if not absent(value)}


def text_of(value: Any) -> str:
    """A value as text; empty where it holds nothing."""
    return "" if absent(value) else str(value).strip()


def several(value: Any) -> list[str]:
    """What a field holds as texts: one, or a list of them, some of which may hold nothing."""
    return [str(one) for one in (value if isinstance(value, list) else [value]) if not absent(one)]


def options_in(question: str) -> dict[str, str]:
    """The options that a question lists, by letter: one a line, or in brackets within a line."""
    listed = dict(_LINES.findall(question))
    return listed if len(listed) > 1 else dict(_INLINE.findall(question))
