"""Path patching by brute force, one full forward pass per head: the oracle that the sweep is tested against."""

import torch
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import Head, all_heads
from pinpoint.interventions import captured_heads, edited_inputs
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel


def naive(view: HeadedModel, pairs: list[EncodedPair], batch: Batch, metric: Metric, rows_per_chunk: int) -> Effects:
    """See `Engine`; `rows_per_chunk` plays no part. Costs one forward pass of the references per head."""
    count = len(pairs)
    with captured_heads(view) as z:
        view.backbone(**batch.inputs(), use_cache=False)
    references = [layer[:count] for layer in z]
    rows = torch.arange(count, device=batch.last.device)
    counterfactuals = [layer[count + rows, batch.last[count:]] for layer in z]  # [pair head*d_head]
    last = batch.last[:count]
    inputs = {key: value[:count] for key, value in batch.inputs().items()}
    projections = {layer: view.out_proj(layer) for layer in range(view.n_layers)}

    def measured(patched: Head | None) -> list[Tensor]:
        def freeze(layer: int, _z: Tensor) -> Tensor:
            frozen = references[layer]
            if patched is None or patched.layer != layer:
                return frozen
            columns = slice(patched.head * view.head_dim, (patched.head + 1) * view.head_dim)
            frozen = frozen.clone()
            frozen[rows, last, columns] = counterfactuals[layer][:, columns]
            return frozen

        with edited_inputs(projections, freeze):
            logits = view.model(**inputs, use_cache=False).logits[rows, last].float()
        return [metric.value(logits[i : i + 1], pair.unwanted, pair.wanted) for i, pair in enumerate(pairs)]

    unpatched = measured(None)
    effects = torch.empty(count, view.n_layers, view.n_heads)
    for head in all_heads(view.n_layers, view.n_heads):
        for i, value in enumerate(measured(head)):
            effects[i, head.layer, head.head] = metric.effect(value, unpatched[i]).item()
    return Effects(effects, torch.cat(unpatched).cpu())
