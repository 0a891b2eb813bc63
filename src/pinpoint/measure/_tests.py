"""Significance of paired differences: exact McNemar tests, and Holm's correction over a table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scipy.stats import binomtest


class Flips(NamedTuple):
    """Groups of items on which two models differ, and how likely so uneven a split is by chance."""

    gained: int
    lost: int
    p: float


def mcnemar(values: Sequence[bool], others: Sequence[bool], groups: Sequence[str]) -> Flips:
    """Exact McNemar test of `values` against `others`: two-sided binomial on the groups that differ.

    Several wordings of one question are not independent, so a group counts once: as gained or lost by what most of
    its items say, and not at all where they cancel out. With a group an item, it is the usual test.
    """
    net: dict[str, int] = {}
    for ours, theirs, group in zip(values, others, groups, strict=True):
        net[group] = net.get(group, 0) + int(ours) - int(theirs)
    gained, lost = (sum(sign * one > 0 for one in net.values()) for sign in (1, -1))
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
