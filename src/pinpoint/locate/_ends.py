"""Running the end of a prompt in many rows, from a cache of what comes before it."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.interventions import seen_inputs
from pinpoint.measure import forced
from pinpoint.models import HeadedModel

# Runs so many rows of one prompt at once, and gives what the backbone puts out, at its last positions at the least.
Run = Callable[[int], Float[Tensor, "row position d_model"]]


class End(NamedTuple):
    """A reference, with the answer that is measured on it if answers are measured whole, ready to run from its end.

    Attributes:
        run: runs it.
        source: per layer [patched head d_head]: what heads take there, their outputs on the counterfactual.
        patched: tokens at its end at which heads are patched.
        measured: positions at its end that the metric looks at.
    """

    run: Run
    source: dict[int, Tensor]
    patched: int
    measured: int


def _goes_on(view: HeadedModel, ids: list[int], patched: int) -> Run:
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
        own.batch_select_indices(torch.zeros(rows, dtype=torch.long))  # on the CPU: caches may lie on several devices
        inputs = {
            "input_ids": end.expand(rows, -1),
            "attention_mask": torch.ones(rows, len(ids), dtype=torch.long, device=view.device),
            "position_ids": positions[:, before:].expand(rows, -1),
        }
        output: Tensor = view.backbone(**inputs, past_key_values=own, use_cache=True).last_hidden_state
        return output

    return run


def _from_the_start(view: HeadedModel, ids: list[int]) -> Run:
    """Runs all tokens."""

    def run(rows: int) -> Tensor:
        whole = torch.tensor([ids], device=view.device).expand(rows, -1)
        output: Tensor = view.backbone(
            input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False
        ).last_hidden_state
        return output

    return run


def ends_of(view: HeadedModel, pair: EncodedPair, patched: int, *, cached: bool) -> list[End]:
    """What is run of a pair: one for each answer that is measured whole, or the reference alone.

    Args:
        view: the model.
        pair: the pair.
        patched: tokens at the end of its prompts that are patched; all that follow them of an answer are too.
        cached: go on from a cache of what comes before them, where the architecture has one that rows can share.
    """
    ends = []
    for one in forced([pair]):
        at_the_end = patched + one.measured - 1
        source = _z_at_the_end(view, one.counterfactual, at_the_end)
        keeps = cached and view.shares_prefix and at_the_end < len(one.reference)
        run = _goes_on(view, one.reference, at_the_end) if keeps else _from_the_start(view, one.reference)
        ends.append(End(run, source, at_the_end, one.measured))
    return ends


def _z_at_the_end(view: HeadedModel, ids: list[int], patched: int) -> dict[int, Tensor]:
    """Per layer [patched head d_head]: z at the last positions of a prompt."""
    found: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> None:
        found[layer] = z[0, -patched:].unflatten(-1, (view.n_heads, view.head_dim)).clone()

    with seen_inputs(view.out_projs(), see):
        _from_the_start(view, ids)(1)
    return found
