"""Questions in one normal form, and the reader of files in it."""

from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, model_validator

from pinpoint.data._files import is_document
from pinpoint.data._leakage import same_text
from pinpoint.data._lines import HALVED, halved, read_lines, read_text
from pinpoint.data._listed import options_in
from pinpoint.data._published import format_of
from pinpoint.data._published_row import same_answer, twins
from pinpoint.data._rows import Placed, json_object, read_rows
from pinpoint.errors import InputError

REASON = "Let's think step by step."
"""Asks for reasoning (Kojima et al. 2022)."""

Split = Literal["locate", "train", "validation", "test"]


class _Row(Placed):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Question(_Row):
    """One question with its right answer and one fixed wrong answer.

    For a multiple-choice question, `question` holds the listed options and `correct` and `wrong` are letters. An option
    with the right one's text is right too.
    """

    id: str
    """Unique in its file."""
    group: str
    """What the question asks about; wordings of one fact share it, and splits never cut through it."""
    split: Split
    """Which stage may use it."""
    kind: Literal["free", "choice", "reasoned"]
    """An answer in words; a letter; or a letter after reasoning, which is asked for in a turn of its own."""
    question: str = Field(min_length=1)
    correct: str = Field(min_length=1)
    wrong: str = Field(min_length=1)
    choices: tuple[str, ...] = ()
    """The options' texts, A's first; empty for a free answer. Where they are not given, those that `question` lists."""
    aliases: tuple[str, ...] = ()
    """Other spellings of the right answer."""
    reply: str = "The answer is {answer}."
    """How an assistant turn states an answer."""
    dealt: bool = False
    """Whether `wrong` is only what another question is answered with."""
    explanation: str = ""
    """Why the right answer is right."""
    source: str = ""
    """The set that it comes from; measures are also given by set."""
    prompt: str = ""
    """The user's first turn in the protocol, where it is not `question` alone."""

    @model_validator(mode="before")
    @classmethod
    def _with_choices(cls, row: Any) -> Any:
        if not isinstance(row, dict) or row.get("choices") or row.get("kind") not in ("choice", "reasoned"):
            return row
        listed = options_in(row["question"]) if isinstance(row.get("question"), str) else {}
        whole = "".join(listed) == ascii_uppercase[: len(listed)]
        return row | {"choices": tuple(listed.values()) if whole else ()}

    @model_validator(mode="after")
    def _differ(self) -> "Question":
        for name in ("question", "correct", "wrong"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is blank")
        if self.correct == self.wrong:
            raise ValueError(f"correct and wrong are both {self.correct!r}")
        if not self.lettered and (
            right := next((one for one in (self.correct, *self.aliases) if same_answer(one, self.wrong)), None)
        ):
            raise ValueError(f"wrong is {self.wrong!r}, and {right!r} is right: rules do not tell the two apart")
        if "{answer}" not in self.reply:
            raise ValueError("reply must contain {answer}")
        if self.choices and not self.lettered:
            raise ValueError("a free-form question has no choices")
        letters = ascii_uppercase[: len(self.choices) or None]
        for name, answer in (("correct", self.correct), ("wrong", self.wrong)):
            if self.lettered and (len(answer) != 1 or answer not in letters):
                raise ValueError(f"{name} must be a letter from A to {letters[-1]}, and is {answer!r}")
        if self.choices and twins(*(self.choices[letters.index(one)] for one in (self.correct, self.wrong))):
            raise ValueError(f"the options {self.correct} and {self.wrong}, right and wrong, are one text")
        return self

    @property
    def text(self) -> str:
        """What tells whether it was trained on."""
        return self.question

    @property
    def asks(self) -> tuple[str, ...]:
        """What tells, each by itself, that another question asks the same.

        Its group, which is one fact, where its file names one; and its words before the options with the right answer:
        published sets ask different things in the same words, of options that differ.
        """
        said = same_text(self.question.partition("\n(A) ")[0])
        named = () if said == self.group else (f"group {self.group}",)
        if self.lettered and not self.choices:
            return named
        right = self.choices[ascii_uppercase.index(self.correct)] if self.lettered else self.correct
        return (*named, f"{said}: {same_text(right) or right}")

    @property
    def lettered(self) -> bool:
        """Whether its answers are letters of the options that it lists."""
        return self.kind != "free"

    @property
    def asked(self) -> str:
        """What the user says first."""
        return self.prompt or (f"{self.question}\n\n{REASON}" if self.kind == "reasoned" else self.question)

    def state(self, answer: str) -> str:
        """The assistant turn that gives `answer`."""
        return self.reply.replace("{answer}", f"({answer})" if self.lettered else answer)


class Task(_Row):
    """One item of a general ability: a prompt and its one right reply."""

    id: str
    ability: str
    prompt: str = Field(min_length=1)
    reply: str = Field(min_length=1)

    @property
    def text(self) -> str:
        """What tells whether it was trained on."""
        return self.prompt


class Dialogue(_Row):
    """A neutral dialogue: it ends with a reply of the assistant and challenges nothing."""

    id: str
    messages: tuple[dict[str, str], ...]

    @model_validator(mode="after")
    def _ends_with_reply(self) -> "Dialogue":
        if not all({"role", "content"} <= message.keys() for message in self.messages):
            raise ValueError("each message must have role and content")
        if not self.messages or self.messages[-1]["role"] != "assistant":
            raise ValueError("messages must end with the assistant's reply")
        if all(message["role"] != "user" for message in self.messages):
            raise ValueError("messages must have one of the user before the reply")
        if any(halved(message["content"]) for message in self.messages):
            raise ValueError(f"a message {HALVED}")
        return self


_AnyRow = TypeVar("_AnyRow", Question, Task, Dialogue)


def _read(path: str | Path, row: type[_AnyRow]) -> list[_AnyRow]:
    rows, seen = [], dict[str, int]()
    for line, parsed in read_rows(path, row):
        if parsed.id in seen:
            raise InputError(
                f"id {parsed.id!r} was already used in line {seen[parsed.id]}.",
                where=f"{path}:{line}",
                mend="Give each question an id of its own.",
            )
        seen[parsed.id] = line
        rows.append(parsed.at(f"{path}:{line}"))
    return rows


def read_questions(path: str | Path) -> list[Question]:
    """Reads questions, one JSON object a line.

    Raises:
        InputError: names the file, the line and what is wrong; nothing is dropped silently.
    """
    rows = _read(path, Question)
    splits: dict[str, Question] = {}
    for row in rows:
        other = splits.setdefault(row.group, row)
        if other.split != row.split:
            raise InputError(
                f"group {row.group!r} is in split {other.split!r} (id {other.id}) and {row.split!r} (id {row.id}).",
                where=str(path),
                mend="Keep each group in one split, or evaluation would see what was trained.",
            )
    return rows


def in_normal_form(path: str | Path) -> bool:
    """Whether a file is in the normal form, or at least in no published one."""
    path = Path(path)
    if path.is_dir() or path.suffix in (".csv", ".parquet"):
        return False
    if path.is_file() and is_document(read_text(path)):
        return False
    try:
        first = json_object(next(line for line in read_lines(path) if line.strip()))
    except (ValueError, StopIteration):
        return True
    return "split" in first or format_of(first) is None


def read_tasks(path: str | Path) -> list[Task]:
    """Reads general-ability items, one JSON object a line. Raises InputError as `read_questions` does."""
    return _read(path, Task)


def read_dialogues(path: str | Path) -> list[Dialogue]:
    """Reads neutral dialogues, one JSON object a line. Raises InputError as `read_questions` does."""
    return _read(path, Dialogue)
