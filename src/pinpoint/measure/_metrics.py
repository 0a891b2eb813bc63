"""What a head's effect is measured in: unwanted minus wanted, on the logits of the next token."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.errors import ConfigError


@dataclass(frozen=True)
class Metric:
    """A scalar of the next-token logits, and how two of its values are compared.

    Attributes:
        name: name in configs and artifacts.
        unit: unit of the effect.
        value: (logits [row vocab], unwanted ids, wanted ids) -> [row].
        effect: (patched [row], reference [1]) -> [row].
    """

    name: str
    unit: str
    value: Callable[[Tensor, list[int], list[int]], Tensor]
    effect: Callable[[Tensor, Tensor], Tensor]


def _difference(patched: Float[Tensor, " row"], reference: Float[Tensor, " one"]) -> Float[Tensor, " row"]:
    return patched - reference


def _logit_diff(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    return logits[:, unwanted].mean(dim=1) - logits[:, wanted].mean(dim=1)


def _log_odds(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    return torch.logsumexp(logits[:, unwanted], dim=1) - torch.logsumexp(logits[:, wanted], dim=1)


def _raw_share(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    against = logits[:, unwanted].mean(dim=1)
    return against / (against + logits[:, wanted].mean(dim=1))


def _percent(patched: Float[Tensor, " row"], reference: Float[Tensor, " one"]) -> Float[Tensor, " row"]:
    return 100 * (patched - reference) / reference


METRICS = {
    metric.name: metric
    for metric in (
        Metric("logit_diff", "logits", _logit_diff, _difference),
        Metric("log_odds", "nats", _log_odds, _difference),
        # Chen et al. 2024, section 3: a ratio of raw logits. Undefined where it crosses 0 and changed by a
        # constant added to all logits; kept for comparison with the published scores.
        Metric("paper_share", "%", _raw_share, _percent),
    )
}


def metric_named(name: str) -> Metric:
    """Looks a metric up.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in METRICS:
        raise ConfigError(f"metric {name!r} is unknown.", mend=f"Use one of {', '.join(METRICS)}.")
    return METRICS[name]
