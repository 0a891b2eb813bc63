"""Question files of the user's own, whose columns a map names: JSONL, CSV or Parquet."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinpoint.data._files import READERS
from pinpoint.data._listed import absent, in_order
from pinpoint.data._published_hub import prose
from pinpoint.data._published_row import BadRow, Published, checked
from pinpoint.errors import InputError

FIELDS = {field: field for field in ("question", "correct", "wrong", "aliases", "options", "explanation")}
"""The columns of a file whose own names are those of the fields."""


def _text(value: Any) -> str:
    # Numbers are answers too.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return str(value).strip()


def _several(value: Any) -> list[Any]:
    """A list, or a text that holds one as JSON or parted by bars, as CSV files have it."""
    if absent(value) or value == "":
        return []
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else value.split("|")
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")
    return value


def mapped_row(row: Mapping[str, Any], columns: Mapping[str, str], source: str, line: str) -> Published:
    """One row of a file whose columns have names of their own, not `checked` yet.

    Args:
        row: the row.
        columns: see `read_columns`.
        source: name of the set.
        line: where the row stands.

    Raises:
        ValueError: what is wrong with it.
    """

    def at(field: str) -> Any:
        value = row.get(columns[field]) if field in columns else None
        return None if absent(value) else value

    listed = [None if absent(one) else _text(one) or None for one in _several(at("options"))]
    options = in_order(listed) if listed else {}
    letters = {text: letter for letter, text in reversed(options.items())}
    correct = _text(at("correct"))
    wrong = None if at("wrong") in (None, "") else _text(at("wrong"))
    if options:
        # The right option may be given by its letter or by its text.
        correct = letters.get(correct, correct)
        wrong = letters.get(wrong, wrong) if wrong else None
    aliases = tuple(filter(None, (_text(one) for one in _several(at("aliases")) if not absent(one))))
    explanation = "" if at("explanation") is None else prose(_text(at("explanation")))
    return Published(source, line, _text(at("question")), options, correct, wrong, aliases, explanation)


def read_columns(path: str | Path, columns: Mapping[str, str]) -> list[Published | BadRow]:
    """Reads questions from columns of the user's own names.

    Args:
        path: a JSONL, CSV or Parquet file.
        columns: its column of each field: `question` and `correct`, and where there are any `wrong`, `aliases`,
            `explanation` and `options` (a list of texts; `correct` is then a letter, A for the first, or an option's
            text).

    Raises:
        InputError: the file cannot be read, or lacks a column; names it, and those that are there.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise InputError(
            f"a file of kind {path.suffix or 'none'!r} has no columns.",
            where=str(path),
            mend=f"Give one of {', '.join(READERS)}, or leave data.columns out.",
        )
    rows = list(READERS[path.suffix](path))
    for number, row in rows:
        if isinstance(row, ValueError):
            raise InputError(f"{row}.", where=f"{path}:{number}", mend="Mend the line, or leave it out.") from row
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
            found.append(checked(mapped_row(row, columns, path.stem, line)))
        except (ValueError, RecursionError) as error:
            found.append(BadRow(line, str(error)))
    return found
