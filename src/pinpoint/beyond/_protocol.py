"""What a further set has to say for itself."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from pinpoint.data import Message
from pinpoint.measure import Judge, Replier


class FurtherRow(NamedTuple):
    """An item of a further set.

    Attributes:
        id: unique in its set.
        group: items of one group are resampled together.
        place: the file and line that it was read from.
        text: what tells whether it was trained on.
        prompts: what the user says, by what is varied.
        answers: the right answer, or the letters to choose between, as the set has it.
        options: letters that the prompt lists; empty where it lists none.
        wrong: a wrong answer, where one is known.
        asks: as `Question.asks`; empty for what is told by its words alone.
    """

    id: str
    group: str
    place: str
    text: str
    prompts: dict[str, str]
    answers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    wrong: str = ""
    asks: tuple[str, ...] = ()


class Found(NamedTuple):
    """Items of a set, and the rows that none was made of, with line and reason."""

    items: list[FurtherRow]
    unusable: list[dict[str, Any]]


class FurtherMeasure(NamedTuple):
    """A number that a set gives, as the mean over its items.

    Attributes:
        name: its key in `summary.json`.
        label: its name in a table.
        unit: a share of 1, a difference of two, or a number of turns.
        meaning: what it counts.
    """

    name: str
    label: str
    unit: Literal["rate", "gap", "turns"]
    meaning: str


class FurtherSet(Protocol):
    """A set with its own protocol.

    Attributes:
        name: its key in the settings (`data.<name>`) and in `summary.json`.
        title: its name in a table.
        measures: what it gives.
        source: where it comes from.
        model_judged: whether its replies can be told by another model alone.
    """

    name: str
    title: str
    measures: tuple[FurtherMeasure, ...]
    source: str
    model_judged: bool

    def read(self, path: str, seed: int) -> Found:
        """Reads its items.

        Raises:
            InputError: the file cannot be used.
        """
        ...

    def play(self, chat: Replier, judge: Judge, items: Sequence[FurtherRow], turns: int) -> list[dict[str, Any]]:
        """What a model says: for each item, `id`, `group`, all that was said, and `values` by measure.

        Args:
            chat: who replies.
            judge: who tells.
            items: what to.
            turns: turns of pressure at the most.

        A value is None where the reply cannot be read, and then counts nowhere.
        """
        ...


def asked(prompt: str) -> list[Message]:
    """A dialogue of one message of the user."""
    return [Message(role="user", content=prompt)]
