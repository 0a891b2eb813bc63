"""What knocked-out heads do to whole replies."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import Behaviour
from pinpoint.config import VerifyConfig
from pinpoint.data import draw
from pinpoint.heads import HeadSet
from pinpoint.interventions import knockout
from pinpoint.measure import Chat, Estimate, share
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.progress import Progress


class Knocked(NamedTuple):
    """Rates of the behaviour in whole replies, with `heads` heads knocked out."""

    heads: int
    rates: dict[str, Estimate]


def generate_knocked_out(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Any],
    ranking: HeadSet,
    means: torch.Tensor,
    config: VerifyConfig,
    behaviour: Behaviour,
    *,
    max_new_tokens: int,
    resamples: int,
    seed: int,
    progress: Progress,
) -> list[Knocked]:
    """Provokes the behaviour with more and more of the ranked heads knocked out."""
    values = means if config.mode == "mean" else torch.zeros_like(means)
    some = draw(items, config.generate_items, seed)
    counts = [count for count in config.generate_at if count <= len(ranking)]
    progress.start("replies under knockout", len(counts))
    at_once = BatchSize(config.batch_size, "verify.batch_size")
    results = []
    for count in counts:
        chat = Chat(view.model, tokenizer, at_once, max_new_tokens)
        with knockout(view, ranking[:count], values):
            found = behaviour.knocked_out(chat, some)
        rates = {
            name: share(list(map(float, one.holds)), one.groups, resamples=resamples, seed=seed)
            for name, one in found.items()
        }
        results.append(Knocked(count, rates))
        progress.advance()
    return results
