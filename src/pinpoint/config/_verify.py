"""Settings of `verify`."""

from typing import Literal

from pydantic import Field, NonNegativeInt

from pinpoint.config._base import Settings


class VerifyConfig(Settings):
    """Settings of `verify`."""

    mode: Literal["mean", "zero", "resample"] = "mean"
    max_heads: int = Field(16, ge=1)
    """The knockout curve ends here."""
    draws: int = Field(5, ge=1)
    """Random and layer-matched head sets in the control bands."""
    generate_at: tuple[NonNegativeInt, ...] = (0, 4, 8, 16)
    """Numbers of heads at which replies are generated and judged."""
    generate_items: int = Field(96, ge=1)
    """Questions asked at each of them."""
    share: float = Field(0.9, gt=0, le=1)
    """`heads: auto` picks the fewest heads that reach this share of the curve's drop."""
    batch_size: int = Field(64, ge=1)
    """Prompts in a pass, to begin with: a GPU that has room takes up to four times as many. Halved where memory runs
    out."""
