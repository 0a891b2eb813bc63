"""Attribution patching of heads: the first-order estimate of activation patching, for all heads at once.

The gradient of the metric by z on the reference, times what z differs by on the counterfactual (Nanda 2023; Syed et
al. 2023). It errs where the metric bends between the two: saturated attention, norms (Kramár et al. 2024, AtP*).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from pinpoint.data import Batch, EncodedPair, pad
from pinpoint.interventions import edited_inputs, next_token_logits
from pinpoint.locate._positions import patched_lengths
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric, forced, sites, values
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node


@contextmanager
def _frozen_weights(view: HeadedModel) -> Iterator[None]:
    """No gradient of weights, which nobody asks for."""
    trained = [parameter for parameter in view.model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def _places(batch: Batch, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Positions of the last tokens of each row, [row most], and which of them are patched, [row most] bool."""
    back = torch.arange(max(lengths), device=batch.last.device)
    counted = back < torch.tensor(lengths, device=batch.last.device)[:, None]
    return (batch.last[:, None] - back).clamp(min=0), counted


def _at(x: Tensor, places: Tensor) -> Tensor:
    """What lies at [row place] positions of each row of x, [row position width]."""
    rows = torch.arange(len(x), device=x.device)[:, None]
    return x[rows, places.to(x.device)]


def _run(view: HeadedModel, batch: Batch, *, differentiable: bool) -> tuple[Tensor, dict[int, Tensor]]:
    """What the backbone puts out, [row position d_model], and z per layer, [row position head*d_head]."""
    seen: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> Tensor:
        seen[layer] = z if z.requires_grad or not differentiable else z.detach().requires_grad_()
        return seen[layer]

    with edited_inputs(view.out_projs(), see):
        output: Tensor = view.backbone(**batch.inputs(), use_cache=False).last_hidden_state
    return output, seen


def attribution(
    view: HeadedModel, pairs: Sequence[EncodedPair], metric: Metric, nodes: Sequence[Node], positions: str
) -> Effects:
    """Estimates the total effect of every head: two forward passes and a backward one, whatever their number.

    Args:
        view: the model.
        pairs: the pairs; each is run once for each answer that is measured whole.
        metric: what to measure.
        nodes: the heads.
        positions: where in the prompts a head takes its counterfactual output: see `patched_lengths`. It does at every
            token of an answer that is given to the model, too.
    """
    runs = forced(pairs)
    owner = torch.arange(len(pairs)).repeat_interleave(torch.tensor([len(pair.continuations) or 1 for pair in pairs]))
    prompts = patched_lengths(pairs, positions)
    lengths = [prompts[pair] + run.measured - 1 for pair, run in zip(owner.tolist(), runs, strict=True)]
    ours = pad([run.reference for run in runs], "right", view.device)
    theirs = pad([run.counterfactual for run in runs], "right", view.device)
    there, _ = _places(theirs, lengths)
    here, counted = _places(ours, lengths)
    other = {layer: _at(z, there) for layer, z in _run(view, theirs, differentiable=False)[1].items()}
    with _frozen_weights(view), torch.enable_grad():
        normed, z = _run(view, ours, differentiable=True)
        rows = sites(ours.last, runs).at(normed)[:, None]  # [site 1 d_model]
        found = values(view, rows, pairs, metric, next_token_logits)[:, 0]
        slopes = dict(zip(z, torch.autograd.grad(found.sum(), list(z.values())), strict=True))
    same = torch.tensor([pair.reference == pair.counterfactual for pair in pairs], device=found.device)
    column = {(node.layer, node.unit): i for i, node in enumerate(nodes)}
    found = found.detach()
    effects = torch.zeros(len(pairs), len(nodes))
    for layer, slope in slopes.items():
        moved = (other[layer] - _at(z[layer].detach(), here)) * _at(slope, here) * counted[..., None].to(slope.device)
        change = moved.float().unflatten(-1, (view.n_heads, view.head_dim)).sum(dim=(1, 3))  # [run head]
        by_pair = found.new_zeros(len(pairs), view.n_heads).index_add_(0, owner.to(found.device), change.to(found))
        by_pair[same] = 0.0  # padded otherwise than itself, a prompt differs from itself by rounding
        for head in range(view.n_heads):
            effects[:, column[layer, head]] = metric.effect(found + by_pair[:, head], found).cpu()
    return Effects(effects, found.cpu())
