"""Settings of `sweep`."""

from typing import Annotated

from pydantic import Field

from pinpoint.config._base import Settings


class SweepConfig(Settings):
    """Settings of `sweep`, and of `heads: validation`."""

    counts: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of heads to tune; empty for 1, 2, 4, ... up to half of all heads."""
    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.0625, 0.125, 0.25, 0.5, 1.0)
    """Shares of the training questions."""
