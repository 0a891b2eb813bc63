"""Activation patching of heads: a head's output is exchanged and everything after it responds, attention too.

The total effect of a head (Vig et al. 2020; Meng et al. 2022; Heimersheim and Nanda 2024 on how to read it). What comes
before the patched tokens is the same in every row, so it is run once and the rows go on from its cache.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.interventions import edited_inputs, next_token_logits
from pinpoint.locate._ends import End, ends_of
from pinpoint.locate._positions import patched_lengths
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric, values
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node


def activation(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    metric: Metric,
    nodes: Sequence[Node],
    positions: str,
    heads_at_once: BatchSize,
    *,
    cached: bool,
) -> Effects:
    """Total effect of every head on what the model predicts at the measured positions.

    Each pair is run alone, without padding; its rows are the reference and one row per head, for each answer that is
    measured whole.

    Args:
        view: the model.
        pairs: the pairs.
        metric: what to measure.
        nodes: the heads.
        positions: where in the prompts a head takes its counterfactual output: see `patched_lengths`. It does at every
            token of an answer that is given to the model, too.
        heads_at_once: patched rows of a forward pass, at the most.
        cached: go on from a cache of what is not patched, where the architecture has one that rows can share.
    """
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    for number, (pair, patched) in enumerate(zip(pairs, patched_lengths(pairs, positions), strict=True)):
        found = _measured(view, pair, patched, metric, nodes, heads_at_once, cached=cached)
        references[number] = found[-1][0].item()
        if pair.reference != pair.counterfactual:
            effects[number] = torch.cat([metric.effect(part[1:], part[:1]).cpu() for part in found])
    return Effects(effects, references)


def _measured(
    view: HeadedModel,
    pair: EncodedPair,
    patched: int,
    metric: Metric,
    nodes: Sequence[Node],
    heads_at_once: BatchSize,
    *,
    cached: bool,
) -> list[Float[Tensor, " row"]]:
    """The metric on the reference and with each head patched, pass after pass; the reference leads each."""
    ends = ends_of(view, pair, patched, cached=cached)

    def measured(some: Sequence[Node]) -> Tensor:
        rows = torch.cat([_patched(view, end, some) for end in ends], dim=1).transpose(0, 1)  # [site row d_model]
        return values(view, rows, [pair], metric, next_token_logits)[0]

    return [found for _, found in heads_at_once.over(nodes, measured)]


def _patched(view: HeadedModel, end: End, heads: Sequence[Node]) -> Float[Tensor, "row site d_model"]:
    """Runs the reference, and it with each head patched in turn, up to what the metric looks at."""

    def edit(layer: int, z: Tensor) -> Tensor:
        rows = [(row, head.unit) for row, head in enumerate(heads, 1) if head.layer == layer]
        if not rows:
            return z
        edited = z.clone()
        by_head = edited.view(*z.shape[:2], view.n_heads, view.head_dim)  # [row position head d_head]
        for row, head in rows:
            by_head[row, -end.patched :, head] = end.source[layer][:, head]
        return edited

    with edited_inputs(view.out_projs(), edit):
        return end.run(1 + len(heads))[:, -end.measured :]
