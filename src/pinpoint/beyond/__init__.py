"""Sets that a model is evaluated on beside its behaviour's own: other kinds of sycophancy, out of distribution."""

from pinpoint.beyond._protocol import Found, FurtherMeasure, FurtherRow, FurtherSet
from pinpoint.beyond._registry import FURTHER

__all__ = ["FURTHER", "Found", "FurtherMeasure", "FurtherRow", "FurtherSet"]
