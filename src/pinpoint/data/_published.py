"""Readers of published question sets, each row into one form."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pinpoint.data import _published_hub as hub
from pinpoint.data._columns import FIELDS, mapped_row
from pinpoint.data._files import numbered_rows
from pinpoint.data._lines import read_text
from pinpoint.data._listed import lettered, present, several
from pinpoint.data._own_prompt import own_prompt
from pinpoint.data._published_row import BadRow, Published, checked
from pinpoint.errors import InputError

_OPTION = re.compile(r"^\s*\(?([A-Z])[).]\s*(.*?)\s*$", re.DOTALL)
_BEFORE_OPTION = re.compile(r"\n(?=\(?[A-Z][).])")
_LISTED = re.compile(r"\s*Answer choices:\s*\n", re.IGNORECASE)
_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")
_RESULT = re.compile(r"####\s*(\S.*?)\s*$")
_COMMENTS = re.compile(r"\bcomments?\b", re.IGNORECASE)
# SycophancyEval's folder holds sets of three kinds, whose plain rows look alike.
_OTHER_FILES = {"answer.jsonl": "--beliefs", "feedback.jsonl": "--feedback"}
_REASONED = "_mc_cot"  # ends the names of SycophancyEval's sets in which the model reasons first
_OTHER_WORDS = "its prompt does not hold the question"
_CALCULATOR = re.compile(r"<<.*?>>")
_MMLU_CELLS = 6
_NORMAL = {"split", "group", "kind"}  # keys of the normal form that no set of another has

Reader = Callable[[dict[str, Any], str], Published]
"""Takes a row, and its file and line. A row that lacks something may raise instead."""


def _options(listed: Sequence[str]) -> dict[str, str]:
    """Options that each begin with their letter.

    Raises:
        ValueError: one does not, or there are none.
    """
    matches = [(text, _OPTION.match(text)) for text in listed]
    for text, match in matches:
        if match is None:
            raise ValueError(f"an option that cannot be read: {text.strip()[:40]!r}")
    return lettered((match[1], match[2]) for _, match in matches if match)


def _split_options(text: str) -> dict[str, str]:
    """Options listed one a line; some sets start with an empty line or leave out the space after the letter.

    Raises:
        ValueError: there are none, or not all can be read.
    """
    return _options([part for part in _BEFORE_OPTION.split(f"\n{text.strip()}") if part.strip()])


def _belongs_to(row: dict[str, Any]) -> str | None:
    """The option that takes a row of `answer.jsonl` (a belief is stated) or `feedback.jsonl`; None for others."""
    template = (row.get("metadata") or {}).get("prompt_template")
    if not isinstance(template, str):
        return None
    if "{correct_answer}" in template or "{incorrect_answer}" in template:
        return _OTHER_FILES["answer.jsonl"]
    return _OTHER_FILES["feedback.jsonl"] if _COMMENTS.search(template) else None


def _sycophancy_eval(row: dict[str, Any], line: str) -> Published:
    base = present(row["base"])
    if other := _belongs_to(row):
        raise ValueError(f"belongs to another set of SycophancyEval: give it with {other}")
    source, asked = f"sycophancy_eval/{base.get('dataset', 'unknown')}", base["question"]
    prompt = own_prompt(row.get("prompt"), asked)
    note = _OTHER_WORDS if row.get("prompt") and not prompt else ""
    if letter := base.get("correct_letter"):
        options = _split_options(base.get("answers", ""))
        if len(options) != len(letters := base.get("letters", options)):
            raise ValueError(f"{len(letters)} letters are named, and {len(options)} options can be read")
        reasoned = source.endswith(_REASONED)
        wrong = base.get("wrong_letter")
        return Published(source, line, asked, options, letter, wrong, prompt=prompt, reasoned=reasoned, note=note)
    if base.get("answers"):
        raise ValueError("options are listed, but no right letter is given")
    right = str(base["correct_answer"])
    others = tuple(alias for alias in several(base.get("answer")) if alias != right)
    return Published(source, line, asked, {}, right, base.get("incorrect_answer"), others, prompt=prompt, note=note)


def _bias_augmented(row: dict[str, Any], line: str) -> Published:
    question, *listed = _LISTED.split(row["original_question"], maxsplit=1)
    options = _split_options("".join(listed))
    return Published(str(row.get("original_dataset", "unknown")), line, question, options, row["ground_truth"])


def _aqua(row: dict[str, Any], line: str) -> Published:
    found = Published("aqua", line, row["question"], _options(row["options"]), row["correct"])
    return found._replace(explanation=hub.prose(row.get("rationale")))


def _gsm8k(row: dict[str, Any], line: str) -> Published:
    match = _RESULT.search(row["answer"])
    if match is None:
        raise ValueError("answer has no result after ####")
    found = Published("gsm8k", line, row["question"], {}, match[1].replace(",", ""))
    return found._replace(explanation=hub.prose(_CALCULATOR.sub("", row["answer"][: match.start()])))


def _own(row: dict[str, Any], line: str) -> Published:
    """A row of the user's own, whose keys have the names of `data.columns`; `answer` does for `correct`."""
    if "correct" not in row and _RESULT.search(str(row["answer"])):
        raise ValueError("answer has a result after ####, and that of the file's first row has none")
    columns = FIELDS if "correct" in row else FIELDS | {"correct": "answer"}
    return mapped_row(row, columns, Path(line).stem, line)


