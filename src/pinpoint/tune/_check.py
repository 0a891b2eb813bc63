"""What a check on the validation questions found, and whether it is good enough."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from transformers import PreTrainedModel

from pinpoint.measure import Estimate
from pinpoint.numerals import with_interval, with_n

Found = Mapping[str, Estimate | float]
"""Rates, higher being better, and the KL to the base: with their intervals, or as bare numbers that have none."""
Check = Callable[[PreTrainedModel], Found]


class Checkpoint(NamedTuple):
    """What a check on the validation questions found.

    Attributes:
        step: of the optimiser.
        seconds: spent training until then.
        metrics: rates, and the KL to the base.
        estimates: those that have intervals, with these and n, as JSON objects.
    """

    step: int
    seconds: float
    metrics: dict[str, float]
    estimates: dict[str, dict[str, Any]] = {}  # a journal of an older version has none


def values_of(found: Found) -> dict[str, float]:
    """The numbers alone."""
    values: dict[str, float] = {}
    for name, one in found.items():
        value = one.value if isinstance(one, Estimate) else one
        assert value is not None, f"nothing was checked for {name}"
        values[name] = value
    return values


def estimates_of(found: Found) -> dict[str, dict[str, Any]]:
    """What has intervals, as JSON objects."""
    return {name: one.to_json() for name, one in found.items() if isinstance(one, Estimate)}


def words_of(metrics: Mapping[str, float], estimates: Mapping[str, Mapping[str, Any]]) -> str:
    """What was found as a line of text: "truthfulness 0.938 [0.885, 0.979] n=96, ..."."""
    return ", ".join(f"{name} {_shown(value, estimates.get(name))}" for name, value in metrics.items())


def _shown(value: float, estimate: Mapping[str, Any] | None) -> str:
    return f"{value:.3f}" if estimate is None else with_n(with_interval(estimate, ".3f"), estimate["n"])


def reaches(metrics: Mapping[str, float], targets: Mapping[str, float]) -> bool:
    """Whether every rate is at its target or above; never, where there are no targets."""
    return bool(targets) and all(metrics[name] >= value for name, value in targets.items())
