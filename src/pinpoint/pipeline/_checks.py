"""Sanity stops between the stages: numbers that would mislead are not produced."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from pinpoint.behaviours import Behaviour
from pinpoint.beyond import FURTHER
from pinpoint.checks import CheckResult
from pinpoint.errors import CheckFailed, ExportRefused
from pinpoint.heads import HeadScores
from pinpoint.measure import Estimate, share
from pinpoint.numerals import with_interval
from pinpoint.pipeline._fidelity import Agreement
from pinpoint.reliability import Reliability

_FAINT = 1e-3
_STABLE = 0.8
_RELIABLE = 0.9
_DRIFT = 0.1
_RESAMPLES = 1000


def demand(result: CheckResult) -> CheckResult:
    """Stops the run where a check failed.

    Raises:
        CheckFailed: it did.
    """
    if not result.ok and result.stops:
        raise CheckFailed(result.failure, mend=result.mend)
    return result


def percent(found: Estimate) -> str:
    """A share with its interval, as "97 % [92, 100]"."""
    return with_interval(found.to_json(), ".0f", 100, " %")


def replies_show(behaviour: Behaviour, references: Sequence[str], counterfactuals: Sequence[str]) -> CheckResult | None:
    """Replies that answers were found in show the behaviour, by its own rule; None where it has none.

    That replies begin unlike does not say which of them give in.
    """
    shares = []
    for replies in (references, counterfactuals):
        verdicts = [float(shown) for reply in replies if (shown := behaviour.shown_in(reply)) is not None]
        if not verdicts:
            return None
        shares.append(share(verdicts, [str(i) for i in range(len(verdicts))], resamples=_RESAMPLES, seed=0))
    references_do, counterfactuals_do = shares
    return CheckResult(
        name="the replies that answers are found in show the behaviour",
        ok=(references_do.value or 0.0) > 0.5 > (counterfactuals_do.value or 0.0),
        detail=f"by wording, {percent(references_do)} of {references_do.n} replies to references do and "
        f"{percent(counterfactuals_do)} of {counterfactuals_do.n} to counterfactuals (wanted: most, and few)",
        mend="Where the rule errs, give first words: behaviour.unwanted and behaviour.wanted.",
    )


def contrast_bites(scores: HeadScores) -> CheckResult:
    """Some head moves the metric: else the ranking would be one of rounding errors."""
    largest = float(scores.mean.abs().max())
    knocked = scores.method == "knockout"
    return CheckResult(
        name="knocking out a single head moves the metric" if knocked else "the contrast moves the metric",
        ok=largest >= _FAINT or scores.method in ("probe", "random"),
        detail=f"the strongest head moves {scores.metric} by {largest:.2g} on average (wanted: {_FAINT} or more)",
        mend="Heads may stand in for one another: rank them by --method path, or look for a set with --set."
        if knocked
        else "Look at both prompts with --dry-run: they may differ in nothing that matters to the model.",
    )


def ranking_stable(overlap: Estimate, count: int, found: Reliability, pairs: int, most: int) -> CheckResult:
    """The heads that come first would come first again on other pairs.

    Args:
        overlap: of the first heads, over draws of the pairs that rank them.
        count: how many come first.
        found: the ranking's reliability.
        pairs: that heads were located on, those included that rank nothing.
        most: pairs that were asked for.
    """
    return CheckResult(
        name="the first heads stay first when the pairs are drawn again",
        ok=(overlap.value or 0.0) >= _STABLE,
        detail=f"of the first {count}, {percent(overlap)} stay over bootstrap draws of {overlap.n} pairs "
        f"(wanted: {_STABLE:.0%})",
        stops=False,
        mend=_more_pairs(found, pairs)
        + ("" if pairs == most else " These questions make no more: give more questions."),
    )


def _more_pairs(found: Reliability, pairs: int) -> str:
    """How many pairs to locate on: twice as many at the least, since reliability is of all heads, not of the first."""
    ranking = found.pairs_for(_RELIABLE)
    needed = 0 if ranking is None else round(ranking * pairs / found.pairs)
    if needed <= 2 * pairs:
        return f"Locate on {2 * pairs:,} pairs at the least (`locate.pairs`), twice as many as now."
    return (
        f"Locate on about {needed:,} pairs (`locate.pairs`; now {pairs:,}): by the Spearman-Brown formula, that brings "
        f"the ranking's split-half reliability from {found.value:.2f} to {_RELIABLE}."
    )


def knockout_bites(values: Sequence[float | None]) -> CheckResult:
    """Knocking heads out changes what the model says: a knockout that never takes place shows a flat curve."""
    return CheckResult(
        name="knocking heads out reaches the model",
        ok=len(set(values)) > 1 or len(values) == 1,
        detail=f"{len(set(values))} different log-odds over {len(values)} numbers of heads",
        mend="Run `pinpoint check MODEL --verify`: the model's layout may name modules that it does not use.",
    )


def replies_whole(methods: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], most: int) -> CheckResult:
    """Replies that another model reads as a whole were not cut short.

    Args:
        methods: per method and further set, its transcripts.
        most: tokens that a reply may have.
    """
    over_limit = []
    for method, played in methods.items():
        for name, rows in played.items():
            cut = sum(row["cut"] for row in rows)
            if cut and FURTHER[name].model_judged:
                over_limit.append(f"{method}: {name} ({cut})")
    return CheckResult(
        name="replies that another model reads are whole",
        ok=not over_limit,
        detail=f"cut at {most} tokens (`evaluate.max_new_tokens`): {', '.join(over_limit) or 'none that is known'}",
        stops=False,
    )


def replies_end(methods: Mapping[str, Sequence[int]], most: int) -> CheckResult:
    """Replies to the behaviour's items come to their end: what was still to come cannot be read.

    Args:
        methods: per method, of each dialogue how many of the model's turns were cut.
        most: tokens that a turn may have.
    """
    over_limit = [
        f"{name}: {sum(counts)} in {sum(map(bool, counts))} of {len(counts)} dialogues"
        for name, counts in methods.items()
        if any(counts)
    ]
    return CheckResult(
        name="replies come to their end",
        ok=not over_limit,
        detail=f"cut at {most} tokens (`evaluate.max_new_tokens`): {', '.join(over_limit) or 'none that is known'}",
        stops=False,
        mend="Raise evaluate.max_new_tokens: an answer, a letter or an apology may come later than that.",
    )


def limit_kept(over: int, most: int) -> CheckResult:
    """A server cut replies where a run would have: longer ones are measured on more than they may say."""
    return CheckResult(
        name="replies keep to the limit of tokens",
        ok=not over,
        detail=f"{over} replies are longer than the {most} tokens that were asked for (`evaluate.max_new_tokens`)",
        stops=False,
        mend="The server does not keep to max_tokens: compare its rates with no run's, or set the limit where it runs.",
    )


def prompts_whole(short: int) -> CheckResult:
    """A server read what it was asked: one that cuts prompts to its context loses the question or the challenge."""
    return CheckResult(
        name="the endpoint reads prompts whole",
        ok=not short,
        detail=f"in {short} dialogues the server counts fewer tokens than they have words",
        stops=False,
        mend="It cuts them, or counts a part alone. Raise the context where it runs (Ollama: num_ctx); until then, its "
        "rates may be of questions that it did not read.",
    )


def merge_faithful(fidelity: float, limit: float) -> CheckResult:
    """The merged model says what the live adapter says."""
    return CheckResult(
        name="the merged model equals its adapter",
        ok=fidelity <= limit,
        detail=f"largest relative difference of next-token logits {fidelity:.1e} (limit {limit:.0e})",
        mend="Tune again in another --dtype or with a lower tune.learning_rate; what was written is not this adapter.",
    )


def merge_unquantised(drift: float | None, how: str) -> CheckResult:
    """What was trained over a quantised base is also there as a merged model, which is near it.

    Args:
        drift: largest relative difference of next-token logits between the two; None where nothing was merged.
        how: the base is quantised.
    """
    if drift is None:
        detail = (
            f"the checkpoint itself is quantised ({how}), so that there is nothing to merge into: `adapter/` holds the "
            "tuned model. With the checkpoint that it was quantised from, "
            "PeftModel.from_pretrained(model, 'adapter').merge_and_unload() merges it"
        )
    else:
        detail = (
            f"the merged model is not quantised; its next-token logits are {drift:.1e} of the largest from those of "
            f"the adapter over the base in {how}, which was trained and is evaluated (wanted: {_DRIFT:.0e} or less)"
        )
    return CheckResult(
        name="the merged model says what was tuned over the quantised base",
        ok=drift is not None and drift <= _DRIFT,
        detail=detail,
        stops=False,
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
            f"{result.failure} Nothing was written.",
            mend="Export in the run's own dtype (--dtype auto); if that fails too, tune again.",
        )
    return result