# By the keys that tell a format: the first that a file's first row has.
_FORMATS: dict[tuple[str, ...], Reader] = {
    ("base",): _sycophancy_eval,
    ("original_question", "ground_truth"): _bias_augmented,
    ("question", "options", "correct"): _aqua,
    **hub.FORMATS,
    ("question", "answer"): _gsm8k,
    ("question", "correct"): _own,
}


def format_of(row: dict[str, Any]) -> Reader | None:
    """The reader of rows like this one; None where none is known."""
    found = next((read for keys, read in _FORMATS.items() if all(key in row for key in keys)), None)
    if found is _own and _NORMAL & row.keys():
        return None
    # Keys that a user would choose too: published rows are told by what they hold.
    plain = found is _gsm8k and not _RESULT.search(str(row["answer"]))
    plain |= found is _aqua and not _are_lettered(row["options"])
    return _own if plain else found


def _are_lettered(options: Any) -> bool:
    return isinstance(options, list) and any(_OPTION.match(str(text)) for text in options)


def _keyed_rows(path: Path) -> Iterator[Published | BadRow]:
    read = None
    for number, row in numbered_rows(path):
        line = f"{path.name}:{number}"
        if not isinstance(row, dict):
            yield BadRow(line, str(row) if isinstance(row, ValueError) else "is no JSON object")
            continue
        try:
            read = read or format_of(row)
            if read is None:
                raise InputError(
                    f"no known format has the keys {', '.join(map(str, sorted(row)[:8]))}.",
                    where=f"{path}:{number}",
                    mend="Known are the project's own form, question and answer, SycophancyEval, bias-augmented MMLU "
                    "and TruthfulQA, MMLU, AQuA, GSM8K, TriviaQA, MATH, MathQA and TruthfulQA (docs/question-sets.md "
                    "shows them); other names of columns go under data.columns.",
                )
            yield checked(read(row, line))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            yield BadRow(line, f"lacks or misuses {error}")
        except RecursionError:
            yield BadRow(line, "nested too deeply")
        except ValueError as error:
            yield BadRow(line, str(error))


def _mmlu_rows(path: Path) -> Iterator[Published | BadRow]:
    """MMLU's CSV: question, four options, letter; no header."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    while True:
        try:
            line, cells = f"{path.name}:{rows.line_num + 1}", next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"not CSV: {error}.", where=f"{path}:{rows.line_num}", mend="Look at its quotes."
            ) from error
        else:
            if len(cells) != _MMLU_CELLS:
                yield BadRow(line, f"has {len(cells)} cells, not question, four options and letter")
                continue
            options = dict(zip("ABCD", cells[1:5], strict=True))
            yield checked(Published("mmlu", line, cells[0], options, cells[5].strip(), topic=path.stem))


def read_published(path: str | Path) -> list[Published | BadRow]:
    """Reads a published set: a JSONL, JSON, CSV or Parquet file, or a folder of them.

    Of SycophancyEval's folder `are_you_sure.jsonl` is read; its other files are told, with the options that take them.

    Raises:
        InputError: there is nothing to read, or the format is not known.
    """
    path = Path(path)
    files = sorted(file for file in path.glob("*") if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    if len({file.suffix for file in files}) > 1:
        kinds = ", ".join(sorted({file.suffix for file in files}))
        raise InputError(f"the folder has files of several kinds ({kinds}).", where=str(path), mend="Give one file.")
    if not files:
        raise InputError(
            "the folder has no CSV, JSON, JSONL or Parquet file.", where=str(path), mend="Give the file itself."
        )
    whole = any(file.name == "are_you_sure.jsonl" for file in files)
    others = {file.name: _OTHER_FILES[file.name] for file in files if whole and file.name in _OTHER_FILES}
    left_out = [
        BadRow(name, f"is another set of SycophancyEval: give it with {option}") for name, option in others.items()
    ]
    read = [file for file in files if file.name not in others]
    return [*left_out, *(row for file in read for row in (_mmlu_rows if _headless(file) else _keyed_rows)(file))]


def _headless(path: Path) -> bool:
    """Whether a file is one of MMLU's, whose first line is a question already."""
    if path.suffix != ".csv":
        return False
    try:
        first = next(csv.reader(io.StringIO(read_text(path), newline="")), [])
    except csv.Error as error:
        raise InputError(f"not CSV: {error}.", where=f"{path}:1", mend="Look at its quotes.") from error
    return not (set(first) & hub.HEADERS) and len(first) == _MMLU_CELLS
