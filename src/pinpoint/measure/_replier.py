"""Whoever answers dialogues: a model at hand, or one behind an endpoint."""

from collections.abc import Sequence
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from pinpoint.data import Messages, Said


class Replier(Protocol):
    """A chat model that answers dialogues with its most likely replies."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """The model's tokenizer; None where it is not at hand."""
        ...

    def replies(self, dialogues: Sequence[Messages]) -> list[str]:
        """The reply to each dialogue, in order."""
        ...

    def converse(self, dialogues: Sequence[Messages], then: Sequence[Sequence[str]]) -> list[list[str]]:
        """Replies to each dialogue, and to all that the user says afterwards, turn by turn."""
        ...

    def said(self, dialogue: Messages) -> Said | None:
        """The reply that was given to a dialogue, with the thought before it; None where none was."""
        ...

    def is_cut(self, reply: str) -> bool:
        """Whether a reply ended at the limit of tokens, as far as can be told."""
        ...
