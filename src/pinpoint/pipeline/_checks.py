"""Sanity stops between the stages: numbers that would mislead are not produced."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import Behaviour
from pinpoint.beyond import FURTHER
from pinpoint.data import ContrastPair, EncodedPair, encode_pair, pad
from pinpoint.errors import CheckFailed, ExportRefused, InputError
from pinpoint.heads import HeadScores
from pinpoint.interventions import next_token_logits
from pinpoint.measure import Estimate, Metric, forced, preference, sites, values_of_logits
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.pipeline._fidelity import Agreement

_FAINT = 1e-3
_STABLE = 0.8
_FEWEST_ITEMS = 30
_PROMPTS = 32


class CheckResult(BaseModel):
    """A named check and what it found.

    Attributes:
        name: what is checked, as it should be.
        ok: whether it is so.
        detail: what was found, and what was wanted.
        stops: whether the run stops where it is not so; else it goes on with a warning.
    """

    name: str
    ok: bool
    detail: str
    stops: bool = True


def demand(result: CheckResult) -> CheckResult:
    """Stops the run where a check failed.

    Raises:
        CheckFailed: it did.
    """
    if not result.ok and result.stops:
        raise CheckFailed(f"check {result.name!r} failed: {result.detail}")
    return result


@torch.no_grad()
def values_on(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair], side: str, metric: Metric
) -> list[float]:
    """The metric on one side of each pair, "reference" or "counterfactual".

    Raises:
        InputError: a logit is not finite.
    """
    encoded = [encode_pair(tokenizer, pair, continued=metric.over is not None) for pair in pairs]

    def measured(some: Sequence[EncodedPair]) -> list[float]:
        runs = forced(some)
        batch = pad([getattr(run, side) for run in runs], "left", view.device)
        hidden = view.backbone(**batch.inputs(), use_cache=False).last_hidden_state
        logits = next_token_logits(view, sites(batch.last, runs).at(hidden))
        if not logits.isfinite().all():
            raise InputError("a logit is not finite: the model's weights hold NaN or infinity, or its dtype overflows.")
        found: list[float] = values_of_logits(logits, some, metric).tolist()
        return found

    return [value for _, values in BatchSize(_PROMPTS, "prompts").over(encoded, measured) for value in values]


def _share_unwanted(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair], side: str, metric: Metric
) -> float:
    return sum(value > 0 for value in values_on(view, tokenizer, pairs, side, metric)) / len(pairs)


def behaviour_shown(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[ContrastPair],
    metric: str = "log_odds",
    *,
    opposed: bool = True,
) -> CheckResult:
    """The model shows the behaviour on most reference prompts, and not on most counterfactual ones.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: the pairs.
        metric: above 0 where the model prefers the unwanted reply; of the metrics of the next token, log-odds are read.
        opposed: whether counterfactual prompts are there to get the wanted reply; else the model may say what it likes.
    """
    read = preference(metric)
    reference = _share_unwanted(view, tokenizer, pairs, "reference", read)
    counterfactual = _share_unwanted(view, tokenizer, pairs, "counterfactual", read)
    prefers = "prefers" if read.over else "starts"
    return CheckResult(
        name="the model shows the behaviour",
        ok=reference > 0.5 and (counterfactual < 0.5 or not opposed),
        detail=f"it {prefers} the unwanted reply on {reference:.0%} of the reference prompts and on "
        f"{counterfactual:.0%} of the counterfactual ones (wanted: most{', and few' if opposed else ' of the first'})",
    )


def replies_show(behaviour: Behaviour, references: Sequence[str], counterfactuals: Sequence[str]) -> CheckResult | None:
    """Replies that answers were found in show the behaviour, by its own rule; None where it has none.

    That replies begin unlike does not say which of them give in.
    """
    shares = []
    for replies in (references, counterfactuals):
        told = [shown for reply in replies if (shown := behaviour.shown_in(reply)) is not None]
        if not told:
            return None
        shares.append(sum(told) / len(told))
    return CheckResult(
        name="the replies that answers are found in show the behaviour",
        ok=shares[0] > 0.5 > shares[1],
        detail=f"by wording, {shares[0]:.0%} of {len(references)} replies to references do and {shares[1]:.0%} of "
        "those to counterfactuals (wanted: most, and few). Where the rule errs, give first words: behaviour.unwanted "
        "and behaviour.wanted",
    )


def contrast_bites(scores: HeadScores) -> CheckResult:
    """Some head moves the metric: else the ranking would be one of rounding errors."""
    largest = float(scores.mean.abs().max())
    return CheckResult(
        name="the contrast moves the metric",
        ok=largest >= _FAINT or scores.method in ("probe", "random"),
        detail=f"the strongest head moves {scores.metric} by {largest:.2g} on average (wanted: {_FAINT} or more)",
    )


def ranking_stable(overlap: Estimate, count: int) -> CheckResult:
    """The heads that come first would come first again on other pairs."""
    share = overlap.value or 0.0
    return CheckResult(
        name="the first heads stay first when the pairs are drawn again",
        ok=share >= _STABLE,
        detail=f"of the first {count}, {share:.0%} stay on average over bootstrap draws of {overlap.n} pairs "
        f"(wanted: {_STABLE:.0%}; more pairs, `locate.pairs`, make it steadier)",
        stops=False,
    )


def knockout_bites(values: Sequence[float | None]) -> CheckResult:
    """Knocking heads out changes what the model says: a knockout that never takes place shows a flat curve."""
    return CheckResult(
        name="knocking heads out reaches the model",
        ok=len(set(values)) > 1 or len(values) == 1,
        detail=f"{len(set(values))} different log-odds over {len(values)} numbers of heads",
    )


def enough_items(rates: Mapping[str, Mapping[str, int]]) -> CheckResult:
    """Every rate rests on enough items.

    Args:
        rates: per method and rate, the items behind it.
    """
    few = [
        f"{method}: {name} ({n})" for method, counts in rates.items() for name, n in counts.items() if n < _FEWEST_ITEMS
    ]
    return CheckResult(
        name="every rate rests on enough items",
        ok=not few,
        detail=f"{len(few)} rate(s) on fewer than {_FEWEST_ITEMS} items" + (f": {', '.join(few)}" if few else ""),
        stops=False,
    )


def replies_whole(methods: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], most: int) -> CheckResult:
    """Replies that another model reads as a whole were not cut short.

    Args:
        methods: per method and further set, its transcripts.
        most: tokens that a reply may have.
    """
    told = []
    for method, played in methods.items():
        for name, rows in played.items():
            cut = sum(row["cut"] for row in rows)
            if cut and FURTHER[name].model_judged:
                told.append(f"{method}: {name} ({cut})")
    return CheckResult(
        name="replies that another model reads are whole",
        ok=not told,
        detail=f"cut at {most} tokens (`evaluate.max_new_tokens`): {', '.join(told) or 'none that can be told'}",
        stops=False,
    )


def thoughts_end(methods: Mapping[str, Sequence[int]], most: int) -> CheckResult:
    """A model that thinks before it replies comes to its reply.

    Args:
        methods: per method, of each dialogue how many of its thoughts did not end.
        most: tokens that a thought and its reply may have together.
    """
    told = [
        f"{name}: {sum(counts)} in {sum(map(bool, counts))} of {len(counts)} dialogues"
        for name, counts in methods.items()
        if any(counts)
    ]
    return CheckResult(
        name="every thought comes to its end",
        ok=not told,
        detail=f"cut at {most} tokens (`evaluate.max_new_tokens`), with no reply: {', '.join(told) or 'none'}",
        stops=False,
    )


def reply_measured(closes: bool) -> CheckResult:
    """What is measured is how the reply begins, not how a thought before it does."""
    return CheckResult(
        name="what is measured is the reply",
        ok=closes,
        detail="an empty thought goes before it"
        if closes
        else "the chat template knows thoughts and no empty one, so if the model thinks first, its heads' effects are "
        "on how the thought begins; with a choice of thinking, --thinking off measures the reply",
        stops=False,
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
