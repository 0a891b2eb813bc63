"""Settings of `tune`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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
    `auto` (see `verify.share`), or `validation`: the number that does best on the validation questions (see
    `sweep.counts`)."""
    max_heads: int = Field(64, ge=1)
    """`auto` never takes more than this."""
    projections: Literal["q,o", "q,k,v,o"] | None = None
    """Slices to train; by default q,k,v,o, or q,o where key/value heads are shared."""
    learning_rate: float = Field(3e-4, gt=0)
    batch_size: int = Field(32, ge=1)
    """Dialogues in a step; a step that does not fit the memory is taken in parts, with the same gradient."""
    epochs: float = Field(3.0, gt=0)
    check_every: int = Field(8, ge=1)
    """Optimiser steps between checks on the validation questions."""
    check_items: int = Field(96, ge=1)
    """Validation questions asked at each check."""
    truthfulness: float = Field(0.9, ge=0, le=1)
    confidence: float = Field(0.9, ge=0, le=1)
    """Training stops at the first check that reaches both; without one, after `epochs`."""
    weight_decay: float = Field(0.0, ge=0)
    anchor: float = Field(0.0, ge=0)
    """Weight of the KL to the base on neutral dialogues in the loss; 0 for none, as published."""
    cache_prefix: bool = False
    """Compute the layers below the lowest tuned head once for every dialogue instead of at every epoch, and keep what
    they put out on disk; the losses are the same."""
    explanations: Literal["none", "given", "model"] = "none"
    """Whether the trained replies say why the right answer is right: not at all, where the questions' file does, or
    everywhere, in the base model's own words where the file does not. Full fine-tuning has the same dialogues."""
    explanation_tokens: int = Field(128, ge=1)
    """Tokens at which what the model writes is cut, and then at its last whole sentence."""
    search: str | None = None
    """A JSON record of the search that chose the learning rate, shown on the page."""

    @property
    def targets(self) -> dict[str, float]:
        """The rates that stop training, by name."""
        return {"truthfulness": self.truthfulness, "confidence": self.confidence}
