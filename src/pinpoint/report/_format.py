"""Numbers as text: rates, differences, divergences, durations."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pinpoint.numerals import DASH as DASH
from pinpoint.numerals import bracketed, with_interval, with_n

NBSP = "\u00a0"

Estimated = Mapping[str, Any]


class Unit(NamedTuple):
    """How a quantity is written."""

    factor: float
    spec: str
    suffix: str


RATE = Unit(100, ".1f", " %")
GAP = Unit(100, "+.1f", " points")
NATS = Unit(1, "#.4g", "")
IN_NATS = NATS._replace(suffix=" nats")
"""The same outside of tables, whose labels name the unit."""


class Shown(NamedTuple):
    """An estimate in three texts: the value is a dash where it has no interval, and `n` empty where it has none."""

    value: str
    interval: str
    n: str


def number(value: float | None, spec: str) -> str:
    """A number under a format spec, with a true minus sign; a dash where it is undefined."""
    if value is None:
        return DASH
    if value == 0 and "g" in spec:
        return "0"
    text = format(value, spec)
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return f"−{text[1:]}" if text.startswith("-") else text


def quantity(value: float | None, unit: Unit) -> str:
    """A number in its unit; a dash where it is undefined."""
    return DASH if value is None else number(value * unit.factor, unit.spec) + unit.suffix


def percent(value: float | None) -> str:
    """A fraction of 1 as "96.2 %", never parted at the end of a line."""
    return quantity(value, RATE).replace(" ", NBSP)


def shown(estimate: Estimated | None, unit: Unit) -> Shown:
    """An estimate as value, 95 % interval and number of items."""
    if estimate is None or estimate["value"] is None:
        return Shown(DASH, "", "")
    interval = bracketed(estimate["low"], estimate["high"], unit.spec, unit.factor, number)
    return Shown(quantity(estimate["value"], unit) if interval else DASH, interval, count(estimate["n"]))


def control(draws: Sequence[float], spec: str = ".2f") -> str:
    """Draws of a control as "4.21 [3.90, 4.50]": their mean, the lowest and the highest."""
    if not draws:
        return DASH
    spread = {"value": sum(draws) / len(draws), "low": min(draws), "high": max(draws)}
    return with_interval(spread, spec, write=number)


def all_of(estimate: Estimated | None, unit: Unit) -> str:
    """An estimate as "96.2 % [94.0, 98.1] n=96"."""
    return together(shown(estimate, unit))


def together(estimate: Shown) -> str:
    """The three texts of an estimate as one; a mean never stands without its n."""
    text = f"{estimate.value} {estimate.interval}".rstrip()
    return with_n(text, estimate.n) if estimate.n else text


def cases(estimate: Estimated | None, *, flipped: bool = False) -> str:
    """A rate as "96.2 % [94.2, 98.2] of 320 cases"; where `flipped`, that of the others among them."""
    if estimate is None or estimate["value"] is None:
        return f"{DASH} of the cases"
    if flipped:
        value, high, low = (None if end is None else 1 - end for end in map(estimate.get, ("value", "low", "high")))
        estimate = {"value": value, "low": low, "high": high, "n": estimate["n"]}
    text, interval, n = shown(estimate, RATE)
    return f"{f'{text} {interval}'.rstrip().replace(' %', f'{NBSP}%')} of {n} cases"


def count(value: int | None) -> str:
    """A whole number with its thousands set apart."""
    return DASH if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """Seconds as "0.8 s", "42 s", "3 min 20 s" or "1 h 5 min"."""
    if seconds is None:
        return DASH
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ratio(part: float, whole: float) -> str:
    """The share of `part` in `whole` with the digits it deserves: "12.5 %", "0.46 %"."""
    if not whole:
        return DASH
    share = 100 * part / whole
    return f"{share:.1f}{NBSP}%" if share >= 1 or share == 0 else f"{share:.2g}{NBSP}%"


def within(label: str) -> str:
    """A label as it stands within a sentence."""
    return label[:1].lower() + label[1:]


def opening(label: str) -> str:
    """A label as it opens a sentence."""
    return label[:1].upper() + label[1:]
