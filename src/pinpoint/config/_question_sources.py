"""Sets of questions that one stage alone takes."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pinpoint.config._base import Settings, Text

ROLES = ("locate", "train", "evaluate")
"""The keys of `DataConfig` that list such sets."""


class ColumnMap(Settings):
    """Which column of a question file holds what."""

    question: Text
    correct: Text
    wrong: Text | None = None
    aliases: Text | None = None
    """A list, or texts parted by bars."""
    options: Text | None = None
    """A list of texts; the right answer is then a letter, A for the first, or an option's text."""
    explanation: Text | None = None
    """Why the right answer is right (see `tune.explanations`)."""


class QuestionSource(Settings):
    """A set of questions, or some of it. In YAML its path alone will do."""

    path: Text
    """A file or folder as `data.questions` takes it, or an address with its checksum."""
    questions: int | None = Field(None, ge=1)
    """How many of its questions are taken at the most, drawn by the seed; null for all."""
    columns: ColumnMap | None = None
    """Column names, where they are the user's own."""


def _source(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Sources = Annotated[tuple[Annotated[QuestionSource, BeforeValidator(_source)], ...], BeforeValidator(_several)]
"""One set or several."""
