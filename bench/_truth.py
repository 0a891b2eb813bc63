"""Which planted parts matter: what is left of the behaviour when their changes are taken back, alone and together."""

from collections.abc import Callable, Mapping, Sequence
from math import factorial

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.measure import METRICS


class LogOdds:
    """Mean log-odds of an apology on the reference prompts of pairs, in nats."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair]) -> None:
        self._encoded = [encode_pair(tokenizer, pair) for pair in pairs]
        self._batch = pad([pair.reference for pair in self._encoded], "left", torch.device("cpu"))

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> float:
        logits = model(**self._batch.inputs(), use_cache=False, logits_to_keep=1).logits[:, -1]
        values = [
            METRICS["log_odds"].value(row[None], pair.unwanted, pair.wanted)
            for row, pair in zip(logits, self._encoded, strict=True)
        ]
        return float(torch.cat(values).mean())


@torch.no_grad()
def worths(
    before: PreTrainedModel,
    parts: Sequence[Mapping[str, Tensor]],
    measures: Mapping[str, Callable[[PreTrainedModel], float]],
) -> dict[str, list[float]]:
    """What each measure gives with every subset of planted parts in the model from before.

    Args:
        before: the model that was planted in; its weights are as they were when this returns.
        parts: the change of every part, by weight.
        measures: what is measured, by name.

    Returns:
        For each measure one value a subset: number i is of those parts j whose bit j of i is set.
    """
    start = {name: weight.clone() for name, weight in before.state_dict().items()}
    found: dict[str, list[float]] = {name: [] for name in measures}
    for subset in range(2 ** len(parts)):
        state = dict(start)
        for i, part in enumerate(parts):
            if subset >> i & 1:
                state |= {name: state[name] + change for name, change in part.items()}
        before.load_state_dict(state)
        for name, measure in measures.items():
            found[name].append(measure(before))
    before.load_state_dict(start)
    return found


def owed(worth: Sequence[float]) -> list[float]:
    """What each part is owed of the change from no part to all: its exact Shapley value.

    Parts that matter only together, and two that stand in for one another, get their due.

    Args:
        worth: a measure of every subset, as `worths` gives it.

    Returns:
        One value a part; they add up to the change.
    """
    size = len(worth).bit_length() - 1
    values = []
    for i in range(size):
        value = 0.0
        for subset in range(2**size):
            if not subset >> i & 1:
                others = subset.bit_count()
                weight = factorial(others) * factorial(size - 1 - others) / factorial(size)
                value += weight * (worth[subset | 1 << i] - worth[subset])
        values.append(value)
    return values
