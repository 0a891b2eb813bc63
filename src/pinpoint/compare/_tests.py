"""Tests of the differences between methods, item by item, corrected over all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pinpoint.behaviours import Outcomes
from pinpoint.measure import holm, mcnemar, sign_flips

Tests = dict[str, dict[str, dict[str, Any]]]


class Amounts(NamedTuple):
    """A number for each item, and the item's group."""

    values: list[float]
    groups: list[str]


def paired_tests(
    answers: Mapping[str, Mapping[str, Outcomes | Amounts]], against: Sequence[str], seed: int
) -> dict[str, Tests]:
    """Tests every method against each of a few, with Holm's correction over all of them.

    Outcomes are tested by McNemar's exact test, amounts by `sign_flips` of their mean. The family is everything that
    is returned, over measures, methods and whom they are tested against; two methods that are tested against one
    another in both directions count once.

    Args:
        answers: per method and measure, what came of the same items. A measure is tested where both methods have it.
        against: the methods that the others are tested against.
        seed: of the sign flips.

    Returns:
        Per method of `against`, measure and method: p, p corrected for the family and, of outcomes, groups gained and
        lost.
    """
    tables: dict[str, Tests] = {}
    family: dict[str, float] = {}
    for rival in against:
        for measure, theirs in answers[rival].items():
            ours = {name: some[measure] for name, some in answers.items() if name != rival and measure in some}
            tables.setdefault(rival, {})[measure] = row = _tested(ours, theirs, seed)
            family |= {_test(measure, name, rival): found["p"] for name, found in row.items()}
    corrected = holm(family)
    for rival, table in tables.items():
        for measure, row in table.items():
            for name, one in row.items():
                one["p_holm"] = corrected[_test(measure, name, rival)]
    return tables


def _tested(ours: Mapping[str, Outcomes | Amounts], theirs: Outcomes | Amounts, seed: int) -> dict[str, dict[str, Any]]:
    if isinstance(theirs, Outcomes):
        held = {name: one.holds for name, one in ours.items() if isinstance(one, Outcomes)}
        return {name: mcnemar(holds, theirs.holds, theirs.groups)._asdict() for name, holds in held.items()}
    amounts = {name: one.values for name, one in ours.items() if isinstance(one, Amounts)}
    return {name: {"p": p} for name, p in sign_flips(amounts, theirs.values, theirs.groups, seed=seed).items()}


def _test(measure: str, one: str, other: str) -> str:
    return "\0".join((measure, *sorted((one, other))))
