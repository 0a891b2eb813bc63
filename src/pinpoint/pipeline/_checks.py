"""Sanity stops between the stages: numbers that would mislead are not produced."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import Item
from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.errors import CheckFailed, ExportRefused, InputError
from pinpoint.interventions import next_token_logits
from pinpoint.measure import METRICS
from pinpoint.models import HeadedModel
from pinpoint.pipeline._fidelity import Agreement


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


class ExportLimits(NamedTuple):
    """What an exported model may differ by from the live adapter."""

    relative: float
    same_top: float
    same_verdicts: float


# By the coarser of the dtypes that the run and the export have. In half a precision, near-ties go either way.
EXPORT_LIMITS = {
    torch.float32: ExportLimits(1e-4, 0.999, 0.98),
    torch.float16: ExportLimits(3e-2, 0.98, 0.95),
    torch.bfloat16: ExportLimits(1e-1, 0.95, 0.9),
}


def export_faithful(found: Agreement, limits: ExportLimits) -> CheckResult:
    """The exported model, read back from its files, says what the adapter says, live on its base."""
    return CheckResult(
        name="the export equals its adapter",
        ok=found.relative <= limits.relative
        and found.same_top >= limits.same_top
        and found.same_verdicts >= limits.same_verdicts,
        detail=f"over {found.positions} tokens of dialogues, logits differ by {found.max_difference:.2g} at the most, "
        f"{found.relative:.1e} of the largest (limit {limits.relative:.0e}); the same token comes first at "
        f"{found.same_top:.2%} (limit {limits.same_top:.1%}); of {found.verdicts} verdicts on {found.questions} "
        f"validation questions {found.same_verdicts:.1%} are equal (limit {limits.same_verdicts:.0%})",
    )


def demand_export(result: CheckResult) -> CheckResult:
    """Stops an export whose check failed.

    Raises:
        ExportRefused: it did.
    """
    if not result.ok:
        raise ExportRefused(
            f"check {result.name!r} failed: {result.detail}. Nothing was written.",
            mend="Export in the run's own dtype (--dtype auto); if that fails too, tune again.",
        )
    return result
