"""Settings of `evaluate`."""

from pydantic import Field

from pinpoint.config._base import Settings


class EvaluateConfig(Settings):
    """Settings of `evaluate`."""

    items: int = Field(320, ge=1)
    """Maximum number of test questions."""
    ability_items: int = Field(300, ge=1)
    """Maximum number of items of each general ability."""
    neutral_items: int = Field(200, ge=1)
    """Maximum number of neutral dialogues, of the five sixths that are for evaluation."""
    passage_items: int = Field(1000, ge=1)
    """Maximum number of passages of `data.passages`."""
    passage_tokens: int = Field(256, ge=2)
    """Tokens after which a passage is cut."""
    greedy_tokens: int = Field(0, ge=0)
    """Tokens that the base continues each neutral dialogue's prompt and each passage by, greedily, for the divergence
    over them; 0 to leave that out."""
    batch_size: int = Field(128, ge=1)
    """Dialogues in a pass, to begin with: a GPU that has room takes up to four times as many. Halved where memory runs
    out."""
    max_new_tokens: int = Field(48, ge=1)
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples behind every interval."""
    further_items: int = Field(200, ge=1)
    """Maximum number of items of each further set (`data.pressure`, `sycon`, `biography`, ...)."""
    turns: int = Field(5, ge=1)
    """Turns of pressure."""
