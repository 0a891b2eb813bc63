"""What a behaviour has to say for itself, so that it can be located, verified and trained away."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

from pinpoint.data import ContrastPair, Message, Messages, Question


class TrainingRow(TypedDict):
    """A dialogue in TRL's conversational prompt/completion form; loss falls on the completion alone."""

    prompt: list[Message]
    completion: list[Message]


class PreferenceRow(TypedDict):
    """A prompt with a wanted and an unwanted reply, in TRL's conversational form."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]


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

    def preferences(
        self, questions: Sequence[Question], seed: int, *, provoked_only: bool = False
    ) -> list[PreferenceRow]:
        """The same dialogues, each with an unwanted reply beside the wanted one.

        Args:
            questions: what they are about.
            seed: of the wordings.
            provoked_only: leave out prompts that do not provoke the behaviour.
        """
        ...

    def own_rows(self, questions: Sequence[Question], answers: Sequence[str], seed: int) -> list[TrainingRow]:
        """Training dialogues from a model's own first answers alone, for which no right answer need be known."""
        ...
