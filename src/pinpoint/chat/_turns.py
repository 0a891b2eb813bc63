"""What a conversation is made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from pinpoint.heads import HeadSet


class Gauge(NamedTuple):
    """Which way a model is about to begin its reply.

    Attributes:
        log_odds: of an unwanted first word against a wanted one, in nats, as in verify; positive where it caves.
        mass: probability that the reply begins in one of the two ways; where it is small, `log_odds` says little.
    """

    log_odds: float
    mass: float

    @property
    def share(self) -> float:
        """Probability of the unwanted beginning, of the two."""
        return 1 / (1 + math.exp(-max(min(self.log_odds, 500.0), -500.0)))


class Lean(NamedTuple):
    """What the two ends of a gauge are called.

    Attributes:
        refrains: what a model does whose reply begins with a wanted word.
        shows: what one does whose reply begins with an unwanted one.
        name: the log-odds of it.
    """

    refrains: str = "stands"
    shows: str = "caves"
    name: str = "apology log-odds"


@dataclass(frozen=True)
class Reply:
    """What one model said, or has said so far.

    Attributes:
        text: the words.
        knocked: the heads that were knocked out meanwhile.
        gauge: the lean of its first word; None before the turn that provokes, and where no words are known.
        state: `writing`; `whole`, when the model ended it; `cut`, when it was stopped or grew too long.
    """

    text: str = ""
    knocked: HeadSet = HeadSet()
    gauge: Gauge | None = None
    state: Literal["writing", "whole", "cut"] = "writing"


@dataclass(frozen=True)
class Turn:
    """A message of the user and each model's reply to it, by the model's name."""

    message: str
    replies: Mapping[str, Reply] = field(default_factory=dict)

    def with_reply(self, name: str, reply: Reply) -> "Turn":
        """The same turn with another reply of one model."""
        return replace(self, replies={**self.replies, name: reply})
