"""Path patching from head to head: what a sender does to the logits through the queries, keys or values of receivers.

A sender's z is exchanged with every other attention output frozen, which moves what the receivers project from the
residual stream: their queries, keys or values. Those alone are handed to the receivers in an otherwise unpatched
pass, every other attention output frozen once more, and the logits are read (Wang et al. 2022, section 3 and appendix
B, where later heads respond; with all else frozen, as here, Goldowsky-Dill et al. 2023).
"""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import EncodedPair
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import edited_inputs, edited_outputs, next_token_logits
from pinpoint.locate._ends import End, Run, ends_of
from pinpoint.locate._positions import patched_lengths
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric, values
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel, Which
from pinpoint.nodes import Node


def paths(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    metric: Metric,
    nodes: Sequence[Node],
    receivers: HeadSet,
    through: Which,
    positions: str,
    senders_at_once: BatchSize,
) -> Effects:
    """Effects of every head through the receivers, exactly; heads that none of them comes after have none.

    Each pair is run alone, without padding. A sender takes two rows: one in which it is patched, and one in which the
    receivers take what they project in the first.

    Args:
        view: the model.
        pairs: the pairs.
        metric: what to measure.
        nodes: the senders.
        receivers: the heads that the paths lead through, all at once.
        through: what of theirs the senders act on.
        positions: where senders are patched: see `patched_lengths`.
        senders_at_once: of a forward pass, at the most.
    """
    effects, references = torch.zeros(len(pairs), len(nodes)), torch.empty(len(pairs))
    last = max(head.layer for head in receivers)
    senders = [i for i, node in enumerate(nodes) if node.layer < last]
    for number, (pair, prompt) in enumerate(zip(pairs, patched_lengths(pairs, positions), strict=True)):
        ends = ends_of(view, pair, prompt, cached=True)

        def measured(some: Sequence[int], pair: EncodedPair = pair, ends: list[End] = ends) -> Tensor:
            heads = [Head(nodes[i].layer, nodes[i].unit) for i in some]
            rows = [
                _Rows(view, heads, receivers, through, end.source, end.patched).run(end.run)[:, -end.measured :]
                for end in ends
            ]
            hidden = torch.cat(rows, dim=1).transpose(0, 1)  # [site 1+sender d_model]
            return values(view, hidden, [pair], metric, next_token_logits)[0]

        if not senders:
            references[number] = measured([])[0].item()
        for some, found in senders_at_once.over(senders, measured):
            references[number] = found[0].item()
            if pair.reference != pair.counterfactual:
                effects[number, list(some)] = metric.effect(found[1:], found[:1]).cpu()
    return Effects(effects, references)


class _Rows:
    """Rows of one prompt: first the senders', each patched; then the reference; then what the receivers make of each.

    Whatever is frozen takes the reference row's own value.
    """

    def __init__(
        self,
        view: HeadedModel,
        senders: Sequence[Head],
        receivers: HeadSet,
        through: Which,
        source: dict[int, Tensor],
        patched: int,
    ) -> None:
        self._view = view
        self._senders = senders
        self._receivers = receivers.by_layer()
        self._through = through
        self._source = source
        self._patched = patched
        self._parts = {layer: view.projection_parts(layer) for layer in self._receivers}

    def run(self, run: Run) -> Float[Tensor, "row position d_model"]:
        """Runs them; gives the reference's row and one for each sender."""
        view, count = self._view, len(self._senders)
        mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
        projections = {
            (layer, name): view.model.get_submodule(name) for layer, parts in self._parts.items() for name in parts
        }
        with ExitStack() as stack:
            stack.enter_context(edited_inputs(view.out_projs(), self._heads))
            stack.enter_context(edited_outputs(mixers, lambda _key, x: x[count : count + 1].expand_as(x)))
            stack.enter_context(edited_outputs(projections, self._projected))
            return run(1 + 2 * count)[count:]

    def _heads(self, layer: int, z: Tensor) -> Tensor:
        """Freezes z [row position head*d_head] but for the sender's in its row, and the receivers' in what follows."""
        count = len(self._senders)
        frozen = z[count : count + 1].expand_as(z).clone()
        by_head = frozen.unflatten(-1, (self._view.n_heads, self._view.head_dim))
        for row, sender in enumerate(self._senders):
            if sender.layer == layer:
                by_head[row, -self._patched :, sender.head] = self._source[layer][:, sender.head]
        for head in self._receivers.get(layer, []):
            columns = self._view.columns(Node("heads", layer, head))
            frozen[count + 1 :, :, columns] = z[count + 1 :, :, columns]
        return frozen

    def _projected(self, key: tuple[int, str], x: Tensor) -> Tensor:
        """Hands receivers what their senders' rows project, and the reference's of everything else."""
        count = len(self._senders)
        layer, name = key
        handed = x.clone()
        handed[count + 1 :] = x[count : count + 1]
        columns = self._parts[layer][name].get(self._through)
        if columns:
            handed[count + 1 :, :, columns] = x[:count, :, columns]
        return handed
