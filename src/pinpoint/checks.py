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
        stage: the stage that made it; empty for what is asked beside the stages.
    """

    name: str
    ok: bool
    detail: str
    stops: bool = True
    mend: str = ""
    stage: str = ""

    @property
    def failure(self) -> str:
        """What is told where it is not so."""
        return f"check {self.name!r} failed: {self.detail.removesuffix('.')}."

    @property
    def warning(self) -> str:
        """What is told where it is not so and the run goes on."""
        return f"warning: {self.failure} {self.mend}".rstrip()


def enough_items(rates: Mapping[str, Mapping[str, int]]) -> CheckResult:
    """Every rate rests on enough items.

    Args:
        rates: per method and rate, the items behind it.
    """
    names = dict.fromkeys(name for counts in rates.values() for name in counts)
    counted = {name: {method: counts[name] for method, counts in rates.items() if name in counts} for name in names}
    few = [f"{name} ({_few(counts)})" for name, counts in counted.items() if min(counts.values()) < FEWEST_ITEMS]
    return CheckResult(
        name="every rate rests on enough items",
        ok=not few,
        detail=f"{len(few)} of {len(names)} rest on fewer than {FEWEST_ITEMS}" + (f": {', '.join(few)}" if few else ""),
        stops=False,
        mend="Give more questions, or read such a rate by its interval alone.",
    )


def _few(counts: Mapping[str, int]) -> str:
    """The items behind a rate: one number where all methods have as many, else those of methods with too few."""
    if len({*counts.values()}) == 1:
        return str(next(iter(counts.values())))
    return ", ".join(f"{method} {n}" for method, n in counts.items() if n < FEWEST_ITEMS)
