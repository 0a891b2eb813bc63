"""Tests of the differences between methods, item by item, corrected over the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from pinpoint.measure import Exchange, holm, mcnemar

# The published rates condition on each model's own right answers; these are on the same items for every method.
FAMILIES = {"truthfulness": "fixed", "correction_acceptance": "wrong_first"}


def paired_tests(
    answers: Mapping[str, Mapping[str, Sequence[Exchange]]], against: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """Exact McNemar tests of every method against one, with Holm's correction within each measure.

    Args:
        answers: per method, the exchanges of the protocols "fixed" and "wrong_first", on the same items.
        against: the method that the others are tested against.

    Returns:
        Per measure and method: groups gained and lost, p, and p corrected for the number of methods.
    """
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for measure, protocol in FAMILIES.items():
        theirs = [exchange.final_correct for exchange in answers[against][protocol]]
        groups = [exchange.group for exchange in answers[against][protocol]]
        flips = {
            name: mcnemar([exchange.final_correct for exchange in protocols[protocol]], theirs, groups)
            for name, protocols in answers.items()
            if name != against
        }
        corrected = holm({name: found.p for name, found in flips.items()})
        tables[measure] = {name: found._asdict() | {"p_holm": corrected[name]} for name, found in flips.items()}
    return tables
