"""Path patching by brute force, one full forward pass per head: the oracle that the sweep is tested against."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel


@dataclass
class _Frozen:
    """What every prompt's heads and mixers put out in an unpatched pass."""

    heads: dict[int, Tensor]  # per layer [2*pair position head*d_head]
    mixers: dict[tuple[int, str], Tensor]  # per mixer [2*pair position d_model]


def _unpatched(view: HeadedModel, batch: Batch, mixers: dict[tuple[int, str], nn.Module]) -> _Frozen:
    mixed: dict[tuple[int, str], Tensor] = {}

    def keep(key: tuple[int, str], output: Tensor) -> Tensor:
        mixed[key] = output
        return output

    with captured_heads(view) as z, edited_outputs(mixers, keep):
        view.backbone(**batch.inputs(), use_cache=False)
    return _Frozen(z, mixed)


def naive(
    view: HeadedModel,
    pairs: list[EncodedPair],
    batch: Batch,
    metric: Metric,
    rows_per_chunk: int,
    given: HeadSet,
) -> Effects:
    """See `Engine`; `rows_per_chunk` plays no part. Costs one forward pass of the references per head."""
    count = len(pairs)
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    frozen = _unpatched(view, batch, mixers)
    rows = torch.arange(count, device=batch.last.device)
    last = batch.last[:count]
    inputs = {key: value[:count] for key, value in batch.inputs().items()}

    def measured(patched: Head | None) -> list[Tensor]:
        def freeze(layer: int, z: Tensor) -> Tensor:
            supplied = frozen.heads[layer][:count].clone()
            counterfactual = frozen.heads[layer][count + rows, batch.last[count:]]  # [pair head*d_head]
            for head in [*given, *([patched] if patched else [])]:
                if head.layer == layer:
                    columns = slice(head.head * view.head_dim, (head.head + 1) * view.head_dim)
                    supplied[rows, last, columns] = counterfactual[:, columns]
            return supplied.view_as(z)

        def freeze_mixer(key: tuple[int, str], _output: Tensor) -> Tensor:
            return frozen.mixers[key][:count]

        with edited_inputs(view.out_projs(), freeze), edited_outputs(mixers, freeze_mixer):
            logits = view.model(**inputs, use_cache=False).logits[rows, last].float()
        return [metric.value(logits[i : i + 1], pair.unwanted, pair.wanted) for i, pair in enumerate(pairs)]

    unpatched = measured(None)
    effects = torch.zeros(count, view.n_layers, view.n_heads)
    for head in view.heads():
        for i, value in enumerate(measured(head)):
            effects[i, head.layer, head.head] = metric.effect(value, unpatched[i]).item()
    return Effects(effects, torch.cat(unpatched).cpu())
