"""The numbers behind the page's figures, as rows of tables."""

from collections.abc import Iterable
from typing import Any

from pinpoint.numerals import bracketed
from pinpoint.report._format import DASH, NATS, RATE, Unit, all_of, control, duration, number, quantity
from pinpoint.report._rows import label_of


def curve_rows(curve: dict[str, Any]) -> list[list[str]]:
    """Of the knockout curve: the located heads with their interval, and each control's mean and range of draws."""
    return [
        [
            str(heads),
            number(point["value"], ".2f"),
            bracketed(point["low"], point["high"], ".2f", write=number) or DASH,
            *(control([draw[heads] for draw in curve[name]]) for name in ("random", "matched")),
        ]
        for heads, point in enumerate(curve["ranked"])
    ]


def check_rows(tunes: dict[str, dict[str, Any]], rates: Iterable[str]) -> list[list[str]]:
    """Of every check of training: what was measured on validation items."""
    return [
        [
            label_of(method),
            str(check["step"]),
            duration(check["seconds"]),
            *(checked(check, name, RATE) for name in rates),
            checked(check, "kl", NATS),
        ]
        for method, tune in tunes.items()
        for check in tune["history"]
    ]


def checked(check: dict[str, Any], name: str, unit: Unit) -> str:
    """What a check measured, with interval and n; a run of an older version kept the number alone."""
    known = check.get("estimates", {}).get(name)
    return all_of(known, unit) if known else quantity(check["metrics"][name], unit)
