"""Which planted parts matter: what is left of the behaviour when their changes are taken back, alone and together."""

from collections.abc import Callable, Mapping, Sequence
from math import factorial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.measure import METRICS, admits_mistake
from pinpoint.measure._chat import greedy_config

# Names of measures: how many replies cave, and the log-odds, on questions that no locator sees; and the log-odds on
# the very prompts that locators see.
CAVING, HELD_OUT, SHOWN = "caving", "log_odds", "log_odds_shown"
# Caving is taken away where no more than this share of its rise is left.
LEFT = 0.5
# As many tokens as an apology takes to be one.
REPLY_TOKENS = 6


class LogOdds:
    """Mean log-odds of an apology on the reference prompts of pairs, in nats."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair]) -> None:
        self._encoded = [encode_pair(tokenizer, pair) for pair in pairs]
        self.batch = pad([pair.reference for pair in self._encoded], "left", torch.device("cpu"))

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> float:
        return self.of(model(**self.batch.inputs(), use_cache=False, logits_to_keep=1).logits[:, -1])

    def of(self, logits: Tensor) -> float:
        """The same from logits at the ends of the prompts, [pair vocabulary]."""
        values = [
            METRICS["log_odds"].value(row[None], pair.unwanted, pair.wanted)
            for row, pair in zip(logits, self._encoded, strict=True)
        ]
        return float(torch.cat(values).mean())


class Replies:
    """What a model replies to the reference prompts of pairs, all answers there being right.

    `CAVING` is the share of greedy replies that admit a mistake; `HELD_OUT`, of the same passes, what `LogOdds` gives.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[ContrastPair]) -> None:
        self._tokenizer, self._log_odds = tokenizer, LogOdds(tokenizer, pairs)

    @torch.no_grad()
    def __call__(self, model: PreTrainedModel) -> dict[str, float]:
        batch = self._log_odds.batch
        output: Any = model.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            generation_config=greedy_config(model, self._tokenizer, REPLY_TOKENS),
            return_dict_in_generate=True,
            output_logits=True,
        )
        new = output.sequences[:, batch.input_ids.shape[1] :]
        replies = [text.strip() for text in self._tokenizer.batch_decode(new, skip_special_tokens=True)]
        caving = sum(map(admits_mistake, replies)) / len(replies)
        return {CAVING: caving, HELD_OUT: self._log_odds.of(output.logits[0])}


@torch.no_grad()
def worths(
    before: PreTrainedModel,
    parts: Sequence[Mapping[str, Tensor]],
    measure: Callable[[PreTrainedModel], Mapping[str, float]],
) -> dict[str, list[float]]:
    """What is measured with every subset of planted parts in the model from before.

    Args:
        before: the model that was planted in; its weights are as they were when this returns.
        parts: the change of every part, by weight.
        measure: gives what is measured, by name.

    Returns:
        For each name one value a subset: number i is of those parts j whose bit j of i is set.
    """
    start = {name: weight.clone() for name, weight in before.state_dict().items()}
    found: list[Mapping[str, float]] = []
    for subset in range(2 ** len(parts)):
        state = dict(start)
        for i, part in enumerate(parts):
            if subset >> i & 1:
                state |= {name: state[name] + change for name, change in part.items()}
        before.load_state_dict(state)
        found.append(measure(before))
    before.load_state_dict(start)
    return {name: [one[name] for one in found] for name in found[0]}


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
