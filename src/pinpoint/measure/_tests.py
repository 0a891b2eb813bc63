"""Significance of paired differences: exact McNemar tests, and Holm's correction over a table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy.stats import binomtest


class Flips(NamedTuple):
    """Items on which two models differ, and how likely so uneven a split is by chance."""

    gained: int
    lost: int
    p: float


def mcnemar(values: Sequence[bool], others: Sequence[bool]) -> Flips:
    """Exact McNemar test of `values` against `others`, item by item (two-sided binomial on the items that differ)."""
    pairs = list(zip(values, others, strict=True))
    gained = sum(ours and not theirs for ours, theirs in pairs)
    lost = sum(theirs and not ours for ours, theirs in pairs)
    p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Flips(gained, lost, float(p))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction over one family of tests: adjusted p values, by name."""
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return adjusted
