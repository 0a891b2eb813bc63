"""Tests of the differences between methods, item by item, corrected over the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from pinpoint.behaviours import Outcomes
from pinpoint.measure import holm, mcnemar

Tests = dict[str, dict[str, dict[str, Any]]]


def paired_tests(answers: Mapping[str, Mapping[str, Outcomes]], against: Sequence[str]) -> dict[str, Tests]:
    """Exact McNemar tests of every method against each of a few, with Holm's correction over all of them.

    The family is everything that is returned, over measures, methods and whom they are tested against; two methods that
    are tested against one another in both directions count once.

    Args:
        answers: per method and measure, what came of the same items.
        against: the methods that the others are tested against.

    Returns:
        Per method of `against`, measure and method: groups gained and lost, p, and p corrected for the family.
    """
    tables: dict[str, Tests] = {}
    family: dict[str, float] = {}
    for rival in against:
        for measure, theirs in answers[rival].items():
            row = tables.setdefault(rival, {}).setdefault(measure, {})
            for name, measures in answers.items():
                if name != rival:
                    found = mcnemar(measures[measure].holds, theirs.holds, theirs.groups)
                    row[name] = found._asdict()
                    family[_test(measure, name, rival)] = found.p
    corrected = holm(family)
    for rival, table in tables.items():
        for measure, row in table.items():
            for name, one in row.items():
                one["p_holm"] = corrected[_test(measure, name, rival)]
    return tables


def _test(measure: str, one: str, other: str) -> str:
    return "\0".join((measure, *sorted((one, other))))
