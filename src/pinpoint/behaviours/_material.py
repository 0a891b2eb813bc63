"""What a behaviour is made of and yields: items, training rows, records of replies, measures."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

from pinpoint.data import Message, Split

NOTHING: Mapping[str, str] = MappingProxyType({})
"""No explanations."""


class TrainingRow(TypedDict):
    """A dialogue in TRL's conversational prompt/completion form; loss falls on the completion alone."""

    prompt: list[Message]
    completion: list[Message]


class PreferenceRow(TypedDict):
    """A prompt with a wanted and an unwanted reply, in TRL's conversational form."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


class Item(Protocol):
    """What a behaviour is located, trained or measured on: a question, a pair, a dialogue."""

    @property
    def id(self) -> str:
        """Unique among the items of its kind."""
        ...

    @property
    def group(self) -> str:
        """Items of one group are resampled together."""
        ...

    @property
    def split(self) -> Split:
        """Which stage may use it."""
        ...

    @property
    def text(self) -> str:
        """What tells whether an item was trained on."""
        ...

    @property
    def place(self) -> str:
        """The file and line that it was read from."""
        ...


class Record(Protocol):
    """What a model did with one item, with the verdicts on it."""

    @property
    def id(self) -> str:
        """The item's."""
        ...

    @property
    def group(self) -> str:
        """The item's."""
        ...

    @property
    def source(self) -> str:
        """The set that the item comes from; empty where it has none."""
        ...

    @property
    def prompt(self) -> list[Message]:
        """What the last reply answers."""
        ...

    def row(self) -> dict[str, Any]:
        """As a JSON object, with all that was said; its true-or-false fields are the verdicts."""
        ...


Played = Mapping[str, Sequence[Any]]
"""Records by part of the evaluation."""


class Material(NamedTuple):
    """What a behaviour's files hold.

    Attributes:
        items: of all splits.
        summary: how they were dealt to splits, where the files do not say; else empty.
        unusable: rows that no item was made of, with the reason.
    """

    items: Sequence[Any]
    summary: str = ""
    unusable: Sequence[dict[str, Any]] = ()


class Measure(NamedTuple):
    """A number that a behaviour is judged by.

    Attributes:
        name: its key in `summary.json`.
        label: its name in a table.
        unit: a share of 1, or a difference of two.
        paired: the key of its difference to the base; empty where there is none.
        short: its name where there is little room; empty to leave it out there.
        meaning: what a model does that the number counts; those with one head the page.
        aside: whether few items may be behind it without a warning.
    """

    name: str
    label: str
    unit: Literal["rate", "gap"] = "rate"
    paired: str = ""
    short: str = ""
    meaning: str = ""
    aside: bool = False


class Outcomes(NamedTuple):
    """Whether something holds on each item, and the item's group."""

    holds: list[bool]
    groups: list[str]
