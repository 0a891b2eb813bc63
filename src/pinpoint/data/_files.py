"""Rows of JSONL, JSON, CSV and Parquet files, each with its line."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pinpoint.data._lines import read_text
from pinpoint.errors import InputError, first_line

_WHOLE = re.compile(r'\s*\{\s*"Data"\s*:')


def is_document(text: str) -> bool:
    """Whether a JSON file is one document, not an object a line: a list, or TriviaQA's own form."""
    return text.lstrip().startswith("[") or _WHOLE.match(text) is not None


Numbered = Iterator[tuple[int, Any]]
"""Line and row; in place of a row that cannot be read, the error."""


def _json(path: Path) -> Numbered:
    """One object a line; or one document: a list, or an object that holds one under "Data" (TriviaQA's own files)."""
    text = read_text(path)
    if is_document(text):
        yield from enumerate(_document(text, path), 1)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, _object(line)
        except ValueError as error:
            yield number, ValueError(f"not JSON: {error}")


def _object(line: str) -> Any:
    try:
        return json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _document(text: str, path: Path) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not JSON: {error}.", where=str(path), mend="Look there, or give the rows as JSONL."
        ) from error
    rows = found.get("Data") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise InputError("the document holds no list of rows.", where=str(path), mend="Give a list, or JSONL.")
    return rows


def _csv(path: Path) -> Numbered:
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            if rows.fieldnames:  # once the header is read, the next line is a row's
                line = rows.line_num + 1
            row = next(rows)
            more = row.get(None)
            told = f"has {len(more)} cells more than the header: quote texts that hold commas" if more else ""
            yield line, ValueError(told) if told else row
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
        raise InputError(f"not Parquet: {first_line(str(error))}", where=str(path), mend="Fetch it again.") from error
    yield from enumerate(rows, 1)


READERS: dict[str, Callable[[Path], Numbered]] = {".jsonl": _json, ".json": _json, ".csv": _csv, ".parquet": _parquet}
"""By the suffix of a file."""


def numbered_rows(path: Path) -> Numbered:
    """The rows of a file.

    Raises:
        InputError: it cannot be read, or no file of its kind can.
    """
    if path.suffix not in READERS:
        kinds = ", ".join(READERS)
        raise InputError(f"a file of kind {path.suffix or 'none'!r}.", where=str(path), mend=f"Give one of {kinds}.")
    return READERS[path.suffix](path)
