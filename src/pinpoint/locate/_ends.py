"""Running the end of a prompt in many rows, from a cache of what comes before it."""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.interventions import seen_inputs
from pinpoint.models import HeadedModel

# Runs so many rows of one prompt at once, and gives what the backbone puts out, at its last positions at the least.
Run = Callable[[int], Float[Tensor, "row position d_model"]]


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


def z_at_the_end(view: HeadedModel, ids: list[int], patched: int) -> dict[int, Tensor]:
    """Per layer [patched head d_head]: z at the last positions of a prompt."""
    found: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> None:
        found[layer] = z[0, -patched:].unflatten(-1, (view.n_heads, view.head_dim)).clone()

    with seen_inputs(view.out_projs(), see):
        _from_the_start(view, ids)(1)
    return found


def run_ends(view: HeadedModel, ids: list[int], patched: int, *, cached: bool) -> Run:
    """Prepares runs of a prompt in which nothing but its last `patched` tokens is patched.

    Args:
        view: the model.
        ids: the prompt.
        patched: tokens at its end.
        cached: go on from a cache of what comes before them, where the architecture has one that rows can share.
    """
    keeps = cached and view.shares_prefix and patched < len(ids)
    return _goes_on(view, ids, patched) if keeps else _from_the_start(view, ids)
