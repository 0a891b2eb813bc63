"""Question files of the user's own, whose columns a map names: JSONL, CSV or Parquet."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from pinpoint.data._lines import read_lines, read_text
from pinpoint.data._published import BadRow, Published, checked
from pinpoint.errors import InputError, first_line

Numbered = Iterator[tuple[int, Any]]


def _jsonl(path: Path) -> Numbered:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}.", where=f"{path}:{number}") from error
        yield number, row


def _csv(path: Path) -> Numbered:
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            if rows.fieldnames:  # once the header is read, the next line is a row's
                line = rows.line_num + 1
            yield line, next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"not CSV: {error}.", where=f"{path}:{line}", mend="Look at its quotes.") from error


def _parquet(path: Path) -> Numbered:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_table

    try:
        rows = read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise InputError(f"not Parquet: {first_line(str(error))}", where=str(path)) from error
    yield from enumerate(rows, 1)


_READERS: dict[str, Callable[[Path], Numbered]] = {
    ".jsonl": _jsonl,
    ".json": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _text(value: Any) -> str:
    # Numbers are answers too.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return str(value).strip()


def _several(value: Any) -> list[Any]:
    """A list, or a text that holds one as JSON or parted by bars, as CSV files have it."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else value.split("|")
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def _published(row: Mapping[str, Any], columns: Mapping[str, str], source: str, line: str) -> Published | BadRow:
    def at(field: str) -> Any:
        return row.get(columns[field]) if field in columns else None

    options = dict(zip(ascii_uppercase, map(_text, _several(at("options"))), strict=False))
    letters = {text: letter for letter, text in reversed(options.items())}
    correct = _text(at("correct"))
    wrong = None if at("wrong") in (None, "") else _text(at("wrong"))
    if options:
        # The right option may be given by its letter or by its text.
        correct = letters.get(correct, correct)
        wrong = letters.get(wrong, wrong) if wrong else None
    aliases = tuple(map(_text, _several(at("aliases"))))
    return checked(Published(source, line, _text(at("question")), options, correct, wrong, aliases))


def read_columns(path: str | Path, columns: Mapping[str, str]) -> list[Published | BadRow]:
    """Reads questions from columns of the user's own names.

    Args:
        path: a JSONL, CSV or Parquet file.
        columns: its column of each field: `question` and `correct`, and where there are any `wrong`, `aliases` and
            `options` (a list of texts; `correct` is then a letter, A for the first, or an option's text).

    Raises:
        InputError: the file cannot be read, or lacks a column; names it, and those that are there.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise InputError(
            f"a file of kind {path.suffix or 'none'!r} has no columns.",
            where=str(path),
            mend=f"Give one of {', '.join(_READERS)}, or leave data.columns out.",
        )
    rows = list(_READERS[path.suffix](path))
    there = list(dict.fromkeys(key for _, row in rows if isinstance(row, dict) for key in row if key is not None))
    for field, column in columns.items():
        if column not in there:
            raise InputError(
                f"there is no column {column!r} (data.columns.{field}).",
                where=str(path),
                mend=f"The file has {', '.join(map(repr, there)) or 'no columns'}.",
            )
    found: list[Published | BadRow] = []
    for number, row in rows:
        line = f"{path.name}:{number}"
        try:
            if not isinstance(row, dict):
                raise ValueError("is no JSON object")
            found.append(_published(row, columns, path.stem, line))
        except (ValueError, RecursionError) as error:
            found.append(BadRow(line, str(error)))
    return found
