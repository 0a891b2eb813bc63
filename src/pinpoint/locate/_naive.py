"""Path patching by brute force, one full forward pass per node: the oracle that the sweep is tested against."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node

_Modules = dict[tuple[int, str], nn.Module]


@dataclass
class _Frozen:
    """What every prompt's heads, mixers and MLPs put out in an unpatched pass."""

    heads: dict[int, Tensor]  # per layer [2*pair position head*d_head]
    mixers: dict[tuple[int, str], Tensor]  # per mixer [2*pair position d_model]
    mlps: dict[tuple[int, str], Tensor]  # per module of an MLP [2*pair width]: at the measured position


def _unpatched(view: HeadedModel, batch: Batch, mixers: _Modules, mlps: _Modules) -> _Frozen:
    with captured_heads(view) as z, seen_outputs(mixers) as mixed, seen_outputs(mlps) as fed:
        view.backbone(**batch.inputs(), use_cache=False)
    rows = torch.arange(len(batch.last), device=batch.last.device)
    return _Frozen(z, mixed, {key: x.view(*batch.input_ids.shape, -1)[rows, batch.last] for key, x in fed.items()})


def naive(
    view: HeadedModel,
    pairs: list[EncodedPair],
    batch: Batch,
    metric: Metric,
    rows_per_chunk: int,
    given: HeadSet,
    nodes: Sequence[Node],
) -> Effects:
    """See `Engine`; `rows_per_chunk` plays no part. Costs one forward pass of the references per node."""
    count = len(pairs)
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    mlps = {
        (node.layer, name): module
        for node in nodes
        if node.kind == "mlps"
        for name, module in view.mlp_outputs(node.layer).items()
    }
    frozen = _unpatched(view, batch, mixers, mlps)
    rows = torch.arange(count, device=batch.last.device)
    last = batch.last[:count]
    inputs = {key: value[:count] for key, value in batch.inputs().items()}

    def measured(patched: Node | None) -> list[Tensor]:
        at = [Node("heads", *head) for head in given]
        at += [patched] if patched and patched.kind != "mlps" else []
        mlp = {key: mlps[key] for key in mlps if patched and patched.kind == "mlps" and key[0] == patched.layer}

        def freeze(layer: int, z: Tensor) -> Tensor:
            supplied = frozen.heads[layer][:count].clone()
            counterfactual = frozen.heads[layer][count + rows, batch.last[count:]]  # [pair head*d_head]
            for node in at:
                if node.layer == layer:
                    columns = view.columns(node)
                    supplied[rows, last, columns] = counterfactual[:, columns]
            return supplied.view_as(z)

        def freeze_mixer(key: tuple[int, str], _output: Tensor) -> Tensor:
            return frozen.mixers[key][:count]

        def swap(key: tuple[int, str], output: Tensor) -> Tensor:
            output = output.clone()
            output.view(*inputs["input_ids"].shape, -1)[rows, last] = frozen.mlps[key][count:]
            return output

        with (
            edited_inputs(view.out_projs(), freeze),
            edited_outputs(mixers, freeze_mixer),
            edited_outputs(mlp, swap),
        ):
            logits = view.model(**inputs, use_cache=False).logits[rows, last].float()
        return [metric.value(logits[i : i + 1], pair.unwanted, pair.wanted) for i, pair in enumerate(pairs)]

    unpatched = measured(None)
    effects = torch.zeros(count, len(nodes))
    for column, node in enumerate(nodes):
        for i, value in enumerate(measured(node)):
            effects[i, column] = metric.effect(value, unpatched[i]).item()
    return Effects(effects, torch.cat(unpatched).cpu())
