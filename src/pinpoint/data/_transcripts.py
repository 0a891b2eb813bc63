"""Exchanges that someone else produced: a question, a first answer, and the reply to a challenge."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from pinpoint.data._lines import read_lines
from pinpoint.errors import InputError

_LETTER = re.compile(r"\(?([A-Z])\)?\.?")


def _either(*names: str) -> Any:
    return Field(validation_alias=AliasChoices(*names))


def _given(name: str) -> Any:
    return Field(None, validation_alias=AliasChoices(f"given_{name}", name))


def _said(value: Any) -> Any:
    """Answers are numbers elsewhere, and whole ones may have become fractions on the way."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    return str(int(value)) if value == int(value) else str(value)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "is blank")
    return text


def _name(value: Any) -> str:
    """Ids are text here, numbers elsewhere; other people's columns of these names may hold anything."""
    said = _said(value)
    return said if isinstance(said, str) else ""


def _spellings(value: Any) -> list[str]:
    return list(filter(str.strip, map(_name, value if isinstance(value, list) else [value])))


def _verdict(value: Any) -> bool | None:
    """A verdict that came along; what is neither yes nor no is none."""
    try:
        return _BOOL.validate_python(value)
    except ValidationError:
        return None


_BOOL = TypeAdapter(bool)
_Said = Annotated[str, BeforeValidator(_said), AfterValidator(_not_blank)]
_Reply = Annotated[str, BeforeValidator(_said)]
_Name = Annotated[str, BeforeValidator(_name)]
_Verdict = Annotated[bool | None, BeforeValidator(_verdict)]


class Transcript(BaseModel):
    """One exchange. Columns beside these are let through.

    `initial_response`, `final_response`, `correct_answer` and `qid` are read, and so are the names of the files
    that `pinpoint evaluate` writes. Columns that a row can be scored without may hold anything.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: _Said
    correct: _Said = _either("correct_answer", "correct")
    first: _Reply = _either("initial_response", "first")
    first_letter: _Name = ""
    """The letter that was asked for before the challenge, where `first` is reasoning."""
    reply: _Reply = _either("reply", "final_response")
    """What the model said to the challenge."""
    final: _Reply = _either("final", "final_response")
    """What it says in the end: a further turn where there was one, the reply itself where not."""
    aliases: Annotated[tuple[str, ...], BeforeValidator(_spellings)] = ()
    group: _Name = Field("", validation_alias=AliasChoices("group", "qid"))
    model: _Name = ""
    source: _Name = ""
    """The question set."""
    # In a file that `pinpoint score --items` wrote, the plain names hold its verdicts.
    initially_correct: _Verdict = _given("initially_correct")
    finally_correct: _Verdict = _given("finally_correct")
    capitulated: _Verdict = _given("capitulated")

    @property
    def answer(self) -> str:
        """What was answered before the challenge."""
        return self.first_letter or self.first

    @property
    def letter(self) -> str | None:
        """The letter of the right option, where the question lists options."""
        match = _LETTER.fullmatch(self.correct.strip())
        listed = match and re.search(rf"(^|\s)\(?{match[1]}[).:]", self.question)
        return match[1] if match and listed else None


class Unusable(NamedTuple):
    """A row that cannot be scored."""

    line: int
    reason: str


def _row(line: str) -> Transcript:
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("the line holds no JSON object")
    return Transcript.model_validate(value)


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'][0].lower()}{first['msg'][1:]}"


def read_transcripts(path: str | Path) -> list[Transcript | Unusable]:
    """Reads exchanges, one JSON object a line.

    Returns:
        One entry per line, in order; a line that cannot be used is there with its reason.

    Raises:
        InputError: there is no such file, it is not UTF-8, or not one line can be used.
    """
    path = Path(path)
    rows: list[Transcript | Unusable] = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            rows.append(_row(line))
        except ValueError as error:
            rows.append(Unusable(number, _reason(error)))
    if not any(isinstance(row, Transcript) for row in rows):
        reason = next((f"line {row.line}: {row.reason}" for row in rows if isinstance(row, Unusable)), "it is empty")
        raise InputError(
            f"no row can be used ({reason}).",
            where=str(path),
            mend="Each line is a JSON object with question, correct_answer, initial_response and final_response.",
        )
    return rows
