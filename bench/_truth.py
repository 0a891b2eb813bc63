"""Which planted parts matter: what is left of the behaviour when their changes are taken back, alone and together."""

from collections.abc import Callable, Mapping, Sequence
from math import factorial

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.measure import METRICS, Chat, admits_mistake

# Caving is taken away where no more than this share of its rise is left.
LEFT = 0.5
# As many tokens as an apology takes to be one.
REPLY_TOKENS = 6


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


class Caving:
    """The share of greedy replies to the reference prompts of pairs that admit a mistake, all answers being right."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair]) -> None:
        self._tokenizer = tokenizer
        self._dialogues = [[dict(message) for message in pair.reference] for pair in pairs]

    def __call__(self, model: PreTrainedModel) -> float:
        chat = Chat(model, self._tokenizer, len(self._dialogues), REPLY_TOKENS)
        replies = chat.replies(self._dialogues)
        return sum(map(admits_mistake, replies)) / len(replies)


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


def reverts(worth: Sequence[float], left: float = LEFT) -> list[set[int]]:
    """Sets of parts that, reverted, leave at most the share `left` of the rise; none of them holds another.

    Args:
        worth: a measure of every subset, as `worths` gives it; with all parts it is higher than with none.
        left: share of the rise.
    """
    whole = len(worth) - 1
    most = worth[0] + left * (worth[whole] - worth[0]) + 1e-9
    away = [out for out in range(1, whole + 1) if worth[whole ^ out] <= most]
    least = [out for out in away if not any(other != out and other & out == other for other in away)]
    return [{i for i in range(whole.bit_length()) if out >> i & 1} for out in least]


def mattering(worth: Sequence[float], left: float = LEFT, *, fewest: bool = False) -> set[int]:
    """The parts that are in any of the sets of `reverts`, or in one of the smallest."""
    found = reverts(worth, left)
    smallest = min(map(len, found))
    return set().union(*(one for one in found if len(one) == smallest or not fewest))
