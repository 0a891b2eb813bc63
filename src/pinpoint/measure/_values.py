"""Reading the metric off what leaves the last block at the measured positions."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.interventions import final_logits
from pinpoint.measure._metrics import Metric
from pinpoint.models import HeadedModel

# A row's logits of a few tokens take as much room as some hundred of its residual vectors; those of all, far more.
_LOGIT_ROWS = 1024
_LOGITS_AT_ONCE = 1 << 24


def values(
    view: HeadedModel,
    hidden: Float[Tensor, "site row d_model"],
    pairs: Sequence[EncodedPair],
    metric: Metric,
    unembed: Callable[[HeadedModel, Tensor, list[int] | None], Tensor] = final_logits,
) -> Float[Tensor, "pair row"]:
    """The metric on rows at the measured positions.

    Args:
        view: the model.
        hidden: the rows; by default, of the residual stream that left the last block.
        pairs: the pairs that the sites are of, in order.
        metric: the metric.
        unembed: gives their logits; `next_token_logits` where the backbone put the rows out.
    """
    if metric.over is None:
        tokens = sorted({token for pair in pairs for token in (*pair.unwanted, *pair.wanted)})
        place = {token: i for i, token in enumerate(tokens)}
        step = max(1, _LOGIT_ROWS // hidden.shape[1])
        logits = torch.cat([unembed(view, part, tokens) for part in hidden.split(step)])
        sides = [([place[t] for t in pair.unwanted], [place[t] for t in pair.wanted]) for pair in pairs]
        return torch.stack([metric.value(row, *side) for row, side in zip(logits, sides, strict=True)])
    targets = _targets(pairs)[:, None].expand(hidden.shape[:2])  # [site row]
    step = max(1, _LOGITS_AT_ONCE // int(view.config.vocab_size))
    parts = zip(hidden.flatten(0, 1).split(step), targets.flatten().split(step), strict=True)
    found = torch.cat([_log_probabilities(unembed(view, part, None), target) for part, target in parts])
    return _over_continuations(found.view(hidden.shape[:2]), pairs, metric)


def values_of_logits(
    logits: Float[Tensor, "site vocab"], pairs: Sequence[EncodedPair], metric: Metric
) -> Float[Tensor, " pair"]:
    """The metric on next-token logits at the measured positions."""
    if metric.over is None:
        each = [metric.value(row[None], pair.unwanted, pair.wanted) for row, pair in zip(logits, pairs, strict=True)]
        return torch.cat(each)
    found = _log_probabilities(logits, _targets(pairs))
    return _over_continuations(found[:, None], pairs, metric)[:, 0]


def _targets(pairs: Sequence[EncodedPair]) -> Tensor:
    return torch.tensor([token for pair in pairs for continuation in pair.continuations for token in continuation])


def _log_probabilities(logits: Float[Tensor, "row vocab"], targets: Tensor) -> Float[Tensor, " row"]:
    return logits.gather(1, targets[:, None].to(logits.device))[:, 0] - logits.logsumexp(dim=1)


def _over_continuations(
    found: Float[Tensor, "site row"], pairs: Sequence[EncodedPair], metric: Metric
) -> Float[Tensor, "pair row"]:
    """From log-probabilities of the tokens of all continuations of all pairs."""
    assert metric.over is not None
    lengths = [[len(continuation) for continuation in pair.continuations] for pair in pairs]
    ends = list(accumulate(sum(each) for each in lengths))
    result = []
    for pair, each, end in zip(pairs, lengths, ends, strict=True):
        own = found[end - sum(each) : end].T.split(each, dim=1)  # a [row token] for each continuation
        scores = torch.stack([metric.over(part) for part in own], dim=1)  # [row continuation]
        result.append(metric.value(scores, pair.unwanted, pair.wanted))
    return torch.stack(result)
