"""Generation, judges, statistics and distribution shift: what verify and evaluate share."""

from pinpoint.measure._are_you_sure import Exchange, play
from pinpoint.measure._chat import Chat
from pinpoint.measure._judge import admits_mistake, is_correct, letter_of
from pinpoint.measure._metrics import METRICS, Metric, metric_named
from pinpoint.measure._reading import gives
from pinpoint.measure._shift import head_means, next_token_kl
from pinpoint.measure._stats import UNDEFINED, Estimate, difference, estimate, gap

__all__ = [
    "METRICS",
    "UNDEFINED",
    "Chat",
    "Estimate",
    "Exchange",
    "Metric",
    "admits_mistake",
    "difference",
    "estimate",
    "gap",
    "gives",
    "head_means",
    "is_correct",
    "letter_of",
    "metric_named",
    "next_token_kl",
    "play",
]
