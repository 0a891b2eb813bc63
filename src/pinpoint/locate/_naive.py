"""Path patching by brute force, one full forward pass per node: the oracle that the sweep is tested against."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric, Sites, forced, sites, values_of_logits
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node

_Modules = dict[tuple[int, str], nn.Module]


@dataclass
class _Frozen:
    """What every prompt's heads, mixers and MLPs put out in an unpatched pass."""

    heads: dict[int, Tensor]  # per layer [2*run position head*d_head]
    mixers: dict[tuple[int, str], Tensor]  # per mixer [2*run position d_model]
    mlps: dict[tuple[int, str], Tensor]  # per module of an MLP [2*site width]: at the measured positions


def _unpatched(view: HeadedModel, batch: Batch, measured: Sites, mixers: _Modules, mlps: _Modules) -> _Frozen:
    with captured_heads(view) as z, seen_outputs(mixers) as mixed, seen_outputs(mlps) as fed:
        view.backbone(**batch.inputs(), use_cache=False)
    return _Frozen(z, mixed, {key: measured.at(x) for key, x in fed.items()})


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
    measured = sites(batch.last, forced(pairs))
    count = len(measured.rows) // 2
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    mlps = {
        (node.layer, name): module
        for node in nodes
        if node.kind == "mlps"
        for name, module in view.mlp_outputs(node.layer).items()
    }
    frozen = _unpatched(view, batch, measured, mixers, mlps)
    references = len(batch.last) // 2
    # Of the host: what they pick from lies on whichever card its layer does.
    at_rows, at_places = measured.rows.cpu(), measured.places.cpu()
    rows, places = at_rows[:count], at_places[:count]
    theirs = at_rows[count:], at_places[count:]
    inputs = {key: value[:references] for key, value in batch.inputs().items()}

    def metric_with(patched: Node | None) -> Tensor:
        at = [Node("heads", *head) for head in given]
        at += [patched] if patched and patched.kind != "mlps" else []
        mlp = {key: mlps[key] for key in mlps if patched and patched.kind == "mlps" and key[0] == patched.layer}

        def freeze(layer: int, z: Tensor) -> Tensor:
            supplied = frozen.heads[layer][:references].clone()
            counterfactual = frozen.heads[layer][theirs]  # [site head*d_head]
            for node in at:
                if node.layer == layer:
                    columns = view.columns(node)
                    supplied[rows, places, columns] = counterfactual[:, columns]
            return supplied.view_as(z)

        def freeze_mixer(key: tuple[int, str], _output: Tensor) -> Tensor:
            return frozen.mixers[key][:references]

        def swap(key: tuple[int, str], output: Tensor) -> Tensor:
            output = output.clone()
            output.view(*inputs["input_ids"].shape, -1)[rows, places] = frozen.mlps[key][count:]
            return output

        with (
            edited_inputs(view.out_projs(), freeze),
            edited_outputs(mixers, freeze_mixer),
            edited_outputs(mlp, swap),
        ):
            logits = view.model(**inputs, use_cache=False).logits[rows, places].float()
        return values_of_logits(logits, pairs, metric)

    unpatched = metric_with(None)
    effects = [metric.effect(metric_with(node), unpatched) for node in nodes]
    whole = torch.stack(effects, dim=1) if effects else unpatched.new_zeros(len(pairs), 0)
    return Effects(whole.cpu(), unpatched.cpu())
