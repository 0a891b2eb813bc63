"""Exact path patching of all heads, and of other nodes, in one sweep over the layers.

With every other attention output frozen, positions do not mix: what a patched head changes travels through
the MLPs of its own position alone. So a forward pass over each prompt (once over what both begin with alike),
and single-token rows through the MLPs for every (head, pair), give what a full forward pass per head gives
(Chen et al. 2024, section 3; Wang et al. 2022; the same arithmetic in goodfire-ai/causalab PR #17). Whole attention
layers and groups of heads are rows that differ in more columns; an MLP is a row whose own block is run with the MLP's
output exchanged. Where a metric looks at several positions, as it does on a continuation, each has rows of its own.
Rows of a dense model in half precision carry their residual stream in float32; bench/precision.py says what that is
worth.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.interventions import (
    NARROW,
    after_blocks,
    at_hand,
    edited_inputs,
    edited_outputs,
    offloading,
    one_block_at_hand,
    residual_in_float32,
    run_block,
    seen_choices,
    seen_inputs,
)
from pinpoint.locate._prefix import sharing, whole
from pinpoint.locate._protocol import Effects
from pinpoint.locate._routing import Routes
from pinpoint.locate._waiting import waiting_room
from pinpoint.measure import Forced, Metric, Sites, forced, site_counts, values
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node

_WORTH = 16  # a pass for what prompts begin with alike costs more than it saves where that is less than a 16th
_MANY = 1024  # tokens of one side, padding included, that keep a machine busy without the other beside it


@dataclass
class _Chunk:
    """Rows in flight. Row 0 of each site is the reference itself: effects are differences within a chunk."""

    hidden: Float[Tensor, "site row d_model"]
    nodes: list[Node] = field(default_factory=list)


class _Sweep:
    """Carries the rows of all nodes seen so far from layer to layer, while the model runs its own forward."""

    def __init__(
        self,
        view: HeadedModel,
        runs: Sequence[Forced],
        sites: Sites,
        rows_per_chunk: int,
        given: HeadSet,
        nodes: Sequence[Node],
    ) -> None:
        self._view = view
        self._given = given.by_layer()
        self._sites = sites
        self.count = sum(run.measured for run in runs)  # of the references' sites, which come first
        self._same_prompt = torch.tensor(
            [run.reference == run.counterfactual for run in runs for _ in range(run.measured)]
        )
        # What a block is entered with: nodes of its attention first, then its MLP.
        self._entering: dict[int, list[Node]] = {}
        for node in sorted(nodes, key=lambda node: node.kind == "mlps"):
            self._entering.setdefault(node.layer, []).append(node)
        self._rows = self.count * (1 + len(nodes))
        self._room: torch.device | None = None
        most = max(map(len, self._entering.values()), default=1)
        self._nodes_per_chunk = max(most, rows_per_chunk // self.count)
        self._apart: dict[int | tuple[int, str], Tensor] = {}
        self._z: dict[int, Tensor] = {}
        # Blocks alike in kind are entered alike: found once for all of them.
        self._patched: dict[tuple[tuple[str, int], ...], Tensor] = {}
        self._mixed: dict[tuple[int, str], Tensor] = {}
        self._fed: dict[tuple[int, str], Tensor] = {}
        self.chunks: list[_Chunk] = []
        self.narrow: torch.dtype | None = None  # what the model computes in, if rows are kept wider
        # [site node]: what nodes put out is the same on both prompts. Read at the end: on a GPU, reading waits.
        self.unmoved: list[tuple[list[Node], Tensor]] = []

    def see_apart(self, sites: Sites, key: int | tuple[int, str], seen: Tensor) -> Tensor:
        """Keeps what `see_heads` or `see_mlp` is to have of counterfactuals that run apart, at their `sites`."""
        self._apart[key] = sites.at(seen)
        return seen

    def see_heads(self, layer: int, z: Tensor) -> None:
        """Keeps z, the input of the out projection, at the measured positions of each prompt."""
        self._z[layer] = self._of_all(layer, z)

    def _of_all(self, key: int | tuple[int, str], seen: Tensor) -> Float[Tensor, "2*site width"]:
        found = self._sites.at(seen)
        return torch.cat((found, self._apart.pop(key))) if key in self._apart else found

    def see_mixer(self, key: tuple[int, str], output: Tensor) -> Tensor:
        """Keeps what a mixer without heads puts out at the measured positions of each reference."""
        self._mixed[key] = self._sites.at(output)[: self.count]
        return output

    def see_mlp(self, key: tuple[int, str], output: Tensor) -> Tensor:
        """Keeps what an MLP puts out at the measured positions of each prompt, when the model first runs it."""
        if key not in self._fed:  # later calls are the rows'
            self._fed[key] = self._of_all(key, output)
        return output

    def visit(self, layer: int, hidden: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Starts the rows of this layer's nodes and takes all rows through the block's MLP."""
        if not self.chunks:
            start = self._sites.at(hidden)[: self.count]  # [site d_model]
            # Experts are to be chosen as the model's own pass chooses them, from what it rounds.
            self.narrow = start.dtype if start.dtype in NARROW and not self._view.routers else None
            start = start.float() if self.narrow else start
            room = waiting_room(start.device, self._rows * start.shape[-1] * start.element_size())
            self._room = None if room == start.device else room
            self.chunks.append(_Chunk(start[:, None]))
        entering = self._entering.get(layer, [])
        supplied = self._attention_outputs(layer, entering) if layer in self._z else None  # [site 1+node d_model]
        chunk = self._chunk_with_room(len(entering)) if entering else None
        for other in self.chunks:
            if other is not chunk:
                rows = self.taken(other, hidden.device)
                frozen = None if supplied is None else supplied[:, :1].expand_as(rows)
                self._put(other, self._through(layer, rows, frozen, args, kwargs))
        if chunk is None:
            return
        rows = self.taken(chunk, hidden.device)
        started = rows[:, :1].expand(-1, len(entering), -1)
        if supplied is not None:
            supplied = torch.cat((supplied[:, :1].expand_as(rows), supplied[:, 1:]), dim=1)
        with edited_outputs(self._patched_mlp(layer, entering), self._swap_mlp):
            self._put(chunk, self._through(layer, torch.cat((rows, started), dim=1), supplied, args, kwargs))
        chunk.nodes += entering

    def taken(self, chunk: _Chunk, device: torch.device) -> Float[Tensor, "site row d_model"]:
        """A chunk's rows, back on the device if they wait elsewhere."""
        return chunk.hidden if self._room is None else chunk.hidden.to(device)

    def _put(self, chunk: _Chunk, rows: Float[Tensor, "site row d_model"]) -> None:
        chunk.hidden = rows if self._room is None else rows.to(self._room)

    def _attention_outputs(self, layer: int, entering: list[Node]) -> Float[Tensor, "site row d_model"]:
        """The reference's attention output, then the one that each node enters with; an MLP, with the reference's."""
        z = self._z.pop(layer)  # [2*site head*d_head]
        reference, counterfactual = self._both(z)
        if layer in self._given:
            reference = reference.clone()
            for head in self._given[layer]:
                columns = self._view.columns(Node("heads", layer, head))
                reference[:, columns] = counterfactual[:, columns]
        mixing = [node for node in entering if node.kind != "mlps"]
        patched = self._columns(entering, z.shape[1]).to(z.device)
        swapped = torch.where(patched, counterfactual[:, None], reference[:, None])  # [site 1+node head*d_head]
        self.unmoved.append((mixing, (swapped[:, 1 : 1 + len(mixing)] == reference[:, None]).all(dim=2)))
        output: Tensor = self._view.out_proj(layer).forward(swapped)
        return output

    def _columns(self, entering: list[Node], width: int) -> Bool[Tensor, "row head*d_head"]:
        """The columns that each row has from the counterfactual: none of the reference, none of an MLP's."""
        key = tuple((node.kind, node.unit) for node in entering)
        if key not in self._patched:
            self._patched[key] = torch.zeros(1 + len(entering), width, dtype=torch.bool)
            for row, node in enumerate(entering, 1):
                if node.kind != "mlps":
                    self._patched[key][row, self._view.columns(node)] = True
        return self._patched[key]

    def _both(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Parts [2*site width] into the references' and the counterfactuals'."""
        reference = seen[: self.count]
        # Rounding of a matmul depends on a row's place in the batch: one prompt must not differ from itself.
        self._same_prompt = self._same_prompt.to(seen.device)
        return reference, torch.where(self._same_prompt[:, None], reference, seen[self.count :])

    def _patched_mlp(self, layer: int, entering: list[Node]) -> dict[tuple[int, str], nn.Module]:
        """The modules whose outputs are exchanged in the last of the entering rows; none unless it is an MLP's."""
        if entering[-1].kind != "mlps":
            return {}
        modules = {(layer, name): module for name, module in self._view.mlp_outputs(layer).items()}
        alike = [(left == right).all(dim=1) for left, right in (self._both(self._fed[key]) for key in modules)]
        self.unmoved.append((entering[-1:], torch.stack(alike).all(dim=0)[:, None]))
        return modules

    def _swap_mlp(self, key: tuple[int, str], output: Tensor) -> Tensor:
        swapped = output.clone()
        swapped.view(self.count, -1, swapped.shape[-1])[:, -1] = self._both(self._fed[key])[1]
        return swapped

    def _chunk_with_room(self, entering: int) -> _Chunk:
        chunk = self.chunks[-1]
        if len(chunk.nodes) + entering > self._nodes_per_chunk:
            chunk = _Chunk(chunk.hidden[:, :1])
            self.chunks.append(chunk)
        return chunk

    def _through(self, layer: int, hidden: Tensor, supplied: Tensor | None, args: Any, kwargs: Any) -> Tensor:
        mixed = {
            name: self._mixed[layer, name][:, None].expand_as(hidden).flatten(0, 1) for name in self._view.mixers(layer)
        }
        attention = None if supplied is None else supplied.flatten(0, 1)
        with self.keeping_rows_wide(self._view.layers[layer].children()):
            rows = run_block(self._view, layer, hidden.flatten(0, 1), attention, mixed, args, kwargs)
        return rows.view_as(hidden)

    def keeping_rows_wide(self, modules: Iterable[nn.Module]) -> AbstractContextManager[None]:
        """Has modules that the rows enter take them in float32, where the model computes in less."""
        return residual_in_float32(modules, self.narrow) if self.narrow else nullcontext()


def sweep(
    view: HeadedModel,
    pairs: list[EncodedPair],
    batch: Batch,
    metric: Metric,
    rows_per_chunk: int,
    given: HeadSet,
    nodes: Sequence[Node],
) -> Effects:
    """The default engine: see `Engine`. Two forward passes and the MLP rows, whatever the number of nodes."""
    runs = forced(pairs)
    # A pass over what prompts begin with alike would fetch every block once more.
    fetched = any(map(offloading, view.layers))
    worth = all(_WORTH * run.shared >= len(run.reference) for run in runs)
    shares = view.shares_prefix and worth and not fetched
    apart = not fetched and len(runs) * batch.input_ids.shape[1] >= _MANY
    prompts = sharing(view, runs) if shares else whole(view, batch, runs, apart=apart)
    run = _Sweep(view, runs, prompts.sites, rows_per_chunk, given, nodes)
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    routes = Routes(view, prompts.sites, run.count)
    # Rows of a reference in which heads are given are not those of the model's own pass.
    routers = {} if given else view.routers
    with_mlp = [node.layer for node in nodes if node.kind == "mlps"]
    mlps = {(i, name): module for i in with_mlp for name, module in view.mlp_outputs(i).items()}
    if prompts.before is not None:
        see = partial(run.see_apart, prompts.before.sites)
        with edited_inputs(view.out_projs(), see), edited_outputs(mlps, see):
            prompts.before.run()
    with (
        seen_inputs(view.out_projs(), run.see_heads),
        edited_outputs(mixers, run.see_mixer),
        edited_outputs(mlps, run.see_mlp),
        seen_choices(routers, routes.see),
        one_block_at_hand(view.layers if fetched else ()),
        after_blocks(view.layers, run.visit),
    ):
        prompts.run()
    last = [*view.tail, view.model.get_output_embeddings()]
    with at_hand(*last), run.keeping_rows_wide(last):
        found = _measured_at_the_end(view, run, pairs, metric, nodes)
    return found._replace(routing=routes.by_pair(pairs))


def _measured_at_the_end(
    view: HeadedModel, run: _Sweep, pairs: list[EncodedPair], metric: Metric, nodes: Sequence[Node]
) -> Effects:
    """The metric on the rows that left the last block, against the reference's of the same chunk."""
    column = {node: i for i, node in enumerate(nodes)}
    effects = torch.zeros(len(pairs), len(nodes))
    references = torch.empty(len(pairs))
    for chunk in run.chunks:
        found = values(view, run.taken(chunk, view.device), pairs, metric)  # [pair 1+node]
        effects[:, [column[node] for node in chunk.nodes]] = metric.effect(found[:, 1:], found[:, :1]).cpu()
        references = found[:, 0].cpu()
    counts = site_counts(pairs)
    for some, unmoved in run.unmoved:
        everywhere = torch.stack([own.all(dim=0) for own in unmoved.cpu().split(counts)])  # [pair node]
        columns = [column[node] for node in some]
        effects[:, columns] = effects[:, columns].masked_fill(everywhere, 0.0)
    return Effects(effects, references)
