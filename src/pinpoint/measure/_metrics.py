"""What a head's effect is measured in: unwanted minus wanted, on the next token or on whole continuations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.errors import ConfigError


@dataclass(frozen=True)
class Metric:
    """A scalar of what a model predicts, and how two of its values are compared.

    Attributes:
        name: name in configs and artifacts.
        unit: unit of the effect.
        value: (scores [row answer], unwanted answers, wanted answers) -> [row]; scores are next-token logits, and
            answers are tokens, unless there is `over`.
        effect: (patched [... row], reference [... 1 or row]) -> [... row].
        over: (log-probabilities [row token] of the tokens of a continuation) -> [row]: the score of an answer that is
            measured whole; None where its first token is measured.
    """

    name: str
    unit: str
    value: Callable[[Tensor, list[int], list[int]], Tensor]
    effect: Callable[[Tensor, Tensor], Tensor]
    over: Callable[[Tensor], Tensor] | None = None


def _difference(
    patched: Float[Tensor, "*pair row"], reference: Float[Tensor, "*pair one"]
) -> Float[Tensor, "*pair row"]:
    return patched - reference


def _logit_diff(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    return logits[:, unwanted].mean(dim=1) - logits[:, wanted].mean(dim=1)


def _log_odds(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    return torch.logsumexp(logits[:, unwanted], dim=1) - torch.logsumexp(logits[:, wanted], dim=1)


def _raw_share(logits: Float[Tensor, "row vocab"], unwanted: list[int], wanted: list[int]) -> Float[Tensor, " row"]:
    against = logits[:, unwanted].mean(dim=1)
    return against / (against + logits[:, wanted].mean(dim=1))


def _percent(patched: Float[Tensor, "*pair row"], reference: Float[Tensor, "*pair one"]) -> Float[Tensor, "*pair row"]:
    return 100 * (patched - reference) / reference


def _sum(log_probabilities: Float[Tensor, "row token"]) -> Float[Tensor, " row"]:
    return log_probabilities.sum(dim=1)


def _per_token(log_probabilities: Float[Tensor, "row token"]) -> Float[Tensor, " row"]:
    return log_probabilities.mean(dim=1)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("logit_diff", "logits", _logit_diff, _difference),
        Metric("log_odds", "nats", _log_odds, _difference),
        # Chen et al. 2024, section 3: a ratio of raw logits. Undefined where it crosses 0 and changed by a
        # constant added to all logits; kept for comparison with the published scores.
        Metric("paper_share", "%", _raw_share, _percent),
        # Of several continuations on a side, either may come: their probabilities add up.
        Metric("logprob_diff", "nats", _log_odds, _difference, _sum),
        Metric("mean_logprob_diff", "nats per token", _logit_diff, _difference, _per_token),
    )
}


def preference(name: str) -> Metric:
    """What is above 0 where a model prefers the unwanted reply: of the metrics of the next token, the log-odds."""
    return METRICS[name] if METRICS[name].over else METRICS["log_odds"]


def metric_named(name: str) -> Metric:
    """Looks a metric up.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in METRICS:
        raise ConfigError(f"metric {name!r} is unknown.", mend=f"Use one of {', '.join(METRICS)}.")
    return METRICS[name]
