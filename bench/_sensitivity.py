"""What the marks of locators hang on: other thresholds for which planted heads matter, from the same record."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from _plants import MATTERS
from _scoring import COMBINED, Organism, table

SHARES = (0.05, MATTERS, 0.15, 0.2)


def _heads(share: float, organism: Organism) -> list[str]:
    """The heads that are owed at least a share of the rise."""
    due = organism["owed"].items()
    return [part for part, value in due if part != "MLP" and value >= share * organism["rise"]]


def sensitivity(organisms: Sequence[Organism], locators: Sequence[str], weight: float) -> list[dict[str, Any]]:
    """The marks where other shares of the rise make a head one that matters.

    Args:
        organisms: recorded ones; those that some locator has not scored are left out.
        locators: whose marks are told.
        weight: as for `table`.
    """
    rows = []
    for share in SHARES:
        answers = partial(_heads, share)
        some = [one for one in organisms if _scored(one, locators) and answers(one)]
        heads = sum(len(answers(one)) for one in some)
        marks = table(some, locators, weight, answers)
        rows.append({"share": share, "organisms": len(some), "heads": heads, "marks": marks})
    return rows


def _scored(organism: Organism, locators: Iterable[str]) -> bool:
    return not {*locators} - {*organism["found"], COMBINED}
