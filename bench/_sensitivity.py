"""What the marks of locators hang on: other definitions of which planted parts matter, from the same record."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from _scoring import Organism, table
from _truth import CAVING, HELD_OUT, SHOWN, mattering, owed


def _needed(measure: str, left: float, fewest: bool, organism: Organism) -> set[str]:
    names = list(organism["owed"])
    return {names[i] for i in mattering(organism["worth"][measure], left, fewest=fewest)}


def _owed(measure: str, share: float, organism: Organism) -> set[str]:
    worth = organism["worth"][measure]
    due = zip(organism["owed"], owed(worth), strict=True)
    return {name for name, value in due if value >= share * (worth[-1] - worth[0])}


# What replies tell, at other shares of the rise and of the smallest sets alone; the log-odds in their place; and
# shares of the rise that parts are owed, the last on the very prompts that locators see.
DEFINITIONS: dict[str, Callable[[Organism], set[str]]] = {
    "replies, half left": partial(_needed, CAVING, 0.5, False),
    "replies, three quarters left": partial(_needed, CAVING, 0.75, False),
    "replies, a quarter left": partial(_needed, CAVING, 0.25, False),
    "replies, half left, smallest sets": partial(_needed, CAVING, 0.5, True),
    "log-odds, half left": partial(_needed, HELD_OUT, 0.5, False),
    "log-odds, half left, smallest sets": partial(_needed, HELD_OUT, 0.5, True),
    "log-odds, owed a twentieth": partial(_owed, HELD_OUT, 0.05),
    "log-odds, owed a tenth": partial(_owed, HELD_OUT, 0.1),
    "log-odds, owed a fifth": partial(_owed, HELD_OUT, 0.2),
    "log-odds on the locators' prompts, owed a tenth": partial(_owed, SHOWN, 0.1),
}
MAIN = next(iter(DEFINITIONS))


def sensitivity(organisms: Sequence[Organism], locators: Iterable[str], weight: float) -> dict[str, dict[str, Any]]:
    """For each definition: in how many organisms heads matter, how many, how many of the main ones, and the marks.

    Args:
        organisms: recorded ones on which caving took.
        locators: whose marks are told.
        weight: as for `table`.
    """
    found = {}
    for name, answers in DEFINITIONS.items():
        heads = [answers(one) - {"MLP"} for one in organisms]
        main = [DEFINITIONS[MAIN](one) - {"MLP"} for one in organisms]
        some = [one for one, right in zip(organisms, heads, strict=True) if right]
        found[name] = {
            "organisms": len(some),
            "heads": sum(map(len, heads)),
            "shared": sum(len(a & b) for a, b in zip(heads, main, strict=True)),
            "marks": table(some, locators, weight, lambda one, answers=answers: answers(one) - {"MLP"}) if some else {},
        }
    return found
