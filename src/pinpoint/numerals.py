"""Estimates and p values as text, written alike in tables, pages, cards and progress."""

from collections.abc import Callable, Mapping
from typing import Any

DASH = "–"
Write = Callable[[float, str], str]
"""How a number is written under a format spec; `format` is."""


def bracketed(low: float | None, high: float | None, spec: str, factor: float = 1, write: Write = format) -> str:
    """An interval as "[94.0, 98.1]"; empty where it has no ends.

    Args:
        low: where it begins.
        high: where it ends.
        spec: format of both.
        factor: what they are multiplied by, as 100 for percent.
        write: how a number is written.
    """
    if low is None or high is None:
        return ""
    return f"[{write(factor * low, spec)}, {write(factor * high, spec)}]"


def with_interval(
    estimate: Mapping[str, Any], spec: str, factor: float = 1, unit: str = "", write: Write = format
) -> str:
    """An estimate as "96.2 [94.0, 98.1]"; a dash where it has no interval: no mean stands alone.

    Args:
        estimate: `value`, `low` and `high`.
        spec: format of all three.
        factor: what they are multiplied by, as 100 for percent.
        unit: written behind the value.
        write: how a number is written.
    """
    if interval := bracketed(estimate["low"], estimate["high"], spec, factor, write):
        return f"{write(factor * estimate['value'], spec)}{unit} {interval}"
    return DASH


def with_n(text: str, n: int | str) -> str:
    """What was estimated as a text, and the number of items behind it, as "96.2 [94.0, 98.1] n=96"."""
    return f"{text} n={n}"


def p_value(p: float) -> str:
    """A p value as ".042", or "<.001"."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
