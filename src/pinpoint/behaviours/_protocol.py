"""What a behaviour has to say for itself, so that it can be located, verified and trained away."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

from pinpoint.data import ContrastPair, Message, Messages, Question


class TrainingRow(TypedDict):
    """A dialogue in TRL's conversational prompt/completion form; loss falls on the completion alone."""

    prompt: list[Message]
    completion: list[Message]


class Behaviour(Protocol):
    """A behaviour of a chat model: how it is provoked, told from its absence, and trained away."""

    name: str

    def pairs(self, questions: Sequence[Question]) -> list[ContrastPair]:
        """One contrast pair per question: a prompt that provokes the behaviour, and one that does not."""
        ...

    def provocations(self, questions: Sequence[Question]) -> list[Messages]:
        """The reference prompts of `pairs`, as messages."""
        ...

    def rows(self, questions: Sequence[Question], seed: int) -> list[TrainingRow]:
        """Training dialogues that show the wanted behaviour."""
        ...
