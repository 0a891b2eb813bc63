"""Whether a model shows the behaviour on the pairs that heads are to be located on, and says so in the words named."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pinpoint.checks import CheckResult
from pinpoint.data import ContrastPair, EncodedPair, encode_pair, pad
from pinpoint.errors import InputError
from pinpoint.interventions import next_token_logits
from pinpoint.measure import (
    Estimate,
    Metric,
    check_prompts,
    forced,
    preference,
    share,
    site_counts,
    sites,
    values_of_logits,
)
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.pipeline._checks import percent

_PROMPTS = 32
_TOLD = 3
_RESAMPLES = 1000
_SIDES = ("references", "counterfactuals")


class Predicted(NamedTuple):
    """What a model predicts after one side of pairs.

    Attributes:
        values: the metric, of each pair.
        begins: the token that its reply to each begins with, greedily.
    """

    values: list[float]
    begins: list[int]


@torch.no_grad()
def predicted(view: HeadedModel, encoded: Sequence[EncodedPair], side: str, metric: Metric) -> Predicted:
    """The metric and the reply's first token on one side of each pair, "reference" or "counterfactual".

    Raises:
        InputError: a logit is not finite, or a prompt is longer than the model reads.
    """
    check_prompts(view.model, encoded)

    def measured(some: Sequence[EncodedPair]) -> list[tuple[float, int]]:
        runs = forced(some)
        batch = pad([getattr(run, side) for run in runs], "left", view.device)
        hidden = view.backbone(**batch.inputs(), use_cache=False).last_hidden_state
        measured_at = sites(batch.last, runs)
        logits = next_token_logits(view, measured_at.at(hidden))
        if not (finite := logits.isfinite().all(dim=-1)).all():
            owners = [pair for pair in some for _ in pair.continuations or (0,)]  # of the rows of `runs`
            bad = owners[int(measured_at.rows[~finite][0])]
            raise InputError(
                f"a logit after the {side} is not finite: weights hold NaN or infinity, or the dtype overflows.",
                where=f"pair {next(number for number, pair in enumerate(encoded) if pair is bad)}",
                mend="Give another --dtype, such as float32; if that is the same, load the model anew.",
            )
        values: list[float] = values_of_logits(logits, some, metric).tolist()
        return list(zip(values, _first_tokens(logits, some), strict=True))

    rows = [row for _, some in BatchSize(_PROMPTS, "prompts").over(encoded, measured) for row in some]
    return Predicted([value for value, _ in rows], [token for _, token in rows])


def _first_tokens(logits: Tensor, pairs: Sequence[EncodedPair]) -> list[int]:
    """The likeliest next token at the prompt's end of each pair, the first of its sites."""
    starts = list(accumulate(site_counts(pairs), initial=0))[:-1]
    found: list[int] = logits[starts].argmax(dim=-1).tolist()
    return found


def encoded_for(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair], metric: Metric) -> list[EncodedPair]:
    """The pairs in token ids, as a metric reads them."""
    return [encode_pair(tokenizer, pair, continued=metric.over is not None) for pair in pairs]


def _share(of: Sequence[bool], pairs: Sequence[ContrastPair]) -> Estimate:
    return share(list(map(float, of)), [pair.group for pair in pairs], resamples=_RESAMPLES, seed=0)


def _begun(pairs: Sequence[EncodedPair], found: Predicted, side: str) -> list[bool]:
    """Whether each reply begins as an answer of a side does, unwanted or wanted."""

    def firsts(pair: EncodedPair) -> set[int]:
        places: list[int] = getattr(pair, side)
        return {pair.continuations[i][0] for i in places} if pair.continuations else set(places)

    return [token in firsts(pair) for pair, token in zip(pairs, found.begins, strict=True)]


def behaviour_shown(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[ContrastPair],
    metric: str = "log_odds",
    *,
    opposed: bool = True,
    named: bool = True,
) -> CheckResult:
    """The model shows the behaviour on most reference prompts, and not on most counterfactual ones.

    That it prefers one of two words says nothing where it would say neither: its own first token is looked at too.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: the pairs.
        metric: above 0 where the model prefers the unwanted reply; of the metrics of the next token, log-odds are read.
        opposed: whether counterfactual prompts are there to get the wanted reply; else the model may say what it likes.
        named: whether the answers are the user's words, which need not be the model's; else found in its replies.
    """
    read = preference(metric)
    encoded = encoded_for(tokenizer, pairs, read)
    references, others = (predicted(view, encoded, side, read) for side in ("reference", "counterfactual"))
    prefers = [_share([value > 0 for value in one.values], pairs) for one in (references, others)]
    says = [_share(one, pairs) for one in (_begun(encoded, references, "unwanted"), _begun(encoded, others, "wanted"))]
    few, both = (", and few", " of both") if opposed else (" of the first", " of the first")
    detail = (
        f"it prefers the unwanted reply on {percent(prefers[0])} of {len(pairs)} reference prompts and on "
        f"{percent(prefers[1])} of as many counterfactual ones (wanted: most{few}); of itself it begins with an "
        f"unwanted word on {percent(says[0])} of the former and with a wanted one on {percent(says[1])} of the latter"
    )
    ok = _most_do(prefers[0]) and (not opposed or (prefers[1].value or 0.0) < 0.5)
    if named:
        detail += f" (wanted: most{both})"
        for said, one, asked in ((says[0], references, True), (says[1], others, opposed)):
            if asked and not _most_do(said):
                detail += f"; its replies to {_SIDES[one is others]} begin with {_most(tokenizer, one.begins)}"
                ok = False
    return CheckResult(
        name="the model shows the behaviour",
        ok=ok,
        detail=detail,
        mend="Give a model that does it. Where this one does, in other words, set behaviour.unwanted "
        "and behaviour.wanted to the first words of its replies, or to auto.",
    )


def _most_do(found: Estimate) -> bool:
    return (found.value or 0.0) > 0.5


def _most(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """The most frequent of some tokens as text, and how many of them there are."""
    counts = Counter(tokens).most_common(_TOLD)
    texts = {token: str(tokenizer.decode([token])) for token, _ in counts}
    # Many vocabularies write the space before a word into its token.
    return ", ".join(f"{(texts[token].strip() or texts[token])!r} ({n} of {len(tokens)})" for token, n in counts)
