"""What training is stopped by, and what settings are chosen by: the behaviour on questions kept for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from pinpoint.config import TuneConfig
from pinpoint.data import draw
from pinpoint.measure import PLAIN, Chat, Deployment, Estimate, Kept, estimate, next_token_kl, share
from pinpoint.memory import BatchSize
from pinpoint.tune import Check

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def validation_check(run: Run, config: TuneConfig, deployment: Deployment = PLAIN, kept: Kept | None = None) -> Check:
    """What tuning is stopped by: the behaviour's rates on validation items; and the KL to the base. With intervals.

    Checks that share `kept` ask the base once; so do those of one tuning.
    """
    behaviour, evaluation = run.inputs.behaviour, run.config.evaluate
    items = draw(run.inputs.questions("validation"), config.check_items, run.config.seed)
    neutral = run.inputs.neutral_checked(config)
    known = Kept() if kept is None else kept
    at_once = BatchSize(evaluation.batch_size, "evaluate.batch_size")
    resampled = {"resamples": evaluation.resamples, "seed": run.config.seed}

    def check(model: PreTrainedModel) -> dict[str, Estimate]:
        chat = Chat(model, run.tokenizer, at_once, evaluation.max_new_tokens, deployment)
        found = behaviour.check(chat, items)
        rates = {name: share(list(map(float, one.holds)), one.groups, **resampled) for name, one in found.items()}
        kl = next_token_kl(run.model, model, run.tokenizer, neutral, at_once, deployment, known)
        return rates | {"kl": estimate(kl, [dialogue.id for dialogue in neutral], **resampled)}

    return check
