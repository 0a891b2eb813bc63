"""Knocking heads out one at a time: a head takes its mean at every position, and everything after it responds.

Mean ablation (Wang et al. 2022, section 2): the effect is what a head does on the reference itself, whatever the other
prompt of the pair is. Below a head nothing changes: the prompt is run once, and rows go on from the heads of a layer.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.interventions import AfterHeads, knockout, next_token_logits
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric, forced, values, values_of_logits
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node

Means = Float[Tensor, "layer head d_head"]


class _End(NamedTuple):
    """One continuation of a pair, or its prompt alone, and how many positions at its end are measured."""

    prompt: AfterHeads
    measured: int


def check_means(view: HeadedModel, means: Means) -> None:
    """Refuses means that are not this model's.

    Raises:
        InputError: there is not one vector for each head, or a number is not finite.
    """
    wanted = (view.n_layers, view.n_heads, view.head_dim)
    if tuple(means.shape) != wanted:
        raise InputError(
            f"means have shape {tuple(means.shape)}; this model's heads need {wanted}: layers, heads, width of a head.",
            where="means",
            mend="Take pinpoint.measure.head_means of this model.",
        )
    if not means.isfinite().all():
        raise InputError("a mean is not finite.", where="means", mend="Take them anew, in another dtype.")


def knocked_out(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    metric: Metric,
    nodes: Sequence[Node],
    means: Means,
    heads_at_once: BatchSize,
) -> Effects:
    """Effect of knocking out every head alone, on the references.

    Each pair is run alone, without padding, and once more from each layer on: its rows are the reference and one for
    each head of the layer.

    Args:
        view: the model.
        pairs: the pairs; their counterfactuals play no part.
        metric: what to measure.
        nodes: the heads.
        means: what a head puts out instead, at every position.
        heads_at_once: knocked-out rows of a forward pass, at the most.
    """
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    layers: dict[int, list[int]] = {}
    for column, node in enumerate(nodes):
        layers.setdefault(node.layer, []).append(column)
    for number, pair in enumerate(pairs):
        ends = [_End(AfterHeads(view, run.reference), run.measured) for run in forced([pair])]
        for columns in layers.values():
            work = partial(_measured, view, pair, metric, nodes, means, ends)
            for some, found in heads_at_once.over(columns, work):
                references[number] = found[0].item()
                effects[number, list(some)] = metric.effect(found[1:], found[:1]).cpu()
    return Effects(effects, references)


def _measured(
    view: HeadedModel,
    pair: EncodedPair,
    metric: Metric,
    nodes: Sequence[Node],
    means: Means,
    ends: Sequence[_End],
    columns: Sequence[int],
) -> Float[Tensor, " row"]:
    """The metric on the reference, and with each of some heads of one layer knocked out."""
    heads = [nodes[column] for column in columns]
    layer, rows = heads[0].layer, []
    for prompt, measured in ends:
        rows.append(prompt.run(layer, _knocked(view, heads, prompt.z[layer], means))[:, -measured:])
    hidden = torch.cat(rows, dim=1).transpose(0, 1)  # [site 1+head d_model]
    return values(view, hidden, [pair], metric, next_token_logits)[0]


def _knocked(view: HeadedModel, heads: Sequence[Node], z: Tensor, means: Means) -> Tensor:
    """The reference's z of a layer, then that with each head knocked out, [1+head position head*d_head]."""
    rows, own = z.repeat(1 + len(heads), 1, 1), means[heads[0].layer].to(z)  # all heads of one layer
    for row, head in enumerate(heads, 1):
        rows[row, :, view.columns(head)] = own[head.unit]
    return rows


def naive_knocked_out(
    view: HeadedModel, pairs: Sequence[EncodedPair], metric: Metric, nodes: Sequence[Node], means: Means
) -> Effects:
    """See `knocked_out`: by brute force, one whole forward pass a head, as the knockout curve takes them."""
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    for number, pair in enumerate(pairs):
        plain = _naively(view, pair, metric, means, [])
        references[number] = plain.item()
        for column, node in enumerate(nodes):
            patched = _naively(view, pair, metric, means, [Head(node.layer, node.unit)])
            effects[number, column] = metric.effect(patched, plain).item()
    return Effects(effects, references)


def _naively(view: HeadedModel, pair: EncodedPair, metric: Metric, means: Means, heads: Sequence[Head]) -> Tensor:
    logits = []
    with knockout(view, heads, means):
        for run in forced([pair]):
            ids = torch.tensor([run.reference], device=view.device)
            logits.append(view.model(input_ids=ids, use_cache=False).logits[0, -run.measured :].float())
    return values_of_logits(torch.cat(logits), [pair], metric)
