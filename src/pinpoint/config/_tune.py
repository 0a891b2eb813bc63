"""Settings of `tune`."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pinpoint.config._base import Settings
from pinpoint.errors import InputError
from pinpoint.nodes import head_or_group


def _checked_heads(value: Any) -> Any:
    """One message for three forms; pydantic would give one for each."""
    if value in ("auto", "validation") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{value!r} is none of: a number from 1, auto, validation, a list of names such as L3.H1")
    try:
        return [str(head_or_group(str(name))) for name in value]
    except InputError as error:
        raise ValueError(str(error)) from error


_Heads = Annotated[int | Literal["auto", "validation"] | tuple[str, ...], BeforeValidator(_checked_heads)]


class TuneConfig(Settings):
    """Settings of `tune`, for the head slices or for full fine-tuning."""

    heads: _Heads = "auto"
    """How many heads of the ranking to tune, which ones ("L12.H5", or "L12.G1" for all heads of a key/value group),
    `auto`, the number that knocking out says (see `verify.share`), which needs no training, or `validation`, the number
    that does best on the validation questions when it is tuned (see `sweep.counts`)."""
    max_heads: int = Field(64, ge=1)
    """`auto` never takes more than this."""
    projections: Literal["q,o", "q,k,v,o"] | None = None
    """Slices to train; by default q,k,v,o, or q,o where key/value heads are shared."""
    learning_rate: float = Field(3e-4, gt=0)
    end_learning_rate: float = Field(0.0, ge=0)
    """The rate falls in a straight line to this one, at the last step."""
    batch_size: int = Field(32, ge=1)
    """Dialogues in a step; a step that does not fit the memory is taken in parts, with the same gradient."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Dialogues of a part, to take every step in parts from the start; null for whole steps as long as they fit. Pairs
    of replies (direct preference optimisation) are taken whole."""
    epochs: float = Field(3.0, gt=0)
    check_every: int = Field(8, ge=1)
    """Optimiser steps between checks on the validation questions."""
    check_items: int = Field(96, ge=1)
    """Validation questions asked at each check, and at the most as many neutral dialogues of those kept for it."""
    truthfulness: float = Field(0.9, ge=0, le=1)
    confidence: float = Field(0.9, ge=0, le=1)
    """Training stops at the first check that reaches both; without one, after `epochs`."""
    stop_early: bool = True
    """Whether it does; false to train for all of `epochs`, as published. `sweep` and `compare` prefer what reaches both
    in either case."""
    weight_decay: float = Field(0.0, ge=0)
    anchor: float = Field(0.0, ge=0)
    """Weight of the KL to the base on neutral dialogues in the loss; 0 for none, as published."""
    cache_prefix: bool = False
    """Compute the layers below the lowest tuned head once for every dialogue instead of in every epoch, and keep their
    outputs on disk; the losses are the same."""
    explanations: Literal["none", "given", "model"] = "none"
    """Whether the trained replies say why the right answer is right: not at all, where the questions' file does, or
    everywhere, in the base model's own words where the file does not. Full fine-tuning has the same dialogues."""
    explanation_tokens: int = Field(128, ge=1)
    """Tokens at which what the model writes is cut, and then at its last whole sentence."""
    wrong_answers: Literal["dealt", "model"] = "dealt"
    """Which wrong answer a free-form question is trained on that has none in its file: another question's, or one that
    the base model writes, as far as it is of use. Full fine-tuning has the same dialogues."""
    search: str | None = None
    """A JSON record of the search that chose the learning rate, shown on the page; of full fine-tuning alone."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.end_learning_rate >= self.learning_rate:
            raise ValueError(f"end_learning_rate must be below learning_rate, {self.learning_rate}")
        return self

    def steps(self, dialogues: int) -> int:
        """Optimiser steps on so many training dialogues, where nothing stops early."""
        return math.ceil(math.ceil(dialogues / self.batch_size) * self.epochs)

    @property
    def at_once(self) -> int:
        """Dialogues that are run at once."""
        return min(self.batch_size, self.micro_batch_size or self.batch_size)

    @property
    def targets(self) -> dict[str, float]:
        """The rates that stop training, by name."""
        return {"truthfulness": self.truthfulness, "confidence": self.confidence}
