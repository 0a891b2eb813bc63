"""Named checks: what is held to be so, whether it is, and what can be done where it is not."""

from collections.abc import Mapping

from pydantic import BaseModel

FEWEST_ITEMS = 30
"""A rate on fewer items is told with a warning."""


class CheckResult(BaseModel):
    """A named check and what it found.

    Attributes:
        name: what is checked, as it should be.
        ok: whether it is so.
        detail: what was found, and what was wanted.
        stops: whether the run stops where it is not so; else it goes on with a warning.
        mend: what can be done where it is not so.
    """

    name: str
    ok: bool
    detail: str
    stops: bool = True
    mend: str = ""

    @property
    def warning(self) -> str:
        """What is told where it is not so and the run goes on."""
        return f"warning: {self.name}: no. {self.detail}" + (f". {self.mend}" if self.mend else "")


def enough_items(rates: Mapping[str, Mapping[str, int]]) -> CheckResult:
    """Every rate rests on enough items.

    Args:
        rates: per method and rate, the items behind it.
    """
    few = [
        f"{method}: {name} ({n})" for method, counts in rates.items() for name, n in counts.items() if n < FEWEST_ITEMS
    ]
    return CheckResult(
        name="every rate rests on enough items",
        ok=not few,
        detail=f"{len(few)} rate(s) on fewer than {FEWEST_ITEMS} items" + (f": {', '.join(few)}" if few else ""),
        stops=False,
        mend="Give more questions, or read such a rate by its interval alone.",
    )
