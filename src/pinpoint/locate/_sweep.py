"""Exact path patching of all heads in one sweep over the layers.

With every other attention output frozen, positions do not mix: what a patched head changes travels through
the MLPs of its own position alone. So one forward pass over both prompts (once over what they begin with alike),
and single-token rows through the MLPs for every (head, pair), give what a full forward pass per head gives
(Chen et al. 2024, section 3; Wang et al. 2022; the same arithmetic in goodfire-ai/causalab PR #17).
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import after_blocks, edited_outputs, final_logits, run_block, seen_inputs
from pinpoint.locate._prefix import shared_lengths, sharing, whole
from pinpoint.locate._protocol import Effects
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel

# A row's logits take as much room as some hundred of its residual vectors.
_LOGIT_ROWS = 1024


@dataclass
class _Chunk:
    """Rows in flight. Row 0 of each pair is the reference itself: effects are differences within a chunk."""

    hidden: Float[Tensor, "pair row d_model"]
    heads: list[Head] = field(default_factory=list)


class _Sweep:
    """Carries the rows of all heads seen so far from layer to layer, while the model runs its own forward."""

    def __init__(
        self, view: HeadedModel, pairs: list[EncodedPair], last: Tensor, rows_per_chunk: int, given: HeadSet
    ) -> None:
        self._view = view
        self._given = given.by_layer()
        self._last = last
        self._pairs = len(pairs)
        self._same_prompt = torch.tensor([pair.reference == pair.counterfactual for pair in pairs])
        self._heads_per_chunk = max(view.n_heads, rows_per_chunk // self._pairs)
        self._z: dict[int, Tensor] = {}
        self._mixed: dict[tuple[int, str], Tensor] = {}
        self.chunks: list[_Chunk] = []
        self.unmoved: dict[int, Tensor] = {}  # per layer [pair head]: z is the same on both prompts

    def see_heads(self, layer: int, z: Tensor) -> None:
        """Keeps z, the input of the out projection, at the measured position of each prompt."""
        self._z[layer] = self._measured(z)

    def see_mixer(self, key: tuple[int, str], output: Tensor) -> Tensor:
        """Keeps what a mixer without heads puts out at the measured position of each reference."""
        self._mixed[key] = self._measured(output)[: self._pairs]
        return output

    def _measured(self, tensor: Tensor) -> Tensor:
        rows = tensor.unflatten(0, (len(self._last), -1)) if tensor.dim() == 2 else tensor
        return rows[torch.arange(len(rows), device=rows.device), self._last.to(rows.device)]

    def visit(self, layer: int, hidden: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Starts the rows of this layer's heads and takes all rows through the block's MLP."""
        if not self.chunks:
            start = self._measured(hidden)[: self._pairs]  # [pair d_model]
            self.chunks.append(_Chunk(start[:, None]))
        supplied = self._attention_outputs(layer) if layer in self._z else None  # [pair 1+head d_model]
        chunk = self._chunk_with_room() if supplied is not None else None
        for other in self.chunks:
            if other is not chunk:
                frozen = None if supplied is None else supplied[:, :1].expand_as(other.hidden)
                other.hidden = self._through(layer, other.hidden, frozen, args, kwargs)
        if chunk is None or supplied is None:
            return
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
        if layer in self._given:
            reference = reference.clone()
            for head in self._given[layer]:
                columns = slice(head * width, (head + 1) * width)
                reference[:, columns] = counterfactual[:, columns]
        self.unmoved[layer] = (reference == counterfactual).unflatten(1, (heads, width)).all(dim=2).cpu()
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

    def _through(self, layer: int, hidden: Tensor, supplied: Tensor | None, args: Any, kwargs: Any) -> Tensor:
        mixed = {
            name: self._mixed[layer, name][:, None].expand_as(hidden).flatten(0, 1) for name in self._view.mixers(layer)
        }
        attention = None if supplied is None else supplied.flatten(0, 1)
        rows = run_block(self._view, layer, hidden.flatten(0, 1), attention, mixed, args, kwargs)
        return rows.view_as(hidden)


def _rope(view: HeadedModel) -> str:
    config = view.config
    return str(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None))


def sweep(
    view: HeadedModel,
    pairs: list[EncodedPair],
    batch: Batch,
    metric: Metric,
    rows_per_chunk: int,
    given: HeadSet,
) -> Effects:
    """The default engine: see `Engine`. Two forward passes and the MLP rows, whatever the number of heads."""
    lengths = shared_lengths(pairs)
    # Long-context RoPE chooses its frequencies by the longest position of a pass: both prompts have to be run whole.
    shares = view.layout.shares_prefix and min(lengths) > 0 and "longrope" not in _rope(view)
    prompts = sharing(view, pairs, lengths) if shares else whole(view, batch)
    run = _Sweep(view, pairs, prompts.last, rows_per_chunk, given)
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    with (
        seen_inputs(view.out_projs(), run.see_heads),
        edited_outputs(mixers, run.see_mixer),
        after_blocks(view.layers, run.visit),
    ):
        prompts.run()

    effects = torch.zeros(len(pairs), view.n_layers, view.n_heads)
    references = torch.empty(len(pairs))
    tokens = sorted({token for pair in pairs for token in (*pair.unwanted, *pair.wanted)})
    place = {token: i for i, token in enumerate(tokens)}
    for chunk in run.chunks:
        layers = [head.layer for head in chunk.heads]
        heads = [head.head for head in chunk.heads]
        at_once = max(1, _LOGIT_ROWS // (1 + len(heads)))
        for start in range(0, len(pairs), at_once):
            logits = final_logits(view, chunk.hidden[start : start + at_once], tokens)  # [pair 1+head token]
            for i, pair in enumerate(pairs[start : start + at_once], start):
                unwanted, wanted = ([place[token] for token in side] for side in (pair.unwanted, pair.wanted))
                values = metric.value(logits[i - start], unwanted, wanted)
                effects[i, layers, heads] = metric.effect(values[1:], values[:1]).cpu()
                references[i] = values[0].item()
    for layer, unmoved in run.unmoved.items():
        effects[:, layer].masked_fill_(unmoved, 0.0)
    return Effects(effects, references)
