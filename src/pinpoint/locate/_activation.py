"""Activation patching of heads: a head's output is exchanged and everything after it responds, attention too.

The total effect of a head (Vig et al. 2020; Meng et al. 2022; Heimersheim and Nanda 2024 on how to read it). What comes
before the patched tokens is the same in every row, so it is run once and the rows go on from its cache.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.interventions import edited_inputs, next_token_logits, seen_inputs
from pinpoint.locate._positions import patched_lengths
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node

# Runs so many rows of one reference at once, and gives what the backbone puts out at their last position.
_Run = Callable[[int], Float[Tensor, "row d_model"]]


def _goes_on(view: HeadedModel, ids: list[int], patched: int) -> _Run:
    """Runs the last `patched` tokens from a cache of those before them."""
    start, end = torch.tensor([ids[:-patched]], device=view.device), torch.tensor([ids[-patched:]], device=view.device)
    before = start.shape[1]
    positions = torch.arange(len(ids), device=view.device)[None]
    first = {
        "input_ids": start,
        "attention_mask": torch.ones_like(start),
        "position_ids": positions[:, :before],
    }
    cache = view.backbone(**first, use_cache=True).past_key_values

    def run(rows: int) -> Tensor:
        own = copy.deepcopy(cache)  # a pass appends to its cache
        own.batch_select_indices(torch.zeros(rows, dtype=torch.long, device=view.device))
        inputs = {
            "input_ids": end.expand(rows, -1),
            "attention_mask": torch.ones(rows, len(ids), dtype=torch.long, device=view.device),
            "position_ids": positions[:, before:].expand(rows, -1),
        }
        output: Tensor = view.backbone(**inputs, past_key_values=own, use_cache=True).last_hidden_state
        return output[:, -1]

    return run


def _from_the_start(view: HeadedModel, ids: list[int]) -> _Run:
    """Runs all tokens."""

    def run(rows: int) -> Tensor:
        whole = torch.tensor([ids], device=view.device).expand(rows, -1)
        output: Tensor = view.backbone(
            input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False
        ).last_hidden_state
        return output[:, -1]

    return run


def _outputs_at_the_end(view: HeadedModel, ids: list[int], patched: int) -> dict[int, Tensor]:
    """Per layer [patched head d_head]: z at the last positions of a prompt."""
    found: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> None:
        found[layer] = z[0, -patched:].unflatten(-1, (view.n_heads, view.head_dim)).clone()

    with seen_inputs(view.out_projs(), see):
        _from_the_start(view, ids)(1)
    return found


def activation(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    metric: Metric,
    nodes: Sequence[Node],
    positions: str,
    rows_at_once: int,
    *,
    cached: bool,
) -> Effects:
    """Total effect of every head on the logits of the next token.

    Each pair is run alone, without padding; its rows are the reference and one row per head.

    Args:
        view: the model.
        pairs: the pairs.
        metric: what to measure on the logits.
        nodes: the heads.
        positions: where a head takes its counterfactual output: see `patched_lengths`.
        rows_at_once: rows of a forward pass, at the most (but one head at the least).
        cached: go on from a cache of what is not patched, where the architecture has one that rows can share.
    """
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    per_pass = max(1, rows_at_once - 1)
    for number, (pair, patched) in enumerate(zip(pairs, patched_lengths(pairs, positions), strict=True)):
        source = _outputs_at_the_end(view, pair.counterfactual, patched)
        keeps = cached and view.shares_prefix and patched < len(pair.reference)
        run = _goes_on(view, pair.reference, patched) if keeps else _from_the_start(view, pair.reference)
        for start in range(0, len(nodes), per_pass):
            some = nodes[start : start + per_pass]
            logits = next_token_logits(view, _patched(view, run, some, source, patched))
            values = metric.value(logits, pair.unwanted, pair.wanted)
            references[number] = values[0].item()
            if pair.reference != pair.counterfactual:
                effects[number, start : start + per_pass] = metric.effect(values[1:], values[:1]).cpu()
    return Effects(effects, references)


def _patched(
    view: HeadedModel, run: _Run, heads: Sequence[Node], source: dict[int, Tensor], patched: int
) -> Float[Tensor, "row d_model"]:
    """Runs the reference, and it with each head patched in turn."""

    def edit(layer: int, z: Tensor) -> Tensor:
        rows = [(row, head.unit) for row, head in enumerate(heads, 1) if head.layer == layer]
        if not rows:
            return z
        edited = z.clone()
        by_head = edited.view(*z.shape[:2], view.n_heads, view.head_dim)  # [row position head d_head]
        for row, head in rows:
            by_head[row, -patched:, head] = source[layer][:, head]
        return edited

    with edited_inputs(view.out_projs(), edit):
        return run(1 + len(heads))
