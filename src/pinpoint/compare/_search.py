"""One small search for every method: the same ladder, the same rule, on the validation questions."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Tried(NamedTuple):
    """A setting and what the validation questions made of it.

    Attributes:
        setting: the learning rate, strength or number of heads.
        metrics: rates, and the KL to the base.
        reached: whether the rates are at their targets.
        estimates: the metrics with their intervals, as JSON objects.
        place: the layer, or the number of heads, at which a strength was tried; None for what has no such place.
    """

    setting: float
    metrics: dict[str, float]
    reached: bool
    estimates: dict[str, dict[str, Any]] = {}
    place: int | None = None


def better(one: Tried, other: Tried) -> bool:
    """Whether `one` is preferred: what reaches the targets, with the least KL; else by the lower of the rates."""
    if one.reached != other.reached:
        return one.reached
    if one.reached:
        return one.metrics["kl"] < other.metrics["kl"]
    return _lower(one) > _lower(other)


def _lower(tried: Tried) -> float:
    return min(value for name, value in tried.metrics.items() if name != "kl")


def climb(start: float, factor: float, most: int, attempt: Callable[[float], Tried]) -> list[Tried]:
    """Walks a geometric ladder to the smallest setting that reaches the targets, or else to the best.

    From a setting that reaches them it goes down for as long as they are reached at less KL. From one that does not it
    goes up until they are, for as long as that makes it better; where it never did, down.

    Args:
        start: where to begin.
        factor: between neighbours.
        most: settings to try at the most.
        attempt: trains or steers at a setting and measures it.

    Returns:
        All that was tried, the best first.
    """
    tried = {0: attempt(start)}

    def walk(direction: int) -> None:
        step = 0
        while len(tried) < most:
            step += direction
            tried[step] = attempt(start * factor**step)
            arrived = direction > 0 and tried[step].reached
            if arrived or not better(tried[step], tried[step - direction]):
                return

    if not tried[0].reached:
        walk(+1)
    if best_of(tried) == 0:
        walk(-1)
    order = best_of(tried)
    rest = [found for step, found in sorted(tried.items()) if step != order]
    return [tried[order], *rest]


def best_of(tried: dict[int, Tried]) -> int:
    """The rung whose result is best; the lower rung where two are equal."""
    best = min(tried)
    for step in sorted(tried):
        if better(tried[step], tried[best]):
            best = step
    return best
