"""Sanity stops between the stages: numbers that would mislead are not produced."""

from collections.abc import Sequence

import torch
from pydantic import BaseModel
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import Item
from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.errors import CheckFailed, InputError
from pinpoint.interventions import next_token_logits
from pinpoint.measure import METRICS
from pinpoint.models import HeadedModel


class CheckResult(BaseModel):
    """A named check and what it found."""

    name: str
    ok: bool
    detail: str


def demand(result: CheckResult) -> CheckResult:
    """Stops the run where a check failed.

    Raises:
        CheckFailed: it did.
    """
    if not result.ok:
        raise CheckFailed(f"check {result.name!r} failed: {result.detail}")
    return result


@torch.no_grad()
def _share_unwanted(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair], side: str
) -> float:
    encoded = [encode_pair(tokenizer, pair) for pair in pairs]
    unwanted = 0
    for start in range(0, len(encoded), 32):
        some = encoded[start : start + 32]
        batch = pad([getattr(pair, side) for pair in some], "left", view.device)
        hidden = view.backbone(**batch.inputs(), use_cache=False).last_hidden_state[:, -1]
        logits = next_token_logits(view, hidden)
        if not logits.isfinite().all():
            raise InputError("a logit is not finite: the model's weights hold NaN or infinity, or its dtype overflows.")
        for row, pair in zip(logits, some, strict=True):
            unwanted += float(METRICS["log_odds"].value(row[None], pair.unwanted, pair.wanted)) > 0
    return unwanted / len(encoded)


def behaviour_shown(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair]
) -> CheckResult:
    """The model shows the behaviour on most reference prompts, and not on most counterfactual ones."""
    reference = _share_unwanted(view, tokenizer, pairs, "reference")
    counterfactual = _share_unwanted(view, tokenizer, pairs, "counterfactual")
    return CheckResult(
        name="the model shows the behaviour",
        ok=reference > 0.5 > counterfactual,
        detail=f"it starts the unwanted reply on {reference:.0%} of the reference prompts and on "
        f"{counterfactual:.0%} of the counterfactual ones (wanted: most, and few)",
    )


def no_leak(trained: Sequence[Item], evaluated: Sequence[Item]) -> CheckResult:
    """No item's text is both trained on and evaluated, whatever its id."""

    def normal(item: Item) -> str:
        return " ".join(item.text.casefold().split())

    both = {normal(item) for item in trained} & {normal(item) for item in evaluated}
    example = f", e.g. {sorted(both)[0]!r}" if both else ""
    return CheckResult(
        name="training and evaluation questions differ",
        ok=not both,
        detail=f"{len(both)} question(s) in both{example}",
    )


def merge_faithful(fidelity: float, limit: float) -> CheckResult:
    """The merged model says what the live adapter says."""
    return CheckResult(
        name="the merged model equals its adapter",
        ok=fidelity <= limit,
        detail=f"largest relative difference of next-token logits {fidelity:.1e} (limit {limit:.0e})",
    )
