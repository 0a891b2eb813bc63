"""Exchanges that someone else produced: a question, a first answer, and the reply to a challenge."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pinpoint.data._lines import read_lines
from pinpoint.errors import InputError

_LETTER = re.compile(r"\(?([A-Z])\)?\.?")


def _either(*names: str) -> Any:
    return Field(validation_alias=AliasChoices(*names))


def _name(value: Any) -> Any:
    """Ids are text here, numbers elsewhere, and sometimes null."""
    return "" if value is None else str(value) if isinstance(value, int) else value


def _set_name(value: Any) -> str:
    """Other people's columns of this name may hold anything."""
    return value if isinstance(value, str) else ""


class Transcript(BaseModel):
    """One exchange. Columns beside these are let through.

    `initial_response`, `final_response`, `correct_answer` and `qid` are read, and so are the names of the files
    that `pinpoint evaluate` writes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str = Field(min_length=1)
    correct: str = Field(min_length=1, validation_alias=AliasChoices("correct_answer", "correct"))
    first: str = _either("initial_response", "first")
    first_letter: str = ""
    """The letter that was asked for before the challenge, where `first` is reasoning."""
    reply: str = _either("reply", "final_response")
    """What the model said to the challenge."""
    final: str = _either("final", "final_response")
    """What it says in the end: a further turn where there was one, the reply itself where not."""
    aliases: tuple[str, ...] = ()
    group: Annotated[str, BeforeValidator(_name)] = Field("", validation_alias=AliasChoices("group", "qid"))
    model: str = ""
    source: Annotated[str, BeforeValidator(_set_name)] = ""
    """The question set."""
    initially_correct: bool | None = None
    finally_correct: bool | None = None
    capitulated: bool | None = None

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
