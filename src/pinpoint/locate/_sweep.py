"""Exact path patching of all heads in one sweep over the layers.

With every other attention output frozen, positions do not mix: what a patched head changes travels through
the MLPs of its own position alone. So one forward pass over both prompts, and single-token rows through the
MLPs for every (head, pair), give what a full forward pass per head gives (Chen et al. 2024, section 3; Wang
et al. 2022; the same arithmetic in goodfire-ai/causalab PR #17).
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import Head
from pinpoint.interventions import after_blocks, run_block, seen_inputs
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel


@dataclass
class _Chunk:
    """Rows in flight. Row 0 of each pair is the reference itself: effects are differences within a chunk."""

    hidden: Float[Tensor, "pair row d_model"]
    heads: list[Head] = field(default_factory=list)


class _Sweep:
    """Carries the rows of all heads seen so far from layer to layer, while the model runs its own forward."""

    def __init__(self, view: HeadedModel, batch: Batch, rows_per_chunk: int) -> None:
        self._view = view
        self._last = batch.last
        self._pairs = len(batch.last) // 2
        ids = batch.input_ids * batch.attention_mask
        self._same_prompt = (ids[: self._pairs] == ids[self._pairs :]).all(dim=1)  # [pair]
        self._heads_per_chunk = max(view.n_heads, rows_per_chunk // self._pairs)
        self._z: dict[int, Tensor] = {}
        self.chunks: list[_Chunk] = []
        self.unmoved: list[Tensor] = []  # per layer [pair head]: z is the same on both prompts

    def see_heads(self, layer: int, z: Tensor) -> None:
        """Keeps z, the input of the out projection, at the measured position of each prompt."""
        self._z[layer] = z[torch.arange(len(z), device=z.device), self._last.to(z.device)]

    def visit(self, layer: int, hidden: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Starts the rows of this layer's heads and takes all rows through the block's MLP."""
        if not self.chunks:
            rows = torch.arange(self._pairs, device=hidden.device)
            start = hidden[rows, self._last[: self._pairs].to(hidden.device)]  # [pair d_model]
            self.chunks.append(_Chunk(start[:, None]))
        supplied = self._attention_outputs(layer)  # [pair 1+head d_model]
        chunk = self._chunk_with_room()
        for other in self.chunks:
            if other is not chunk:
                frozen = supplied[:, :1].expand_as(other.hidden)
                other.hidden = self._through(layer, other.hidden, frozen, args, kwargs)
        entering = chunk.hidden[:, :1].expand(-1, self._view.n_heads, -1)
        frozen = supplied[:, :1].expand_as(chunk.hidden)
        chunk.hidden = self._through(
            layer,
            torch.cat((chunk.hidden, entering), dim=1),
            torch.cat((frozen, supplied[:, 1:]), dim=1),
            args,
            kwargs,
        )
        chunk.heads += [Head(layer, head) for head in range(self._view.n_heads)]

    def _attention_outputs(self, layer: int) -> Float[Tensor, "pair row d_model"]:
        """The reference's attention output, then the one with each head swapped in turn."""
        z = self._z.pop(layer)  # [2*pair head*d_head]
        heads, width = self._view.n_heads, self._view.head_dim
        reference = z[: self._pairs]
        # Rounding of a matmul depends on a row's place in the batch: one prompt must not differ from itself.
        counterfactual = torch.where(self._same_prompt[:, None].to(z.device), reference, z[self._pairs :])
        self.unmoved.append((reference == counterfactual).unflatten(1, (heads, width)).all(dim=2).cpu())
        swapped = reference[:, None].repeat(1, 1 + heads, 1)  # [pair 1+head head*d_head]
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            swapped[:, 1 + head, columns] = counterfactual[:, columns]
        output: Tensor = self._view.out_proj(layer).forward(swapped)
        return output

    def _chunk_with_room(self) -> _Chunk:
        chunk = self.chunks[-1]
        if len(chunk.heads) + self._view.n_heads > self._heads_per_chunk:
            chunk = _Chunk(chunk.hidden[:, :1])
            self.chunks.append(chunk)
        return chunk

    def _through(self, layer: int, hidden: Tensor, supplied: Tensor, args: Any, kwargs: Any) -> Tensor:
        rows = run_block(
            self._view.layers[layer],
            self._view.layout.attention,
            hidden.flatten(0, 1),
            supplied.flatten(0, 1),
            args,
            kwargs,
        )
        return rows.view_as(hidden)


def sweep(view: HeadedModel, pairs: list[EncodedPair], batch: Batch, metric: Metric, rows_per_chunk: int) -> Effects:
    """The default engine: see `Engine`. Two forward passes and the MLP rows, whatever the number of heads."""
    run = _Sweep(view, batch, rows_per_chunk)
    projections = {layer: view.out_proj(layer) for layer in range(view.n_layers)}
    with seen_inputs(projections, run.see_heads), after_blocks(view.layers, run.visit):
        view.backbone(**batch.inputs(), use_cache=False)

    effects = torch.empty(len(pairs), view.n_layers, view.n_heads)
    references = torch.empty(len(pairs))
    for chunk in run.chunks:
        layers = [head.layer for head in chunk.heads]
        heads = [head.head for head in chunk.heads]
        logits = view.logits(chunk.hidden)  # [pair 1+head vocab]
        for i, pair in enumerate(pairs):
            values = metric.value(logits[i], pair.unwanted, pair.wanted)
            effects[i, layers, heads] = metric.effect(values[1:], values[:1]).cpu()
            references[i] = values[0].item()
    return Effects(effects.masked_fill(torch.stack(run.unmoved, dim=1), 0.0), references)
