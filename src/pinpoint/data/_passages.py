"""Passages of plain text, which nothing is asked about."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pinpoint.data._files import READERS, numbered_rows
from pinpoint.data._lines import HALVED, halved, read_text
from pinpoint.errors import InputError

_COLUMN = "text"


class Excerpt(NamedTuple):
    """A passage, named by its file and the line that it begins in."""

    id: str
    text: str


def read_passages(path: str | Path) -> list[Excerpt]:
    """Reads passages: of a .txt file, what stands between blank lines; of other files, the column `text`.

    Empty ones are passed over.

    Raises:
        InputError: the file cannot be read, or a row has no text; names the line.
    """
    path = Path(path)
    if path.suffix != ".txt" and path.suffix not in READERS:
        raise InputError(
            f"a file of kind {path.suffix or 'none'!r}.",
            where=str(path),
            mend=f"Give one of .txt, {', '.join(READERS)}.",
        )
    found = list(_blocks(path) if path.suffix == ".txt" else _column(path))
    if not found:
        raise InputError("the file has no passages.", where=str(path), mend="Part passages by empty lines.")
    return found


def _blocks(path: Path) -> Iterator[Excerpt]:
    begin, lines = 0, list[str]()
    for number, line in enumerate([*read_text(path).splitlines(), ""], 1):
        if line.strip():
            begin = begin if lines else number
            lines.append(line)
        elif lines:
            yield Excerpt(f"{path.name}:{begin}", "\n".join(lines))
            lines = []


def _column(path: Path) -> Iterator[Excerpt]:
    for number, row in numbered_rows(path):
        where = f"{path}:{number}"
        if isinstance(row, ValueError):
            raise InputError(f"{row}.", where=where, mend="Mend the line, or leave it out.") from row
        if not isinstance(row, dict):
            raise InputError("is no JSON object.", where=where, mend=f"Give each row a {_COLUMN!r}.")
        text = row.get(_COLUMN)
        if not isinstance(text, str):
            there = ", ".join(map(repr, row)) or "nothing"
            raise InputError(f"has no {_COLUMN!r} that is text.", where=where, mend=f"It has {there}.")
        if halved(text):
            raise InputError(f"{HALVED}.", where=where, mend="Take the row out.")
        if text.strip():
            yield Excerpt(f"{path.name}:{number}", text.strip())
