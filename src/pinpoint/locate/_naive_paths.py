"""Path patching from head to head by brute force, two uncached forward passes a sender: the oracle of `paths`."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.locate._positions import patched_lengths
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Forced, Metric, forced, values_of_logits
from pinpoint.models import HeadedModel, Which
from pinpoint.nodes import Node


def naive_paths(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    metric: Metric,
    nodes: Sequence[Node],
    receivers: HeadSet,
    through: Which,
    positions: str,
) -> Effects:
    """See `paths`: step by step, one sender, one prompt and one continuation at a time."""
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    for number, (pair, prompt) in enumerate(zip(pairs, patched_lengths(pairs, positions), strict=True)):
        oracles = [_Oracle(view, one, receivers, through, prompt + one.measured - 1) for one in forced([pair])]
        unpatched = values_of_logits(torch.cat([one.logits({}) for one in oracles]), [pair], metric)
        references[number] = unpatched.item()
        for column, sender in enumerate(nodes):
            logits = torch.cat([one.logits(one.projected_with(sender)) for one in oracles])
            effects[number, column] = metric.effect(values_of_logits(logits, [pair], metric), unpatched).item()
    return Effects(effects, references)


class _Oracle:
    """One prompt with one continuation, and all that is frozen on it."""

    def __init__(self, view: HeadedModel, one: Forced, receivers: HeadSet, through: Which, patched: int) -> None:
        self._view, self._one, self._through, self._patched = view, one, through, patched
        self._receivers = receivers.by_layer()
        parts = {name: part for layer in self._receivers for name, part in view.projection_parts(layer).items()}
        self._columns = {name: part.get(through, []) for name, part in parts.items()}
        self._projections = {name: view.model.get_submodule(name) for name in parts}
        self._mixers = {(i, name): m for i in range(view.n_layers) for name, m in view.mixers(i).items()}
        with captured_heads(view) as self._theirs:
            self._run(one.counterfactual)
        with (
            captured_heads(view) as self._ours,
            seen_outputs(self._mixers) as self._mixed,
            seen_outputs(self._projections) as self._projected,
        ):
            self._run(one.reference)

    def _run(self, ids: list[int]) -> Tensor:
        """Logits [position vocab] of a whole pass."""
        tokens = torch.tensor([ids], device=self._view.device)
        logits: Tensor = self._view.model(input_ids=tokens, use_cache=False).logits[0].float()
        return logits

    def projected_with(self, sender: Node) -> dict[str, Tensor]:
        """What the receivers' projections put out with the sender patched and every other attention output frozen."""
        columns = self._view.columns(sender)

        def freeze(layer: int, _z: Tensor) -> Tensor:
            z = self._ours[layer].clone()
            if layer == sender.layer:
                z[:, -self._patched :, columns] = self._theirs[layer][:, -self._patched :, columns]
            return z

        with (
            edited_inputs(self._view.out_projs(), freeze),
            edited_outputs(self._mixers, lambda key, _x: self._mixed[key]),
            seen_outputs(self._projections) as found,
        ):
            self._run(self._one.reference)
        return found

    def logits(self, given: Mapping[str, Tensor]) -> Tensor:
        """Logits at the measured positions, the receivers given these queries, keys or values."""

        def supply(name: str, _x: Tensor) -> Tensor:
            x = self._projected[name].clone()
            if given:
                x[..., self._columns[name]] = given[name][..., self._columns[name]]
            return x

        def freeze(layer: int, computed: Tensor) -> Tensor:
            z = self._ours[layer].clone()
            for head in self._receivers.get(layer, []):
                columns = self._view.columns(Node("heads", layer, head))
                z[..., columns] = computed[..., columns]
            return z

        with ExitStack() as stack:
            stack.enter_context(edited_inputs(self._view.out_projs(), freeze))
            stack.enter_context(edited_outputs(self._mixers, lambda key, _x: self._mixed[key]))
            stack.enter_context(edited_outputs(self._projections, supply))
            return self._run(self._one.reference)[-self._one.measured :]
