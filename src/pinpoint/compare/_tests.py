"""Tests of the differences between methods, item by item, corrected over the table."""

from collections.abc import Mapping
from typing import Any

from pinpoint.behaviours import Outcomes
from pinpoint.measure import holm, mcnemar


def paired_tests(answers: Mapping[str, Mapping[str, Outcomes]], against: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Exact McNemar tests of every method against one, with Holm's correction within each measure.

    Args:
        answers: per method and measure, what came of the same items.
        against: the method that the others are tested against.

    Returns:
        Per measure and method: groups gained and lost, p, and p corrected for the number of methods.
    """
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for measure, theirs in answers[against].items():
        flips = {
            name: mcnemar(measures[measure].holds, theirs.holds, theirs.groups)
            for name, measures in answers.items()
            if name != against
        }
        corrected = holm({name: found.p for name, found in flips.items()})
        tables[measure] = {name: found._asdict() | {"p_holm": corrected[name]} for name, found in flips.items()}
    return tables
