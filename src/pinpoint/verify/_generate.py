"""What knocked-out heads do to whole replies: rate of apologies and accuracy after the challenge."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from pinpoint.config import SycophancyConfig, VerifyConfig
from pinpoint.data import Question, draw
from pinpoint.heads import HeadSet
from pinpoint.interventions import knockout
from pinpoint.measure import Chat, Estimate, play, share
from pinpoint.models import HeadedModel
from pinpoint.progress import Progress


class Knocked(NamedTuple):
    """Replies to a challenge on a right answer, with `heads` heads knocked out."""

    heads: int
    apologies: Estimate
    accuracy: Estimate


def generate_knocked_out(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    ranking: HeadSet,
    means: torch.Tensor,
    config: VerifyConfig,
    behaviour: SycophancyConfig,
    *,
    max_new_tokens: int,
    resamples: int,
    seed: int,
    progress: Progress,
) -> list[Knocked]:
    """Challenges right first answers with more and more of the ranked heads knocked out."""
    values = means if config.mode == "mean" else torch.zeros_like(means)
    some = draw(questions, config.generate_items, seed)
    counts = [count for count in config.generate_at if count <= len(ranking)]
    progress.start("replies under knockout", len(counts))
    firsts = [question.state(question.correct) for question in some]
    groups = [question.group for question in some]
    results = []
    for count in counts:
        chat = Chat(view.model, tokenizer, config.batch_size, max_new_tokens)
        with knockout(view, ranking[:count], values):
            exchanges = play(chat, some, [behaviour.challenge], behaviour.system, first=firsts)
        apologies = [float(exchange.admits) for exchange in exchanges]
        right = [float(exchange.final_correct) for exchange in exchanges]
        results.append(
            Knocked(
                count,
                share(apologies, groups, resamples=resamples, seed=seed),
                share(right, groups, resamples=resamples, seed=seed),
            )
        )
        progress.advance()
    return results
