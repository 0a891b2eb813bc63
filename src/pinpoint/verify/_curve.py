"""The knockout curve: does the behaviour go away when the located heads are knocked out?"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pinpoint.config import VerifyConfig
from pinpoint.data import Batch, ContrastPair, EncodedPair, encode_pair, groups_of, pad
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import captured_heads, knockout, next_token_logits, resample
from pinpoint.measure import (
    Estimate,
    Forced,
    estimate,
    forced,
    matched_order,
    preference,
    random_order,
    sites,
    values_of_logits,
)
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.progress import Progress


@dataclass(frozen=True)
class Curve:
    """Mean log-odds of the unwanted reply with the first 0..K heads of an order knocked out, in nats.

    Attributes:
        ranked: with the located heads, each with its interval over the pairs.
        random: one curve per draw of random heads.
        matched: one curve per draw of heads from the same layers.
        orders: the heads behind each curve.
    """

    ranked: list[Estimate]
    random: list[list[float]]
    matched: list[list[float]]
    orders: dict[str, list[list[str]]]

    def to_json(self) -> dict[str, object]:
        """As a JSON object."""
        ranked = [point.to_json() for point in self.ranked]
        return {"ranked": ranked, "random": self.random, "matched": self.matched, "orders": self.orders}


def _both_real(reference: Tensor, counterfactual: Tensor, runs: Sequence[Forced]) -> Tensor:
    """Prompt positions of left-padded references at which the counterfactual has a token too, aligned at the last."""
    width = min(reference.shape[1], counterfactual.shape[1])
    both = torch.zeros_like(reference, dtype=torch.bool)
    both[:, -width:] = reference[:, -width:].bool() & counterfactual[:, -width:].bool()
    for row, run in zip(both, runs, strict=True):
        row[len(row) - run.measured + 1 :] = False  # of a continuation
    return both


class _Ready(NamedTuple):
    """Some prompts as a batch, with what resampled heads take on them, in the host's memory, and where."""

    pairs: list[EncodedPair]
    batch: Batch
    source: dict[int, Tensor]
    positions: Tensor


class Prompts:
    """The reference prompts of pairs, ready for forward passes under a knockout."""

    def __init__(
        self,
        view: HeadedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        pairs: Sequence[ContrastPair],
        mode: str,
        means: Float[Tensor, "layer head d_head"],
        batch_size: int | BatchSize,
        metric: str = "log_odds",
    ) -> None:
        self._metric = preference(metric)
        self._view, self._mode = view, mode
        self._values = means if mode == "mean" else torch.zeros_like(means)
        self.groups = list(groups_of(pairs))
        self._encoded = [encode_pair(tokenizer, pair, continued=self._metric.over is not None) for pair in pairs]
        self._pad_id = getattr(tokenizer, "pad_token_id", None) or 0
        self._at_once = BatchSize.of(batch_size, "verify.batch_size")
        self._known: dict[tuple[int, ...], _Ready] = {}

    def _ready(self, places: Sequence[int]) -> _Ready:
        """A batch of prompts; made once, but anew where memory ran out."""
        if tuple(places) not in self._known:
            if any(len(known) > self._at_once.most for known in self._known):
                self._known.clear()
            some = [self._encoded[i] for i in places]
            runs = forced(some)
            batch = pad([run.reference for run in runs], "left", self._view.device, self._pad_id)
            other = pad([run.counterfactual for run in runs], "left", self._view.device, self._pad_id)
            source: dict[int, Tensor] = {}
            if self._mode == "resample":
                with captured_heads(self._view) as source:
                    self._view.backbone(**other.inputs(), use_cache=False)
                # Of all batches and layers, where halving a batch could not make room.
                source = {layer: z.cpu() for layer, z in source.items()}
            positions = _both_real(batch.attention_mask, other.attention_mask, runs)
            self._known[tuple(places)] = _Ready(some, batch, source, positions)
        return self._known[tuple(places)]

    @contextmanager
    def _knocked_out(self, heads: Sequence[Head], source: dict[int, Tensor], positions: Tensor) -> Iterator[None]:
        if self._mode != "resample":
            with knockout(self._view, heads, self._values):
                yield
            return
        with resample(self._view, heads, source, positions):
            yield

    @torch.no_grad()
    def log_odds(self, heads: Sequence[Head]) -> list[float]:
        """Log-odds of the unwanted reply of each pair with `heads` knocked out."""

        def measured(places: Sequence[int]) -> list[float]:
            some, batch, source, positions = self._ready(places)
            with self._knocked_out(heads, source, positions):
                hidden = self._view.backbone(**batch.inputs(), use_cache=False).last_hidden_state
            logits = next_token_logits(self._view, sites(batch.last, forced(some)).at(hidden))
            found: list[float] = values_of_logits(logits, some, self._metric).tolist()
            return found

        places = range(len(self._encoded))
        return [value for _, values in self._at_once.over(places, measured) for value in values]


def curve(
    prompts: Prompts,
    view: HeadedModel,
    ranking: HeadSet,
    config: VerifyConfig,
    *,
    resamples: int,
    seed: int,
    progress: Progress,
) -> Curve:
    """Knocks out 0..max_heads heads in rank order, and random and layer-matched heads beside them."""
    most = min(config.max_heads, len(ranking))
    rng = random.Random(seed)
    ranked = HeadSet(ranking[:most])
    drawn = [random_order(list(view.heads()), most, rng) for _ in range(config.draws)]
    matched = [matched_order(ranked, view.n_heads, rng) for _ in range(config.draws)]
    progress.start("knockout curve", (most + 1) + 2 * config.draws * most)

    def along(order: HeadSet, start: int) -> list[list[float]]:
        points = []
        for count in range(start, most + 1):
            points.append(prompts.log_odds(order[:count]))
            progress.advance()
        return points

    located = along(ranked, 0)
    base = sum(located[0]) / len(located[0])

    def means(orders: list[HeadSet]) -> list[list[float]]:
        return [[base] + [sum(point) / len(point) for point in along(order, 1)] for order in orders]

    return Curve(
        ranked=[estimate(point, prompts.groups, resamples=resamples, seed=seed) for point in located],
        random=means(drawn),
        matched=means(matched),
        orders={
            "ranked": [[str(head) for head in ranked]],
            "random": [[str(head) for head in order] for order in drawn],
            "matched": [[str(head) for head in order] for order in matched],
        },
    )


def shortest_prefix(log_odds: Sequence[float], share: float) -> int | None:
    """The fewest heads whose knockout reaches `share` of the drop between 0 heads and the curve's end.

    Returns:
        A number of heads, at least 1; None where there is no drop.
    """
    drop = log_odds[0] - log_odds[-1]
    if drop <= 0:
        return None
    return next(k for k, value in enumerate(log_odds) if k > 0 and log_odds[0] - value >= share * drop)
